// Express and Fastify without Nest, and Node's own server: the same options, real HTTP.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import express from 'express';
import Fastify from 'fastify';
import { ConcurrencyLimiter, LimitSet, ManualClock, RateLimiter, Readiness, TokenBucket } from 'tidegate';
import { type RateLimitOptions, rateLimit } from 'tidegate/express';
import tidegate, { type TidegateFastifyOptions, firstOf, header } from 'tidegate/fastify';
import { type Request, requester, statuses } from './request.js';

type Serve = (t: TestContext, options: RateLimitOptions & TidegateFastifyOptions) => Promise<Request>;

const overExpress: Serve = async (t, options) => {
  const app = express();
  app.use(rateLimit(options));
  app.get('/', (_request, response) => void response.json({ ok: true }));
  app.post('/login', (request, response) => void response.status(request.query.password === 'right' ? 200 : 401).end());
  const server = app.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
};

const overFastify: Serve = async (t, options) => {
  const app = Fastify();
  await app.register(tidegate, options as TidegateFastifyOptions);
  app.get('/', async () => ({ ok: true }));
  app.post('/login', async (request, reply) =>
    reply.code((request.query as any).password === 'right' ? 200 : 401).send(),
  );
  t.after(() => app.close());
  return requester(await app.listen({ port: 0, host: '127.0.0.1' }));
};

const until = async (holds: () => boolean) => {
  while (!holds()) await setImmediate();
};

/** A server of one slow route that counts what reaches it, and the connections that were cut off. */
type Count = (
  t: TestContext,
  options: RateLimitOptions & TidegateFastifyOptions,
) => Promise<{
  url: string;
  served(): { requests: number; most: number };
  closed(): number;
}>;

function counting() {
  const served = { requests: 0, most: 0 };
  let underWay = 0;
  let closed = 0;
  const work = async () => {
    served.requests += 1;
    served.most = Math.max(served.most, (underWay += 1));
    await setTimeout(5);
    underWay -= 1;
  };
  const watch = (response: any) => response.on('close', () => (closed += response.writableFinished ? 0 : 1));
  return { work, watch, served: () => served, closed: () => closed };
}

const countExpress: Count = async (t, options) => {
  const app = express();
  const { work, watch, ...counts } = counting();
  app.use((_request, response, next) => (watch(response), next()));
  app.use(rateLimit(options));
  app.get('/', async (_request, response) => (await work(), void response.end()));
  const server = app.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, ...counts };
};

const countFastify: Count = async (t, options) => {
  const app = Fastify();
  const { work, watch, ...counts } = counting();
  app.addHook('onRequest', async (_request, reply) => void watch(reply.raw));
  await app.register(tidegate, options as TidegateFastifyOptions);
  app.get('/', async () => (await work(), 'ok'));
  t.after(() => app.close());
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), ...counts };
};

