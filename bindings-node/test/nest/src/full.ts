// What there is no room for.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { BoundedQueue, ConcurrencyLimiter, LoadShedder } from 'tidegate';

/** A limiter with one place, which is kept for live. */
function oneForLive(t: TestContext) {
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
  /** It refuses everything up to `normal`, for eight intervals and more. */
  async shedder(_t, { priority }) {
    const signals = [{ kind: 'gauge' as const, start: 0, full: 1, read: () => 1 }];
    const options = { rise: 1, minAdmit: 0, intervalMs: 10_000, criticalAfterMs: 3_600_000 };
    const shedder = new LoadShedder({ signals, ...options });
    while (shedder.admit('normal')) await setTimeout(1);
    return { shedder, priority };
  },
};
