// Whatever a client writes to get to a route, and whoever rewrites it, what holds for the route holds: one table of
// spellings, played through every framework and how its router may be told to compare.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { All, Controller, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import Fastify from 'fastify';
import Koa from 'koa';
import { Gate as TheGate, RateLimiter, TokenBucket } from 'tidegate';
import { admit, rateLimit } from 'tidegate/express';
import tidegate, { admit as admitFastify } from 'tidegate/fastify';
import { admit as admitKoa, rateLimit as rateLimitKoa } from 'tidegate/koa';
import { Gate, TidegateModule } from 'tidegate/nest';
import './alone.js';
import { ADAPTERS } from './app.js';

const load = createRequire(join(process.cwd(), 'package.json'));
const { Router: KoaRouter } = load('@koa/router');
const middie = createRequire(load.resolve('@nestjs/platform-fastify'))('@fastify/middie');

/** Targets as they go over the wire; whether a framework serves them, and as what, it says itself. */
const TARGETS = [
  ...['/orders', '/orders?a=b', '/orders#a', '/orders/', '/orders//', '//orders', '//orders//', '/Orders', '/ORDERS/'],
  ...['/%6Frders', '/%6frders/', '/%4Frders', '/%256Frders', '/orders%2F', '/orders%2f', '/orders%3Fa', '/orders%23'],
  ...['/orders;x', '/orders;x=1;y', '/orders;x/', '/orders/;x', '/;x/orders', '/orders%3Bx', '/orders%3bx'],
  ...['/./orders', '/x/../orders', '/%2e/orders', '/x/%2E%2e/orders', '/orders/.', '/orders/x/..', '/x%2F../orders'],
  ...['/\\orders', '/.\\orders', '/orders\\', '/orders\\#a', '/orders%5C', '/orders%00', '/orders%20', '/orders%'],
  ...['/users/7', '/users/7/', '/Users/7', '/users/a%2Fb', '/users/a%252Fb', '/users//7', '//users/7', '/users/'],
  ...['/users', '/users/7;x', '/users/;x', '/users;x/7'],
  ...['/users/..', '/users/.', '/users/%2e%2E', '/users\\7#a', '/users/%zz'],
  ...['/caf%C3%A9', '/caf%c3%a9', '/CAF%C3%89', '/caf%E9', '/other', '/other/orders', '/orders/7'],
  ...['/v1/orders', '/v1//orders', '/v1/Users/7', '/v1/v1/orders'],
  ...['http://test/orders', 'HTTP://test/orders', 'http://a?b/orders', 'http://test//orders', 'https://a@b/users/7'],
];

/** What each route costs, by its name; whatever else is served costs one. */
const COSTS = { orders: 5, users: 3, café: 2 };
const cost = { 'POST /orders': 5, 'POST /users/{id}': 3, 'POST /caf%C3%A9': 2 };

