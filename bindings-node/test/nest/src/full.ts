// What there is no room for.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { BoundedQueue, ConcurrencyLimiter } from 'tidegate';
import { closed } from './gates.js';

/** A limiter with one place, which is kept for live. */
export function oneForLive(t: TestContext) {
  const limiter = new ConcurrencyLimiter({ limit: 2, partitions: { live: 0.5, batch: 0.5 } });
  const [kept, lent] = [limiter.tryAcquire({ partition: 'batch' }), limiter.tryAcquire({ partition: 'batch' })];
  t.after(() => kept?.release());
  assert.equal(limiter.tryAcquire({ partition: 'live' }), null);
  lent?.release();
  return limiter;
}

/** What there is no room for, as our options. */
export const FULL: Record<string, (t: TestContext, config: any) => any> = {
  concurrency(t, { partition }) {
    if (partition !== undefined) return { concurrency: oneForLive(t), partition };
    const concurrency = new ConcurrencyLimiter({ limit: 1 });
    const permit = concurrency.tryAcquire();
    t.after(() => permit?.release());
    return { concurrency };
  },
  queue(_t, { closed }) {
    const backlog = new BoundedQueue({ capacity: 1, highWatermark: 1, retryAfterMs: 7000 });
    if (closed) backlog.close();
    else backlog.tryPush(1);
    return { backlog };
  },
  shedder: async (_t, { priority }) => ({ shedder: await closed(), priority }),
};
