// The same objects as require('tidegate/undici').
export * from './index.cjs';
