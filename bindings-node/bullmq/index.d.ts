import type { ConcurrencyLimiter } from '../index.js';
import type { PauseOptions, PressureSource } from '../kafka/index.js';

export type { PressureSource };

/** `minPauseMs` is 500 here unless told otherwise. */
export interface PacingOptions extends PauseOptions {
  /** Each job takes a permit of it, and reports; the worker's `concurrency` is what is free of it, at least 1. */
  limiter?: ConcurrencyLimiter;
  /** The worker takes no job while this is under pressure. */
  pauseWhen?: PressureSource;
  /**
   * The worker's queue: it waits, in all processes, when a job fails by what says when to come again, as a 429 with
   * Retry-After or an open breaker; the job goes back, and no attempt is counted. The worker needs an option `limiter`.
   */
  queue?: {
    rateLimit(expireTimeMs: number): Promise<void>;
    getRateLimitTtl(maxJobs?: number): Promise<number>;
  };
  /** The queue waits at most so long. Default 300000. */
  maxRetryAfterMs?: number;
}

/** A Worker of bullmq. */
export interface PaceableWorker {
  concurrency: number;
  readonly opts: { limiter?: { max: number; duration: number } };
  pause(doNotWaitActive?: boolean): Promise<void>;
  resume(): unknown;
  isPaused(): boolean;
  on(event: 'closing', listener: () => void): unknown;
}

/** Makes a worker of bullmq take as many jobs as can be done. For one worker. */
export class Pacing {
  constructor(options: PacingOptions);
  /** The function for `new Worker`, which calls `handle`. */
  processor<A extends [job: any, token?: string, signal?: AbortSignal], R>(
    handle: (...given: A) => R | PromiseLike<R>,
  ): (...given: A) => Promise<R>;
  /** The worker of that function. It follows until it is closed. */
  attach<W extends PaceableWorker>(worker: W): W;
  /** Whether the source has paused it. */
  readonly isPaused: boolean;
  /** How many times the source has paused it. */
  readonly pauses: number;
  /** Pauses the worker until `resume()`: the source does not resume it. */
  pause(): void;
  /** Resumes what `pause()` has paused, after the source's pause if there is one. */
  resume(): void;
}
