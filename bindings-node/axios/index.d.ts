import type { AxiosAdapter, AxiosRequestConfig } from 'axios';
import type { GuardOptions } from '../client/types.js';

export * from '../client/types.js';

declare module 'axios' {
  interface AxiosRequestConfig<D = any> {
    /** Whether the call may be made twice, where its method and headers do not say it. */
    idempotent?: boolean;
  }
}

export interface GuardedAdapterOptions extends GuardOptions {
  /** Makes the calls; default: axios's own. */
  adapter?: AxiosRequestConfig['adapter'];
}

/**
 * An adapter for axios 1.5 and later, and so for Nest's `HttpModule`: requests under a breaker, a retry policy and a
 * throttle, inside of all interceptors. Rejects as axios does, and with CircuitOpenError, ThrottledError and
 * RetryBudgetExceededError. `timeout` is that of one attempt. A body that is not streamed has come with the headers.
 */
export function guardedAdapter(options?: GuardedAdapterOptions): AxiosAdapter;