for (const [name, serve, count] of [
  ['Express', overExpress, countExpress],
  ['Fastify', overFastify, countFastify],
] as const) {
  describe(`middleware for ${name}`, () => {
    it('refuses with 429, headers and a problem body', async (t) => {
      const request = await serve(t, { rate: '2/hour', key: 'ip', name: 'client' });
      const first = await request('/');
      assert.deepEqual([first.status, first.get('ratelimit-policy')], [200, '"client";q=2;w=3600']);
      assert.match(first.get('ratelimit') ?? '', /^"client";r=1;t=1800$|^"client";r=1;t=179\d$/);
      const [, refused] = [await request('/'), await request('/')];
      assert.equal(refused.status, 429);
      assert.match(refused.get('content-type') ?? '', /^application\/problem\+json/);
      assert.match(refused.get('retry-after') ?? '', /^1(800|79\d)$/);
      assert.deepEqual(refused.json()['violated-policies'], ['client']);
      assert.notEqual((await request('/', 'OPTIONS')).status, 429);
    });

    it('tells who refused, and by which quota', async (t) => {
      const messages: string[] = [];
      const onRefused = (_request: any, response: any, ...rest: any[]) => {
        messages.push(rest[rest.length - 1].message);
        (response.raw ?? response).writeHead(418).end();
      };
      const pro = { tiers: { pro: '1 per 2 hours' }, tier: () => 'pro' };
      const refused = { allowed: false, limit: 1, remaining: 0, retryAfterMs: 1000, resetAfterMs: 1000, delayMs: 0 };
      const own = { check: () => refused };
      const concurrency = new ConcurrencyLimiter({ limit: 1, name: 'work', scope: 'process' });
      concurrency.tryAcquire();
      const cases: [any, string][] = [
        [{ rate: '1/hour', burst: 2, cost: 2 }, 'bucket "default" (1/hour, burst 2) refused 2 tokens'],
        [{ rate: '1/hour', name: 'client', key: 'ip' }, 'limiter "client" (1/hour) refused 1 token'],
        [{ rate: '9/hour', key: 'ip', ...pro }, 'limiter "default" (1 per 2 hour) refused 1 token'],
        [{ rate: '9/s;1/day' }, 'bucket "1/day" (1/day) refused 1 token'],
        [{ rate: () => '1/week', name: 'plan' }, 'bucket "plan" (1/week) refused 1 token'],
        [{ limits: { a: '1/hour', b: '1/day' } }, 'bucket "b" (1/day) refused 1 token'],
        [{ rate: own, name: 'own' }, 'limit "own" refused 1 token'],
      ];
      for (const [options, message] of cases) {
        const told = await serve(t, options);
        await told('/');
        assert.equal((await told('/')).json().detail, `${message}; Retry-After tells when to come back.`);
        const request = await serve(t, { ...options, onRefused });
        await request('/');
        await request('/');
        assert.equal(messages.splice(0).pop(), message);
      }
      // Who tells no quotas in headers tells none in bodies.
      const silent = await serve(t, { rate: '1/hour', headers: false });
      await silent('/');
      assert.equal((await silent('/')).json().detail, 'Too many requests; Retry-After tells when to come back.');
      await (
        await serve(t, { rate: '1/hour', deny: ['127.0.0.1'], onRefused })
      )('/');
      await (
        await serve(t, { concurrency, onRefused })
      )('/');
      assert.equal(messages.shift(), 'a deny list refused the client');
      assert.match(messages.shift() ?? '', /^concurrency limiter "work" \(1 at once\) refused a call/);
    });

    it('tells the quota as it is now', async (t) => {
      const limit = new RateLimiter({ rate: '5/hour' });
      const request = await serve(t, { rate: limit, key: 'ip' });
      assert.equal((await request('/')).get('ratelimit-policy'), '"default";q=5;w=3600');
      limit.setQuota({ rate: '5/minute' });
      assert.equal((await request('/')).get('ratelimit-policy'), '"default";q=5;w=60');
    });

    it('caps the requests under way, and charges none that it does not serve', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 1 });
      const everyone = new TokenBucket({ rate: '10/hour' });
      const request = await serve(t, { rate: everyone, name: 'everyone', concurrency });
      const permit = concurrency.tryAcquire();
      const refused = await request('/');
      assert.deepEqual([refused.status, refused.get('retry-after')], [503, '1']);
      assert.match(refused.get('content-type') ?? '', /^application\/problem\+json/);
      assert.match(refused.json().type, /temporary-reduced-capacity/);
      assert.equal(everyone.peek().remaining, 10);
      permit?.release();
      // Each gives its permit back when its answer is out.
      assert.deepEqual(await statuses(request, '/', 3), [200, 200, 200]);
      assert.equal(everyone.peek().remaining, 7);
      const waiting = await serve(t, { concurrency: { limit: 1, maxWaitMs: 60_000 } });
      const answers = await Promise.all(Array.from({ length: 5 }, () => waiting('/')));
      assert.ok(answers.every(({ status }) => status === 200));
    });

    it('serves nobody without a permit who left while waiting for one', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 1, maxWaitMs: 60_000 });
      const everyone = new TokenBucket({ rate: '100/hour' });
      const { url, served } = await count(t, { rate: everyone, concurrency });
      const permit = concurrency.tryAcquire();
      const leaving = new AbortController();
      const gone = Array.from({ length: 5 }, () => fetch(url, { signal: leaving.signal }).catch(() => undefined));
      await until(() => concurrency.stats().waiting === 5);
      leaving.abort();
      await Promise.all(gone);
      await until(() => concurrency.stats().waiting === 0);
      assert.deepEqual([concurrency.stats().cancelled, everyone.peek().remaining], [5, 100]);
      permit?.release();
      // Whoever stays is served, one after the other.
      const statuses = await Promise.all(Array.from({ length: 3 }, async () => (await fetch(url)).status));
      assert.deepEqual([statuses, served()], [[200, 200, 200], { requests: 3, most: 1 }]);
      await until(() => concurrency.stats().inUse === 0);
    });

    it('serves nobody without a permit who left while a key was looked up', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 1 });
      let asked = 0;
      let found = (_key: string) => {};
      const key = () => (asked++ === 0 ? new Promise<string>((resolve) => (found = resolve)) : 'k');
      const { url, served, closed } = await count(t, { rate: '100/hour', key, concurrency });
      const leaving = new AbortController();
      const gone = fetch(url, { signal: leaving.signal }).catch(() => undefined);
      await until(() => asked === 1);
      leaving.abort();
      await gone;
      await until(() => closed() === 1);
      found('k');
      await until(() => concurrency.stats().inUse === 0);
      assert.equal((await fetch(url)).status, 200);
      assert.deepEqual(served(), { requests: 1, most: 1 });
      await until(() => concurrency.stats().inUse === 0);
    });

    it('takes several limits, all or nothing', async (t) => {
      const everyone = new TokenBucket({ rate: '10/hour' });
      const limits = new LimitSet({ user: new RateLimiter({ rate: '1/hour' }), everyone });
      const request = await serve(t, {
        limits: { user: { rate: limits.members.user, key: firstOf(header('x-user'), 'ip') }, everyone },
        legacyHeaders: true,
      });
      assert.deepEqual(await statuses(request, '/', 3, 'GET', { 'x-user': 'ann' }), [200, 429, 429]);
      assert.equal(everyone.peek().remaining, 9);
      assert.equal((await request('/', 'GET', { 'x-user': 'ben' })).get('x-ratelimit-remaining'), '0');
    });

    it('waits for keys and costs that are promises, and passes their errors on', async (t) => {
      const request = await serve(t, {
        rate: '5/hour',
        key: async (request: any) =>
          request.headers['x-user'] === 'broken' ? Promise.reject(new Error('no user')) : 'u',
        cost: async () => 2,
      });
      assert.deepEqual(await statuses(request, '/', 3), [200, 200, 429]);
      assert.equal((await request('/', 'GET', { 'x-user': 'broken' })).status, 500);
    });

    it('gives back what was not meant to count', async (t) => {
      const request = await serve(t, { rate: '2/hour', key: 'ip', refundOn: (status) => status < 400 });
      const login = (password: string, count: number) =>
        statuses(request, `/login?password=${password}`, count, 'POST');
      assert.deepEqual(await login('right', 4), [200, 200, 200, 200]);
      assert.deepEqual(await login('wrong', 3), [401, 401, 429]);
    });

    it('knows clients behind a trusted proxy, and lists', async (t) => {
      const request = await serve(t, {
        rate: '1/hour',
        key: 'ip',
        client: { trusted: ['loopback'], header: 'forwarded' },
        allow: ['192.0.2.7'],
        deny: ['198.51.100.0/24'],
      });
      const from = (forwarded: string, count: number) => statuses(request, '/', count, 'GET', { forwarded });
      assert.deepEqual(await from('for="[2001:db8::1]:4711"', 2), [200, 429]);
      assert.deepEqual(await from('for=192.0.2.7', 3), [200, 200, 200]);
      assert.deepEqual(await from('for=198.51.100.9', 1), [403]);
    });

    it('lets the application answer', async (t) => {
      const seen: string[][] = [];
      const request = await serve(t, {
        rate: '1/hour',
        onRefused: (_request: any, response: any, ...rest: any[]) => {
          seen.push(rest[rest.length - 1].policies);
          (response.raw ?? response).writeHead(418).end();
        },
      });
      assert.deepEqual(await statuses(request, '/', 2), [200, 418]);
      assert.deepEqual(seen, [['default']]);
    });
  });
}

