import type { GuardOptions } from '../client/types.js';

export * from '../client/types.js';

export interface GuardedFetchOptions extends GuardOptions {
  /** Makes the calls; default: the global `fetch` of the moment. */
  fetch?: typeof fetch;
}

/** `fetch`, and whether a call may be made twice, where its method and headers do not say it. */
export type GuardedFetch = (
  input: Parameters<typeof fetch>[0],
  init?: Parameters<typeof fetch>[1] & { idempotent?: boolean },
) => Promise<Response>;

/**
 * `fetch` under a breaker, a retry policy and a throttle. Rejects as fetch does, and with CircuitOpenError,
 * ThrottledError and RetryBudgetExceededError. A Request that has a body is sent once.
 */
export function guardedFetch(options?: GuardedFetchOptions): GuardedFetch;
