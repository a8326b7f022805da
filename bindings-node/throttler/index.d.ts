import type { ManualClock, ScopeSpec } from '../index.js';

/**
 * A ThrottlerStorage for @nestjs/throttler: `ThrottlerModule.forRoot({ throttlers, storage: new
 * TidegateThrottlerStorage() })`.
 *
 * As the library's own storage it counts each hit for its ttl (exactly up to a limit of 4,096, above it in a sliding
 * window) and blocks for `blockDuration`; unlike it, memory has a bound. Limits up to 1,048,575, or Infinity.
 */
export class TidegateThrottlerStorage {
  constructor(options?: {
    /** Live keys with a place of their own, default 10 000. Each takes some 8 bytes for each hit of its limit. */
    maxKeys?: number;
    /** Where the counts live: `'host:orders'` for all processes of the machine. */
    scope?: ScopeSpec;
    /**
     * In a named scope what its tables' names begin with, default `'throttler'`; each storage of an application has its
     * own.
     */
    name?: string;
    /** For tests; a `DateClock` follows fake timers. */
    clock?: ManualClock;
  });
  /** What ThrottlerGuard calls: ms in, seconds out. */
  increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<{ totalHits: number; timeToExpire: number; isBlocked: boolean; timeToBlockExpire: number }>;
  /** Forgets all hits and blocks. */
  resetAll(): void;
}
