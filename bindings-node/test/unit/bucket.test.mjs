import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock, RateLimitedError, TokenBucket } from 'tidegate';

const make = (quota = {}) => {
  const clock = new ManualClock();
  return { clock, bucket: new TokenBucket({ rate: '10/s', burst: 5, clock, ...quota }) };
};

describe('TokenBucket', () => {
  it('starts full, denies when empty, refills', () => {
    const { clock, bucket } = make();
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6].map(() => bucket.tryAcquire()),
      [true, true, true, true, true, false],
    );
    clock.advance(99.999);
    assert.equal(bucket.tryAcquire(), false);
    clock.advance(0.001);
    assert.equal(bucket.tryAcquire(), true);
    assert.deepEqual(bucket.stats(), { admitted: 6, denied: 2, wouldDeny: 0 });
  });

  it('answers with a decision', () => {
    const { bucket } = make();
    const full = { allowed: true, limit: 5, remaining: 5, retryAfterMs: 0, resetAfterMs: 0, delayMs: 0 };
    assert.deepEqual(bucket.peek(), full);
    assert.deepEqual(bucket.check(3), { ...full, remaining: 2, resetAfterMs: 300 });
    assert.deepEqual(bucket.check(3), {
      allowed: false,
      limit: 5,
      remaining: 2,
      retryAfterMs: 100,
      resetAfterMs: 300,
      delayMs: 0,
    });
    assert.equal(bucket.check(6).retryAfterMs, Infinity);
  });

  it('takes rates as text and as numbers', () => {
    assert.deepEqual(new TokenBucket({ rate: '5 per 15 minutes' }).quota, { count: 5, periodMs: 900_000, burst: 5 });
    assert.deepEqual(new TokenBucket({ rate: 2.5 }).quota, { count: 5, periodMs: 2000, burst: 3 });
    assert.deepEqual(new TokenBucket({ rate: 30, perMs: 60_000, burst: 7 }).quota, {
      count: 30,
      periodMs: 60_000,
      burst: 7,
    });
  });

  it('books ahead and cancels', () => {
    const { clock, bucket } = make();
    bucket.tryAcquire(5);
    const soon = bucket.reserve(2);
    assert.deepEqual([soon.booked, soon.waitMs, soon.retryAfterMs], [true, 200, 0]);
    const later = bucket.reserve(1, { maxWaitMs: 299 });
    assert.deepEqual([later.booked, later.waitMs, later.retryAfterMs], [false, 0, 300]);
    assert.equal(later.cancel(), false);
    assert.equal(soon.cancel(), true);
    assert.equal(soon.cancel(), false);
    const due = bucket.reserve(1);
    clock.advance(100);
    assert.equal(due.cancel(), false);
    assert.equal(bucket.reserve(6).retryAfterMs, Infinity);
  });

  it('refunds, penalizes, resets and changes its quota', () => {
    const { clock, bucket } = make();
    bucket.tryAcquire(5);
    bucket.refund(2);
    assert.equal(bucket.peek().remaining, 2);
    bucket.penalize(1000);
    bucket.refund(5);
    assert.equal(bucket.peek().retryAfterMs, 1100);
    clock.advance(1100);
    assert.equal(bucket.tryAcquire(), true);
    bucket.reset();
    assert.equal(bucket.peek().remaining, 5);
    bucket.setQuota({ rate: '1/s', burst: 2 });
    assert.deepEqual([bucket.quota.burst, bucket.peek().remaining], [2, 2]);
  });

  it('keeps deciding when its clock steps back', () => {
    const { clock, bucket } = make();
    clock.setNs(10_000_000_000n);
    assert.equal(bucket.tryAcquire(5), true);
    clock.setNs(0n);
    assert.equal(bucket.tryAcquire(), false);
    clock.setNs(10_500_000_000n);
    assert.equal(bucket.tryAcquire(5), true);
  });

  it("runs on the machine's clock, never early", async () => {
    const before = performance.now();
    const bucket = new TokenBucket({ rate: '100/s', burst: 1 });
    assert.equal(bucket.tryAcquire(), true);
    await bucket.acquire();
    // 10 ms a token; the core's clock and this one may differ by some parts in a million.
    assert.ok(performance.now() - before >= 9.99);
  });
});

describe('acquire', () => {
  it('resolves once the tokens are there', async () => {
    const { clock, bucket } = make();
    await bucket.acquire(5);
    let done = false;
    const waiting = bucket.acquire(2).then(() => (done = true));
    clock.advance(199);
    await Promise.resolve();
    assert.equal(done, false);
    clock.advance(1);
    await waiting;
  });

  it('rejects at once when the wait would be too long, and takes nothing', async () => {
    const { clock, bucket } = make();
    bucket.tryAcquire(5);
    await assert.rejects(bucket.acquire(3, { timeoutMs: 299 }), (error) => {
      assert.ok(error instanceof RateLimitedError);
      assert.equal(error.code, 'ERR_TIDEGATE_RATE_LIMITED');
      assert.equal(error.retryAfterMs, 300);
      assert.match(error.message, /^bucket \(10\/s, burst 5\) refused 3 tokens within 0.299 s: try again in 0.3 s$/);
      return true;
    });
    await assert.rejects(bucket.acquire(6), {
      name: 'RateLimitedError',
      retryAfterMs: Infinity,
      message: 'bucket (10/s, burst 5) refused 6 tokens, and never gives more than 5 at once: do not try again',
    });
    clock.advance(100);
    assert.equal(bucket.tryAcquire(), true);
  });

  it('gives the booking back on abort and rejects with the reason', async () => {
    const { bucket } = make();
    bucket.tryAcquire(5);
    const controller = new AbortController();
    const waiting = bucket.acquire(2, { signal: controller.signal });
    const reason = new Error('changed my mind');
    controller.abort(reason);
    await assert.rejects(waiting, (error) => error === reason);
    assert.equal(bucket.peek().retryAfterMs, 100);
    await assert.rejects(bucket.acquire(1, { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  });
});
