// The same objects as require('tidegate/nest').
export * from './index.cjs';