describe('middleware for Express', () => {
  it('charges a request once, wherever the same limit stands', async (t) => {
    const bucket = new TokenBucket({ rate: '10/hour' });
    const limit = rateLimit(bucket);
    const app = express();
    app.use(limit);
    app.get('/', limit, (_request, response) => void response.end());
    const server = app.listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    await requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)('/');
    assert.equal(bucket.peek().remaining, 9);
  });

  it('lets the usual paths pass of the whole application, and none below a mount', async (t) => {
    const inner = express();
    inner.use(rateLimit('1/hour'));
    inner.get('/healthz', (_request, response) => void response.end());
    const app = express();
    app.use('/search', rateLimit('1/hour'), (_request, response) => void response.end());
    const router = express.Router();
    router.use(rateLimit({ rate: '1/hour', exempt: ['/readyz'] }));
    router.get('/:name', (_request, response) => void response.end());
    app.use('/own', router);
    app.use('/inner', inner);
    app.use(rateLimit('1/hour'));
    app.get('/healthz', (_request, response) => void response.end());
    const server = app.listen(0, '127.0.0.1');
    t.after(() => (server.close(), server.closeAllConnections()));
    await new Promise((resolve) => server.once('listening', resolve));
    const request = requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    // Whoever serves '/search' takes it for a search.
    assert.deepEqual(await statuses(request, '/search/healthz', 2), [200, 429]);
    assert.deepEqual(await statuses(request, '/search/healthz?q=all', 1), [429]);
    // What is said is without the mount, and what is not said is not meant.
    assert.deepEqual(await statuses(request, '/own/readyz', 2), [200, 200]);
    assert.deepEqual(await statuses(request, '/own/healthz', 2), [200, 429]);
    assert.deepEqual(await statuses(request, '/inner/healthz', 2), [200, 429]);
    assert.deepEqual(await statuses(request, '/healthz', 2), [200, 200]);
  });

  it("works on Node's own server", async (t) => {
    const limit = rateLimit('1/hour');
    const server = createServer((request, response) => limit(request, response, () => response.end('ok')));
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const request = requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
  });

  it('shows at once where an option is wrong', () => {
    assert.throws(() => rateLimit({} as any), { name: 'RangeError', message: /needs a rate/ });
    assert.throws(() => rateLimit({ rate: 'often' }), { name: 'RangeError', message: /"often" is not a rate/ });
    assert.throws(() => rateLimit({ rate: '1/s', keys: 'ip' } as any), {
      name: 'RangeError',
      message: /no option 'keys'/,
    });
    assert.throws(() => rateLimit({ rate: '1/s', key: 'address' } as any), {
      name: 'TypeError',
      message: /'ip', 'user', 'route'/,
    });
    assert.throws(() => rateLimit({ rate: '1/s', limits: {} } as any), { name: 'RangeError', message: /not both/ });
    assert.throws(() => rateLimit({ rate: '1/s', jitter: 2 }), { name: 'RangeError', message: /jitter/ });
    assert.throws(() => rateLimit({ rate: '1/s', client: { trusted: ['proxy.example'] } }), {
      name: 'RangeError',
      message: /trusted/,
    });
    assert.throws(() => rateLimit({ rate: '1/s', deny: ['10.0.0.1/8'] }), { name: 'RangeError', message: /deny/ });
    assert.throws(() => rateLimit({ rate: new TokenBucket({ rate: 1 }), key: 'ip' }), {
      name: 'RangeError',
      message: /one for everybody/,
    });
    assert.throws(() => rateLimit({ rate: new TokenBucket({ rate: 1 }), burst: 5 }), {
      name: 'RangeError',
      message: /leave burst out/,
    });
    assert.throws(() => rateLimit({ rate: '1/s', key: 'ip', tier: () => 'pro' }), {
      name: 'RangeError',
      message: /'tiers'/,
    });
    const none = { limits: [null] } as any;
    assert.throws(() => rateLimit(none), { name: 'TypeError', message: /each of limits must be.*got null/ });
    assert.throws(() => rateLimit({ rate: '5/s;' }), { name: 'RangeError', message: /'5\/s;' holds an empty one/ });
    for (const name of ['', 'x y', 'x-key:', 'schlüssel']) {
      const wrong = { name: 'TypeError', message: /a field name such as/ };
      assert.throws(() => rateLimit({ rate: '1/s', key: `header:${name}` }), wrong);
    }
    for (const concurrency of [5, null, 'many'] as any[]) {
      const wrong = { name: 'TypeError', message: /^concurrency must be a ConcurrencyLimiter or its settings/ };
      assert.throws(() => rateLimit({ concurrency }), wrong);
    }
  });

  it('counts by address where the number of a user is none', async (t) => {
    const app = express();
    const key = (asked: any) => Number(asked.headers['x-user']);
    app.use(rateLimit({ rate: '1/hour', key, client: { trusted: ['loopback'] } }));
    app.get('/', (_request, response) => void response.end());
    const server = app.listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const request = requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const from = (address: string) => statuses(request, '/', 2, 'GET', { 'x-forwarded-for': address, 'x-user': 'ann' });
    assert.deepEqual(
      [await from('192.0.2.1'), await from('192.0.2.2')],
      [
        [200, 429],
        [200, 429],
      ],
    );
  });

  it('takes only a whole decision from a limit of its own', async (t) => {
    const whole = { allowed: true, limit: 5, remaining: 4, retryAfterMs: 0, resetAfterMs: 1000 };
    const rubbish = { limit: undefined, remaining: -1, retryAfterMs: NaN, resetAfterMs: '5', delayMs: Infinity };
    for (const [wrong, value] of Object.entries(rubbish)) {
      const limit = rateLimit({ rate: { check: () => ({ ...whole, [wrong]: value }) } as any });
      const failed = await new Promise<any>((resolve) => limit({ method: 'GET' } as any, {} as any, resolve));
      assert.match(failed.message, new RegExp(`a decision whose ${wrong} is`), wrong);
    }
    const serve = (options: any) => overExpress(t, options);
    assert.equal((await (await serve({ rate: { check: () => whole } as any }))('/')).status, 200);
  });
});

