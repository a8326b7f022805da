// The same limits on every framework, over real HTTP.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { All, Controller, Req, Res, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import Fastify from 'fastify';
import Koa from 'koa';
import type { Admission, Gate as TheGate } from 'tidegate';
import { admit, rateLimit } from 'tidegate/express';
import tidegate, { admit as admitFastify } from 'tidegate/fastify';
import { admit as admitKoa, rateLimit as rateLimitKoa } from 'tidegate/koa';
import { Admitted, Gate, RateLimit, TidegateModule, overloadGuard } from 'tidegate/nest';
import { ADAPTERS, type Adapter } from './app.js';

/**
 * Serves every path behind limits, each with middleware or a decorator of its own, the first on top, and behind an
 * entrance: a shedder, a backlog, a concurrency limit; or behind a gate. Answers what `X-Status` says. Gives the port.
 */
export type Serve = (t: TestContext, limits: any[], entrance?: any, gated?: Gated, where?: Where) => Promise<number>;
/** The prefix below which all stands, and the paths that are exempt there. */
type Where = { mount?: string; exempt?: string[] };
/** A gate, how requests ask it, and what handlers do with what it said. */
export type Gated = { gate: TheGate; asking?: any; handle?: (admission: Admission | undefined) => unknown };
const noHandle: NonNullable<Gated['handle']> = () => undefined;
const statusOf = (request: any) => Number(request.headers['x-status'] ?? 200);
/** The entrance belongs to the last one's middleware. */
const optionsOf = (limits: any[], entrance: any, { exempt }: Where): any[] => {
  const all = entrance === undefined ? limits : [...limits.slice(0, -1), { ...limits.at(-1), ...entrance }];
  return exempt === undefined ? all : all.map((options) => ({ ...options, exempt }));
};
const portOf = async (t: TestContext, server: any): Promise<number> => {
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

/** The limits stand over a route as decorators. */
const nest =
  (adapter: Adapter): Serve =>
  async (t, limits, entrance, gated, { mount, exempt } = {}) => {
    @Controller()
    class Root {
      async all(request: any, response: any, admission?: Admission) {
        response.status(statusOf(request));
        return (await (gated?.handle ?? noHandle)(admission)) ?? '';
      }
    }
    const on = Object.getOwnPropertyDescriptor(Root.prototype, 'all')!;
    All(['/', adapter === 'express' ? '*path' : '*'])(Root.prototype, 'all', on);
    Req()(Root.prototype, 'all', 0);
    Res({ passthrough: true })(Root.prototype, 'all', 1);
    Admitted()(Root.prototype, 'all', 2);
    if (gated !== undefined) Gate('orders', gated.asking)(Root.prototype, 'all', on);
    const options = { ...(gated && { gates: { orders: gated.gate } }), ...(exempt && { exempt }) };
    if (entrance !== undefined) UseGuards(overloadGuard(entrance))(Root.prototype, 'all', on);
    for (const { rate, ...options } of [...limits].reverse()) RateLimit(rate, options)(Root.prototype, 'all', on);
    const module = { module: class {}, imports: [TidegateModule.forRoot(options)], controllers: [Root] };
    const app: any = await NestFactory.create(module, ADAPTERS[adapter]() as any, {
      logger: false,
      abortOnError: false,
    });
    t.after(() => app.close());
    if (mount !== undefined) app.setGlobalPrefix(mount);
    await app.listen(0, '127.0.0.1');
    return (app.getHttpServer().address() as AddressInfo).port;
  };

export const SERVERS: Record<string, Serve> = {
  'node:http': (t, limits, entrance, gated, where = {}) => {
    const own = gated === undefined ? [] : [admit(gated.gate, gated.asking)];
    const [first, ...others] = [...optionsOf(limits, entrance, where).map((limit) => rateLimit(limit)), ...own];
    const handle = async (asked: any, response: any) => {
      response.statusCode = statusOf(asked);
      response.end((await (gated?.handle ?? noHandle)(asked.admission)) ?? '');
    };
    const through = (rest: any[], asked: any, response: any): unknown =>
      rest.length === 0
        ? handle(asked, response)
        : rest[0](asked, response, (error?: Error) => {
            if (error === undefined) return through(rest.slice(1), asked, response);
            response.statusCode = 500;
            response.end(error.message);
          });
    return portOf(t, createServer((asked, response) => through([first, ...others], asked, response)));
  },
  express: (t, limits, entrance, gated, where = {}) => {
    const app = express();
    const { mount = '/' } = where;
    for (const limit of optionsOf(limits, entrance, where)) app.use(mount, rateLimit(limit));
    if (gated !== undefined) app.use(admit(gated.gate, gated.asking));
    app.use(mount, async (request: any, response: any) => {
      response.status(statusOf(request)).end((await (gated?.handle ?? noHandle)(request.admission)) ?? '');
    });
    return portOf(t, createServer(app));
  },
  koa: (t, limits, entrance, gated, where = {}) => {
    const app = new Koa();
    app.silent = true;
    for (const limit of optionsOf(limits, entrance, where)) app.use(rateLimitKoa(limit));
    if (gated !== undefined) app.use(admitKoa(gated.gate, gated.asking));
    app.use(async (context: any) => {
      context.status = statusOf(context);
      context.body = (await (gated?.handle ?? noHandle)(context.admission)) ?? '';
    });
    return portOf(t, createServer(app.callback()));
  },
  async fastify(t, limits, entrance, gated, where = {}) {
    const app = Fastify();
    const { mount: prefix } = where;
    const routes = async (below: any) => {
      for (const limit of optionsOf(limits, entrance, where)) await below.register(tidegate, limit);
      if (gated !== undefined) await below.register(admitFastify, { gate: gated.gate, ...gated.asking });
      for (const path of ['/', '/*']) {
        below.all(path, async (request: any, reply: any) => {
          reply.code(statusOf(request));
          return (await (gated?.handle ?? noHandle)(request.admission)) ?? '';
        });
      }
    };
    if (prefix === undefined) await routes(app);
    else await app.register(routes, { prefix });
    t.after(() => app.close());
    await app.listen({ port: 0, host: '127.0.0.1' });
    return (app.server.address() as AddressInfo).port;
  },
  'nest on express': nest('express'),
  'nest on fastify': nest('fastify'),
};
