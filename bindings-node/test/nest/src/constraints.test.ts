// Routes of Fastify that differ only in their constraints.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import Fastify from 'fastify';
import tidegate from 'tidegate/fastify';

/** What `run` warns of. */
async function warnings(run: () => Promise<unknown>) {
  const heard: string[] = [];
  const hear = ({ message }: Error) => void heard.push(message);
  process.on('warning', hear);
  await run();
  // Warnings are told in a later turn.
  await setImmediate();
  process.off('warning', hear);
  return heard;
}

describe('routes of Fastify that its plugin did not hear of', () => {
  const limits = { 'of its own': [{}, '1/hour'], 'by route': [{ rate: '9/hour', key: 'route' }, undefined] } as const;
  for (const [what, [everywhere, own]] of Object.entries(limits)) {
    it(`and that differ only in their constraints have one limit ${what}, which is said once`, async (t) => {
      const build = async (awaited: boolean) => {
        const app = Fastify();
        const registered = app.register(tidegate, everywhere as any);
        if (awaited) await registered;
        app.register(
          async (scope) => {
            for (const version of ['1.0.0', '2.0.0']) {
              scope.get('/', { constraints: { version }, config: { tidegate: false } }, async () => 'heard');
            }
          },
          { prefix: '/v' },
        );
        for (const version of ['1.0.0', '2.0.0']) {
          const config: any = own === undefined ? {} : { tidegate: own };
          const route = { method: ['GET', 'PUT'] as any, url: '/a/:id(^\\d+$)/x', constraints: { version } };
          app.route({ ...route, config, handler: async () => 'ok' });
        }
        app.get('/a', { config: { tidegate: '9/hour' } }, async () => 'ok');
        t.after(() => app.close());
        await app.ready();
        return async () => {
          for (const url of ['/a', '/v', '/v/', '/a/1/x', '/a/1/x']) {
            await app.inject({ url, headers: { 'accept-version': '1.0.0' } });
          }
        };
      };
      const ask = await build(false);
      const said = await warnings(ask);
      assert.equal(said.length, 1);
      const text = /^the routes GET,PUT \/a\/:id\(\^\\d\+\$\)\/x differ only in .* write await app\.register/;
      assert.match(said[0] ?? '', text);
      assert.deepEqual(await warnings(ask), []);
      assert.deepEqual(await warnings(await build(true)), []);
    });
  }
});

describe('one route of Fastify', () => {
  it('is one version, host and custom constraint', async (t) => {
    for (const tidegateOwn of ['1/hour', { rate: '1/hour', key: 'route' }] as const) {
      for (const everywhere of [{}, { rate: '1/hour', name: 'all', key: 'route' }]) {
        const app = Fastify();
        const storage = () => {
          const kept: Record<string, any> = {};
          return { get: (key: any) => kept[key] ?? null, set: (key: any, value: any) => void (kept[key] = value) };
        };
        const deriveConstraint = (asked: any) => asked.headers['x-area'];
        app.addConstraintStrategy({ name: 'area', storage, deriveConstraint, validate() {} } as any);
        await app.register(tidegate, everywhere as any);
        const config = { tidegate: tidegateOwn };
        const versions = [{ version: '1.0.0' }, { version: '2.0.0' }];
        const hosts = [{ host: /^a\./ }, { host: 'b.test' }];
        for (const constraints of [...versions, ...hosts, { area: 'x' }, { area: 'y' }] as any[]) {
          app.get('/', { constraints, config }, async () => 'ok');
        }
        t.after(() => app.close());
        await app.ready();
        const asked = [
          { 'accept-version': '1.0.0' },
          { 'accept-version': '2.x' },
          { host: 'a.test' },
          { host: 'b.test' },
          { 'x-area': 'x' },
          { 'x-area': 'y' },
        ];
        const ask = async (method: 'GET' | 'HEAD') => {
          const seen = [];
          for (const headers of asked as any[]) seen.push((await app.inject({ method, url: '/', headers })).statusCode);
          return seen;
        };
        assert.deepEqual(await ask('GET'), Array(6).fill(200));
        assert.deepEqual(await ask('HEAD'), Array(6).fill(429), 'a HEAD is its GET');
        assert.deepEqual(await ask('GET'), Array(6).fill(429));
      }
    }
  });
});
