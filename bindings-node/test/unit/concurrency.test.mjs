import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { CircuitBreaker, ConcurrencyLimitError, ConcurrencyLimiter, ConcurrencyPermit, TidegateError } from 'tidegate';
import { fresh, until } from './arenas.mjs';

const full = (options = {}) => {
  const limiter = new ConcurrencyLimiter({ limit: 1, ...options });
  return { limiter, held: limiter.tryAcquire() };
};

describe('ConcurrencyLimiter', () => {
  it('admits up to its limit, and again after a release', () => {
    const limiter = new ConcurrencyLimiter({ limit: 2 });
    const permits = [limiter.tryAcquire(), limiter.tryAcquire()];
    assert.ok(permits[0] instanceof ConcurrencyPermit);
    assert.equal(limiter.tryAcquire(), null);
    assert.equal(limiter.inUse, 2);
    assert.equal(permits[0].release(), true);
    assert.equal(permits[0].release(), false, 'once');
    assert.equal(limiter.inUse, 1);
    assert.notEqual(limiter.tryAcquire(), null);
    const waits = { refused: 1, timedOut: 0, cancelled: 0, waiting: 0, longestWaitMs: 0 };
    assert.deepEqual(limiter.stats(), {
      limit: 2,
      inUse: 2,
      admitted: 3,
      denied: 1,
      wouldDeny: 0,
      reclaimed: 0,
      ...waits,
    });
  });

  it('gives a permit back at the end of its block', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1 });
    limiter.tryAcquire()[Symbol.dispose]();
    await limiter.tryAcquire()[Symbol.asyncDispose]();
    assert.equal(limiter.inUse, 0);
  });

  it('changes its limit up to maxLimit', () => {
    const limiter = new ConcurrencyLimiter({ limit: 2, maxLimit: 3 });
    const permits = [limiter.tryAcquire(), limiter.tryAcquire()];
    limiter.setLimit(1);
    assert.equal(limiter.limit, 1);
    permits[0].release();
    assert.equal(limiter.tryAcquire(), null, 'one is still out');
    limiter.setLimit(3);
    assert.notEqual(limiter.tryAcquire(), null);
    assert.throws(() => limiter.setLimit(4), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: /limit: .*3/ });
  });

  it('only watches in a dry run, and does nothing when it is off', () => {
    const watching = new ConcurrencyLimiter({ limit: 1, dryRun: true });
    const permits = [watching.tryAcquire(), watching.tryAcquire()];
    assert.equal(watching.stats().wouldDeny, 1);
    permits.forEach((permit) => permit.release());
    assert.equal(watching.inUse, 0);
    const off = new ConcurrencyLimiter({ limit: 1, enabled: false });
    off.tryAcquire();
    assert.notEqual(off.tryAcquire(), null);
    assert.equal(off.stats().admitted, 0);
  });

  it('says what is wrong with an argument', () => {
    const make = (options) => () => new ConcurrencyLimiter(options);
    assert.throws(make({ limit: 0 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    assert.throws(make({ limit: 4097 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: /4096|4,096/ });
    assert.throws(make({ limit: 5, maxLimit: 4 }), {
      name: 'RangeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: /limit/,
    });
    assert.throws(make({}), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: /limit/ });
    assert.throws(make({ limit: 1, max: 2 }), { code: 'ERR_INVALID_ARG_VALUE', message: /no option 'max'/ });
    assert.throws(make({ limit: 1, maxWaitMs: -1 }), { name: 'RangeError', message: /maxWaitMs/ });
    const { tryAcquire } = new ConcurrencyLimiter({ limit: 1 });
    assert.throws(() => tryAcquire(), { name: 'TypeError', message: /ConcurrencyLimiter\.prototype\.tryAcquire/ });
  });
});

describe('waiting for a permit', () => {
  it('is first come, first served', async () => {
    const { limiter, held } = full();
    const order = [];
    const waits = [1, 2, 3].map(async (who) => {
      const permit = await limiter.acquire({ timeoutMs: 60_000 });
      order.push(who);
      await turn();
      permit.release();
    });
    assert.equal(limiter.tryAcquire(), null);
    held.release();
    await Promise.all(waits);
    assert.deepEqual(order, [1, 2, 3]);
    assert.deepEqual([limiter.inUse, limiter.stats().denied], [0, 1], 'who waits and gets one was not denied');
  });

  it('is last come, first served where its order says so, and the oldest time out', async () => {
    for (const given of [{}, { name: 'newest', scope: `process:${fresh()}` }]) {
      const { limiter, held } = full({ order: 'lifo', ...given });
      const order = [];
      const oldest = limiter.acquire({ timeoutMs: 20 });
      const waits = [1, 2, 3].map(async (who) => {
        const permit = await limiter.acquire({ timeoutMs: 60_000 });
        order.push(who);
        await turn();
        permit.release();
      });
      await assert.rejects(oldest, ConcurrencyLimitError);
      held.release();
      await Promise.all(waits);
      assert.deepEqual(order, [3, 2, 1]);
      const { timedOut, waiting, inUse } = limiter.stats();
      assert.deepEqual([timedOut, waiting, inUse], [1, 0, 0]);
    }
    assert.ok(ConcurrencyLimiter.adaptive({ order: 'lifo' }).tryAcquire().release());
    assert.throws(() => new ConcurrencyLimiter({ limit: 1, order: 'random' }), /order: /);
  });

  it('passes on what one was given who leaves, to the newest before it', async () => {
    const { limiter, held } = full({ order: 'lifo' });
    const abort = new AbortController();
    const [first, second] = [1, 2].map(() => limiter.acquire({ timeoutMs: Infinity }));
    const newest = limiter.acquire({ timeoutMs: Infinity, signal: abort.signal });
    abort.abort();
    await assert.rejects(newest, { name: 'AbortError' });
    held.release();
    (await second).release();
    (await first).release();
    assert.deepEqual([limiter.inUse, limiter.stats().cancelled], [0, 1]);
  });

  it('does not wait where nothing else is said, and as long as maxWaitMs says', async () => {
    const { limiter } = full({ retryAfterMs: 250 });
    await assert.rejects(limiter.acquire(), (error) => {
      assert.ok(error instanceof ConcurrencyLimitError && error instanceof TidegateError);
      assert.deepEqual(
        [error.name, error.code, error.retryAfterMs],
        ['ConcurrencyLimitError', 'ERR_TIDEGATE_CONCURRENCY_LIMIT', 250],
      );
      assert.equal(error.message, 'concurrency limiter (1 at once) refused a call: try again in 0.25 s');
      return true;
    });
    const patient = full({ maxWaitMs: 60_000 });
    const waiting = patient.limiter.acquire();
    patient.held.release();
    assert.ok((await waiting) instanceof ConcurrencyPermit);
  });

  it('ends at its timeout and counts as denied once', async () => {
    const { limiter, held } = full();
    await assert.rejects(limiter.acquire({ timeoutMs: 5 }), ConcurrencyLimitError);
    assert.equal(limiter.stats().denied, 1);
    held.release();
    assert.notEqual(limiter.tryAcquire(), null, 'the one that left was not given it');
  });

  it('is refused at once where maxWaiting others wait, until one of them leaves', async () => {
    for (const given of [{}, { name: 'line', scope: 'process:waiting' }]) {
      const { limiter, held } = full({ maxWaitMs: 60_000, maxWaiting: 2, ...given });
      const abort = new AbortController();
      const first = limiter.acquire({ signal: abort.signal });
      const second = limiter.acquire();
      await assert.rejects(limiter.acquire({ timeoutMs: Infinity }), ConcurrencyLimitError);
      await assert.rejects(
        limiter.run(() => assert.fail('called')),
        ConcurrencyLimitError,
      );
      const { waiting, refused, timedOut, denied } = limiter.stats();
      assert.deepEqual([waiting, refused, timedOut, denied], [2, 2, 0, 2]);
      abort.abort();
      await assert.rejects(first, { name: 'AbortError' });
      const third = limiter.acquire();
      assert.equal(limiter.stats().waiting, 2);
      held.release();
      (await second).release();
      (await third).release();
      assert.deepEqual([limiter.inUse, limiter.stats().refused, limiter.stats().cancelled], [0, 2, 1]);
    }
    for (const maxWaiting of [0, 1.5, -1]) {
      assert.throws(() => ConcurrencyLimiter.adaptive({ maxWaiting }), /maxWaiting/);
    }
  });

  it("ends with a signal's reason, and the permit goes to the next", async () => {
    const { limiter, held } = full();
    const abort = new AbortController();
    const first = limiter.acquire({ timeoutMs: Infinity, signal: abort.signal });
    const second = limiter.acquire({ timeoutMs: Infinity });
    abort.abort(new Error('changed my mind'));
    await assert.rejects(first, /changed my mind/);
    held.release();
    assert.ok((await second) instanceof ConcurrencyPermit);
    await assert.rejects(limiter.acquire({ timeoutMs: 1, signal: AbortSignal.abort(new Error('before')) }), /before/);
    await assert.rejects(limiter.acquire({ signal: 5 }), { name: 'TypeError' });
  });

  it('ends when the limit is raised', async () => {
    const { limiter } = full({ maxLimit: 3 });
    const waits = [limiter.acquire({ timeoutMs: 60_000 }), limiter.acquire({ timeoutMs: 60_000 })];
    limiter.setLimit(3);
    await Promise.all(waits);
    assert.equal(limiter.inUse, 3);
  });

  it('loses no permit among many that come and go', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 3 });
    let running = 0;
    let most = 0;
    let done = 0;
    const job = async (index) => {
      const signal = index % 3 === 0 ? AbortSignal.timeout(1 + (index % 5)) : undefined;
      try {
        await limiter.run(
          async () => {
            most = Math.max(most, (running += 1));
            await (index % 2 === 0 ? turn() : sleep(1));
            running -= 1;
            done += 1;
          },
          { timeoutMs: index % 7 === 0 ? 3 : 60_000, signal },
        );
      } catch (error) {
        assert.ok(error instanceof ConcurrencyLimitError || error === signal?.reason);
      }
    };
    await Promise.all(Array.from({ length: 300 }, (_, index) => job(index)));
    assert.deepEqual([limiter.inUse, running], [0, 0]);
    assert.equal(most, 3);
    assert.ok(done >= 150, `${done} ran`);
  });
});

