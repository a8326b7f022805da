// The same objects as require('tidegate/fetch').
export * from './index.cjs';
