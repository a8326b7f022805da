// What requests tell an adaptive concurrency limit: real servers, calls of half a second on a clock that is set.
import assert from 'node:assert/strict';
import { createServer, request as ask } from 'node:http';
import { connect, createServer as createHttp2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Controller, Get, HttpException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import Fastify from 'fastify';
import { ConcurrencyLimiter, ManualClock } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import { InjectConcurrencyLimiter, TidegateModule } from 'tidegate/nest';
import './alone.js';
import { ADAPTERS, type Adapter } from './app.js';

const until = async (holds: () => boolean) => {
  while (!holds()) await setImmediate();
};

/** Serves `/` behind the limiter; `work` gives the status of the answer. Gives the port. */
type Serve = (t: TestContext, concurrency: ConcurrencyLimiter, work: () => Promise<number>) => Promise<number>;

const portOf = (server: any) => (server.address() as AddressInfo).port;

const listening = async (t: TestContext, server: any): Promise<number> => {
  t.after(() => void (server.close(), server.closeAllConnections?.()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return portOf(server);
};

const overExpress: Serve = (t, concurrency, work) => {
  const app = express();
  app.use(rateLimit({ concurrency }));
  app.get('/', async (_request, response) => void response.status(await work()).end());
  return listening(t, createServer(app));
};

const overFastify: Serve = async (t, concurrency, work) => {
  const app = Fastify();
  await app.register(tidegate, { concurrency });
  app.get('/', async (_request, reply) => reply.code(await work()).send());
  t.after(() => app.close());
  await app.listen({ port: 0, host: '127.0.0.1' });
  return portOf(app.server);
};

/** With the middleware, or with a limiter that a service has been given and runs its calls under. */
const overNest =
  (adapter: Adapter, isInjected: boolean): Serve =>
  async (t, concurrency, work) => {
    const answer = async () => {
      const status = await work();
      if (status !== 200) throw new HttpException('', status);
    };
    class Root {
      constructor(readonly limiter: ConcurrencyLimiter) {}
      get() {
        return isInjected ? this.limiter.run(answer) : answer();
      }
    }
    Controller()(Root);
    Get()(Root.prototype, 'get', Object.getOwnPropertyDescriptor(Root.prototype, 'get')!);
    InjectConcurrencyLimiter('work')(Root, undefined, 0);
    const options = { concurrency: { work: concurrency } };
    const module = { module: class {}, imports: [TidegateModule.forRoot(options)], controllers: [Root] };
    const app: any = await NestFactory.create(module, ADAPTERS[adapter]() as any, { logger: false });
    if (!isInjected) app.use(rateLimit({ concurrency }));
    t.after(() => app.close());
    await app.listen(0, '127.0.0.1');
    return portOf(app.getHttpServer());
  };

const SERVERS: Record<string, Serve> = {
  Express: overExpress,
  Fastify: overFastify,
  'Nest on Express': overNest('express', false),
  'Nest on Fastify': overNest('fastify', false),
  'a limiter injected by Nest': overNest('express', true),
};

/** A limit of 10 that has seen 10 calls of half a second which all end so. */
async function ended(t: TestContext, serve: Serve, status: number, hangUp = false) {
  const clock = new ManualClock(1_000_000_000_000n);
  const limiter = ConcurrencyLimiter.adaptive({ initialLimit: 10, probe: false, samples: 10, clock });
  let open = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const port = await serve(t, limiter, () => gate.then(() => status));
  const get = () => ask({ host: '127.0.0.1', port, agent: false });
  const statuses: Promise<number | undefined>[] = [];
  const requests = Array.from({ length: 10 }, () => {
    const request = get();
    statuses.push(
      new Promise((resolve) => {
        request.on('response', (response) => (response.resume(), resolve(response.statusCode)));
        request.on('error', () => resolve(undefined));
      }),
    );
    request.end();
    return request;
  });
  await until(() => limiter.inUse === 10);
  assert.equal(limiter.tryAcquire(), null);
  clock.advance(500);
  if (hangUp) {
    requests.forEach((request) => request.destroy());
    await until(() => limiter.inUse === 0);
  }
  open();
  await Promise.all(statuses);
  await until(() => limiter.inUse === 0);
  return { limiter, statuses: [...new Set(await Promise.all(statuses))] };
}

for (const [name, serve] of Object.entries(SERVERS)) {
  const isInjected = serve === SERVERS['a limiter injected by Nest'];
  describe(`an adaptive limit behind ${name}`, () => {
    for (const [status, limit] of [
      [200, 20],
      // What a function throws says nothing, whatever becomes of it.
      [404, isInjected ? 10 : 20],
      [429, 10],
      [500, 10],
      [503, 9],
      [504, 9],
    ] as const) {
      it(`answers of ${status} make it ${limit}`, async (t) => {
        const { limiter, statuses } = await ended(t, serve, status);
        assert.deepEqual([statuses, limiter.limit], [[status], limit]);
        assert.match(limiter.explain()[0]!, limit === 10 ? /after 0 windows$/ : /after 1 window/);
      });
    }

    if (!isInjected) {
      it('clients that have gone say nothing', async (t) => {
        const { limiter } = await ended(t, serve, 200, true);
        assert.deepEqual([limiter.limit, limiter.inUse], [10, 0]);
      });
    }
  });
}

it('answers of HTTP/2 are heard as well', async (t) => {
  const clock = new ManualClock(1_000_000_000_000n);
  const concurrency = ConcurrencyLimiter.adaptive({ initialLimit: 10, probe: false, samples: 10, clock });
  const limit = rateLimit({ concurrency });
  let open = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const port = await listening(
    t,
    createHttp2((request: any, response: any) =>
      limit(request, response, () => void gate.then(() => response.end('ok'))),
    ),
  );
  const session = connect(`http://127.0.0.1:${port}`);
  t.after(() => session.close());
  const answers = Array.from({ length: 10 }, () => {
    const stream = session.request({ ':path': '/' });
    stream.resume();
    return new Promise((resolve) => stream.on('end', resolve));
  });
  await until(() => concurrency.inUse === 10);
  assert.equal(concurrency.tryAcquire(), null);
  clock.advance(500);
  open();
  await Promise.all(answers);
  await until(() => concurrency.inUse === 0);
  assert.equal(concurrency.limit, 20);
});
