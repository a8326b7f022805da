import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock, RateLimitedError, RateLimiter, Tier } from 'tidegate';

const make = (options = {}) => {
  const clock = new ManualClock();
  return { clock, limiter: new RateLimiter({ rate: '10/s', clock, ...options }) };
};
const take = (limiter, key, calls) => Array.from({ length: calls }, () => limiter.tryAcquire(key));

describe('RateLimiter', () => {
  it('keeps a bucket for each key', () => {
    const { clock, limiter } = make({ burst: 3 });
    assert.deepEqual(take(limiter, 'ann', 4), [true, true, true, false]);
    assert.equal(limiter.tryAcquire('ben', 3), true);
    clock.advance(100);
    assert.deepEqual(take(limiter, 'ann', 2), [true, false]);
    assert.deepEqual(limiter.stats(), {
      admitted: 5,
      denied: 2,
      wouldDeny: 0,
      evictions: 0,
      overflowed: 0,
      blocked: 0,
    });
    assert.equal(limiter.size, 2);
    clock.advance(10_000);
    assert.equal(limiter.size, 0);
  });

  it('tells what is left, gives back, and starts anew', () => {
    const { limiter } = make({ burst: 3 });
    const full = { allowed: true, limit: 3, remaining: 3, retryAfterMs: 0, resetAfterMs: 0, delayMs: 0 };
    assert.deepEqual(limiter.peek('ann'), full);
    assert.equal(limiter.check('ann', 2).remaining, 1);
    limiter.refund('ann');
    assert.equal(limiter.peek('ann').remaining, 2);
    assert.equal(limiter.check('ann', 4).retryAfterMs, Infinity);
    limiter.check('ben', 3);
    limiter.reset('ann');
    assert.deepEqual([limiter.peek('ann').remaining, limiter.peek('ben').remaining], [3, 0]);
    limiter.resetAll();
    assert.deepEqual(limiter.peek('ben'), full);
  });

  it('penalizes a key', () => {
    const { clock, limiter } = make();
    assert.equal(limiter.penalize('ann', 5000), true);
    assert.equal(limiter.tryAcquire('ann'), false);
    assert.ok(limiter.peek('ann').retryAfterMs >= 5000);
    assert.equal(limiter.tryAcquire('ben'), true);
    clock.advance(5200);
    assert.equal(limiter.tryAcquire('ann'), true);
  });

  it('blocks who goes on after being denied, longer each time', () => {
    const block = { after: 3, withinMs: 60_000, durationMs: 60_000, growth: 2 };
    const { clock, limiter } = make({ algorithm: 'fixed_window', rate: '2/s', block });
    const denials = () => take(limiter, 'ann', 5).filter((yes) => !yes).length;
    assert.equal(denials(), 3);
    const first = limiter.peek('ann').retryAfterMs;
    assert.ok(first >= 60_000 && first < 60_100, String(first));
    clock.advance(60_100);
    assert.equal(denials(), 3);
    const second = limiter.peek('ann').retryAfterMs;
    assert.ok(second >= 120_000 && second < 120_100, String(second));
    assert.equal(limiter.stats().blocked, 2);
  });

  it('has other algorithms', () => {
    for (const algorithm of ['fixed_window', 'sliding_window', 'sliding_log']) {
      const { clock, limiter } = make({ algorithm, rate: '3/minute' });
      assert.equal(limiter.algorithm, algorithm);
      assert.deepEqual(take(limiter, 'ann', 4), [true, true, true, false], algorithm);
      clock.advance(120_000);
      assert.equal(limiter.tryAcquire('ann'), true, algorithm);
    }
  });

  it('paces with a leaky bucket', async () => {
    const { clock, limiter } = make({ algorithm: 'leaky_bucket', rate: '10/s', queue: 2 });
    assert.deepEqual(
      [0, 1, 2, 3].map(() => limiter.check('ann')).map(({ allowed, delayMs }) => [allowed, Math.round(delayMs)]),
      [
        [true, 0],
        [true, 100],
        [true, 200],
        [false, 0],
      ],
    );
    assert.equal(limiter.tryAcquire('ben'), true);
    assert.equal(limiter.tryAcquire('ben'), false, 'tryAcquire takes only what needs no delay');
    const waiting = limiter.acquire('ben');
    let done = false;
    void waiting.then(() => (done = true));
    await new Promise(setImmediate);
    assert.equal(done, false);
    clock.advance(101);
    assert.equal((await waiting).allowed, true);
  });

  it('has tiers', () => {
    const { limiter } = make({ rate: '10/minute', fastest: { rate: '100/minute' } });
    const pro = limiter.tier({ rate: '100/minute' });
    assert.ok(pro instanceof Tier);
    assert.equal(limiter.check('ann', 60, pro).allowed, true);
    assert.equal(limiter.check('ann', 60).allowed, false);
    assert.equal(limiter.peek('ben', pro).limit, 100);
    assert.throws(() => make().limiter.check('ann', 1, pro), {
      name: 'RangeError',
      message: /belongs to another RateLimiter/,
    });
    assert.throws(() => limiter.check('ann', 1, {}), { name: 'TypeError', message: /limiter\.tier/ });
    limiter.setQuota('5/minute');
    assert.deepEqual(limiter.quota, { count: 5, periodMs: 60_000, burst: 5 });
    assert.equal(limiter.check('cay', 5).remaining, 0);
  });

  it('is one limit for quotas by turns on one key', () => {
    const { clock, limiter } = make({ rate: '5/minute', fastest: '60/s' });
    const fast = limiter.tier('60/s');
    let admitted = 0;
    for (let turn = 0; turn < 500; turn++) {
      admitted += limiter.tryAcquire('key') + limiter.tryAcquire('key', 1, fast);
    }
    assert.ok(admitted >= 5 && admitted <= 60, String(admitted));
    clock.advance(500);
    // Half of sixty is half of five; a change of quota is rounded up.
    const [ofFast, ofDefault] = [limiter.peek('key', fast).remaining, limiter.peek('key').remaining];
    assert.ok(ofFast >= 29 && ofFast <= 30 && ofDefault === 2, `${ofFast} ${ofDefault}`);
  });

  it('takes large counts, or says what can be had', () => {
    for (const rate of ['1000000/month', '1000000/s']) assert.equal(make({ rate }).limiter.quota.burst, 1_000_000);
    const told = (options, message) => assert.throws(() => make(options), { name: 'RangeError', message });
    told({ rate: '5000000/day' }, /^burst: 5000000 is not within 1 to 1048576: .* can be had$/);
    told({ rate: '5000000/day', algorithm: 'leaky_bucket' }, /^queue: 4999999 is not within 0 to 1048575: /);
    told({ rate: '5000/s', algorithm: 'sliding_log' }, /^rate: 5000\/s is more than the 4096 that a sliding_log /);
  });

  it('tells how long a warm-up keeps a cost shut', () => {
    const { clock, limiter } = make({ rate: '3/hour', warmUp: { periodMs: 60_000, from: 0.1 } });
    assert.equal(limiter.check('ann', 4).retryAfterMs, Infinity);
    assert.equal(limiter.check('ann', 3).retryAfterMs, 60_000);
    clock.advance(60_000);
    assert.equal(limiter.check('ann', 3).allowed, true);
  });

  it('counts hits whatever the limit', () => {
    const { clock, limiter } = make({ algorithm: 'fixed_window', rate: '4/s' });
    assert.deepEqual(
      [1, 1, 5].map((n) => limiter.hit('ann', n).count),
      [1, 2, 7],
    );
    assert.equal(limiter.tryAcquire('ann'), false);
    clock.advance(1001);
    assert.equal(limiter.hit('ann').count, 1);
    assert.throws(() => make().limiter.hit('ann'), { name: 'RangeError', message: /algorithm/ });
  });

  it('can be switched off, only watch, and warm up', () => {
    const off = make({ rate: '1/hour', enabled: false }).limiter;
    assert.deepEqual(take(off, 'ann', 3), [true, true, true]);
    assert.equal(off.stats().admitted, 0);
    const dry = make({ rate: '1/hour', dryRun: true }).limiter;
    assert.deepEqual(take(dry, 'ann', 3), [true, true, true]);
    assert.equal(dry.stats().wouldDeny, 2);
    const { clock, limiter } = make({ rate: '100/s', warmUp: { periodMs: 10_000, from: 0.1 } });
    assert.equal(limiter.check('ann').limit, 10);
    clock.advance(10_000);
    assert.equal(limiter.check('ann').limit, 100);
  });

  it('bounds its keys, and admits nobody more for it', () => {
    const { limiter } = make({ rate: '1/hour', maxKeys: 1000 });
    assert.equal(limiter.tryAcquire('me'), true);
    for (let i = 0; i < 20_000; i += 1) limiter.tryAcquire(`flood ${i}`);
    assert.equal(limiter.tryAcquire('me'), false);
    assert.ok(limiter.stats().overflowed > 10_000);
  });
});

