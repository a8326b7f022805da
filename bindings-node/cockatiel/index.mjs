// The same objects as require('tidegate/cockatiel').
export * from './index.cjs';
