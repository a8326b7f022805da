export * from './index.js';

// For an axios that is an ES module; index.d.ts says it of the other.
declare module 'axios' {
  interface AxiosRequestConfig<D = any> {
    idempotent?: boolean;
  }
}
