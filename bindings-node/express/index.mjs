// The same objects as require('tidegate/express').
export * from './index.cjs';