describe('a key', () => {
  const { limiter } = make({ rate: '1/hour' });
  const isNew = (key) => limiter.tryAcquire(key);

  it('may be anything a string or bytes can be', () => {
    const keys = [
      '',
      '\0',
      'a\0b',
      'a',
      'é',
      'e\u0301',
      '日本',
      '😀',
      'x'.repeat(126),
      'x'.repeat(127),
      'x'.repeat(128),
      'x'.repeat(1 << 20),
    ];
    const long = [`${'é'.repeat(127)}`, `${'é'.repeat(500)}`, 'line\r\nX-Injected: yes'];
    for (const key of [...keys, ...long]) {
      assert.equal(isNew(key), true, key.slice(0, 20));
      assert.equal(isNew(key), false, key.slice(0, 20));
      assert.equal(isNew(Buffer.from(key)), false, 'text means its UTF-8');
    }
  });

  it('does not collide with another that shares its low bytes', () => {
    assert.equal(isNew('\u0131'), true);
    assert.equal(isNew('1'), true);
    assert.equal(isNew('\u00e9x'), true);
    assert.equal(isNew(Buffer.from('\u00e9x', 'latin1')), true);
  });

  it('reads a lone surrogate as U+FFFD', () => {
    assert.equal(isNew('lone \ud800 one'), true);
    assert.equal(isNew('lone \udfff one'), false);
    assert.equal(isNew('lone \ufffd one'), false);
    const long = 'y'.repeat(300);
    assert.equal(isNew(`${long}\ud800`), true);
    assert.equal(isNew(`${long}\ufffd`), false);
  });

  it('is the bytes that a view shows', () => {
    const bytes = new Uint8Array(new ArrayBuffer(8), 2, 3);
    bytes.set([7, 8, 9]);
    assert.equal(isNew(bytes), true);
    assert.equal(isNew(new Uint8Array([7, 8, 9])), false);
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([7, 8, 9]);
    assert.equal(isNew(shared), false);
    const gone = new Uint8Array(4);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    assert.equal(isNew(gone), isNew(''), 'detached: no bytes');
  });

  it('is nothing else', () => {
    for (const key of [
      undefined,
      null,
      5,
      5n,
      Symbol('k'),
      {},
      ['a'],
      new Uint16Array(2),
      new ArrayBuffer(2),
      new DataView(new ArrayBuffer(1)),
    ]) {
      assert.throws(() => isNew(key), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: /key must be a string or a Uint8Array/,
      });
    }
  });
});

