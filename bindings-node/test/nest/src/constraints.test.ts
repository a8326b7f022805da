// Routes of Fastify that differ only in their constraints.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
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

/** A Fastify that was made before tidegate/fastify was loaded, which nothing tells of its routes. */
function unheard() {
  const channel = diagnostics.channel('fastify.initialization');
  const publish = channel.publish.bind(channel);
  Object.defineProperty(channel, 'publish', { value: () => {}, configurable: true });
  try {
    return Fastify();
  } finally {
    Object.defineProperty(channel, 'publish', { value: publish, configurable: true });
  }
}

describe('routes of Fastify that its plugin did not hear of', () => {
  const limits = { 'of its own': [{}, '1/hour'], 'by route': [{ rate: '9/hour', key: 'route' }, undefined] } as const;
  for (const [what, [everywhere, own]] of Object.entries(limits)) {
    it(`and that differ only in their constraints have one limit ${what}, which is said once`, async (t) => {
      const build = async (make: () => FastifyInstance, awaited: boolean) => {
        const app = make();
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
      const ask = await build(unheard, false);
      const said = await warnings(ask);
      assert.equal(said.length, 1);
      const text = /^the routes GET,PUT \/a\/:id\(\^\\d\+\$\)\/x differ only in .* write await app\.register/;
      assert.match(said[0] ?? '', text);
      assert.deepEqual(await warnings(ask), []);
      assert.deepEqual(await warnings(await build(unheard, true)), []);
      assert.deepEqual(await warnings(await build(Fastify, false)), []);
    });
  }
});

describe('a mistake in the config of a route of Fastify', () => {
  const mistakes: Record<string, [any, RegExp]> = {
    'a rate': ['2/fortnight', /rate: "fortnight" is not a unit/],
    'an option': [{ rate: '1/hour', nope: 1 }, /config\.tidegate has no option 'nope'/],
    'what is for all routes': [{ concurrency: { limit: 1 } }, /concurrency: it is one for all routes/],
  };
  for (const [what, [own, message]] of Object.entries(mistakes)) {
    for (const awaited of [true, false]) {
      it(`is told at the start: ${what}, ${awaited ? 'with' : 'without'} await`, async (t) => {
        const app = Fastify();
        t.after(() => app.close());
        const registered = app.register(tidegate, { rate: '5/hour' });
        if (awaited) await registered;
        await assert.rejects(
          async () => {
            app.get('/s', { config: { tidegate: own } }, async () => 'ok');
            await app.ready();
          },
          { message },
        );
      });
    }
  }

  it('is told at the start: a context that was registered before the limits', async (t) => {
    const routes = (own: any) => async (context: FastifyInstance) => {
      context.get('/s', { config: { tidegate: own } }, async () => 'ok');
    };
    for (const own of ['1/hour', undefined, false]) {
      const app = Fastify();
      t.after(() => app.close());
      app.register(routes(own));
      app.register(tidegate, { rate: '5/hour' });
      if (own !== '1/hour') await app.ready();
      else await assert.rejects(async () => app.ready(), /config\.tidegate of GET \/s: .* tidegate\/fastify first/);
    }
    const app = Fastify();
    t.after(() => app.close());
    // One that has limits of its own, and one that is registered between two of them.
    app.register(async (context) => {
      await context.register(tidegate, {});
      await routes('1/hour')(context);
    });
    app.register(tidegate, { name: 'one', rate: '5/hour' });
    app.register(async (context) => routes('2/hour')(context), { prefix: '/two' });
    app.register(tidegate, { name: 'other', rate: '5/hour' });
    await app.ready();
    const ask = async (url: string, n: number) => {
      const seen = [];
      for (let i = 0; i < n; i += 1) seen.push((await app.inject({ url })).statusCode);
      return seen;
    };
    assert.deepEqual(await ask('/s', 2), [200, 429]);
    assert.deepEqual(await ask('/two/s', 3), [200, 200, 429]);
  });
});

describe('a route of Fastify that asks for limits where nobody has registered them', () => {
  const route = (context: FastifyInstance, own: any) =>
    void context.get('/s', { config: { tidegate: own } }, async () => 'ok');
  const around: Record<string, (app: FastifyInstance, own: any) => void> = {
    nowhere: (app, own) => route(app, own),
    'in a context beside it': (app, own) => {
      app.register(async (inner) => void (await inner.register(tidegate, { rate: '5/hour' })));
      app.register(async (inner) => route(inner, own));
    },
    'in a plugin of one’s own': (app, own) => {
      app.register(async (inner) => void (await inner.register(tidegate, { rate: '5/hour' })));
      route(app, own);
    },
  };
  for (const [where, make] of Object.entries(around)) {
    it(`stops the start: ${where}`, async (t) => {
      for (const own of ['1/hour', { rate: '1/hour' }]) {
        const app = Fastify();
        t.after(() => app.close());
        make(app, own);
        await assert.rejects(async () => app.listen({ port: 0 }), {
          message: /^config\.tidegate of GET \/s: .*not registered in the context of this route.*register it there/,
        });
      }
      for (const own of [undefined, false]) {
        const app = Fastify();
        t.after(() => app.close());
        make(app, own);
        assert.equal((await app.inject('/s')).statusCode, 200);
      }
    });
  }

  it('does not stop one whose limits are registered around it', async (t) => {
    const app = Fastify();
    t.after(() => app.close());
    app.register(tidegate, {});
    app.register(async (inner) => inner.register(async (innermost) => route(innermost, '1/hour')));
    assert.equal((await app.inject('/s')).statusCode, 200);
    assert.equal((await app.inject('/s')).statusCode, 429);
  });
});

describe('one route of Fastify', () => {
  it('is one version, host and custom constraint', async (t) => {
    for (const tidegateOwn of ['1/hour', { rate: '1/hour', key: 'route' }] as const) {
      for (const [everywhere, awaited] of [
        [{}, true],
        [{}, false],
        [{ rate: '1/hour', name: 'all', key: 'route' }, true],
        [{ rate: '1/hour', name: 'all', key: 'route' }, false],
      ] as const) {
        const app = Fastify();
        const storage = () => {
          const kept: Record<string, any> = {};
          return { get: (key: any) => kept[key] ?? null, set: (key: any, value: any) => void (kept[key] = value) };
        };
        const deriveConstraint = (asked: any) => asked.headers['x-area'];
        app.addConstraintStrategy({ name: 'area', storage, deriveConstraint, validate() {} } as any);
        const registered = app.register(tidegate, everywhere as any);
        if (awaited) await registered;
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
