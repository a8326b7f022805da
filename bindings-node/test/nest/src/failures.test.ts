// One request must not take the process down: see failing.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { text } from 'node:stream/consumers';
import express from 'express';
import Fastify from 'fastify';
import { TokenBucket } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import { requester, statuses } from './request.js';

async function serve(t: TestContext, listener: any) {
  const server = createServer(listener);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

describe('functions of an application that fail', () => {
  it('are one error of the framework each, charge nothing, and never end the process', async () => {
    const child = spawn(process.execPath, [join(process.cwd(), 'dist/failing.js')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    });
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    assert.equal(code, 0, err);
    const seen: Record<string, { status: number; errors: number; remaining: number }> = JSON.parse(out);
    assert.ok(Object.keys(seen).length > 150);
    for (const [what, { status, errors, remaining }] of Object.entries(seen)) {
      if (what.includes(': refundOn ')) {
        assert.deepEqual([status, errors, remaining], [200, 0, 8], `${what}: the answer is out, the charge is kept`);
      } else if (what.includes(': onRefused that has answered ')) {
        assert.deepEqual([status, errors], [429, 0], `${what}: the answer stays, the log has the error`);
      } else if (what.includes(': onRefused returns')) {
        assert.deepEqual([status, errors], [429, 0], `${what}: sent as JSON`);
      } else {
        assert.deepEqual([status, errors, remaining], [500, 1, 9], what);
      }
    }
  });

  it("are called once, and a handler of Node's own server that throws is a 500", async (t) => {
    for (const key of [() => 'k', async () => 'k']) {
      let calls = 0;
      const limit = rateLimit({ rate: '9/hour', key });
      const request = await serve(t, (asked: any, response: any) =>
        limit(asked, response, () => {
          calls += 1;
          throw new Error('handler');
        }),
      );
      assert.deepEqual([(await request('/')).status, calls], [500, 1]);
    }
  });

  it('are logged without what a request or a user keeps to itself', async (t) => {
    const warnings: Error[] = [];
    const hear = (warning: Error) => void warnings.push(warning);
    process.on('warning', hear);
    t.after(() => process.off('warning', hear));
    const record = { id: 1, password: 'hunter2' };
    const key: any = (asked: any) => (asked.url.startsWith('/record') ? record : 'k');
    const limit = rateLimit({ rate: '99/hour', key });
    const request = await serve(t, (asked: any, response: any) =>
      limit(asked, response, (error) => {
        throw error ?? new Error('this handler failed');
      }),
    );
    for (const path of ['/reset?token=hunter2', '/other?token=hunter2', '/record?token=hunter2']) {
      assert.equal((await request(path)).status, 500);
    }
    // They come with the next turns.
    while (warnings.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    const [first, second] = warnings.map((warning) => `${warning.message} ${(warning as any).detail}`);
    // One mistake is one line, whatever a client writes into its URL.
    assert.match(first ?? '', /^GET \/reset: the handler failed: this handler failed /);
    assert.match(second ?? '', /^GET \/record: the handler failed: .* a string or a Uint8Array, got \[Object\]/);
    assert.doesNotMatch(`${first} ${second}`, /hunter2/);
  });

  it('a key that never answers holds up nobody else', async (t) => {
    const limit = rateLimit({
      rate: '1/hour',
      key: (asked: any) => (asked.url === '/hangs' ? new Promise<string>(() => {}) : 'k'),
    });
    const request = await serve(t, (asked: any, response: any) => limit(asked, response, () => response.end()));
    const hanging = request('/hangs').catch((error) => error);
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
    void hanging;
  });

  it('Fastify answers what onRefused returns, with the status of the refusal', async (t) => {
    for (const onRefused of [
      () => ({ slow: true }),
      async () => ({ slow: true }),
      async () => undefined,
      async (_request: any, reply: any) => reply.send({ slow: true }),
    ]) {
      const app = Fastify();
      app.register(tidegate, { rate: '1/hour', onRefused });
      app.get('/', async () => 'ok');
      t.after(() => app.close());
      const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
      assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
    }
  });
});

describe('stacked middlewares', () => {
  it('are all or nothing: what a later one refuses comes back to the earlier', async (t) => {
    const bucket = new TokenBucket({ rate: '5/hour' });
    const app = express();
    app.use(rateLimit(bucket));
    app.use(rateLimit({ rate: '1/hour', key: 'header:x-user' }));
    app.get('/', (_request, response) => void response.end());
    const request = await serve(t, app);
    const ann = { 'x-user': 'ann' };
    assert.deepEqual(await statuses(request, '/', 3, 'GET', ann), [200, 429, 429]);
    assert.equal(bucket.peek().remaining, 4);
    assert.deepEqual((await request('/', 'GET', ann)).json()['violated-policies'], ['default-2']);
  });

  it('a deny list counts behind another middleware as well', async (t) => {
    const bucket = new TokenBucket({ rate: '5/hour' });
    const app = express();
    app.use(rateLimit(bucket));
    app.use(rateLimit({ rate: '9/hour', deny: ['127.0.0.1'] }));
    const request = await serve(t, app);
    assert.deepEqual([(await request('/')).status, bucket.peek().remaining], [403, 5]);
  });

  it('a charge comes back once, whoever gives it back', async (t) => {
    const bucket = new TokenBucket({ rate: '5/hour' });
    bucket.tryAcquire(3);
    const app = express();
    app.use(rateLimit({ rate: bucket, refundOn: (status) => status === 429 }));
    app.use(
      rateLimit({
        rate: {
          check: () => ({ allowed: false, limit: 1, remaining: 0, retryAfterMs: 1000, resetAfterMs: 1000, delayMs: 0 }),
        },
      }),
    );
    const request = await serve(t, app);
    assert.deepEqual([(await request('/')).status, bucket.peek().remaining], [429, 2]);
  });
});

describe('a rate of the request', () => {
  it('gives each plan its own, in all places', async (t) => {
    const rate = (asked: any) => (asked.headers['x-plan'] === 'pro' ? '3/hour' : '1/hour');
    const request = await serve(
      t,
      express()
        .use(rateLimit({ rate, key: 'header:x-user' }))
        .get('/', (_request: any, response: any) => void response.end()),
    );
    assert.deepEqual(await statuses(request, '/', 2, 'GET', { 'x-user': 'ann' }), [200, 429]);
    assert.deepEqual(
      await statuses(request, '/', 4, 'GET', { 'x-user': 'ben', 'x-plan': 'pro' }),
      [200, 200, 200, 429],
    );
    assert.throws(() => rateLimit({ rate, tiers: { pro: '1/s' } }), { name: 'RangeError', message: /leave tiers out/ });
    assert.throws(() => rateLimit({ rate, cost: 1.5 }), { name: 'RangeError', message: /^cost must be a whole/ });
    assert.throws(() => rateLimit({ rate, name: 'ä' }), { name: 'TypeError', message: /printable ASCII/ });
  });
});

describe('key: route', () => {
  it('follows what the router treats as one', async (t) => {
    const app = express();
    app.use(rateLimit({ rate: '1/hour', key: 'route' }));
    app.get('/login', (_request, response) => void response.end());
    const request = await serve(t, app);
    assert.equal((await request('/login')).status, 200);
    for (const path of ['/Login', '/login/', '/LOGIN/?a=b']) assert.equal((await request(path)).status, 429, path);
    assert.equal((await request('/login', 'HEAD')).status, 429);
    assert.equal((await request('/other')).status, 404);
    const strict = express().enable('strict routing').enable('case sensitive routing');
    strict.use(rateLimit({ rate: '1/hour', key: 'route' }));
    const exact = await serve(t, strict);
    for (const path of ['/login', '/Login', '/login/']) assert.equal((await exact(path)).status, 404, path);
  });
});

describe("the Fastify plugin's order", () => {
  it('registered without await it finds the config of the routes below it', async (t) => {
    const app = Fastify();
    app.register(tidegate, { rate: '9/hour', name: 'all' });
    app.get('/search', { config: { tidegate: '1/hour' } }, async () => 'found');
    app.get('/health', { config: { tidegate: false } }, async () => 'well');
    t.after(() => app.close());
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    assert.equal((await request('/search')).get('ratelimit-policy'), '"default";q=1;w=3600, "all";q=9;w=3600');
    assert.equal((await request('/search', 'HEAD')).status, 429, 'a HEAD is its GET');
    assert.deepEqual(await statuses(request, '/health', 12), Array(12).fill(200));
    const wrong = Fastify();
    wrong.register(tidegate, { rate: '9/hour', name: 'all' });
    wrong.get('/wrong', { config: { tidegate: 'often' } }, async () => 'never');
    await assert.rejects(async () => wrong.ready(), { name: 'RangeError' });
    const eager = Fastify();
    await eager.register(tidegate, { rate: '9/hour' });
    assert.throws(() => eager.get('/wrong', { config: { tidegate: 'often' } }, async () => 'never'), {
      name: 'RangeError',
    });
  });

  for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
    it(`decides at ${hook}`, async (t) => {
      const app = Fastify();
      app.register(tidegate, { rate: '1/hour', hook });
      app.post('/', async (asked) => asked.body);
      t.after(() => app.close());
      const url = await app.listen({ port: 0, host: '127.0.0.1' });
      const post = () =>
        fetch(url, { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } });
      const first = await post();
      assert.deepEqual([first.status, await first.json()], [200, { a: 1 }]);
      assert.equal((await post()).status, 429);
    });
  }
});