/** The head and body of an answer to a target as it is: `fetch` would put it in order first. */
function send(port: number, target: string) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`POST ${target} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
    socket.setEncoding('utf8').on('data', (more) => (text += more));
    socket.on('error', reject).on('close', () => {
      resolve({ status: Number(text.split(' ')[1] ?? 0), body: text.split('\r\n\r\n')[1] ?? '' });
    });
  });
}

async function listen(t: TestContext, listener: any) {
  const server = createServer(listener);
  t.after(() => (server.close(), server.closeAllConnections()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const portOf = (url: string) => Number(new URL(url).port);

/** A server whose handlers answer `served as <route>`, behind middleware of Express, Koa or Fastify. */
type Middlewares = { express: any; koa: any; fastify: (app: any) => Promise<unknown>; gates: any };
type Serve = (t: TestContext, limits: Middlewares) => Promise<number>;
const as = (name: string) => `served as ${name}`;

function expressRoutes(app: any) {
  for (const [path, name] of [['/orders', 'orders'], ['/users/:id', 'users'], ['/caf%C3%A9', 'café']] as const) {
    app.post(path, (_request: any, response: any) => void response.send(as(name)));
  }
  return app;
}
const expressed =
  (told: string[], prepare: (app: any, limit: any) => any): Serve =>
  (t, { express: limit }) => {
    const app = express();
    for (const setting of told) app.enable(setting);
    prepare(app, limit);
    app.use(((_error, _request, response, _next) => void response.status(400).end()) as express.ErrorRequestHandler);
    return listen(t, app);
  };
const strip = (request: any, _response: any, next: any) => {
  request.url = request.url.replace(/^\/v1(?=\/)/, '');
  next();
};

const fastified =
  (options: any, prepare = async (app: any, limits: Middlewares) => limits.fastify(app)): Serve =>
  async (t, limits) => {
    const app = Fastify(options);
    t.after(() => app.close());
    await prepare(app, limits);
    await app.register(async (orders: any) => orders.post('/', async () => as('orders')), { prefix: '/orders' });
    app.post('/users/:id', async () => as('users'));
    app.post('/café', async () => as('café'));
    return portOf(await app.listen({ port: 0, host: '127.0.0.1' }));
  };
const behindMiddie = async (app: any, { express: limit }: Middlewares) => {
  await app.register(middie);
  app.use(limit);
};
const LOOSE = {
  caseSensitive: false,
  ignoreTrailingSlash: true,
  ignoreDuplicateSlashes: true,
  useSemicolonDelimiter: true,
};
const rewriteUrl = (request: any) => request.url.replace(/^\/v1(?=\/)/, '');

const koaed =
  (options: any, before?: any): Serve =>
  (t, { koa: limit }) => {
    const app = new Koa();
    app.silent = true;
    if (before !== undefined) app.use(before);
    app.use(limit);
    const router = new KoaRouter(options);
    const answer = (name: string) => (context: any) => void (context.body = as(name));
    router.post('/orders', answer('orders')).post('/users/:id', answer('users')).post('/caf%C3%A9', answer('café'));
    return listen(t, app.use(router.routes()).callback());
  };

/** Node's own server, whose author finds the route as he likes. */
const plain =
  (pathOf: (target: string) => string): Serve =>
  (t, { express: limit }) =>
    listen(t, (request: any, response: any) =>
      limit(request, response, (error?: Error) => {
        const path = error === undefined ? pathOf(request.url) : '';
        const [, user] = /^\/users\/([^/]+)$/.exec(path) ?? [];
        const name = { '/orders': 'orders', '/café': 'café' }[path] ?? (user === undefined ? undefined : 'users');
        response.statusCode = error === undefined ? 200 : 400;
        response.end(name === undefined ? '' : as(name));
      }),
    );
const cut = (target: string) => target.replace(/[?#].*/, '');
const decode = (text: string) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const nested =
  (adapter: 'express' | 'fastify', options: any, isGuard: boolean): Serve =>
  async (t, limits) => {
    class Root {
      orders() {
        return as('orders');
      }
      users() {
        return as('users');
      }
      cafe() {
        return as('café');
      }
    }
    const cafe = adapter === 'express' ? 'caf%C3%A9' : 'café';
    for (const [name, path] of [['orders', 'orders'], ['users', 'users/:id'], ['cafe', cafe]] as const) {
      All(path)(Root.prototype, name, Object.getOwnPropertyDescriptor(Root.prototype, name)!);
    }
    Param('id')(Root.prototype, 'users', 0);
    Controller()(Root);
    if (isGuard) Gate('orders', { cost })(Root);
    const imports = isGuard ? [TidegateModule.forRoot({ gates: limits.gates })] : [];
    class App {}
    Module({ imports, controllers: [Root] })(App);
    const made: any = adapter === 'express' ? ADAPTERS.express() : new FastifyAdapter(options);
    const app: any = await NestFactory.create(App, made, { logger: false, abortOnError: false });
    t.after(() => app.close());
    if (!isGuard) app.use(limits.express);
    await app.listen(0, '127.0.0.1');
    return (app.getHttpServer().address() as AddressInfo).port;
  };

const CASE = 'case sensitive routing';
const STRICT = 'strict routing';
const FRAMEWORKS: Record<string, Serve> = {
  express: expressed([], (app, limit) => expressRoutes(app.use(limit))),
  'express, strict': expressed([CASE, STRICT], (app, limit) => expressRoutes(app.use(limit))),
  'express, strict, with a router that is not': expressed([CASE, STRICT], (app, limit) =>
    app.use(limit, expressRoutes(express.Router())),
  ),
  'express, whose middleware rewrites': expressed([], (app, limit) => expressRoutes(app.use(strip, limit))),
  'express, below a mount': expressed([], (app, limit) => {
    app.use('/orders', limit, express.Router().post('/', (_request, response) => void response.send(as('orders'))));
    app.use('/users', limit, express.Router().post('/:id', (_request, response) => void response.send(as('users'))));
  }),
  fastify: fastified({}),
  'fastify, told otherwise': fastified({ routerOptions: LOOSE }),
  'fastify, told so in the old way': fastified({ routerOptions: { useSemicolonDelimiter: true }, rewriteUrl }),
  'fastify, which rewrites': fastified({ rewriteUrl }),
  'fastify, behind middleware': fastified({}, behindMiddie),
  'fastify, told otherwise, behind middleware': fastified({ routerOptions: LOOSE, rewriteUrl }, behindMiddie),
  koa: koaed({}),
  'koa, strict': koaed({ sensitive: true, strict: true }),
  'koa, which rewrites': koaed({}, (context: any, next: any) => ((context.url = rewriteUrl(context)), next())),
  'koa, whose middleware takes the prefix off': koaed({}, (context: any, next: any) => {
    context.path = context.path.replace(/^\/v1(?=\/)/, '');
    return next();
  }),
  'node:http, as it comes': plain(cut),
  'node:http by URL': plain((target) => new URL(target, 'http://test').pathname),
  'node:http by URL, decoded': plain((target) => decode(new URL(target, 'http://test').pathname)),
  'node:http, decoded': plain((target) => decode(cut(target))),
  'node:http, decoded, without parameters': plain((target) => decode(cut(target)).replace(/;.*/, '')),
  'node:http, without slashes and case': plain((target) =>
    cut(target).toLowerCase().replace(/\/+/g, '/').replace(/(.)\/$/, '$1'),
  ),
  'nest on express, by a guard': nested('express', {}, true),
  'nest on fastify, by a guard': nested('fastify', {}, true),
  'nest on fastify, told otherwise, by a guard': nested('fastify', { routerOptions: LOOSE, rewriteUrl }, true),
  'nest on express, behind middleware': nested('express', {}, false),
  'nest on fastify, behind middleware': nested('fastify', {}, false),
  'nest on fastify, told otherwise, behind middleware': nested('fastify', { routerOptions: LOOSE, rewriteUrl }, false),
};

/** Counts what is taken of it. */
function gated() {
  const everyone = new TokenBucket({ rate: '1/day', burst: 10_000 });
  return { gate: new TheGate('orders', { limits: { everyone } }), left: () => everyone.peek().remaining };
}

describe('what a gate has by route', () => {
  for (const [framework, serve] of Object.entries(FRAMEWORKS)) {
    it(`holds in each spelling that serves the route: ${framework}`, async (t) => {
      const { gate, left } = gated();
      const port = await serve(t, {
        express: admit(gate, { cost, exempt: [] }),
        koa: admitKoa(gate, { cost, exempt: [] }),
        fastify: (app) => app.register(admitFastify, { gate, cost, exempt: [] }),
        gates: { orders: gate },
      });
      const served: Record<string, number> = {};
      for (const target of TARGETS) {
        const before = left();
        const { body } = await send(port, target);
        const [, name] = /served as (\w+|café)$/s.exec(body.trim().replace(/\r\n0$/, '')) ?? [];
        if (name === undefined) continue;
        served[name] = (served[name] ?? 0) + 1;
        assert.equal(before - left(), COSTS[name as keyof typeof COSTS], `${target} is ${name}`);
      }
      assert.ok(served.orders! > 0 && served.users! > 0, JSON.stringify(served));
    });
  }
});

describe("a limit by the key 'route'", () => {
  for (const [framework, serve] of Object.entries(FRAMEWORKS)) {
    if (framework.includes('by a guard')) continue;
    it(`is one for each spelling that serves the route: ${framework}`, async (t) => {
      for (const route of ['orders', 'café']) {
        const limiter = new RateLimiter({ rate: '1/hour' });
        const options = { rate: limiter, key: 'route' as const, exempt: [] };
        const port = await serve(t, {
          express: rateLimit(options),
          koa: rateLimitKoa(options),
          fastify: (app) => app.register(tidegate, options),
          gates: {},
        });
        const canonical = route === 'orders' ? '/orders' : '/caf%C3%A9';
        const first = await send(port, canonical);
        // Those that compare a path as it comes have none with an accent; and below a mount there are two.
        if (!first.body.includes(as(route))) continue;
        for (const target of TARGETS) {
          limiter.resetAll();
          await send(port, canonical);
          const { status, body } = await send(port, target);
          // Where no router is known, a host with a question mark in it is none, and Fastify's own takes it for one.
          if (target === 'http://a?b/orders' && framework.includes('behind middleware')) continue;
          assert.ok(status === 429 || !body.includes(as(route)), `${target} is ${body}`);
        }
      }
    });
  }
});
