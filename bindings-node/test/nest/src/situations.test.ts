// The situations that every framework must answer alike (tests/vectors/http_situations.json), over real HTTP.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { All, Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import Fastify from 'fastify';
import { RateLimiter } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import { RateLimit, TidegateModule } from 'tidegate/nest';
import { ADAPTERS, type Adapter } from './app.js';

/** Up from target/node-apps/<app>, where the tests run. */
const FILE = join(process.cwd(), '../../../tests/vectors/http_situations.json');
const { cases } = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : { cases: [] };

const key = (text?: string): any => (text?.startsWith('constant:') ? () => text.slice('constant:'.length) : text);

/** What a header says. */
const said = (text: string) => (request: any) => request.headers[text.slice('header:'.length)];

/** A limit of a case, as our options. */
function optionsOf({ rate, keyed, algorithm, ...rest }: any) {
  const made = keyed ? new RateLimiter({ rate, algorithm }) : rate.startsWith('header:') ? said(rate) : rate;
  if (typeof rest.cost === 'string') {
    const asked = said(rest.cost);
    rest.cost = (request: any) => Number(asked(request));
  }
  return { rate: made, ...rest, ...(rest.key === undefined ? {} : { key: key(rest.key) }) };
}

type Serve = (t: TestContext, limits: any[]) => Promise<number>;
const portOf = async (t: TestContext, server: any): Promise<number> => {
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

/** The limits stand over a route as decorators, the first on top. */
const nest =
  (adapter: Adapter): Serve =>
  async (t, limits) => {
    @Controller()
    class Root {
      all() {
        return '';
      }
    }
    const on = Object.getOwnPropertyDescriptor(Root.prototype, 'all')!;
    All()(Root.prototype, 'all', on);
    for (const { rate, ...options } of [...limits].reverse()) RateLimit(rate, options)(Root.prototype, 'all', on);
    const module = { module: class {}, imports: [TidegateModule.forRoot()], controllers: [Root] };
    const app: any = await NestFactory.create(module, ADAPTERS[adapter]() as any, { logger: false });
    t.after(() => app.close());
    await app.listen(0, '127.0.0.1');
    return (app.getHttpServer().address() as AddressInfo).port;
  };

const SERVERS: Record<string, Serve> = {
  'node:http': (t, limits) => {
    const [first, ...others] = limits.map((limit) => rateLimit(limit));
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
  express: (t, limits) => {
    const app = express();
    for (const limit of limits) app.use(rateLimit(limit));
    app.all('/', (_request, response) => void response.end());
    return portOf(t, createServer(app));
  },
  async fastify(t, limits) {
    const app = Fastify();
    for (const limit of limits) await app.register(tidegate, limit);
    app.all('/', async () => '');
    t.after(() => app.close());
    await app.listen({ port: 0, host: '127.0.0.1' });
    return (app.server.address() as AddressInfo).port;
  },
  'nest on express': nest('express'),
  'nest on fastify': nest('fastify'),
};

const answer = (port: number, { method, path, headers, remote }: any) =>
  new Promise<any>((resolve, reject) => {
    ask({ port, host: '127.0.0.1', localAddress: remote, method, path, headers, agent: false }, (response) => {
      response.resume().on('end', () => resolve(response));
    })
      .on('error', reject)
      .end();
  });

for (const [name, serve] of Object.entries(SERVERS)) {
  describe(`situations over ${name}`, () => {
    it('there are some', () => assert.ok(cases.length > 10));
    for (const { name: what, config, asks, error } of cases) {
      it(what, async (t) => {
        if (error !== undefined) {
          const message = new RegExp(`^${error} .*from 1 to 3, got 4$`);
          return assert.rejects(async () => serve(t, config.limits.map(optionsOf)), { message });
        }
        const port = await serve(t, config.limits.map(optionsOf));
        for (const [index, expected] of asks.entries()) {
          const { statusCode, headers } = await answer(port, expected);
          const state = headers.ratelimit?.replace(/;t=\d+/g, '') ?? null;
          assert.deepEqual([statusCode, headers['ratelimit-policy'] ?? null, state], [expected.status, expected.policy, expected.state], `ask ${index}`);
          const wait = headers['retry-after'];
          if (expected.retry_after === null) assert.equal(wait, undefined);
          else assert.ok(expected.retry_after[0] <= Number(wait) && Number(wait) <= expected.retry_after[1], `ask ${index}: ${wait}`);
        }
      });
    }
  });
}
