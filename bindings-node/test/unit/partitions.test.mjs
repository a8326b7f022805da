import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConcurrencyLimitError, ConcurrencyLimiter } from 'tidegate';
import { fresh, until } from './arenas.mjs';

const partitions = { live: 0.9, batch: 0.1 };

/** All there is, to batch. */
const lent = (limiter) => {
  const held = Array.from({ length: limiter.limit }, () => limiter.tryAcquire({ partition: 'batch' }));
  assert.ok(held.every(Boolean));
  assert.equal(limiter.tryAcquire({ partition: 'batch' }), null);
  return held;
};

for (const [where, place] of [
  ['private', () => ({})],
  ['in an arena', () => ({ scope: `process:${fresh()}`, name: 'service' })],
]) {
  describe(`Partitions, ${where}`, () => {
    it('come back at the first release after a refusal', () => {
      const limiter = new ConcurrencyLimiter({ limit: 10, partitions, ...place() });
      const held = lent(limiter);
      assert.equal(limiter.tryAcquire({ partition: 'live' }), null);
      assert.equal(limiter.partitionStats().live.calledBack, 1);
      held.splice(3, 1)[0].release();
      assert.equal(limiter.tryAcquire({ partition: 'batch' }), null);
      assert.equal(limiter.tryAcquire(), null);
      const own = limiter.tryAcquire({ partition: 'live' });
      const { live, batch } = limiter.partitionStats();
      const expected = { share: 0.9, guaranteed: 9, inUse: 1, calledBack: 0, admitted: 1, denied: 1, wouldDeny: 0 };
      assert.deepEqual(live, expected);
      assert.deepEqual([batch.inUse, batch.denied], [9, 2]);
      assert.ok(own.release());
      assert.match(limiter.explain()[0], /^partition "live": 0.9 is 9 places/);
    });

    it('serve an owner who waits before those who borrow', async () => {
      const limiter = new ConcurrencyLimiter({ limit: 10, partitions, maxWaitMs: 60_000, ...place() });
      const held = lent(limiter);
      let borrowed = null;
      const borrows = limiter.acquire({ partition: 'batch' }).then((permit) => (borrowed = permit));
      const owns = limiter.run(() => limiter.partitionStats().live.inUse, { partition: 'live' });
      await until(() => limiter.stats().waiting === 2);
      held.pop().release();
      assert.equal(await owns, 1);
      assert.equal(borrowed, null);
      held.forEach((permit) => permit.release());
      assert.ok((await borrows).release());
    });
  });
}

describe('Partitions', () => {
  it('are of an adaptive limit, too', () => {
    const limiter = ConcurrencyLimiter.adaptive({ partitions, priority: ['live'] });
    assert.equal(limiter.partitionStats().live.guaranteed, 18);
    assert.ok(limiter.tryAcquire({ partition: 'live' }).success());
  });

  it('starve those behind them of all but their share, where they come first', () => {
    const limiter = new ConcurrencyLimiter({ limit: 4, partitions: { live: 0.25, batch: 0.25 }, priority: ['live'] });
    const held = Array.from({ length: 4 }, () => limiter.tryAcquire());
    for (let i = 0; i < 4; i++) assert.equal(limiter.tryAcquire({ partition: 'live' }), null);
    held.forEach((permit) => permit.release());
    assert.equal(limiter.tryAcquire(), null);
    assert.ok(limiter.tryAcquire({ partition: 'batch' }));
    assert.equal(limiter.tryAcquire({ partition: 'batch' }), null);
    assert.ok([1, 2, 3].every(() => limiter.tryAcquire({ partition: 'live' })));
  });

  it('have switches', async () => {
    const dry = new ConcurrencyLimiter({ limit: 1, partitions, dryRun: true });
    assert.ok(dry.tryAcquire({ partition: 'live' }) && dry.tryAcquire({ partition: 'live' }));
    assert.equal(dry.partitionStats().live.wouldDeny, 1);
    const full = new ConcurrencyLimiter({ limit: 1, partitions });
    full.tryAcquire();
    await assert.rejects(full.acquire({ partition: 'live' }), ConcurrencyLimitError);
  });

  for (const [options, type, why] of [
    [{ partitions: { live: 0.9, batch: 0.2 } }, RangeError, /^partitions: the shares are 1\.1 together/],
    [{ partitions: { live: 0 } }, RangeError, /^partitions: the share of "live" is 0;/],
    [{ partitions: { live: -0.1 } }, RangeError, /is -0\.1;/],
    [{ partitions: { live: NaN } }, RangeError, /is NaN;/],
    [{ partitions: { live: Infinity } }, RangeError, /is inf;/],
    [{ partitions: { '': 0.5 } }, RangeError, /1 to 32/],
    [{ partitions: { ['x'.repeat(33)]: 0.5 } }, RangeError, /33 bytes; 1 to 32/],
    [{ partitions: Object.fromEntries([...'abcdefghi'].map((name) => [name, 0.1])) }, RangeError, /more than 8/],
    [{ partitions, priority: ['nightly'] }, RangeError, /^priority: "nightly" is none of "live", "batch"/],
    [{ partitions, priority: ['live', 'live'] }, RangeError, /^priority: .*twice/],
    [{ priority: ['live'] }, RangeError, /^priority: .*without partitions/],
    [{ partitions: ['live'] }, TypeError, /^partitions must be an object of names and shares/],
    [{ partitions: null }, TypeError, /^partitions must be/],
    [{ partitions: { live: '0.9' } }, TypeError, /^partitions: the share of 'live' must be a number/],
    [{ partitions, priority: 'live' }, TypeError, /^priority must be an array of names/],
    [{ partitions, priority: [1] }, TypeError, /^priority must be an array of names/],
  ]) {
    it(`are refused: ${why}`, () => {
      const told = (error) => error instanceof type && why.test(error.message);
      assert.throws(() => new ConcurrencyLimiter({ limit: 10, ...options }), told);
      assert.throws(() => ConcurrencyLimiter.adaptive(options), told);
    });
  }

  it('have to be known to a call', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 10, partitions, maxWaitMs: 10 });
    const told = { name: 'RangeError', message: /^partition: "Live" is none of "live", "batch"/ };
    const call = { partition: 'Live' };
    assert.throws(() => limiter.tryAcquire(call), told);
    await assert.rejects(limiter.acquire(call), told);
    await assert.rejects(
      limiter.run(() => 1, call),
      told,
    );
    assert.throws(() => limiter.tryAcquire({ partition: 1 }), { name: 'TypeError', message: /^partition must be/ });
    assert.throws(() => limiter.tryAcquire({ part: 'live' }), /has no option 'part'/);
    assert.throws(() => new ConcurrencyLimiter({ limit: 1 }).tryAcquire(call), /made without partitions/);
    assert.equal(limiter.inUse, 0);
    assert.deepEqual(new ConcurrencyLimiter({ limit: 1 }).partitionStats(), {});
  });
});