for (const place of [() => ({}), () => ({ scope: `process:${fresh()}`, name: 'a' })]) {
  const where = place().scope === undefined ? 'unnamed' : 'named';
  it(`tells refused, timed out and cancelled waits apart (${where})`, async () => {
    const { limiter, held } = full(place());
    assert.equal(limiter.tryAcquire(), null);
    await assert.rejects(limiter.acquire(), ConcurrencyLimitError);
    for (const timeoutMs of [10, 20, 30]) await assert.rejects(limiter.acquire({ timeoutMs }), ConcurrencyLimitError);
    const abort = new AbortController();
    const waits = [1, 2, 3, 4].map(() => limiter.acquire({ timeoutMs: Infinity, signal: abort.signal }));
    const last = limiter.acquire({ timeoutMs: Infinity });
    await turn();
    const { waiting, longestWaitMs, cancelled } = limiter.stats();
    assert.deepEqual([waiting, cancelled], [5, 0]);
    assert.ok(longestWaitMs >= 30, `${longestWaitMs} ms`);
    await until(() => limiter.stats().longestWaitMs > longestWaitMs);
    abort.abort();
    await Promise.allSettled(waits);
    assert.equal(limiter.stats().waiting, 1);
    held.release();
    (await last).release();
    const { longestWaitMs: longest, ...counts } = limiter.stats();
    const calls = { admitted: 2, denied: 9, refused: 2, timedOut: 3, cancelled: 4 };
    assert.deepEqual(counts, { limit: 1, inUse: 0, wouldDeny: 0, reclaimed: 0, waiting: 0, ...calls });
    assert.ok(longest > longestWaitMs, `${longest} ms`);
  });
}

