// The same objects as require('tidegate'): one class identity, whoever imports.
export * from './index.cjs';
