import type {
  CircuitBreaker,
  ClientThrottle,
  ConcurrencyLimiter,
  Key,
  RateLimiter,
  RetryPolicy,
  TokenBucket,
} from '../index.js';

export type PolicyEvent<T> = (listener: (data: T) => void) => { dispose(): void };

/** As cockatiel's IPolicy. */
export interface Policy<Context extends { signal: AbortSignal } = { signal: AbortSignal }> {
  readonly _altReturn: never;
  readonly onSuccess: PolicyEvent<{ duration: number }>;
  readonly onFailure: PolicyEvent<{ duration: number; handled: boolean; reason: { error: Error } }>;
  execute<T>(fn: (context: Context) => PromiseLike<T> | T, signal?: AbortSignal): Promise<T>;
}

/** A retry policy for `wrap()` of cockatiel. `attempt` counts from 0. */
export function asPolicy(retry: RetryPolicy): Policy<{ signal: AbortSignal; attempt: number }>;
/**
 * One of ours for `wrap()` of cockatiel. Refuses with the error of its own; a limit refuses at once. A call that its
 * signal has ended, also by cockatiel's timeout further out, counts for no breaker: put the timeout inside, where it is
 * one to the breaker, as any other abort is by a signal that `execute` was not given.
 */
export function asPolicy(guard: CircuitBreaker | ConcurrencyLimiter | ClientThrottle | TokenBucket): Policy;
export function asPolicy(limiter: RateLimiter, options: { key: Key }): Policy;
