// What there is no room for, over real HTTP: guards of Nest, limits of single routes, exempt paths, WebSockets.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { type IncomingMessage, ServerResponse, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Controller, Get, type INestApplication, Post, UseFilters, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import express from 'express';
import Fastify from 'fastify';
import { BoundedQueue, ConcurrencyLimiter, OverloadedError, Processor, QueueFullError, TokenBucket } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import { RateLimit, TidegateModule, type TidegateOptions, overloadGuard, sheddingGuard } from 'tidegate/nest';
import { WebSocket, WebSocketServer } from 'ws';
import { ADAPTERS, type Adapter } from './app.js';
import { FULL } from './full.js';
import { type Request, requester, statuses } from './request.js';

const until = async (holds: () => boolean) => {
  while (!holds()) await setImmediate();
};

async function listening(t: TestContext, server: any): Promise<Request> {
  t.after(() => (server.close(), server.closeAllConnections()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function nest(t: TestContext, adapter: Adapter, controller: any, options: TidegateOptions = {}, more: any = {}) {
  const module = { module: class {}, imports: [TidegateModule.forRoot(options)], controllers: [controller], ...more };
  const settings = { logger: false, abortOnError: false } as const;
  const app = await NestFactory.create<INestApplication>(module, ADAPTERS[adapter]() as any, settings);
  t.after(() => app.close());
  return app;
}

async function asked(app: INestApplication): Promise<Request> {
  await app.listen(0, '127.0.0.1');
  return requester(`http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`);
}

const BOTH = { live: 0.5, batch: 0.5 };
/** Of live, and of batch. */
const inUse = (limiter: ConcurrencyLimiter) => Object.values(limiter.partitionStats()).map((part) => part.inUse);

/** Handlers that end when they are told to. */
function held() {
  const ends: (() => void)[] = [];
  const work = () => new Promise<string>((resolve) => ends.push(() => resolve('done')));
  return { work, ends, end: () => ends.splice(0).forEach((one) => one()) };
}

for (const adapter of ['express', 'fastify'] as const) {
  describe(`overload in Nest on ${adapter}`, () => {
    it('sheds the less important routes, and gives their charge back', async (t) => {
      const { shedder } = await FULL.shedder!(t, {});
      const everyone = new TokenBucket({ rate: '100/hour' });
      const errors: unknown[] = [];
      const seen: string[] = [];
      const filter = {
        catch(error: any, host: any) {
          errors.push(error);
          const response = host.switchToHttp().getResponse();
          const raw = response.raw ?? response;
          raw.setHeader('retry-after', response.getHeader('retry-after'));
          raw.writeHead(error.getStatus()).end('busy');
        },
      };
      const user = async (request: any) => (seen.push(request.headers['x-user']), request.headers['x-user']);

      @Controller()
      @UseGuards(sheddingGuard(shedder, 'sheddable'))
      class Shop {
        @Get('report')
        report() {
          return 'report';
        }

        @Post('pay')
        @UseGuards(sheddingGuard(shedder, async () => 'critical' as const, { user }))
        pay() {
          return 'never';
        }
      }

      @Controller('important')
      @UseGuards(sheddingGuard(shedder, (request: any) => request.headers['x-priority'], { user }))
      class Important {
        @Get('healthz')
        health() {
          return 'well';
        }

        @Get()
        @UseFilters(filter as any)
        some() {
          return 'served';
        }
      }
      const app = await nest(t, adapter, Shop, { limits: { everyone } }, { controllers: [Shop, Important] });
      const ask = await asked(app);
      const shed = await ask('/report');
      assert.equal(shed.status, 503);
      assert.match(shed.get('content-type') ?? '', /^application\/problem\+json/);
      assert.match(shed.json().type, /temporary-reduced-capacity/);
      assert.ok(Number(shed.get('retry-after')) >= 1);
      assert.equal((await ask('/pay', 'POST')).status, 503, 'the guard of the controller stands before');
      assert.equal(everyone.peek().remaining, 100);
      const as = (priority: string) => ask('/important', 'GET', { 'x-priority': priority, 'x-user': 'ann' });
      assert.deepEqual([(await as('normal')).text, (await as('high')).text], ['busy', 'served']);
      assert.ok(errors[0] instanceof OverloadedError && errors[0].retryAfterMs > 0);
      assert.deepEqual(seen, ['ann', 'ann']);
      assert.equal((await as('urgent')).status, 500);
      assert.equal(everyone.peek().remaining, 99);
      assert.equal((await ask('/important/healthz', 'GET', { 'x-priority': 'sheddable' })).status, 503);
    });

    it('asks a backlog before the handler', async (t) => {
      const orders = new BoundedQueue<string>({ capacity: 2, highWatermark: 1, lowWatermark: 0.5, retryAfterMs: 3000 });
      let handled = 0;

      @Controller()
      class Orders {
        @Post('orders')
        @UseGuards(overloadGuard({ backlog: orders }))
        order() {
          handled += 1;
          orders.tryPush('order');
          return 'taken';
        }

        @Get('orders')
        list() {
          return 'listed';
        }
      }
      const ask = await asked(await nest(t, adapter, Orders));
      assert.deepEqual(await statuses(ask, '/orders', 3, 'POST'), [201, 201, 503]);
      assert.deepEqual([handled, (await ask('/orders', 'POST')).get('retry-after')], [2, '3']);
      assert.equal((await ask('/orders')).status, 200);
      orders.tryPop();
      assert.equal((await ask('/orders', 'POST')).status, 201);
      orders.close();
      const closed = await ask('/orders', 'POST');
      assert.deepEqual([closed.status, closed.get('retry-after'), handled], [503, '3', 3]);
    });

    it('holds a permit for one route until its answer is out', async (t) => {
      const charts = new ConcurrencyLimiter({ limit: 2 });
      const { work, ends, end } = held();

      @Controller()
      class Charts {
        @Get('chart')
        @UseGuards(overloadGuard({ concurrency: charts }))
        chart() {
          return work();
        }

        @Get('list')
        list() {
          return 'listed';
        }
      }
      const ask = await asked(await nest(t, adapter, Charts));
      const drawn = [ask('/chart'), ask('/chart')];
      await until(() => ends.length === 2);
      const refused = await ask('/chart');
      assert.deepEqual([refused.status, refused.get('retry-after')], [503, '1']);
      assert.equal((await ask('/list')).status, 200);
      end();
      assert.deepEqual(
        (await Promise.all(drawn)).map(({ text }) => text),
        ['done', 'done'],
      );
      await until(() => charts.inUse === 0);
      const one = ask('/chart');
      await until(() => ends.length === 1);
      end();
      assert.equal((await one).status, 200);
    });

    it('never refuses exempt paths, and names what cannot be one', async (t) => {
      @Controller()
      class Probes {
        @Get(['healthz', 'livez', 'readyz', 'up', 'other'])
        @RateLimit('1/hour', { key: () => 'all' })
        @UseGuards(overloadGuard({ backlog: { isAccepting: false, retryAfterMs: 1000 }, exempt: ['/up', '/readyz'] }))
        probe() {
          return 'well';
        }
      }
      const usual = await asked(await nest(t, adapter, Probes));
      assert.deepEqual(await statuses(usual, '/readyz', 3), [200, 200, 200]);
      // Exempt from the limits, not from the route's own guard.
      assert.deepEqual(await statuses(usual, '/healthz', 2), [503, 503]);
      assert.deepEqual(await statuses(usual, '/up', 2), [200, 429]);
      const own = await asked(await nest(t, adapter, Probes, { exempt: ['/up'] }));
      assert.deepEqual(await statuses(own, '/up', 3), [200, 200, 200]);
      assert.deepEqual(await statuses(own, '/readyz', 2), [200, 429]);
      for (const exempt of ['/up', [1], ['up'], ['/up/*']] as any[]) {
        await assert.rejects(nest(t, adapter, Probes, { exempt }), /exempt/);
        assert.throws(() => overloadGuard({ backlog: new BoundedQueue({ capacity: 1 }), exempt }), /exempt/);
      }
    });

    it('lets WebSockets hold no permit', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 1 });

      @WebSocketGateway({ path: '/live' })
      @UseGuards(overloadGuard({ concurrency }))
      class Live {
        @SubscribeMessage('ping')
        ping() {
          return { event: 'pong', data: concurrency.inUse };
        }
      }

      @Controller()
      class Root {
        @Get()
        root() {
          return 'ok';
        }
      }
      const app = await nest(t, adapter, Root, {}, { providers: [Live] });
      app.useWebSocketAdapter(new WsAdapter(app));
      app.use(rateLimit({ concurrency }));
      const ask = await asked(app);
      const { port } = app.getHttpServer().address() as AddressInfo;
      for (let n = 0; n < 3; n += 1) {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/live`);
        t.after(() => socket.terminate());
        await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
        const answer = new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))));
        socket.send(JSON.stringify({ event: 'ping', data: n }));
        assert.equal(await answer, '{"event":"pong","data":0}');
      }
      assert.deepEqual(await statuses(ask, '/', 2), [200, 200]);
      await until(() => concurrency.inUse === 0);
    });
  });
}

describe('overload over Express and Fastify', () => {
  it('limits a route of Express by a middleware of its own, beside what stands before all', async (t) => {
    const [all, charts] = [new ConcurrencyLimiter({ limit: 3 }), new ConcurrencyLimiter({ limit: 1 })];
    const { work, ends, end } = held();
    const app = express();
    app.use(rateLimit({ concurrency: all }));
    const chart = rateLimit({ concurrency: charts });
    app.get('/chart', chart, async (_request, response) => void response.end(await work()));
    app.get('/list', async (_request, response) => void response.end(await work()));
    await oneOfChartsAndThreeOfAll(await listening(t, createServer(app)), ends, end);
  });

  it('limits a route of Fastify by a plugin of its part, beside what stands before all', async (t) => {
    const [all, charts] = [new ConcurrencyLimiter({ limit: 3 }), new ConcurrencyLimiter({ limit: 1 })];
    const { work, ends, end } = held();
    const app = Fastify();
    await app.register(tidegate, { concurrency: all });
    await app.register(async (part) => {
      await part.register(tidegate, { concurrency: charts });
      part.get('/chart', work);
    });
    app.get('/list', work);
    t.after(() => app.close());
    const ask = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    await oneOfChartsAndThreeOfAll(ask, ends, end);
  });

  async function oneOfChartsAndThreeOfAll(ask: Request, ends: unknown[], end: () => void) {
    const under = [ask('/chart')];
    await until(() => ends.length === 1);
    assert.equal((await ask('/chart')).status, 503);
    under.push(ask('/list'), ask('/list'));
    await until(() => ends.length === 3);
    assert.equal((await ask('/list')).status, 503);
    end();
    assert.deepEqual(
      (await Promise.all(under)).map(({ status }) => status),
      [200, 200, 200],
    );
  }

  it('says a partition by route in Fastify, in place of what the plugin says', async (t) => {
    const concurrency = new ConcurrencyLimiter({ limit: 2, partitions: BOTH });
    const app = Fastify();
    await app.register(tidegate, { concurrency, partition: async () => 'batch' });
    const tell = async () => inUse(concurrency);
    app.get('/other', tell);
    app.get('/live', { config: { tidegate: { partition: 'live' } } }, tell);
    app.get('/both', { config: { tidegate: { rate: '1/hour', partition: () => 'live' } } }, tell);
    app.get('/none', { config: { tidegate: { partition: () => null } } }, tell);
    await app.listen({ port: 0, host: '127.0.0.1' });
    t.after(() => app.close());
    const ask = requester(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`);
    assert.deepEqual((await ask('/other')).json(), [0, 1]);
    assert.deepEqual((await ask('/live')).json(), [1, 0]);
    assert.deepEqual((await ask('/both')).json(), [1, 0]);
    assert.equal((await ask('/both')).status, 429);
    assert.deepEqual((await ask('/none')).json(), [0, 0]);
    const unknown = { message: 'partition: "urgent" is none of "live", "batch"' };
    const early = Fastify();
    await early.register(tidegate, { concurrency });
    assert.throws(() => early.get('/x', { config: { tidegate: { partition: 'urgent' } } }, tell), unknown);
    const without = Fastify();
    await without.register(tidegate, { rate: '5/s' });
    const needs = { message: 'partition: it is one of a concurrency limiter; give the plugin concurrency' };
    assert.throws(() => without.get('/x', { config: { tidegate: { partition: 'live' } } }, tell), needs);
  });

  it('says a partition by a guard of a route in Nest', async (t) => {
    const concurrency = new ConcurrencyLimiter({ limit: 2, partitions: BOTH });

    @Controller()
    class Shop {
      @Get('live')
      @UseGuards(overloadGuard({ concurrency, partition: 'live' }))
      live() {
        return inUse(concurrency);
      }

      @Get('batch')
      @UseGuards(overloadGuard({ concurrency, partition: async (request) => request.headers['x-partition'] }))
      batch() {
        return inUse(concurrency);
      }
    }
    const ask = await asked(await nest(t, 'express', Shop));
    assert.deepEqual((await ask('/live')).json(), [1, 0]);
    assert.deepEqual((await ask('/batch', 'GET', { 'x-partition': 'batch' })).json(), [0, 1]);
    assert.deepEqual((await ask('/batch')).json(), [0, 0]);
    assert.equal((await ask('/batch', 'GET', { 'x-partition': 'urgent' })).status, 500);
    assert.equal(concurrency.inUse, 0);
    const unknown = () => overloadGuard({ concurrency, partition: 'urgent' });
    assert.throws(unknown, /^RangeError: partition: "urgent" is none/);
  });

  it('makes of a partition function at fault one error, which costs nothing', async (t) => {
    const faults: any[] = [
      () => {
        throw new Error('no idea');
      },
      async () => Promise.reject(new Error('no idea')),
      () => 'urgent',
      () => 7,
    ];
    for (const partition of faults) {
      const concurrency = new ConcurrencyLimiter({ limit: 2, partitions: BOTH });
      const rate = new TokenBucket({ rate: '3/hour' });
      const app = express();
      const errors: unknown[] = [];
      app.use(rateLimit({ rate, concurrency, partition }));
      app.use((error: any, _request: any, response: any, _next: any) => {
        errors.push(error);
        response.status(500).end();
      });
      const ask = await listening(t, createServer(app));
      assert.equal((await ask('/')).status, 500);
      assert.deepEqual([errors.length, concurrency.inUse, rate.peek().remaining], [1, 0, 3]);
    }
  });

  it('asks a Processor, or an object of yours, as a backlog', async (t) => {
    const { work, ends, end } = held();
    const processor = new Processor(work, { workers: 1, capacity: 1, retryAfterMs: 5000 });
    const app = express();
    app.use(rateLimit({ backlog: processor }));
    app.post('/', (_request, response) => void response.status(202).end(`${processor.trySubmit(1) !== undefined}`));
    const ask = await listening(t, createServer(app));
    assert.equal((await ask('/', 'POST')).status, 202);
    await until(() => ends.length === 1);
    const taken: Awaited<ReturnType<Request>>[] = [];
    while (processor.isAccepting) taken.push(await ask('/', 'POST'));
    const full = await ask('/', 'POST');
    assert.deepEqual([full.status, full.get('retry-after')], [503, '5']);
    assert.ok(taken.every(({ status, text }) => status === 202 && text === 'true'));
    await processor.close({ drain: 'give_back', timeoutMs: 0 }).catch(() => {});
    end();
    const broken = {
      get isAccepting(): boolean {
        throw new Error('gone');
      },
      retryAfterMs: 1,
    };
    const everyone = new TokenBucket({ rate: '5/hour' });
    const failing = express();
    failing.use(rateLimit({ rate: everyone, backlog: broken }));
    failing.use((_error: any, _request: any, response: any, _next: any) => void response.status(500).end('a bug'));
    const asking = await listening(t, createServer(failing));
    assert.deepEqual([(await asking('/')).text, everyone.peek().remaining], ['a bug', 5]);
  });

  it('tells onRefused of an overload', async (t) => {
    const backlog = new BoundedQueue({ capacity: 1, retryAfterMs: 2000 });
    backlog.close();
    const seen: string[] = [];
    const onRefused = (_request: any, _response: any, _next: any, refusal: any) => {
      seen.push(`${refusal.overloaded} ${refusal.retryAfterMs} ${refusal.message}`);
      return 'an older page';
    };
    const guard = rateLimit({ backlog, onRefused });
    const ask = await listening(t, createServer((request, response) => guard(request, response, () => response.end())));
    assert.equal((await ask('/')).text, 'an older page');
    assert.deepEqual(seen, ['true 2000 queue is closed']);
  });

  it('names what cannot be', () => {
    assert.throws(() => rateLimit({ rate: '5/s', partition: 'live' }), /^RangeError: partition: it is one of a conc/);
    for (const backlog of [5, null, {}, 'orders', { isAccepting: true }] as any[]) {
      assert.throws(() => rateLimit({ backlog }), { name: /TypeError/, message: /^backlog must be a BoundedQueue, / });
      assert.throws(() => overloadGuard({ backlog }), { message: /^backlog must be a BoundedQueue, / });
    }
    assert.throws(() => overloadGuard({}), /overloadGuard needs a shedder, a backlog or concurrency/);
    assert.throws(() => overloadGuard({ queue: new BoundedQueue({ capacity: 1 }) } as any), /has no option 'queue'/);
    assert.throws(() => overloadGuard({ priority: 'high' } as any), /needs a shedder/);
    assert.throws(() => sheddingGuard(5 as any), /shedder must be a LoadShedder/);
    assert.ok(new QueueFullError() instanceof Error);
  });

  it('lets WebSockets hold no permit', async (t) => {
    const concurrency = new ConcurrencyLimiter({ limit: 1 });
    const app = Fastify();
    await app.register(tidegate, { concurrency });
    const sockets = new WebSocketServer({ noServer: true });
    const UPGRADE = Symbol('upgrade');
    // As @fastify/websocket hands an upgrade to a route: by a response of its own, which lasts as long as the socket.
    app.server.on('upgrade', (request: IncomingMessage & { [UPGRADE]?: any }, socket, head) => {
      request[UPGRADE] = head;
      const response = new ServerResponse(request);
      response.assignSocket(socket as any);
      (app as any).routing(request, response);
    });
    app.get('/', (request, reply) => {
      const raw: any = request.raw;
      if (raw[UPGRADE] === undefined) return reply.send('plain');
      reply.hijack();
      (reply.raw as any).detachSocket(raw.socket);
      sockets.handleUpgrade(raw, raw.socket, raw[UPGRADE], (socket) => socket.send(`${concurrency.inUse}`));
      return undefined;
    });
    const clients: WebSocket[] = [];
    t.after(async () => {
      // The server waits for them.
      for (const socket of clients) socket.terminate();
      await app.close();
    });
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    for (let n = 0; n < 3; n += 1) {
      const socket = new WebSocket(url.replace('http', 'ws'));
      clients.push(socket);
      const told = await new Promise((resolve, reject) => socket.once('message', resolve).once('error', reject));
      assert.equal(String(told), '0');
    }
    // The header alone hands nothing over.
    const ask = requester(url);
    assert.equal((await ask('/')).text, 'plain');
    const plain = express();
    const permit = concurrency.tryAcquire();
    plain.use(rateLimit({ concurrency }));
    const server = createServer(plain);
    await listening(t, server);
    const headers = { connection: 'upgrade', upgrade: 'websocket' };
    const { port } = server.address() as AddressInfo;
    const status = await new Promise((resolve, reject) =>
      get({ host: '127.0.0.1', port, headers }, (answer) => resolve(answer.resume().statusCode)).on('error', reject),
    );
    assert.equal(status, 503);
    permit?.release();
  });
});

describe('a client that has gone', () => {
  it('leaves its permit with a handler that is at work', async (t) => {
    for (const serve of [overNode, overFastify]) {
      const concurrency = new ConcurrencyLimiter({ limit: 1 });
      const { work, ends, end } = held();
      const port = await serve(t, concurrency, work);
      const leaving = new AbortController();
      const gone = new Promise((resolve) =>
        get({ host: '127.0.0.1', port, signal: leaving.signal }).on('error', resolve).on('response', resolve),
      );
      await until(() => ends.length === 1);
      leaving.abort();
      await gone;
      const ask = requester(`http://127.0.0.1:${port}`);
      // However long the server takes to hear of it.
      for (let n = 0; n < 5; n += 1) assert.equal((await ask('/')).status, 503);
      end();
      await until(() => concurrency.inUse === 0);
      const answer = ask('/');
      await until(() => ends.length === 1);
      end();
      assert.equal((await answer).text, 'done');
    }
  });

  const overNode = async (t: TestContext, concurrency: ConcurrencyLimiter, work: () => Promise<string>) => {
    const guard = rateLimit({ concurrency });
    const server = createServer((request, response) =>
      guard(request, response, async () => response.end(await work())),
    );
    await listening(t, server);
    return (server.address() as AddressInfo).port;
  };

  const overFastify = async (t: TestContext, concurrency: ConcurrencyLimiter, work: () => Promise<string>) => {
    const app = Fastify();
    await app.register(tidegate, { concurrency });
    app.get('/', work);
    t.after(() => app.close());
    await app.listen({ port: 0, host: '127.0.0.1' });
    return (app.server.address() as AddressInfo).port;
  };
});
