// express-rate-limit with our store: its own behaviour over HTTP, and each step beside its MemoryStore.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it, mock } from 'node:test';
import express from 'express';
import { MemoryStore, type Options, rateLimit } from 'express-rate-limit';
import { ManualClock } from 'tidegate';
import { TidegateStore } from 'tidegate/express-rate-limit';
import { requester, statuses } from './request.js';

async function serve(t: TestContext, options: Partial<Options>) {
  const app = express();
  const limit = rateLimit({ standardHeaders: 'draft-8', ...options });
  app.use(limit);
  app.get(
    '/',
    (request, response) =>
      void response.status(request.query.fail === 'yes' ? 500 : 200).json((request as any).rateLimit),
  );
  const server = app.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return { limit, request: requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) };
}

describe('TidegateStore', () => {
  it('is one for all that share a scope and a name', async (t) => {
    const store = () => new TidegateStore({ scope: `process:express-${process.pid}`, name: 'client' });
    const [one, other] = await Promise.all([
      serve(t, { limit: 3, store: store() }),
      serve(t, { limit: 3, store: store() }),
    ]);
    assert.deepEqual(await statuses(one.request, '/', 2), [200, 200]);
    assert.deepEqual(await statuses(other.request, '/', 2), [200, 429]);
    assert.throws(() => new TidegateStore({ scope: 'hosts:a' as any }), { name: 'RangeError' });
  });

  it('does step by step what MemoryStore does', async (t) => {
    mock.timers.enable({ apis: ['Date', 'setInterval'], now: 1_700_000_000_000 });
    t.after(() => mock.timers.reset());
    const clock = new ManualClock(1_000_000_000n);
    const theirs = new MemoryStore();
    t.after(() => theirs.shutdown());
    const ours = new TidegateStore({ clock });
    theirs.init({ windowMs: 60_000 } as Options);
    ours.init({ windowMs: 60_000 });
    assert.equal(ours.localKeys, theirs.localKeys);
    const compare = async (what: string) => {
      for (const key of ['a', 'b']) {
        const expected = await theirs.get(key);
        const answer = ours.get(key);
        // MemoryStore keeps a key at zero until its window ends, which no caller can tell from an unknown one.
        assert.equal(answer?.totalHits ?? 0, expected?.totalHits ?? 0, `${what}: ${key}`);
        if (answer !== undefined) {
          const apart = Math.abs(answer.resetTime.getTime() - (expected?.resetTime?.getTime() ?? 0));
          assert.ok(apart <= 5, `${what}: ${key} resets ${apart} ms apart`);
        }
      }
    };
    const steps: [string, (store: MemoryStore | TidegateStore) => unknown, number][] = [
      ['first hit', (store) => store.increment('a'), 0],
      ['second', (store) => store.increment('a'), 20_000],
      ['another key', (store) => store.increment('b'), 1000],
      ['decrement', (store) => store.decrement('a'), 0],
      ['decrement of nobody', (store) => store.decrement('c'), 0],
      ['the window of a ends', (store) => store.increment('a'), 40_000],
      ['reset of one', (store) => store.resetKey('a'), 0],
      ['hit after reset', (store) => store.increment('a'), 5],
      ['reset of all', (store) => store.resetAll(), 0],
      ['hit after all', (store) => store.increment('b'), 0],
    ];
    for (const [what, step, afterMs] of steps) {
      mock.timers.tick(afterMs);
      clock.advance(afterMs);
      const [expected, answer] = [await step(theirs), await step(ours)] as any[];
      assert.equal(answer?.totalHits, expected?.totalHits, what);
      await compare(what);
    }
  });

  it('counts requests and refuses above the limit', async (t) => {
    const { request } = await serve(t, { windowMs: 60_000, limit: 2, store: new TidegateStore() });
    const first = await request('/');
    assert.deepEqual([first.json().used, first.json().remaining], [1, 1]);
    assert.match(first.get('ratelimit') ?? '', /r=1/);
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
    assert.match((await request('/')).get('retry-after') ?? '', /^(60|59)$/);
  });

  it('uncounts what is skipped', async (t) => {
    const failed = await serve(t, { windowMs: 60_000, limit: 2, skipFailedRequests: true, store: new TidegateStore() });
    assert.deepEqual(await statuses(failed.request, '/?fail=yes', 4), [500, 500, 500, 500]);
    const worked = await serve(t, {
      windowMs: 60_000,
      limit: 2,
      skipSuccessfulRequests: true,
      store: new TidegateStore(),
    });
    assert.deepEqual(await statuses(worked.request, '/', 4), [200, 200, 200, 200]);
    assert.deepEqual(await statuses(worked.request, '/?fail=yes', 3), [500, 500, 429]);
  });

  it('resets and tells single keys through the middleware', async (t) => {
    const { limit, request } = await serve(t, {
      windowMs: 60_000,
      limit: 1,
      keyGenerator: () => 'one',
      store: new TidegateStore(),
    });
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
    assert.equal((await limit.getKey('one'))?.totalHits, 2);
    limit.resetKey('one');
    assert.equal(await limit.getKey('one'), undefined);
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
  });

  it('keeps the stores of two middlewares apart', async (t) => {
    const [one, two] = [
      await serve(t, { limit: 1, store: new TidegateStore() }),
      await serve(t, { limit: 1, store: new TidegateStore() }),
    ];
    assert.deepEqual(
      [...(await statuses(one.request, '/', 2)), ...(await statuses(two.request, '/', 2))],
      [200, 429, 200, 429],
    );
  });

  it('begins a new window when the old one ends', async (t) => {
    const clock = new ManualClock();
    const { request } = await serve(t, { windowMs: 1000, limit: 1, store: new TidegateStore({ clock }) });
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
    clock.advance(1001);
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
  });
});
