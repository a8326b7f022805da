import type { ManualClock, ScopeSpec } from '../index.js';

/**
 * A Store for express-rate-limit: `rateLimit({ windowMs, limit, store: new TidegateStore() })`. One for each
 * middleware.
 *
 * As the library's MemoryStore it counts a key's hits in a window from the first of them; unlike it, memory has a
 * bound. A count stops at 1,048,575.
 */
export class TidegateStore {
  constructor(options?: {
    /**
     * Live keys with a place of their own, default 100 000; more share a sketch that may count too many, never too few.
     */
    maxKeys?: number;
    /** Where the counts live: `'host:orders'` for all processes of the machine. */
    scope?: ScopeSpec;
    /** Which store it is, in a named scope: one for each middleware. */
    name?: string;
    /** For tests; a `DateClock` follows fake timers. */
    clock?: ManualClock;
  });
  readonly localKeys: boolean;
  readonly windowMs: number;
  init(options: { windowMs: number }): void;
  get(key: string): { totalHits: number; resetTime: Date } | undefined;
  increment(key: string): { totalHits: number; resetTime: Date };
  decrement(key: string): void;
  resetKey(key: string): void;
  resetAll(): void;
  /** Forgets the counts of this process; what is shared in a named scope stays. */
  shutdown(): void;
}
