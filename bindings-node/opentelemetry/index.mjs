// The same objects as require('tidegate/opentelemetry').
export * from './index.cjs';
