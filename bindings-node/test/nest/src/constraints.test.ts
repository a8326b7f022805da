// Routes of Fastify that differ only in their constraints.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Fastify from 'fastify';
import tidegate from 'tidegate/fastify';

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
