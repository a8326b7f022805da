import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock, RateLimiter } from 'tidegate';
import { TidegateStore } from 'tidegate/express-rate-limit';
import { TidegateThrottlerStorage } from 'tidegate/throttler';

const ALGORITHMS = ['token_bucket', 'leaky_bucket', 'fixed_window', 'sliding_window', 'sliding_log'];

/** One call every fiftieth of a period. */
function admitted(limiter, clock, periodMs, periods) {
  let count = 0;
  for (let call = 0; call < 50 * periods; call += 1) {
    count += limiter.tryAcquire('k');
    clock.advance(periodMs / 50);
  }
  return count;
}

/** Whole numbers up to `to`, the same in each run. */
let state = 12_345;
function random(from, to) {
  state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
  return from + (state % (to - from + 1));
}

describe('a quota has one period, the one that was written', () => {
  for (const algorithm of ALGORITHMS) {
    it(`of any number of milliseconds: ${algorithm}`, () => {
      for (let round = 0; round < 20; round += 1) {
        const [rate, perMs] = [random(1, 20), random(20, 20_000)];
        for (const given of [
          { rate, perMs },
          { rate: `${rate} per ${perMs} ms` },
          { rate: `${rate} per ${perMs / 1000} s` },
        ]) {
          const clock = new ManualClock();
          const limiter = new RateLimiter({ algorithm, clock, ...given });
          const { count, periodMs } = limiter.quota;
          assert.deepEqual([count, periodMs], [rate, perMs]);
          const most = 4 * rate + (algorithm === 'token_bucket' ? rate : 1);
          const passed = admitted(limiter, clock, perMs, 4);
          assert.ok(passed >= 2 * rate && passed <= most, `${algorithm} ${JSON.stringify(given)}: ${passed}`);
        }
      }
    });
  }

  it('in a window of one and a half seconds', () => {
    for (const algorithm of ['fixed_window', 'sliding_log']) {
      const clock = new ManualClock();
      const limiter = new RateLimiter({ algorithm, rate: 10, perMs: 1500, clock });
      assert.equal(admitted(limiter, clock, 1500, 10), 100);
    }
  });

  it('in the stores', async () => {
    const clock = new ManualClock();
    const store = new TidegateStore({ clock });
    store.init({ windowMs: 2500 });
    const storage = new TidegateThrottlerStorage({ clock });
    const hits = [];
    const records = [];
    for (let call = 0; call < 6; call += 1) {
      hits.push(store.increment('k').totalHits);
      records.push((await storage.increment('k', 2500, 2, 0, 'default')).isBlocked);
      clock.advance(499);
    }
    assert.deepEqual(hits, [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(records, [false, false, true, true, true, true]);
    assert.equal(store.increment('k').totalHits, 1, 'the next window');
  });
});