describe('the Fastify plugin', () => {
  it("takes a route's own limits, and leaves routes out", async (t) => {
    const clock = new ManualClock();
    const app = Fastify();
    await app.register(tidegate, { limits: { everywhere: { rate: '3/hour', clock } } });
    app.get('/', async () => 'ok');
    app.get('/own', { config: { tidegate: { rate: '1/hour', name: 'own', key: 'route', clock } } }, async () => 'own');
    app.get('/instead', { config: { tidegate: { rate: '9/hour', name: 'everywhere', clock } } }, async () => 'instead');
    app.get('/health', { config: { tidegate: false } }, async () => 'well');
    t.after(() => app.close());
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    assert.equal((await request('/own')).get('ratelimit-policy'), '"own";q=1;w=3600, "everywhere";q=3;w=3600');
    assert.deepEqual(await statuses(request, '/own', 1), [429]);
    assert.equal((await request('/instead')).get('ratelimit-policy'), '"everywhere";q=9;w=3600');
    assert.deepEqual(await statuses(request, '/', 3), [200, 200, 429]);
    assert.deepEqual(await statuses(request, '/nowhere', 1), [429], 'what is not there is limited as well');
    assert.deepEqual(await statuses(request, '/health', 5), [200, 200, 200, 200, 200]);
  });

  it('can decide after authentication', async (t) => {
    const app = Fastify();
    await app.register(tidegate, { rate: '1/hour', key: 'user', hook: 'preHandler' });
    app.addHook('preValidation', async (request) => void ((request as any).user = { id: request.headers['x-user'] }));
    app.get('/', async () => 'ok');
    t.after(() => app.close());
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    for (const user of ['ann', 'ben'])
      assert.deepEqual(await statuses(request, '/', 2, 'GET', { 'x-user': user }), [200, 429]);
  });

  it('shows at once where an option is wrong', async () => {
    const register = async (options: any) => {
      await Fastify().register(tidegate, options);
    };
    await assert.rejects(register({ hook: 'onSend' }), { name: 'RangeError', message: /hook must be one of/ });
    await assert.rejects(register({ rate: 'often' }), { name: 'RangeError' });
  });
});

