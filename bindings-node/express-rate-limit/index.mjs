// The same objects as require('tidegate/express-rate-limit').
export * from './index.cjs';
