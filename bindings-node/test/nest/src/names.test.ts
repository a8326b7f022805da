// Names of limits in a named scope, where one name is one object: Express and Fastify. Nest's: refusals.test.ts.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import { TokenBucket } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import { requester, statuses } from './request.js';

let count = 0;
const fresh = () => `process:names-${process.pid}-${(count += 1)}` as const;
const CONFLICTS = [undefined, 'error', 'keep', 'apply'] as const;
const wrong = (message: RegExp) => ({ name: 'RangeError', code: 'ERR_INVALID_ARG_VALUE', message });

/** An application as a process of the service makes it. */
async function onExpress(t: TestContext, prepare: (app: express.Express) => void) {
  const app = express();
  prepare(app);
  const server = app.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function onFastify(t: TestContext, awaited: boolean, options: any, routes: Record<string, any>) {
  const app = Fastify();
  t.after(() => app.close());
  const registered = app.register(tidegate, options);
  if (awaited) await registered;
  for (const [url, own] of Object.entries(routes)) app.get(url, { config: { tidegate: own } }, async () => 'ok');
  return requester(await app.listen({ port: 0, host: '127.0.0.1' }));
}

const SHARED = { name: 'client', rate: '5/hour', key: 'ip' } as const;
const STRICT = { name: 'client', rate: '2/hour', key: 'ip' } as const;

describe('a name that Express declares twice in a scope', () => {
  const twice: Record<string, [any, any, RegExp]> = {
    'with another rate': [SHARED, STRICT, /'client' is the limit \{ rate: '5\/hour' \} per key already/],
    'without a key': [{ ...SHARED, key: undefined }, SHARED, /'5\/hour' \} already.* \{ rate: '5\/hour' \} per key/],
    'with another size': [SHARED, { ...SHARED, maxKeys: 10 }, /\{ maxKeys: 10, rate: '5\/hour' \} per key another/],
    'among several': [SHARED, { limits: { first: '9/hour', client: '2/hour' } }, /'client' is .* '2\/hour'/],
    'as one of several rates': [
      { ...SHARED, rate: '5/hour;9/day' },
      { ...SHARED, name: 'client:1' },
      /'client:1' is the limit \{ rate: '5\/hour' \} per key, made of the name 'client' already/,
    ],
    'of requests under way': [
      { concurrency: { limit: 2, name: 'work' } },
      { concurrency: { limit: 3, name: 'work' } },
      /'work' is the concurrency limiter \{ limit: 2 \} already/,
    ],
  };
  for (const [what, [first, second, message]] of Object.entries(twice)) {
    it(`${what} is an error at the start, whatever onConflict says`, () => {
      for (const onConflict of CONFLICTS) {
        const scope = fresh();
        rateLimit({ scope, onConflict, ...first });
        assert.throws(() => rateLimit({ scope, onConflict, ...second }), wrong(message));
        // Nothing of it has been declared, and nothing changed.
        rateLimit({ scope, onConflict, ...first });
      }
    });
  }

  it('is one object where it is the same: several routers, mounts and applications', async (t) => {
    const scope = fresh();
    const limit = (rate: string) => rateLimit({ ...SHARED, rate, scope });
    const own = (rate: string) => (app: express.Express) => {
      const router = express.Router();
      router.get('/', limit(rate), (_request, response) => void response.json(1));
      app.use('/a', router);
      app.use('/b', router);
    };
    const [one, other] = [await onExpress(t, own('5/hour')), await onExpress(t, own('5 per 60 min'))];
    assert.deepEqual(await statuses(one, '/a', 2), [200, 200]);
    assert.deepEqual(await statuses(one, '/b', 1), [200]);
    assert.deepEqual(await statuses(other, '/a', 3), [200, 200, 429]);
  });

  it('is known where TIDEGATE_SCOPE says the scope, and private where nothing does', async (t) => {
    t.after(() => delete process.env.TIDEGATE_SCOPE);
    process.env.TIDEGATE_SCOPE = fresh();
    rateLimit(SHARED);
    assert.throws(() => rateLimit(STRICT), wrong(/in process:names-.* 'client' is the limit/));
    delete process.env.TIDEGATE_SCOPE;
    const request = await onExpress(t, (app) => {
      app.get('/login', rateLimit(STRICT), (_request, response) => void response.json(1));
      app.use(rateLimit(SHARED));
      app.get('/', (_request, response) => void response.json(1));
    });
    assert.deepEqual(await statuses(request, '/login', 3), [200, 200, 429]);
    assert.deepEqual(await statuses(request, '/', 6), [200, 200, 200, 200, 200, 429]);
  });

  it('is an error beside an object that the application has made itself', () => {
    const scope = fresh();
    const bucket = new TokenBucket({ name: 'client', scope, rate: '5/hour' });
    const message = wrong(/'client' is an object of this process with other settings already/);
    assert.throws(() => rateLimit({ name: 'client', scope, rate: '2/hour' }), message);
    rateLimit({ name: 'client', scope, rate: '5/hour' });
    assert.equal(bucket.quota.count, 5);
  });
});