describe('overload', () => {
  it('has a /readyz in Express and Fastify', async (t) => {
    const source = { pressure: 0 };
    const ready = new Readiness(source, { afterMs: 0 });
    const app = express();
    app.get('/readyz', ready.handler);
    const server = app.listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const other = Fastify();
    other.get('/readyz', ready.handler);
    t.after(() => other.close());
    const requests = [
      requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
      requester(await other.listen({ port: 0, host: '127.0.0.1' })),
    ];
    for (const [pressure, status] of [[0, 200], [1, 503], [0.5, 200]] as const) {
      source.pressure = pressure;
      for (const request of requests) {
        const answer = await request('/readyz');
        assert.deepEqual([answer.status, answer.json()], [status, { ready: status === 200 }]);
        assert.deepEqual(await statuses(request, '/readyz', 1, 'HEAD'), [status]);
      }
    }
  });

  it('is that of a part of the application in Fastify', async (t) => {
    const app = Fastify();
    const limiters = { '/chart': new ConcurrencyLimiter({ limit: 1 }), '/page': new ConcurrencyLimiter({ limit: 1 }) };
    for (const [path, concurrency] of Object.entries(limiters)) {
      await app.register(async (part) => {
        await part.register(tidegate, { concurrency });
        part.get(path, async () => 'ok');
      });
    }
    t.after(() => app.close());
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    const permit = limiters['/chart'].tryAcquire();
    assert.deepEqual([await statuses(request, '/chart', 1), await statuses(request, '/page', 1)], [[503], [200]]);
    permit?.release();
    assert.deepEqual(await statuses(request, '/chart', 1), [200]);
  });
});
