// The same objects as require('tidegate/prom-client').
export * from './index.cjs';
