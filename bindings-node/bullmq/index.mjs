// The same objects as require('tidegate/bullmq').
export * from './index.cjs';
