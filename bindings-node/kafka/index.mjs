// The same objects as require('tidegate/kafka').
export * from './index.cjs';
