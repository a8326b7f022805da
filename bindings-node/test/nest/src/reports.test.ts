// Faults that users have reported of other libraries, played against ours: the storages that stand in for theirs, and
// our own middleware, plugin and module, over real HTTP. Each names the report.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import express from 'express';
import * as limits from 'express-rate-limit';
import Fastify from 'fastify';
import { CircuitBreaker, ConcurrencyLimiter, ManualClock, RateLimiter, TokenBucket } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import { TidegateStore } from 'tidegate/express-rate-limit';
import tidegate from 'tidegate/fastify';
import { RateLimit, TidegateGuard, TidegateModule } from 'tidegate/nest';
import { TidegateThrottlerStorage } from 'tidegate/throttler';
import { ADAPTERS, type Adapter } from './app.js';
import { requester, statuses } from './request.js';

const DAY = 86_400_000;

setFlagsFromString('--expose-gc');
const gc: () => void = runInNewContext('gc');

const until = async (holds: () => boolean) => {
  const deadline = performance.now() + 60_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not within a minute: ${holds}`);
    await setTimeout(1);
  }
};

/** What `run` warns of. */
async function warnings(run: () => Promise<unknown>) {
  const heard: string[] = [];
  const hear = ({ message }: Error) => void heard.push(message);
  process.on('warning', hear);
  await run();
  // They are told in a later turn.
  await setTimeout(1);
  process.off('warning', hear);
  return heard;
}

async function listen(t: TestContext, listener: any) {
  const server = createServer(listener);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = async (t: TestContext, listener: any) => requester(await listen(t, listener));

const ok = (_request: any, response: any) => void response.end('ok');

async function nest(t: TestContext, root: any, adapter: Adapter = 'express') {
  const app = await NestFactory.create(root, ADAPTERS[adapter]() as any, { logger: false });
  t.after(() => app.close());
  await app.listen(0, '127.0.0.1');
  return requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
}

@Controller()
class PageController {
  @Get()
  page() {
    return 'page';
  }
}

function throttled(storage: TidegateThrottlerStorage, throttler: any) {
  @Module({
    imports: [ThrottlerModule.forRoot({ throttlers: [throttler], storage })],
    controllers: [PageController],
    providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
  })
  class ThrottledApp {}
  return ThrottledApp;
}

describe('reports of @nestjs/throttler', () => {
  it('#2629: no timer of a hit keeps what its request knows', async (t) => {
    const context = new AsyncLocalStorage<object>();
    const contexts: WeakRef<object>[] = [];
    const root = throttled(new TidegateThrottlerStorage(), { ttl: DAY, limit: 99, blockDuration: DAY });
    const app = await NestFactory.create(root, { logger: false });
    app.use((_request: any, _response: any, next: () => void) => {
      const own = { loaded: new Array(10) };
      contexts.push(new WeakRef(own));
      context.run(own, next);
    });
    t.after(() => app.close());
    await app.listen(0, '127.0.0.1');
    const request = requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
    await statuses(request, '/', 40);
    // Of the last requests the server may still know.
    await until(() => (gc(), contexts.filter((one) => one.deref() !== undefined).length < 10));
  });

  it('#2665: the storage does not grow with its keys', async () => {
    const storage = new TidegateThrottlerStorage({ maxKeys: 1000 });
    for (let key = 0; key < 1000; key += 1) await storage.increment(`client ${key}`, 60_000, 5, 60_000, 'default');
    gc();
    const before = process.memoryUsage().heapUsed;
    // In a Map they would take more than 5 MB.
    for (let key = 0; key < 50_000; key += 1) await storage.increment(`other ${key}`, 60_000, 5, 60_000, 'default');
    gc();
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(grown < 3_000_000, `${grown} bytes`);
  });

  it('#2208: who was refused may come back when the first hit is over, not all of them', async () => {
    const clock = new ManualClock();
    const storage = new TidegateThrottlerStorage({ clock });
    const hit = () => storage.increment('k', 10_000, 10, 0, 'default');
    for (let second = 0; second < 10; second += 1) {
      assert.equal((await hit()).isBlocked, false);
      if (second < 9) clock.advance(1000);
    }
    const { isBlocked, timeToBlockExpire } = await hit();
    assert.deepEqual([isBlocked, timeToBlockExpire], [true, 1]);
    clock.advance(1001);
    assert.equal((await hit()).isBlocked, false);
  });

  it('#1025: a guard that stands there twice counts once', async (t) => {
    @Controller()
    @UseGuards(TidegateGuard)
    class TwiceController {
      @Get()
      @UseGuards(TidegateGuard)
      @RateLimit('3/hour', { key: 'ip' })
      page() {
        return 'page';
      }
    }
    for (const adapter of ['express', 'fastify'] as const) {
      const imports = [TidegateModule.forRoot()];
      const request = await nest(t, { module: class {}, imports, controllers: [TwiceController] }, adapter);
      assert.deepEqual(await statuses(request, '/', 4), [200, 200, 200, 429], adapter);
    }
  });

  it('a ttl and a block that no timer can hold', async () => {
    const clock = new ManualClock();
    const storage = new TidegateThrottlerStorage({ clock });
    const hit = () => storage.increment('k', 60 * DAY, 1, 60 * DAY, 'default');
    assert.equal((await hit()).isBlocked, false);
    for (const days of [0, 25, 25]) {
      clock.advance(days * DAY);
      assert.equal((await hit()).isBlocked, true, `${days} days later`);
    }
  });

  it('#574: a kind of call that is not known is told, and passes', async (t) => {
    @Controller()
    class KindController {
      @Get()
      @RateLimit('1/hour')
      page() {}
    }
    const root = { module: class {}, imports: [TidegateModule.forRoot()], controllers: [KindController] };
    const app = await NestFactory.create(root, { logger: false });
    t.after(() => app.close());
    await app.init();
    const handler = KindController.prototype.page;
    const context: any = { getType: () => 'necord', getClass: () => KindController, getHandler: () => handler };
    const guard = app.get(TidegateGuard);
    const ask = async () => assert.equal(await guard.canActivate(context), true);
    const [said, ...more] = await warnings(async () => (await ask(), await ask()));
    assert.match(said ?? '', /^calls of the kind 'necord' are not limited/);
    assert.deepEqual(more, []);
  });
});

describe('reports of express-rate-limit', () => {
  it('express-slow-down #9: clients without an address share a key, which is said once', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-test-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const over = async (client: any) => {
      const limit = rateLimit({ rate: '1/hour', key: 'ip', client });
      const server = createServer((incoming, response) => limit(incoming, response, () => response.end()));
      const socketPath = join(directory, `${Object.keys(client).length}.sock`);
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
      const ask = (address: string) =>
        new Promise((resolve) => {
          const headers = { 'x-forwarded-for': address };
          get({ socketPath, headers, agent: false }, (answer) => {
            answer.resume().on('end', () => resolve(answer.statusCode));
          });
        });
      const seen: unknown[] = [];
      const said = await warnings(async () => {
        for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) seen.push(await ask(address));
      });
      server.close();
      return [seen, said.length, said[0]?.includes("trusted: ['unix']")];
    };
    assert.deepEqual(await over({}), [[200, 429, 429], 1, true]);
    assert.deepEqual(await over({ trusted: ['unix'] }), [[200, 429, 200], 0, undefined]);
  });

  it('#234: the port that a proxy adds to an address is no part of it', async (t) => {
    const client = { trusted: ['loopback'] };
    const request = await serve(t, express().use(rateLimit({ rate: '1/hour', key: 'ip', client })).get('/', ok));
    const from = async (address: string) => (await request('/', 'GET', { 'x-forwarded-for': address })).status;
    for (const same of [
      ['192.0.2.1:4711', '192.0.2.1:4712', '192.0.2.1'],
      ['[2001:db8::1]:1', '[2001:db8::1]:2', '2001:db8::1'],
    ]) {
      const seen = [];
      for (const address of same) seen.push(await from(address));
      assert.deepEqual(seen, [200, 429, 429]);
    }
    // One network of a household, and what a client writes in front of its proxy's word.
    assert.deepEqual([await from('2001:db8::ffff'), await from('203.0.113.9, 192.0.2.1')], [429, 429]);
    assert.deepEqual([await from('::ffff:192.0.2.1'), await from('2001:db8:0:1::1')], [429, 200]);
  });

  it('#546: a window of a year is a year', async (t) => {
    const clock = new ManualClock();
    const windowMs = 365 * DAY;
    const store = new TidegateStore({ clock });
    const app = express().use(limits.rateLimit({ windowMs, limit: 1, store, validate: false }));
    const request = await serve(t, app.get('/', ok));
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
    clock.advance(25 * DAY);
    assert.deepEqual(await statuses(request, '/', 1), [429]);
    clock.advance(341 * DAY);
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
  });

  it('#110: a connection that closes after its answer gives nothing back', async (t) => {
    const store = new TidegateStore();
    for (const [what, limit] of Object.entries({
      'the store': limits.rateLimit({ limit: 2, store, skipFailedRequests: true, validate: false }),
      ours: rateLimit({ rate: '2/hour', key: 'ip', refundOn: (status) => status >= 400 }),
    })) {
      const request = await serve(t, express().use(limit as any).get('/', ok));
      const last = { connection: 'close' };
      assert.deepEqual(await statuses(request, '/', 3, 'GET', last), [200, 200, 429], what);
      // Failures give their own back, and no more.
      await statuses(request, '/nowhere', 5, 'GET', last);
      assert.deepEqual(await statuses(request, '/', 1, 'GET', last), [429], what);
    }
  });

  it('#112: a key is never below zero, whatever is taken back', async () => {
    const store = new TidegateStore();
    for (let i = 0; i < 5; i += 1) store.decrement('k');
    assert.equal(store.increment('k').totalHits, 1);
    store.decrement('k');
    store.decrement('k');
    assert.equal(store.increment('k').totalHits, 1);
  });

  it('a key that is none is told, and is no key for everybody', async (t) => {
    const keyGenerator: any = (asked: any) => asked.headers['x-user'];
    const store = new TidegateStore();
    const app = express().use(limits.rateLimit({ limit: 1, store, keyGenerator, validate: false })).get('/', ok);
    app.use((error: Error, _request: any, response: any, _next: any) => void response.status(500).end(error.message));
    const request = await serve(t, app);
    const answer = await request('/');
    assert.equal(answer.status, 500);
    assert.match(answer.text, /^what keyGenerator returns must be a string or a Uint8Array, got undefined/);
    assert.deepEqual(await statuses(request, '/', 2, 'GET', { 'x-user': 'ann' }), [200, 429]);
  });
});

describe('reports of @fastify/rate-limit', () => {
  it('a plugin of one part limits no other', async (t) => {
    const app = Fastify();
    await app.register(async (part) => {
      await part.register(tidegate, { rate: '1/hour' });
      part.get('/in', async () => 'in');
    });
    app.get('/out', async () => 'out');
    t.after(() => app.close());
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    assert.deepEqual(await statuses(request, '/in', 2), [200, 429]);
    assert.deepEqual(await statuses(request, '/out', 3), [200, 200, 200]);
  });

  it('#131: a GET or HEAD is one, also where Fastify adds the HEAD', async (t) => {
    for (const awaited of [true, false]) {
      const app = Fastify({ exposeHeadRoutes: true, ignoreTrailingSlash: true });
      const registered = app.register(tidegate, { rate: '4/hour', key: 'route', name: 'all' });
      if (awaited) await registered;
      app.get('/', async () => 'ok');
      app.get('/own', { config: { tidegate: '4/hour' } }, async () => 'ok');
      t.after(() => app.close());
      const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
      for (const path of ['/', '/own']) {
        const seen = [];
        for (const method of ['GET', 'HEAD', 'GET', 'HEAD', 'GET']) seen.push((await request(path, method)).status);
        assert.deepEqual(seen, [200, 200, 200, 200, 429], `${path} ${awaited}`);
      }
    }
  });

  it('#127, #389: what is not there is limited, with or without a handler of its own', async (t) => {
    for (const own of [true, false]) {
      const app = Fastify();
      app.register(tidegate, { rate: '2/hour', key: 'ip' });
      if (own) app.setNotFoundHandler((_request, reply) => void reply.code(404).send('nothing'));
      t.after(() => app.close());
      const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
      assert.deepEqual(await statuses(request, '/guess', 3), [404, 404, 429], `${own}`);
    }
  });

  it('#47: a limit after an async hook that answers does not answer again', async (t) => {
    const app = Fastify();
    await app.register(tidegate, { rate: '2/hour', key: async () => 'k', hook: 'preHandler' });
    const preHandler = async () => void (await setTimeout(2));
    const own = { rate: '1/hour', name: 'own', key: async () => 'k' };
    app.get('/', { preHandler, config: { tidegate: own } }, async () => 'ok');
    t.after(() => app.close());
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
  });
});

describe('reports of rate-limiter-flexible', () => {
  it('#71, #231: months and decades are as long as they are', () => {
    const clock = new ManualClock();
    const block = { after: 1, withinMs: 60_000, durationMs: 300 * DAY };
    const limiter = new RateLimiter({ rate: 1, perMs: 30 * DAY, algorithm: 'fixed_window', clock, block });
    assert.deepEqual([limiter.tryAcquire('k'), limiter.tryAcquire('k')], [true, false]);
    clock.advance(299 * DAY);
    assert.equal(limiter.tryAcquire('k'), false);
    clock.advance(DAY + 1000);
    assert.equal(limiter.tryAcquire('k'), true);
    // Longer than can be kept is said, and not taken for a moment.
    const decades = { after: 1, withinMs: 60_000, durationMs: 1e12 };
    const make = () => new RateLimiter({ rate: '1/day', block: decades });
    assert.throws(make, { name: 'RangeError', message: /durationMs/ });
  });

  it('#238: a wait is never below zero, however late anybody asks', () => {
    const clock = new ManualClock();
    const limiter = new RateLimiter({ rate: '20 per 5 seconds', algorithm: 'fixed_window', clock });
    limiter.check('k', 5);
    for (const ms of [4999, 2, 10 * DAY]) {
      clock.advance(ms);
      const { allowed, retryAfterMs, resetAfterMs } = limiter.check('k');
      assert.ok(allowed && retryAfterMs === 0 && resetAfterMs >= 0 && resetAfterMs <= 5001, `${resetAfterMs}`);
    }
  });

  it('express-slow-down #105: a delay that no timer can hold does not end at once', async () => {
    const limiter = new RateLimiter({ rate: '1 per 30 days', algorithm: 'leaky_bucket', queue: 5 });
    await limiter.acquire('k');
    const gone = new AbortController();
    const waiting = limiter.acquire('k', 1, { signal: gone.signal }).then(
      () => 'went on',
      () => 'waits',
    );
    await setTimeout(20);
    gone.abort();
    assert.equal(await waiting, 'waits');
  });
});

describe('reports of opossum and cockatiel', () => {
  const failing = async () => Promise.reject(new Error('down'));
  const trip = { consecutiveFailures: 1, cooldownMs: 1 };
  const cooledDown = async (breaker: CircuitBreaker) => {
    while (breaker.retryAfterMs > 0) await setImmediate();
  };

  it('opossum #780: a call that is aborted ends no other', async () => {
    const breaker = new CircuitBreaker('a', { consecutiveFailures: 1 });
    const [one, other] = [new AbortController(), new AbortController()];
    const call = (signal: AbortSignal) => breaker.call(() => setTimeout(30, 'done', { signal }));
    const answers = [call(one.signal), call(other.signal)];
    one.abort();
    await assert.rejects(answers[0]!, { name: 'AbortError' });
    assert.deepEqual([await answers[1], breaker.state], ['done', 'closed']);
  });

  it('opossum #276: half-open ends, however few calls there are', async () => {
    const breaker = new CircuitBreaker('a', { ...trip, minCalls: 15 });
    for (let round = 0; round < 3; round += 1) {
      await assert.rejects(breaker.call(failing), { message: 'down' });
      assert.equal(breaker.state, 'open');
      await cooledDown(breaker);
    }
    await breaker.call(async () => 'up');
    assert.equal(breaker.state, 'closed');
  });

  it('opossum #385, cockatiel #91: failures at once open it once, and it tries again', async () => {
    const breaker = new CircuitBreaker('a', { ...trip, consecutiveFailures: 5 });
    await Promise.all(Array.from({ length: 8 }, () => breaker.call(failing).catch(() => {})));
    assert.deepEqual([breaker.state, breaker.stats().opened], ['open', 1]);
    await cooledDown(breaker);
    await breaker.call(async () => 'up');
    assert.equal(breaker.state, 'closed');
  });

  it('opossum #484: what fails late, of before it opened, does not open it again', async () => {
    const breaker = new CircuitBreaker('a', trip);
    const late = breaker.acquire();
    breaker.acquire().failure();
    await cooledDown(breaker);
    const probe = breaker.acquire();
    assert.equal(breaker.tryAcquire(), null, 'one probe at a time');
    probe.success();
    late.failure();
    assert.equal(breaker.state, 'closed');
  });

  it('opossum #719: an open circuit needs no timer, and keeps no process alive', () => {
    const code = `
      const { CircuitBreaker, RateLimiter, ConcurrencyLimiter } = require('tidegate');
      const { TidegateStore } = require('tidegate/express-rate-limit');
      const { TidegateThrottlerStorage } = require('tidegate/throttler');
      new CircuitBreaker('a', { consecutiveFailures: 1, cooldownMs: 600000 }).acquire().failure();
      new RateLimiter({ rate: '1/day' }).tryAcquire('k');
      new ConcurrencyLimiter({ limit: 1 }).tryAcquire();
      new TidegateStore().increment('k');
      new TidegateThrottlerStorage().increment('k', 600000, 1, 600000, 'a');`;
    assert.equal(spawnSync(process.execPath, ['-e', code], { timeout: 30_000 }).status, 0);
  });

  it('cockatiel #81, #69: a signal that many wait with is let go by each', async () => {
    const { signal } = new AbortController();
    const bucket = new TokenBucket({ rate: '1000/s', burst: 1 });
    const limiter = new RateLimiter({ rate: '1000/s', burst: 1 });
    const concurrency = new ConcurrencyLimiter({ limit: 1, maxWaitMs: 60_000 });
    const said = await warnings(async () => {
      const waits = Array.from({ length: 30 }, () => [
        bucket.acquire(1, { signal }),
        limiter.acquire('k', 1, { signal }),
        concurrency.run(() => setImmediate(), { signal }),
      ]);
      await Promise.all(waits.flat());
    });
    assert.deepEqual([said, getEventListeners(signal, 'abort').length], [[], 0]);
  });

  it('AsyncLocalStorage: whoever waited goes on as itself', async (t) => {
    const context = new AsyncLocalStorage<string>();
    const concurrency = new ConcurrencyLimiter({ limit: 1, maxWaitMs: 60_000 });
    const paced = { rate: '50/s', algorithm: 'leaky_bucket', queue: 20, key: async () => 'k' } as const;
    const breaker = new CircuitBreaker('a', {});
    const work = async () => {
      await setTimeout(1);
      return breaker.call(async () => concurrency.run(() => context.getStore()).catch(() => context.getStore()));
    };
    const app = express();
    app.use((asked, _response, next) => context.run(String(asked.headers['x-user']), next));
    app.use(rateLimit({ limits: { paced }, concurrency: new ConcurrencyLimiter({ limit: 2, maxWaitMs: 60_000 }) }));
    app.get('/', async (_asked, response) => void response.end(await work()));
    const request = await serve(t, app);
    const users = Array.from({ length: 8 }, (_, index) => `user ${index}`);
    const answers = await Promise.all(users.map((user) => request('/', 'GET', { 'x-user': user })));
    assert.deepEqual(answers.map((answer) => answer.text), users);
  });
});

describe('reports of requests whose client is gone', () => {
  it('express-rate-limit ERR_ERL_UNDEFINED_IP_ADDRESS: they are nobody, and take nothing of anybody', async (t) => {
    const limiter = new RateLimiter({ rate: '1/hour' });
    const limit = rateLimit({ rate: limiter, key: 'ip' });
    let asked = 0;
    const url = await listen(t, async (incoming: any, response: any) => {
      asked += 1;
      // Something slow in front; meanwhile the client hangs up.
      if (incoming.url === '/slow') await new Promise((resolve) => incoming.socket.once('close', resolve));
      limit(incoming, response, () => response.end('ok'));
    });
    for (let i = 0; i < 3; i += 1) {
      const gone = new AbortController();
      const answer = fetch(`${url}/slow`, { signal: gone.signal }).catch(() => undefined);
      while (asked === i) await setImmediate();
      gone.abort();
      await answer;
    }
    assert.equal((await fetch(url)).status, 200);
  });
});
