// The same objects as require('tidegate/koa').
export * from './index.cjs';