describe('acquire', () => {
  it('waits until the key may', async () => {
    const { clock, limiter } = make({ burst: 1 });
    limiter.tryAcquire('ann');
    const waiting = limiter.acquire('ann');
    clock.advance(101);
    assert.equal((await waiting).remaining, 0);
    assert.equal(limiter.tryAcquire('ann'), false);
  });

  it('refuses at once what would take too long, and takes nothing', async () => {
    const { clock, limiter } = make({ burst: 1 });
    limiter.tryAcquire('ann');
    await assert.rejects(limiter.acquire('ann', 1, { timeoutMs: 50 }), (error) => {
      assert.ok(error instanceof RateLimitedError);
      assert.ok(error.retryAfterMs > 99 && error.retryAfterMs <= 100.1, String(error.retryAfterMs));
      return true;
    });
    await assert.rejects(limiter.acquire('ann', 2), { retryAfterMs: Infinity });
    clock.advance(101);
    assert.equal(limiter.tryAcquire('ann'), true);
  });

  it('doubles a block where nothing else is said', () => {
    const clock = new ManualClock();
    const block = { after: 1, withinMs: 60_000, durationMs: 60_000 };
    const limiter = new RateLimiter({ rate: '1/s', block, clock });
    const blockedMs = () => {
      while (limiter.check('ann').allowed);
      return limiter.check('ann').retryAfterMs;
    };
    const first = blockedMs();
    clock.advance(first + 1);
    const second = blockedMs();
    assert.ok(Math.abs(first - 60_000) < 2000 && Math.abs(second - 120_000) < 2000, `${first} ${second}`);
    new RateLimiter({ rate: '1/s', warmUp: { periodMs: 1000 } });
  });

  it('names itself and the quota that refused', async () => {
    const orders = new RateLimiter({ rate: '2/s', name: 'orders', clock: new ManualClock() });
    orders.tryAcquire('ann', 2);
    await assert.rejects(orders.acquire('ann', 1, { timeoutMs: 0 }), {
      message: 'limiter "orders" (2/s) refused 1 token: try again in 0.5 s',
    });
    await assert.rejects(orders.acquire('bob', 9, { tier: orders.tier({ rate: '1/s', burst: 4 }) }), {
      message: /^limiter "orders" \(1\/s, burst 4\) refused 9 tokens, and never gives more than 4 at once: do not/,
    });
  });

  it('gives a booked place of a leaky bucket back', async () => {
    const { limiter } = make({ algorithm: 'leaky_bucket', queue: 1 });
    limiter.tryAcquire('ann');
    await assert.rejects(limiter.acquire('ann', 1, { timeoutMs: 50 }), RateLimitedError);
    const abort = new AbortController();
    const waiting = limiter.acquire('ann', 1, { signal: abort.signal });
    abort.abort(new Error('gone'));
    await assert.rejects(waiting, /gone/);
    assert.equal(limiter.check('ann').allowed, true, 'the place in the queue came back');
    assert.equal(limiter.check('ann').allowed, false);
  });

  it('follows a signal that has aborted before', async () => {
    const { limiter } = make();
    await assert.rejects(limiter.acquire('ann', 1, { signal: AbortSignal.abort(new Error('before')) }), /before/);
    assert.equal(limiter.peek('ann').remaining, 10);
  });
});

describe('TIDEGATE_DISABLED', () => {
  it('turns limits off that are made after it', () => {
    const { limiter: before } = make({ rate: '1/hour' });
    process.env.TIDEGATE_DISABLED = '1';
    try {
      const { limiter } = make({ rate: '1/hour', enabled: true });
      assert.deepEqual(take(limiter, 'ann', 3), [true, true, true]);
    } finally {
      delete process.env.TIDEGATE_DISABLED;
    }
    assert.deepEqual(take(before, 'ann', 2), [true, false]);
  });
});
