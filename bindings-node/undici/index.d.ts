import type { GuardOptions } from '../client/types.js';

export * from '../client/types.js';

/**
 * An interceptor for `dispatcher.compose()` of undici 7 and later: requests under a breaker, a retry policy and a
 * throttle. Rejects as undici does, and with CircuitOpenError, ThrottledError and RetryBudgetExceededError. The option
 * `idempotent` of a request counts. What `fetch` sends through a dispatcher it sends as a stream, so once; see
 * `tidegate/fetch`.
 */
export function guardedInterceptor(
  options?: GuardOptions,
): <Dispatch extends (options: any, handler: any) => boolean>(dispatch: Dispatch) => Dispatch;
