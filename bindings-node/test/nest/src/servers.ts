// The same limits on every framework, over real HTTP.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { All, Controller, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import Fastify from 'fastify';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import { RateLimit, TidegateModule, overloadGuard } from 'tidegate/nest';
import { ADAPTERS, type Adapter } from './app.js';

/**
 * Serves `/` behind limits, each with middleware or a decorator of its own, the first on top, and behind an entrance: a
 * shedder, a backlog, a concurrency limit. Gives the port.
 */
export type Serve = (t: TestContext, limits: any[], entrance?: any) => Promise<number>;
/** The entrance belongs to the last one's middleware. */
const withEntrance = (limits: any[], entrance: any): any[] =>
  entrance === undefined ? limits : [...limits.slice(0, -1), { ...limits.at(-1), ...entrance }];
/** Beside `/` those that look after a service. */
const PATHS = ['/', '/healthz', '/livez', '/readyz'];
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
  async (t, limits, entrance) => {
    @Controller()
    class Root {
      all() {
        return '';
      }
    }
    const on = Object.getOwnPropertyDescriptor(Root.prototype, 'all')!;
    All(PATHS)(Root.prototype, 'all', on);
    if (entrance !== undefined) UseGuards(overloadGuard(entrance))(Root.prototype, 'all', on);
    for (const { rate, ...options } of [...limits].reverse()) RateLimit(rate, options)(Root.prototype, 'all', on);
    const module = { module: class {}, imports: [TidegateModule.forRoot()], controllers: [Root] };
    const app: any = await NestFactory.create(module, ADAPTERS[adapter]() as any, { logger: false });
    t.after(() => app.close());
    await app.listen(0, '127.0.0.1');
    return (app.getHttpServer().address() as AddressInfo).port;
  };

export const SERVERS: Record<string, Serve> = {
  'node:http': (t, limits, entrance) => {
    const [first, ...others] = withEntrance(limits, entrance).map((limit) => rateLimit(limit));
    const through = (rest: any[], asked: any, response: any): void =>
      rest.length === 0
        ? response.end()
        : rest[0](asked, response, (error?: Error) => {
            if (error === undefined) return through(rest.slice(1), asked, response);
            response.statusCode = 500;
            response.end(error.message);
          });
    return portOf(t, createServer((asked, response) => through([first, ...others], asked, response)));
  },
  express: (t, limits, entrance) => {
    const app = express();
    for (const limit of withEntrance(limits, entrance)) app.use(rateLimit(limit));
    for (const path of PATHS) app.all(path, (_request, response) => void response.end());
    return portOf(t, createServer(app));
  },
  async fastify(t, limits, entrance) {
    const app = Fastify();
    for (const limit of withEntrance(limits, entrance)) await app.register(tidegate, limit);
    for (const path of PATHS) app.all(path, async () => '');
    t.after(() => app.close());
    await app.listen({ port: 0, host: '127.0.0.1' });
    return (app.server.address() as AddressInfo).port;
  },
  'nest on express': nest('express'),
  'nest on fastify': nest('fastify'),
};
