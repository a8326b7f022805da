/// <reference lib="esnext.disposable" />
/**
 * Rate limiting, circuit breaking and backpressure over one lock-free Rust core.
 *
 * Times are milliseconds (fractions count), and the names say so; "never" is `Infinity`. Wrong arguments throw a
 * `TypeError` (`ERR_INVALID_ARG_TYPE`) or a `RangeError` (`ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`). Each object
 * belongs to the thread that made it; a worker thread makes its own.
 */

/** The version of this package and of its binary. */
export const version: string;

/** How long a waiting form waits. */
export interface WaitOptions {
  /** Longest wait in ms, default `Infinity`. */
  timeoutMs?: number;
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a limit decided. A denial is a result, not an error. */
export interface Decision {
  /** Whether the cost was taken. */
  allowed: boolean;
  /** The most tokens that can be taken at once (the burst). */
  limit: number;
  /** Whole tokens left after this decision. */
  remaining: number;
  /** ms until the same cost could be admitted: 0 when allowed, `Infinity` when it exceeds the burst. */
  retryAfterMs: number;
  /** ms until the bucket is full again. */
  resetAfterMs: number;
}

/** A rate and the burst above it. */
export interface Quota {
  /** `'400/s'`, `'100/minute'`, `'5 per 15 minutes'`; or a number of tokens per `perMs`. */
  rate: string | number;
  /** ms in which a numeric `rate` comes back, default 1000. */
  perMs?: number;
  /** The most tokens at once, 1 to 2^32 - 1; default: the count in the rate, rounded up. */
  burst?: number;
}

/**
 * A token bucket: starts full, refills at `rate`, holds at most `burst` tokens (GCRA, ITU-T I.371). Rates from 1 a year
 * to 100 million a second. `n` is a whole number of tokens from 0.
 */
export class TokenBucket {
  constructor(options: Quota & { /** For tests; default: the machine's monotonic clock. */ clock?: ManualClock });
  /** Takes `n` tokens, or nothing. `n` = 0 takes nothing and is refused only in debt or under a penalty. */
  tryAcquire(n?: number): boolean;
  /** Takes `n` tokens, or nothing, and tells what is left. */
  check(n?: number): Decision;
  /** What `check(1)` would answer; takes nothing, so `remaining` is what is there now. */
  peek(): Decision;
  /** Books `n` tokens ahead where the wait is at most `maxWaitMs` (default: as long as it takes). */
  reserve(n?: number, options?: { maxWaitMs?: number }): Reservation;
  /**
   * Takes `n` tokens and resolves once they are there. A bucket knows the wait beforehand: when it would exceed
   * `timeoutMs` this rejects at once with `RateLimitedError` and takes nothing. An abort gives the booking back.
   */
  acquire(n?: number, options?: WaitOptions): Promise<void>;
  /** Gives `n` tokens back, never above full; does not shorten a penalty. */
  refund(n?: number): void;
  /** Admits nothing for `waitMs`, then refills from empty (a server's Retry-After). */
  penalize(waitMs: number): void;
  /** Full again: ends a penalty, voids reservations. */
  reset(): void;
  /** Changes the quota and keeps the level, clipped to the new burst; voids reservations. */
  setQuota(quota: Quota): void;
  /** `count` tokens per `periodMs`. */
  readonly quota: { count: number; periodMs: number; burst: number };
  /** Counts since it was made. */
  stats(): { admitted: number; denied: number };
}

/** What `TokenBucket.reserve` answered. */
export class Reservation {
  private constructor();
  /** Whether the tokens are booked. */
  readonly booked: boolean;
  /** Booked: act after this many ms. */
  readonly waitMs: number;
  /** Not booked: the wait in ms that it would have taken; `Infinity` when the cost exceeds the burst. */
  readonly retryAfterMs: number;
  /**
   * Gives the booking back: nothing once its time has come, else what was not booked after it (x/time/rate's rule).
   * @returns whether anything came back
   */
  cancel(): boolean;
}

/** A class of errors, a predicate, or several of them. */
export type ErrorMatcher = (abstract new (...args: any[]) => Error) | ((error: any) => boolean) | ErrorMatcher[];

export interface CircuitBreakerOptions {
  /** The window: the last N calls (default 20) … */
  windowCalls?: number;
  /** … or the calls of the last T ms; not both. */
  windowDurationMs?: number;
  /** Opens when failed / calls reaches this, 0 < rate ≤ 1, default 0.5. */
  failureRateThreshold?: number;
  /** A call of at least this many ms is slow; default: none is. */
  slowCallDurationMs?: number;
  /** Opens when slow / calls reaches this, 0 < rate ≤ 1, default 1. */
  slowCallRateThreshold?: number;
  /** Opens at this many failures in a row, whatever the rates and `minCalls`; default: off. */
  consecutiveFailures?: number;
  /** The rates say nothing below this many calls, default 10. */
  minCalls?: number;
  /** ms it stays open, default 30 000. */
  cooldownMs?: number;
  /** Each opening from half-open multiplies the cooldown by this, ≥ 1, default 1. */
  cooldownBackoff?: number;
  /** No cooldown is longer, default 64 × `cooldownMs`. */
  maxCooldownMs?: number;
  /** Lengthens the cooldown by a random part of up to this fraction, 0 to 1, default 0. */
  cooldownJitter?: number;
  /** Successful probes needed to close, and the most at once; default 1. */
  probes?: number;
  /** ms until a probe without a report is lost, default 60 000. */
  probeTimeoutMs?: number;
  /** Which errors are failures, default all; the others count as successes, since the dependency did answer. */
  failureOn?: ErrorMatcher;
  /** Which errors count neither way; wins over `failureOn`. */
  ignore?: ErrorMatcher;
  /** For tests; default: the machine's monotonic clock. */
  clock?: ManualClock;
}

export type BreakerState = 'closed' | 'open' | 'half_open' | 'forced_open' | 'disabled' | 'metrics_only';

export interface BreakerStats {
  state: BreakerState;
  /** Calls in the window, and how many of them failed or were slow. */
  calls: number;
  failed: number;
  slow: number;
  /** failed / calls and slow / calls, 0 without calls. */
  failureRate: number;
  slowCallRate: number;
  /** Calls refused and circuits opened since it was made. */
  rejected: number;
  opened: number;
  /** ms until a probe may be tried. */
  retryAfterMs: number;
}

export interface BreakerEvent {
  /** Running number from 0; a gap means that entries were overwritten before they were read. */
  seq: number;
  kind:
    | 'closed'
    | 'opened'
    | 'half_opened'
    | 'forced_open'
    | 'disabled'
    | 'metrics_only'
    | 'probe_succeeded'
    | 'probe_failed'
    | 'probe_lost';
  /** ms on the breaker's clock. */
  atMs: number;
}

/**
 * A circuit breaker: closed, open after too many failures, half-open with a few probes after the cooldown. Windows, slow
 * calls and half-open follow Resilience4j.
 *
 * Never a failure: an `AbortError` (released: the caller cancelled), and tidegate's own refusals (ignored).
 */
export class CircuitBreaker {
  constructor(name: string, options?: CircuitBreakerOptions);
  readonly name: string;
  /** A permit for one call, or null while the circuit refuses. */
  tryAcquire(): Permit | null;
  /** @throws CircuitOpenError while the circuit refuses */
  acquire(): Permit;
  /**
   * Calls `fn` under a permit and reports how it ended; a promise is followed to its end. While the circuit refuses:
   * throws CircuitOpenError, or rejects with it where `fn` is an `async` function.
   */
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R;
  /** A function that is `call(fn, …)`, with `this` passed on; an `async` function stays one. */
  wrap<F extends (...args: any[]) => unknown>(fn: F): (this: ThisParameterType<F>, ...args: Parameters<F>) => ReturnType<F>;
  /** An open breaker whose cooldown has ended is `'open'` until somebody acquires. */
  readonly state: BreakerState;
  /** ms until a probe may be tried; 0 when calls pass, `Infinity` while forced open. */
  readonly retryAfterMs: number;
  stats(): BreakerStats;
  /** Transitions and outcomes of probes from number `since` on, oldest first, as many as are still kept. */
  events(since?: number): BreakerEvent[];
  /** Refuses everything until `reset()`. */
  forceOpen(): void;
  /** Lets everything pass and counts nothing until `reset()`. */
  disable(): void;
  /** Counts and never opens until `reset()`. */
  metricsOnly(): void;
  /** Closed, with an empty window and the first cooldown. */
  reset(): void;
}

/**
 * The right to make one call. The first report counts, all others do nothing. `using permit = breaker.acquire()`
 * releases it at the end of the block if nothing was reported.
 */
export class Permit {
  private constructor();
  /** It worked. `durationMs`: how long it took, default since it was acquired. */
  success(durationMs?: number): void;
  /** It failed. `retryAfterMs`: the server's Retry-After; should this open the circuit, it stays open that long. */
  failure(durationMs?: number, retryAfterMs?: number): void;
  /** It says nothing about the dependency: not counted. */
  ignore(): void;
  /** It was cancelled: not counted. */
  release(): void;
  /** `release()`; where this Node has `Symbol.dispose`. */
  [Symbol.dispose](): void;
}

export interface BoundedQueueOptions<T = unknown> {
  /** The most items held, 1 to 2^24. */
  capacity: number;
  /** Pushes are refused from this fraction of the capacity on, default 0.8; 1 turns watermarks off … */
  highWatermark?: number;
  /** … until the queue is below this one, default 0.5. */
  lowWatermark?: number;
  /** `'reject'` the new item (default), or `'drop_oldest'` (watermarks then only steer `isAccepting`). */
  onFull?: 'reject' | 'drop_oldest';
  /** Gets each item dropped. */
  onDrop?: (item: T) => void;
  /** Stamps items, so that `tryPopTimed` tells how long they waited; default false. */
  sojourn?: boolean;
  /** ms to tell refused producers (QueueFullError, Retry-After), default 1000. */
  retryAfterMs?: number;
  /** For tests of sojourn times; waiting uses the machine's clock. */
  clock?: ManualClock;
}

export interface QueueStats {
  depth: number;
  accepting: boolean;
  pushed: number;
  popped: number;
  rejected: number;
  dropped: number;
}

/**
 * A bounded first-in-first-out queue with watermarks. An item may be anything but `undefined`. Nothing accepted is lost:
 * an aborted or timed-out `pop` takes nothing with it.
 */
export class BoundedQueue<T = unknown> implements AsyncIterable<T> {
  constructor(options: BoundedQueueOptions<T>);
  /** Puts `item` in without waiting; false while it is full, above its watermark, or closed. */
  tryPush(item: T): boolean;
  /** Waits for room. Rejects with QueueFullError at the timeout, QueueClosedError when closed. */
  push(item: T, options?: WaitOptions): Promise<void>;
  /** The oldest item, undefined when there is none. */
  tryPop(): T | undefined;
  /** The same with the ms that it waited here (0 unless `sojourn` is on). */
  tryPopTimed(): { item: T; sojournMs: number } | undefined;
  /** Waits for an item. Rejects with QueueEmptyError at the timeout, QueueClosedError when closed and empty. */
  pop(options?: WaitOptions): Promise<T>;
  /** Pops until the queue is closed and empty. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined>;
  /** Refuses pushes from now on; what was accepted can still be popped. */
  close(): void;
  /** Closes, and takes out everything that was accepted, oldest first. */
  drain(): T[];
  /** Whether a push would be taken. */
  readonly isAccepting: boolean;
  readonly isClosed: boolean;
  /** Items held. */
  readonly depth: number;
  /** ms to tell refused producers. */
  readonly retryAfterMs: number;
  stats(): QueueStats;
}

/** A clock that moves only when told to, for tests. Moving it wakes those who wait on it. */
export class ManualClock {
  constructor(startNs?: bigint);
  /** Moves forward by `ms`. */
  advance(ms: number): void;
  /** Jumps, backwards too. */
  setNs(ns: bigint): void;
  readonly nowNs: bigint;
}

/** Base of everything tidegate raises about its own state; a circuit breaker never counts one as a failure. */
export class TidegateError extends Error {
  constructor(message?: string, code?: string);
  readonly code: string;
}

/** A limit refused (`ERR_TIDEGATE_RATE_LIMITED`). */
export class RateLimitedError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** A circuit breaker refused (`ERR_TIDEGATE_CIRCUIT_OPEN`). */
export class CircuitOpenError extends TidegateError {
  constructor(breaker: string, retryAfterMs: number);
  /** Its name. */
  readonly breaker: string;
  /** ms until a probe may be tried, `Infinity` while forced open. */
  readonly retryAfterMs: number;
}

/** A queue took no item (`ERR_TIDEGATE_QUEUE_FULL`). */
export class QueueFullError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** A queue is closed; for a pop: and empty (`ERR_TIDEGATE_QUEUE_CLOSED`). */
export class QueueClosedError extends TidegateError {
  constructor(message?: string);
}

/** A waiting pop reached its timeout (`ERR_TIDEGATE_QUEUE_EMPTY`). */
export class QueueEmptyError extends TidegateError {
  constructor(message?: string);
}
