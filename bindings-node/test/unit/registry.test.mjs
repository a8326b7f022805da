// BreakerRegistry: its objects, settings and scopes. (The vectors hold it to the model.)
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ArenaError, BreakerRegistry, CircuitBreaker, CircuitOpenError, ManualClock } from 'tidegate';
import { guardedFetch } from 'tidegate/fetch';

const fail = (breaker, times = 1) => {
  for (let i = 0; i < times; i++) breaker.acquire().failure();
};

describe('BreakerRegistry', () => {
  it('has a breaker for each key, with all its methods', async () => {
    const clock = new ManualClock();
    const failureOn = TypeError;
    const settings = { consecutiveFailures: 2, cooldownMs: 5000, clock, failureOn };
    const registry = new BreakerRegistry({ maxBreakers: 8, ...settings });
    const breaker = registry.get('api.example.com');
    assert.ok(breaker instanceof CircuitBreaker);
    assert.equal(breaker.name, 'api.example.com');
    const work = breaker.wrap(async (error) => {
      throw error;
    });
    for (const error of [new Error('fine'), new TypeError('a'), new TypeError('b')]) {
      await assert.rejects(work(error), error);
    }
    assert.throws(
      () => breaker.call(() => 1),
      (error) => error instanceof CircuitOpenError && error.breaker === 'api.example.com' && error.trip.failed === 2,
    );
    assert.deepEqual(breaker.events().map(({ kind }) => kind), ['opened']);
    assert.equal(registry.get('api.example.org').call(() => 7), 7);
    assert.deepEqual([registry.peek('elsewhere'), registry.has('elsewhere'), registry.size], [null, false, 2]);
    assert.deepEqual(registry.items().map(([key, { state }]) => [key, state]), [
      ['api.example.com', 'open'],
      ['api.example.org', 'closed'],
    ]);
    assert.deepEqual([registry.remove('api.example.com'), registry.remove('api.example.com')], [true, false]);
    assert.equal(breaker.state, 'closed');
  });

  it('takes any text or bytes as a key', () => {
    const registry = new BreakerRegistry();
    assert.equal(registry.get('für'), registry.get(Buffer.from('für')));
    registry.get(Uint8Array.of(0xff, 0));
    registry.get('');
    registry.get('x'.repeat(300));
    const keys = registry.items().map(([key]) => key);
    assert.deepEqual(keys.slice(0, 3), ['für', Uint8Array.of(0xff, 0), '']);
    assert.equal(keys[3], registry.get('x'.repeat(300)).name);
    for (const method of ['get', 'peek', 'has', 'remove']) {
      assert.throws(() => registry[method](7), { name: 'TypeError', message: /^key must be a string or a Uint8Array/ });
      const detached = BreakerRegistry.prototype[method];
      assert.throws(() => detached.call({}, 'a'), { name: 'TypeError', message: /BreakerRegistry/ });
    }
  });

  it('has one object of a breaker as long as anybody has it', async () => {
    const registry = new BreakerRegistry({ maxBreakers: 2 });
    let breaker = registry.get('a');
    assert.ok(registry.get('a') === breaker && registry.peek('a') === breaker && registry.items()[0][1] === breaker);
    assert.equal(registry.overflow, registry.overflow);
    fail(breaker);
    const gone = new WeakRef(breaker);
    breaker = undefined;
    for (let i = 0; i < 50 && gone.deref() !== undefined; i++) {
      await setImmediate();
      globalThis.gc();
    }
    assert.equal(gone.deref(), undefined);
    assert.equal(registry.get('a').stats().failed, 1);
    for (let i = 0; i < 2_000; i++) registry.get(`key${i}`).acquire().success();
    assert.deepEqual(registry.stats(), { breakers: 2, maxBreakers: 2, evicted: 1_999, overflowed: 0 });
    const held = Array.from({ length: 500 }, (_, i) => registry.get(`held${i}`));
    await setImmediate();
    globalThis.gc();
    held.forEach((one, i) => assert.equal(one.name, `held${i}`));
  });

  // Each key costs the same, however many objects the garbage collector has not come to yet.
  it('is as it was after a flood of keys', { timeout: 240_000 }, async () => {
    const registry = new BreakerRegistry({ maxBreakers: 64, consecutiveFailures: 1, cooldownMs: 3_600_000 });
    fail(registry.get('dependency'));
    const flood = async (from, to) => {
      for (let i = from; i < to; i++) {
        registry.get(`key${i}`).acquire().success();
        if (i % 1_000 === 0) await setImmediate();
      }
      for (let i = 0; i < 3; i++) {
        globalThis.gc();
        await setImmediate();
      }
      return process.memoryUsage().rss;
    };
    const before = await flood(0, 20_000);
    const grown = (await flood(20_000, 100_000)) - before;
    assert.ok(grown < 64 * 2 ** 20, `${grown} bytes more`);
    assert.equal(registry.peek('dependency').state, 'open');
    assert.throws(() => registry.get('dependency').acquire(), CircuitOpenError);
    assert.deepEqual(registry.stats(), { breakers: 64, maxBreakers: 64, evicted: 99_937, overflowed: 0 });
  });

  it('gives newcomers without room one breaker', () => {
    const registry = new BreakerRegistry({ maxBreakers: 1, consecutiveFailures: 1 });
    fail(registry.get('a'));
    const shared = registry.get('b');
    assert.ok(shared === registry.get('c') && shared === registry.overflow && shared.name === '(overflow)');
    fail(shared);
    assert.throws(() => registry.get('d').acquire(), CircuitOpenError);
    assert.equal(registry.stats().overflowed, 3);
  });

  it('has settings for patterns, which change', () => {
    const registry = new BreakerRegistry({
      consecutiveFailures: 2,
      cooldownMs: 5000,
      overrides: {
        '*.internal': { cooldownMs: 1000 },
        'db.*': { consecutiveFailures: null, cooldownMs: 2000, minCalls: 3 },
      },
    });
    const tripped = (key) => {
      const breaker = registry.get(key);
      breaker.reset();
      while (breaker.state === 'closed') fail(breaker);
      const { failed } = breaker.stats().lastTrip;
      const seconds = Math.round(breaker.retryAfterMs / 1000);
      breaker.reset();
      return [failed, seconds];
    };
    assert.deepEqual([tripped('a'), tripped('b.internal'), tripped('db.org')], [[2, 5], [2, 1], [3, 2]]);
    assert.deepEqual(tripped('db.internal'), [2, 1], 'it says more of the key');
    const held = registry.get('held.internal');
    registry.setConfig('*.internal', { cooldownMs: 7000 });
    registry.setConfig('*', { consecutiveFailures: 1 });
    fail(held, 2);
    assert.equal(Math.round(held.retryAfterMs / 1000), 7);
    assert.deepEqual([tripped('new.internal'), tripped('a'), tripped('db.org')], [[2, 7], [1, 5], [3, 2]]);
    for (const [pattern, changes, message] of [
      ['*', { cooldownBackoff: 0 }, /^cooldownBackoff/],
      ['*', { windowDurationMs: 5000 }, /^windowDurationMs/],
      ['', { cooldownMs: 1 }, /^pattern.* is empty/],
      [7, {}, /^pattern must be a string/],
      ['*', { colour: 1 }, /^setConfig has no option 'colour'/],
      ['*', 5, /^setConfig takes an object/],
    ]) {
      assert.throws(() => registry.setConfig(pattern, changes), { message });
    }
    assert.deepEqual(tripped('a'), [1, 5], 'nothing is changed');
  });

  it('changes what a change names, and nothing else', () => {
    const overrides = { 'db.internal': { minCalls: 3 }, '*.internal': { cooldownMs: 1000 } };
    const registry = new BreakerRegistry({ consecutiveFailures: 9, overrides });
    const config = (key) => {
      const { cooldownMs, minCalls } = registry.get(key).config;
      return [cooldownMs / 1000, minCalls];
    };
    assert.deepEqual(['db.internal', 'a.internal', 'a'].map(config), [[1, 3], [1, 10], [30, 10]]);
    const held = registry.get('e1');
    registry.setConfig('*', { cooldownMs: 5000 });
    registry.setConfig('e*', { minCalls: 7 });
    assert.deepEqual(['e1', 'e2', 'a', 'a.internal'].map(config), [[5, 7], [5, 7], [5, 10], [1, 10]]);
    held.setConfig({ cooldownMs: 9000 });
    registry.setConfig('e*', { minCalls: 6 });
    assert.deepEqual(['e1', 'e2'].map(config), [[9, 6], [5, 6]], 'what was changed of it alone stays');
  });

  it('says what is wrong with its options', () => {
    for (const [options, message] of [
      [{ overrides: { '': {} } }, /^overrides.* empty pattern/],
      [{ overrides: { a: { cooldownBackoff: 0.5 } } }, /^overrides\['a'\]: cooldownBackoff/],
      [{ overrides: { a: { windowCalls: 2000 } } }, /^overrides.* for "a": window_calls/],
      [{ overrides: ['a'] }, /^overrides must be an object of patterns/],
      [{ overrides: { a: 5 } }, /^overrides\['a'\] takes an object/],
      [{ overrides: { a: { colour: 5 } } }, /^overrides\['a'\] has no option 'colour'/],
      [{ colour: 5 }, /^new BreakerRegistry has no option 'colour'/],
      [{ overrides: { a: { windowCalls: 5, windowDurationMs: 5 } } }, /^give windowCalls or windowDurationMs/],
    ]) {
      assert.throws(() => new BreakerRegistry(options), { message });
    }
    // What was begun is not the next one's.
    const registry = new BreakerRegistry({ consecutiveFailures: 1, cooldownMs: 5000 });
    fail(registry.get('a'));
    assert.ok(registry.get('a').retryAfterMs > 4000);
  });

  it('is one object for worker threads', async () => {
    const scope = `process:registry-${process.pid}`;
    const registry = new BreakerRegistry({ maxBreakers: 4, consecutiveFailures: 1, scope, name: 'hosts' });
    const known = registry.get('a');
    const worker = new Worker(
      `const { BreakerRegistry } = require('tidegate');
       const { parentPort } = require('node:worker_threads');
       const place = { scope: '${scope}', name: 'hosts' };
       const registry = new BreakerRegistry({ maxBreakers: 4, consecutiveFailures: 1, ...place });
       registry.get('a').acquire().failure();
       registry.get('b');
       registry.setConfig('*', { cooldownMs: 500_000 });
       parentPort.postMessage(registry.size);`,
      { eval: true },
    );
    assert.deepEqual(await once(worker, 'message'), [2]);
    assert.equal(known.state, 'open');
    fail(registry.get('b'));
    assert.ok(registry.get('b').retryAfterMs > 400_000, 'what stands has changed for all');
    fail(registry.get('new'));
    assert.ok(registry.get('new').retryAfterMs > 400_000, 'and what anybody makes later');
    const later = new BreakerRegistry({ maxBreakers: 4, consecutiveFailures: 1, scope, name: 'hosts' });
    assert.equal(later.get('latest').config.cooldownMs, 500_000);
    assert.throws(() => later.setConfig('x'.repeat(65), { cooldownMs: 5 }), /RangeError.*pattern.*65 bytes/);
    assert.throws(
      () => new BreakerRegistry({ maxBreakers: 5, consecutiveFailures: 1, scope, name: 'hosts' }),
      (error) => error instanceof ArenaError && error.message.includes('4 breakers'),
    );
  });

  it('gives a client the breaker of each host', async (t) => {
    const server = createServer((request, response) => response.writeHead(request.url === '/bad' ? 500 : 200).end());
    t.after(() => server.close());
    await once(server.listen(0), 'listening');
    const { port } = server.address();
    const registry = new BreakerRegistry({ consecutiveFailures: 1 });
    const fetch = guardedFetch({ breaker: registry });
    assert.equal((await (await fetch(`http://127.0.0.1:${port}/bad`)).text()).length, 0);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), CircuitOpenError);
    assert.equal((await (await fetch(`http://localhost:${port}/`)).text()).length, 0);
    assert.deepEqual(registry.items().map(([key, { state }]) => [key, state]).sort(), [
      [`127.0.0.1:${port}`, 'open'],
      [`localhost:${port}`, 'closed'],
    ]);
  });
});
