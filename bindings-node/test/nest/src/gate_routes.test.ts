// How single routes ask a gate: Fastify's config, Nest's decorators, middleware of one route; how it refuses them.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect as connect2, createServer as createServer2 } from 'node:http2';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type ArgumentsHost, Catch, Controller, Get, Injectable, Post, type Type, UseFilters } from '@nestjs/common';
import { ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import Fastify from 'fastify';
import Koa from 'koa';
import { firstValueFrom } from 'rxjs';
import {
  type Admission,
  BoundedQueue,
  CircuitBreaker,
  ConcurrencyLimiter,
  Gate as TheGate,
  Policy,
  RateLimiter,
} from 'tidegate';
import { admit } from 'tidegate/express';
import tidegate, { admit as admitFastify } from 'tidegate/fastify';
import { admit as admitKoa } from 'tidegate/koa';
import { Admitted, Gate, InjectGate, RateLimit, SkipRateLimit, TidegateModule, getBreakerToken } from 'tidegate/nest';
import './alone.js';
import { ADAPTERS, type Adapter, start } from './app.js';
import { oneForLive } from './full.js';
import { requester, statuses } from './request.js';

/** Its types need those of Koa. */
const { Router } = createRequire(join(process.cwd(), 'package.json'))('@koa/router');

async function listen(t: TestContext, server: any) {
  t.after(() => {
    server.close();
    server.closeAllConnections?.();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const asking = async (t: TestContext, listener: any) =>
  requester(`http://127.0.0.1:${await listen(t, createServer(listener))}`);

function parts(rate = '9/hour') {
  const client = new RateLimiter({ rate });
  const database = new ConcurrencyLimiter({ limit: 2 });
  const payment = new CircuitBreaker('payment', { consecutiveFailures: 1 });
  const access = { deny: ['key:eve'] };
  const gate = new TheGate('orders', {
    limits: { client },
    concurrency: { database },
    dependencies: { payment },
    access,
  });
  return { gate, database, payment, left: (key: string) => client.peek(key).remaining };
}
const key = 'header:x-user' as const;
const as = (user: string) => ['GET', { 'x-user': user }] as const;

describe('a gate before single routes', () => {
  it('of Express is asked once, where it stands first', async (t) => {
    const { gate, left } = parts();
    const app = express();
    app.use('/orders', admit(gate, { key, cost: 2 }));
    app.get(
      '/orders/:id',
      admit(gate, { key, cost: 5 }),
      (request, response) => void response.send(`${request.admission?.remaining}`),
    );
    const request = await asking(t, app);
    assert.equal((await request('/orders/7', ...as('ann'))).text, '7');
    assert.equal(left('ann'), 7);
    // Below a mount a path may be that of anything.
    assert.equal((await request('/orders/healthz', ...as('ann'))).text, '5');
  });

  it('of Express knows routes in any spelling, whole ones', async (t) => {
    const { gate, left } = parts('99/hour');
    const app = express();
    app.use('/api', admit(gate, { key, cost: { 'GET /api/users/{id}': 3, '* /api/reports/*': 5 } }));
    app.use((_request, response) => void response.end());
    const request = await asking(t, app);
    const costs: [string, number][] = [
      ['/api/users/7', 3],
      ['/API/Users/7/', 3],
      ['/api/users/7/8', 1],
      ['/api/reports', 5],
      ['/api/Reports/a/b?c', 5],
    ];
    for (const [path, cost] of costs) {
      const before = left('ann');
      await request(path, ...as('ann'));
      assert.equal(before - left('ann'), cost, path);
    }
  });

  it('of Express knows the partition of a request, by route or by a function', async (t) => {
    const gate = new TheGate('orders', { concurrency: { database: oneForLive(t) } });
    const app = express();
    app.use('/by/:what', (request, response, next) => {
      const byRoute = { 'GET /by/route/live': 'live', '* /by/route/jobs/*': 'batch' };
      const partition = request.params.what === 'route' ? byRoute : (asked: any) => asked.get('x-partition');
      admit(gate, { partition })(request, response, next);
    });
    app.use((_request, response) => void response.end());
    const request = await asking(t, app);
    assert.equal((await request('/by/route/jobs/7')).status, 503);
    assert.equal((await request('/by/route/live')).status, 200);
    const partition = (name: string) => request('/by/header', 'GET', { 'x-partition': name });
    assert.equal((await partition('batch')).status, 503);
    assert.equal((await partition('live')).status, 200);
    assert.equal((await partition('urgent')).status, 500);
    assert.throws(() => admit(gate, { partition: 'urgent' }), /partition/);
    assert.throws(() => admit(gate, { partition: { 'GET /': 'urgent' } }), /partition/);
    assert.throws(() => admit(new TheGate('bare', {}), { partition: 'live' }), /partition: it is one of a concurrency/);
  });

  it('knows routes of others in each spelling that their routers take', async (t) => {
    const escapes: [string, number][] = [
      ['/%6Frders', 5],
      ['/users/a%2Fb?c', 3],
      ['/caf%C3%A9', 2],
      ['/%256Frders', 1],
      ['/orders%2F7', 1],
    ];
    const folded: [string, number][] = [...escapes, ['/Orders/', 5], ['/%4Frders', 5]];
    const loose: [string, number][] = [...folded, ['//orders', 5], ['/orders;x', 5], ['/%6Frders/;%zz', 5]];
    // A plugin's route `/` takes both, and parameters of find-my-way may be empty.
    const strict: [string, number][] = [...escapes, ['/orders/', 5], ['/users/', 3], ['/Orders', 1], ['//orders', 1]];
    const cost = { 'POST /orders': 5, 'POST /users/{id}': 3, 'POST /caf%C3%A9': 2 };
    const costing = async (request: ReturnType<typeof requester>, { left }: any, costs: [string, number][]) => {
      for (const [path, each] of costs) {
        const before = left('ann');
        await request(path, 'POST', { 'x-user': 'ann' });
        assert.equal(before - left('ann'), each, path);
      }
    };
    const routerOptions = {
      caseSensitive: false,
      ignoreTrailingSlash: true,
      ignoreDuplicateSlashes: true,
      useSemicolonDelimiter: true,
    };
    const options: [any, [string, number][]][] = [
      [{}, strict],
      [{ routerOptions }, loose],
    ];
    for (const [told, costs] of options) {
      const own = parts('99/hour');
      const app = Fastify(told);
      t.after(() => app.close());
      await app.register(admitFastify, { gate: own.gate, key, cost });
      for (const path of ['/users/:id', '/café']) app.post(path, async () => 'ok');
      await app.register(async (orders: any) => orders.post('/', async () => 'ok'), { prefix: '/orders' });
      await costing(requester(await app.listen({ port: 0, host: '127.0.0.1' })), own, costs);
    }
    const koa = parts('99/hour');
    const app = new Koa();
    app.use(admitKoa(koa.gate, { key, cost }));
    app.use(new Router().post('/orders', (context: any) => void (context.body = 'ok')).routes());
    await costing(await asking(t, app.callback()), koa, [...folded, ['/%6Frders/%zz', 1]]);
    const node = parts('99/hour');
    const guard = admit(node.gate, { key, cost });
    const server = (request: any, response: any) => guard(request, response, () => void response.end('ok'));
    await costing(await asking(t, server), node, folded);
  });

  it("of Koa's router knows its route", async (t) => {
    const { gate } = parts('2/hour');
    const app = new Koa();
    const router = new Router();
    router.get('/users/:id', admitKoa(gate, { key: 'route' }), (context: any) => {
      context.body = 'ok';
    });
    app.use(router.routes());
    const request = await asking(t, app.callback());
    assert.deepEqual(
      [...(await statuses(request, '/users/7', 2)), (await request('/users/8')).status],
      [200, 200, 429],
    );
  });

  it('of Fastify ask as their config says, beside limits of their own', async (t) => {
    const { gate, database, left } = parts();
    const app = Fastify();
    t.after(() => app.close());
    await app.register(tidegate, {});
    await app.register(admitFastify, { gate, key });
    const answer = async ({ admission }: any) => `${admission?.remaining}`;
    app.get('/', answer);
    app.get('/dear', { config: { tidegate: { gate: { cost: 5 } } } }, answer);
    app.get('/free', { config: { tidegate: { gate: false } } }, answer);
    app.get('/off', { config: { tidegate: false } }, answer);
    app.get('/both', { config: { tidegate: { rate: '1/hour', gate: { cost: 2 } } } }, answer);
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    const seen = [];
    for (const path of ['/', '/dear', '/free', '/off', '/both']) seen.push((await request(path, ...as('ann'))).text);
    assert.deepEqual(seen, ['8', '3', 'undefined', 'undefined', '1']);
    assert.equal((await request('/both', ...as('ben'))).status, 429);
    assert.deepEqual([left('ben'), database.inUse], [9, 0]);
  });

  it('of Fastify with a wrong config fail the start, and so does one that no gate hears', async () => {
    const { gate } = parts();
    const failing = async (config: any, options: any = { gate }) => {
      const app = Fastify();
      if (options !== undefined) app.register(admitFastify, options);
      app.get('/orders', { config: { tidegate: config } }, async () => 'ok');
      try {
        await app.ready();
      } finally {
        await app.close();
      }
    };
    const place = 'config.tidegate of GET,HEAD /orders: |config.tidegate of GET /orders: ';
    const wrong: [any, string][] = [
      [{ gate: { priority: 'urgent' } }, "priority: 'urgent' is none of"],
      [{ gate: { dependencies: ['mail'] } }, "dependencies: 'mail' is none; the gate has payment"],
      [{ gate: { exempt: [] } }, "gate has no option 'exempt'"],
      [{ gate: 'critical' }, 'gate takes an object of options'],
      [{ rate: '1/s', gate: false }, 'tidegate/fastify is not registered'],
    ];
    for (const [config, message] of wrong) {
      await assert.rejects(failing(config), { message: new RegExp(`^(${place}).*${message}`) });
    }
    await assert.rejects(
      failing({ gate: { cost: 2 } }).then(() => failing({ gate: { cost: 99 } })),
      /cost .*from 1 to 9/,
    );
    const alone = Fastify();
    alone.get('/orders', { config: { tidegate: { gate: { cost: 2 } } } }, async () => 'ok');
    await assert.rejects(async () => alone.ready(), /admit of 'tidegate\/fastify' is not registered/);
  });
});

describe('who is refused by a gate', () => {
  it('is answered by onRefused, which gets what refused', async (t) => {
    const refusals: any[] = [];
    const heard = (refusal: any) => {
      refusals.push([refusal.kind, refusal.deniedBy, refusal.policies, refusal.overloaded, refusal.retryAfter]);
      return { sorry: refusal.message.split(' refused')[0] };
    };
    const { gate, payment } = parts('1/hour');
    const options = { key, exempt: [] };
    const koa = new Koa();
    koa.use(admitKoa(gate, { ...options, onRefused: (_context, refusal) => heard(refusal) }));
    koa.use((context: any) => void (context.body = 'ok'));
    const app = express();
    app.use(admit(gate, { ...options, onRefused: (_request, _response, _next, refusal) => heard(refusal) }));
    const fastify = Fastify();
    await fastify.register(admitFastify, {
      gate,
      ...options,
      dependencies: ['payment'],
      onRefused: (_request, _reply, refusal) => heard(refusal),
    });
    fastify.get('/', async () => 'ok');
    t.after(() => fastify.close());
    payment.forceOpen();
    const koas = await asking(t, koa.callback());
    assert.equal((await koas('/', ...as('ann'))).status, 200);
    const limited = await koas('/', ...as('ann'));
    assert.deepEqual([limited.status, limited.json()], [429, { sorry: 'limiter "client" (1/hour)' }]);
    const listed = await (await asking(t, app))('/', ...as('eve'));
    assert.deepEqual(
      [listed.status, listed.json(), listed.get('retry-after')],
      [403, { sorry: 'gate "orders"' }, null],
    );
    const open = await requester(await fastify.listen({ port: 0, host: '127.0.0.1' }))('/', ...as('ben'));
    assert.deepEqual([open.status, open.get('retry-after')], [503, '3600']);
    assert.match(open.json().sorry, /^circuit "payment"/);
    assert.deepEqual(refusals, [
      ['limit', 'client', ['client'], false, 3600],
      ['access', 'access', [], false, undefined],
      ['breaker', 'payment', [], true, 3600],
    ]);
  });

  it('gets the plain refusal over Koa where onRefused forgets, hangs or fails', async (t) => {
    const ways: [any, number, string][] = [
      [async () => undefined, 429, 'quota-exceeded'],
      [() => new Promise(() => {}), 429, 'quota-exceeded'],
      [
        () => {
          throw new Error('no');
        },
        500,
        'Internal Server Error',
      ],
    ];
    for (const [onRefused, status, text] of ways) {
      const app = new Koa();
      app.silent = true;
      app.use(admitKoa(parts('1/hour').gate, { key, onRefused }));
      app.use((context: any) => void (context.body = 'ok'));
      const request = await asking(t, app.callback());
      assert.equal((await request('/', ...as('ann'))).status, 200);
      const refused = await request('/', ...as('ann'));
      assert.equal(refused.status, status);
      assert.match(refused.text, new RegExp(text));
    }
  });

  it('holds nothing over HTTP/2 either, however a stream ends', async (t) => {
    const { gate, database } = parts();
    const guard = admit(gate, { key });
    let seen = 0;
    const server = createServer2((request: any, response: any) =>
      guard(request, response, () => {
        seen += 1;
        if (request.url === '/answers') response.end('ok');
        else if (request.url === '/tears') response.stream.close(2);
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => void server.close());
    const session = connect2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).on('error', () => {});
    t.after(() => session.destroy());
    const ask = (path: string) =>
      session
        .request({ ':path': path, 'x-user': 'ann' })
        .on('error', () => {})
        .resume();
    for (const path of ['/answers', '/tears']) {
      await new Promise((resolve) => ask(path).once('close', resolve));
      while (database.inUse > 0) await setImmediate();
    }
    const hanging = [ask('/hangs'), ask('/hangs')];
    while (seen < 4) await setImmediate();
    assert.equal(database.inUse, 2);
    hanging[0]?.close(8);
    while (database.inUse > 1) await setImmediate();
    session.destroy();
    while (database.inUse > 0) await setImmediate();
    assert.equal(gate.stats().admitted, 4);
  });
});

@Injectable()
class Orders {
  constructor(@InjectGate('orders') readonly gate: TheGate) {}
}

@Controller()
@Gate('orders')
class OrdersController {
  constructor(private readonly orders: Orders) {}

  @Get('list')
  list(@Admitted() admission: Admission) {
    return [admission.gate === this.orders.gate, admission.remaining];
  }

  @Post('orders')
  @Gate('orders', { cost: 5, dependencies: ['payment'] })
  @RateLimit('1/hour', { name: 'route', key: 'ip' })
  create(@Admitted() admission: Admission) {
    admission.breaker('payment').success();
    return admission.remaining;
  }

  @Get('enters')
  @SkipRateLimit()
  @Gate('other')
  enters() {
    this.orders.gate.enter({ keys: { client: 'eve' } });
  }
}

@Catch()
class Everything {
  catch(error: any, host: ArgumentsHost) {
    const response = host.switchToHttp().getResponse();
    response.status(error.getStatus?.() ?? 500).send({ caught: error.name, code: error.code });
  }
}

@Controller()
@UseFilters(Everything)
class CaughtController extends OrdersController {}

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`gates of Nest on ${adapter}`, () => {
    const app = async (t: TestContext, options: any = {}, controller: Type = OrdersController) => {
      const own = parts('9/hour');
      const other = new TheGate('other', {});
      const gates = { orders: { gate: own.gate, key }, other };
      const { app, url } = await start(
        adapter,
        [TidegateModule.forRootAsync({ useFactory: () => ({ gates, ...options }) })],
        [controller],
        [Orders],
      );
      t.after(() => app.close());
      return { ...own, request: requester(url) };
    };

    it('are asked by controller and method, after the limits', async (t) => {
      const { request, payment, database, left } = await app(t);
      const answer = await request('/list', ...as('ann'));
      assert.deepEqual([answer.status, answer.json()], [200, [true, 8]]);
      const post = async (user: string) => request('/orders', 'POST', { 'x-user': user });
      const created = await post('ann');
      assert.deepEqual([created.status, created.text], [201, '3']);
      assert.match(created.get('ratelimit') ?? '', /^"route";r=0;t=\d+, "client";r=3/);
      const limited = await post('ann');
      assert.deepEqual([limited.status, limited.json()['violated-policies'], left('ann')], [429, ['route'], 3]);
      payment.forceOpen();
      assert.deepEqual([database.inUse, left('ben')], [0, 9]);
    });

    it('know a route in each spelling that is served', async (t) => {
      const own = parts('99/hour');
      const orders = { gate: own.gate, key, cost: { 'GET /list': 5 } };
      const { request } = await app(t, { gates: { orders, other: new TheGate('other', {}) } });
      for (const path of ['/list', '/%6Cist', '/%6c%69st', '/LIST', '/list/', '//list', '/list?a']) {
        const before = own.left('ann');
        const { status } = await request(path, ...as('ann'));
        if (status === 200) assert.equal(before - own.left('ann'), 5, path);
      }
      assert.ok(own.left('ann') < 90);
    });

    it('refuse with what says when to come back, under a filter for everything too', async (t) => {
      for (const controller of [OrdersController, CaughtController]) {
        const { request, payment, database } = await app(t, { overloadStatus: 529 }, controller);
        payment.forceOpen();
        const open = await request('/orders', 'POST', { 'x-user': 'ann' });
        assert.deepEqual([open.status, open.get('retry-after')], [529, '3600']);
        const permits = [database.tryAcquire(), database.tryAcquire()];
        const full = await request('/list', ...as('ann'));
        assert.deepEqual([full.status, full.get('retry-after')], [529, '1']);
        permits.forEach((permit) => permit?.release());
        const listed = await request('/list', ...as('eve'));
        assert.deepEqual([listed.status, listed.get('retry-after')], [403, null]);
        const late = await request('/list', 'GET', { 'x-user': 'ann', 'x-request-timeout-ms': '0' });
        assert.deepEqual([late.status, late.get('retry-after')], [504, null]);
        await statuses(request, '/list', 9, ...as('ann'));
        const limited = await request('/list', ...as('ann'));
        assert.equal(limited.status, 429);
        const seen = [open, full, listed, late, limited].map((one) => one.json());
        if (controller === OrdersController) {
          const named = [['payment'], ['database'], ['access'], ['deadline'], ['client']];
          assert.deepEqual(
            seen.map((body) => body['violated-policies']),
            named,
          );
        } else {
          assert.deepEqual(
            seen.map(({ code }) => code.replace('ERR_TIDEGATE_', '')),
            ['CIRCUIT_OPEN', 'CONCURRENCY_LIMIT', 'FORBIDDEN', 'TIMEOUT_EXCEEDED', 'RATE_LIMITED'],
          );
        }
        // Entered by the handler itself.
        const entered = await request('/enters');
        assert.deepEqual([entered.status, entered.get('retry-after')], [403, null]);
      }
    });

    it('fail the start where a name is none, twice or another', async () => {
      const { gate } = parts();
      const starting = (options: any) =>
        start(adapter, [TidegateModule.forRoot(options)], [OrdersController], [Orders]).then(({ app }) => app.close());
      const other = new TheGate('other', {});
      const wrong: [any, RegExp][] = [
        [
          { gates: { orders: gate } },
          /@Gate on OrdersController.enters: no gate 'other': add it to 'gates' of TidegateModule/,
        ],
        [{ gates: { orders: { gate, key: { ann: 'ip' } }, other } }, /gates: 'orders': key has no option 'ann'/],
        [{ gates: { orders: { gate, when: 1 }, other } }, /gates: 'orders' has no option 'when'/],
        [{ gates: { orders: other, other } }, /OrdersController.create: dependencies: 'payment' is none|no limit/],
        [{ gates: { orders: new BoundedQueue({ capacity: 1 }), other } }, /must be a Gate, got|has no option/],
      ];
      for (const [options, message] of wrong) await assert.rejects(starting(options), message);
      assert.throws(() => Gate('orders', { keys: 'ip' } as any), /@Gate has no option 'keys'/);
      assert.throws(() => Gate('orders')(class {}.prototype as any, 'x', {} as any), /belongs on a controller/);
      const twice = class {};
      Gate('orders')(twice);
      assert.throws(() => Gate('other')(twice), /@Gate stands twice on twice: a route has one gate/);
    });
  });
}

const POLICY = `
version = 1
[limits]
client = { rate = "9/hour", key = "header:x-user" }
[breakers]
payment = { consecutive_failures = 1 }
[concurrency]
database = { limit = 2 }
[gates.orders]
use = { limits = ["client"], concurrency = "database", dependencies = ["payment"] }
[gates.other]
`;

for (const how of ['forRoot', 'forRootAsync'] as const) {
  describe(`a policy of Nest, ${how}`, () => {
    it('gives the application its gates, circuits and limits by name', async (t) => {
      const policy = Policy.parse(POLICY);
      const module =
        how === 'forRoot'
          ? TidegateModule.forRoot({ policy })
          : TidegateModule.forRootAsync({ useFactory: () => ({ policy }) });
      const { app, url } = await start('fastify', [module], [OrdersController], [Orders]);
      t.after(() => app.close());
      const request = requester(url);
      const answer = await request('/list', ...as('ann'));
      assert.deepEqual([answer.status, answer.json()], [200, [true, 8]]);
      assert.equal(app.get(getBreakerToken('payment')), policy.breaker('payment'));
      policy.breaker('payment').forceOpen();
      const open = await request('/orders', 'POST', { 'x-user': 'ann' });
      assert.deepEqual([open.status, open.json()['violated-policies']], [503, ['payment']]);
      assert.equal(policy.concurrency('database').inUse, 0);
    });

    it('says what is none', async () => {
      const policy: any = { gates: {} };
      const starting = async () => {
        const module =
          how === 'forRoot'
            ? TidegateModule.forRoot({ policy })
            : TidegateModule.forRootAsync({ useFactory: () => ({ policy }) });
        await start('fastify', [module], [OrdersController], [Orders]);
      };
      await assert.rejects(starting(), /policy must be a Policy, got/);
    });
  });
}

@Controller()
class Messages {
  @MessagePattern('list')
  @Gate('orders', { key: () => 'ann' })
  list() {
    return 'ok';
  }
}

describe('gates of messages', () => {
  it('refuse, and hold no permit', async (t) => {
    const { gate, database } = parts('2/hour');
    const module = {
      module: class {},
      imports: [TidegateModule.forRoot({ gates: { orders: gate } })],
      controllers: [Messages],
    };
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const options: any = { transport: Transport.TCP, options: { port, host: '127.0.0.1' } };
    const server = await NestFactory.createMicroservice(module, { ...options, logger: false });
    await server.listen();
    t.after(() => server.close());
    const client = ClientProxyFactory.create(options);
    t.after(() => client.close());
    const ask = async () => firstValueFrom(client.send('list', {}));
    assert.deepEqual([await ask(), await ask()], ['ok', 'ok']);
    await assert.rejects(ask(), (error: any) => error.status === 429 && error['violated-policies'][0] === 'client');
    await setTimeout(10);
    assert.deepEqual([database.inUse, gate.stats().admitted], [0, 2]);
  });
});
