// The same objects as require('tidegate/throttler').
export * from './index.cjs';