it('looks sooner in a named scope once its line has moved', async (t) => {
  const delays = [];
  let release;
  const arm = globalThis.setTimeout;
  t.after(() => mock.restoreAll());
  mock.method(globalThis, 'setTimeout', (wake, ms, ...rest) => {
    delays.push(ms);
    // Right after a long pause has begun.
    if (ms >= 8) queueMicrotask(() => release?.());
    return arm(wake, ms, ...rest);
  });
  // A pause that the machine let pass before the release shows nothing: once more then.
  for (let round = 0; round < 5; round += 1) {
    const { limiter, held } = full({ scope: `process:${fresh()}`, name: 'a' });
    const [first, second] = [1, 2].map(() => limiter.acquire({ timeoutMs: Infinity }));
    let after;
    release = () => {
      release = undefined;
      const before = delays.length;
      held.release();
      after = delays.slice(before);
    };
    (await first).release();
    (await second).release();
    if (after.some((ms) => ms < 5)) return;
  }
  assert.fail(`paused ${delays}`);
});

describe('run', () => {
  it('gives its function a permit and takes it back, whatever comes', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1 });
    assert.equal(await limiter.run(() => limiter.inUse), 1);
    await assert.rejects(
      limiter.run(() => Promise.reject(new Error('failed'))),
      /failed/,
    );
    await assert.rejects(
      limiter.run(() => JSON.parse('{')),
      SyntaxError,
    );
    assert.equal(limiter.inUse, 0);
    await assert.rejects(limiter.run(5), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('is refused without calling it, and a breaker does not count that', async () => {
    const { limiter } = full();
    const breaker = new CircuitBreaker('below', { windowCalls: 4, minCalls: 1 });
    let called = false;
    await assert.rejects(
      breaker.call(() => limiter.run(() => (called = true))),
      ConcurrencyLimitError,
    );
    assert.deepEqual([called, breaker.stats().calls], [false, 0]);
  });
});
