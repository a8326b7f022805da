import type { ManualClock } from '../index.js';

/**
 * A Store for express-rate-limit: `rateLimit({ windowMs, limit, store: new TidegateStore() })`. One for each middleware.
 *
 * As the library's MemoryStore it counts a key's hits in a window from the first of them; unlike it, memory has a bound.
 * A count stops at 1,048,575.
 */
export class TidegateStore {
  constructor(options?: {
    /** Live keys with a place of their own, default 100 000; more share a sketch that may count too many, never too few. */
    maxKeys?: number;
    /** For tests. */
    clock?: ManualClock;
  });
  readonly localKeys: true;
  readonly windowMs: number;
  init(options: { windowMs: number }): void;
  get(key: string): { totalHits: number; resetTime: Date } | undefined;
  increment(key: string): { totalHits: number; resetTime: Date };
  decrement(key: string): void;
  resetKey(key: string): void;
  resetAll(): void;
}