for (const awaited of [true, false]) {
  describe(`limits of Fastify's routes in a scope, registered ${awaited ? 'with' : 'without'} await`, () => {
    it('are objects of their own, whatever their names, and one for all processes', async (t) => {
      for (const onConflict of CONFLICTS) {
        const place = { scope: fresh(), onConflict };
        const routes = {
          '/login': { ...STRICT, ...place },
          '/signup': { ...STRICT, rate: '3/hour', ...place },
          // Without a name: called after its route.
          '/:id/mail': { rate: '1/hour', ...place },
          '/several': { limits: { client: '2/hour;9/day' }, ...place },
          '/': undefined,
        };
        const processes = [1, 2].map(() => onFastify(t, awaited, { ...SHARED, ...place }, routes));
        const [one, other] = (await Promise.all(processes)) as [any, any];
        assert.deepEqual(await statuses(one, '/login', 1), [200], onConflict);
        assert.deepEqual(await statuses(other, '/login', 2), [200, 429], onConflict);
        assert.deepEqual(await statuses(one, '/signup', 4), [200, 200, 200, 429], onConflict);
        assert.deepEqual(await statuses(one, '/several', 3), [200, 200, 429], onConflict);
        assert.deepEqual(await statuses(other, '/1/mail', 1), [200], onConflict);
        assert.deepEqual(await statuses(one, '/2/mail', 1), [429], onConflict);
        // The limit of all routes has been asked at that of the mail alone, once.
        assert.deepEqual(await statuses(one, '/', 2), [200, 200], onConflict);
        assert.deepEqual(await statuses(other, '/', 3), [200, 200, 429], onConflict);
      }
    });

    it('are the same in each context that registers the plugin with the same options', async (t) => {
      const place = { scope: fresh() };
      const app = Fastify();
      t.after(() => app.close());
      for (const prefix of ['/a', '/b']) {
        app.register(
          async (context) => {
            const registered = context.register(tidegate, { ...SHARED, ...place });
            if (awaited) await registered;
            context.get('/', async () => 'ok');
            context.get('/own', { config: { tidegate: { ...STRICT, ...place } } }, async () => 'ok');
          },
          { prefix },
        );
      }
      const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
      assert.deepEqual(await statuses(request, '/a', 3), [200, 200, 200]);
      assert.deepEqual(await statuses(request, '/b', 3), [200, 200, 429]);
      assert.deepEqual(await statuses(request, '/a/own', 3), [200, 200, 429]);
      assert.deepEqual(await statuses(request, '/b/own', 3), [200, 200, 429]);
    });

    it('fail the start where two applications differ in them, and may differ once one has ended', async (t) => {
      const place = { scope: fresh() };
      const start = async (options: any, own: any) => {
        const app = Fastify();
        const registered = app.register(tidegate, options);
        const add = () => app.get('/login', { config: { tidegate: own } }, async () => 'ok');
        t.after(() => app.close());
        if (awaited) await registered;
        add();
        await app.ready();
        return app;
      };
      const first = await start({ ...SHARED, ...place }, { ...STRICT, ...place });
      const strict = start({ ...STRICT, ...place }, undefined);
      await assert.rejects(strict, wrong(/'client' is the limit \{ rate: '5\/hour' \}/));
      const other = start({}, { ...STRICT, rate: '3/hour', ...place });
      await assert.rejects(other, wrong(/'2\/hour' \} per key.* \(config\.tidegate of GET \/login\) already/));
      await first.close();
      await start({ ...STRICT, ...place }, { ...SHARED, ...place });
    });
  });
}
