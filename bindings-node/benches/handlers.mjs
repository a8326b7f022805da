// Applications in one process, each with a bare route and one behind what is measured: handlers.mjs <see VARIANTS>
// Requests are injected, without a socket. Each message 'round' is answered with the processor nanoseconds that the
// guarded route takes longer than the bare one beside it: the median of many short blocks in turn, in the same machine
// code.
import 'reflect-metadata';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import express from 'express';
import { rateLimit as expressRateLimit } from 'express-rate-limit';
import { inject } from 'light-my-request';
import { rateLimit } from 'tidegate/express';
import { TidegateGuard, TidegateModule } from 'tidegate/nest';
import { HEADERS, LIMIT, NoOpGuard, tracker } from './guards.mjs';

const BLOCKS = 61;
const REQUESTS = 20;
const USERS = Array.from({ length: 10_000 }, (_, i) => `user:${String(i).padStart(12, '0')}`);

async function nest(guard, imports = []) {
  class Routes {
    bare() {
      return { hello: 'world' };
    }
    guarded() {
      return { hello: 'world' };
    }
  }
  for (const name of ['bare', 'guarded']) {
    Get(name)(Routes.prototype, name, Object.getOwnPropertyDescriptor(Routes.prototype, name));
  }
  UseGuards(guard)(Routes.prototype, 'guarded', Object.getOwnPropertyDescriptor(Routes.prototype, 'guarded'));
  Controller()(Routes);
  class AppModule {}
  Module({ controllers: [Routes], imports })(AppModule);
  const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return (url, headers) => app.inject({ url, headers });
}

function plainExpress(middleware) {
  const app = express();
  app.get('/bare', (request, response) => response.json({ hello: 'world' }));
  app.get('/guarded', middleware, (request, response) => response.json({ hello: 'world' }));
  return (url, headers) => inject(app, { url, headers });
}

const VARIANTS = {
  'Nest + Fastify': {
    tidegate: () => nest(TidegateGuard, [TidegateModule.forRoot({ guard: false, limits: { default: LIMIT } })]),
    ThrottlerGuard: () =>
      nest(ThrottlerGuard, [
        ThrottlerModule.forRoot({ throttlers: [{ ttl: 60_000, limit: 100 }], getTracker: tracker }),
      ]),
    'no-op guard': () => nest(NoOpGuard),
  },
  Express: {
    tidegate: () => plainExpress(rateLimit(LIMIT)),
    'express-rate-limit': () =>
      plainExpress(
        expressRateLimit({
          windowMs: 60_000,
          limit: 100,
          standardHeaders: 'draft-8',
          legacyHeaders: false,
          keyGenerator: tracker,
        }),
      ),
    'no-op middleware': () =>
      plainExpress((request, response, next) => {
        for (const [name, value] of HEADERS) response.setHeader(name, value);
        next();
      }),
  },
};

const [, , kind, name] = process.argv;
const send = await VARIANTS[kind][name]();
let at = 0;

async function block(url) {
  const start = process.cpuUsage();
  for (let i = 0; i < REQUESTS; i += 1) {
    const { statusCode } = await send(url, { 'x-user-id': USERS[at] });
    if (statusCode !== 200) throw new Error(`${kind}, ${name}: ${url} answered ${statusCode}`);
    at = (at + 1) % USERS.length;
  }
  // Processor time: what else runs on the machine is not in it, and the garbage that a request leaves is.
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1000) / REQUESTS;
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

async function round() {
  const took = { '/bare': [], '/guarded': [] };
  for (let i = 0; i < BLOCKS; i += 1) {
    for (const url of i % 2 ? ['/bare', '/guarded'] : ['/guarded', '/bare']) took[url].push(await block(url));
  }
  const bare = median(took['/bare']);
  return { added: median(took['/guarded']) - bare, bare };
}

for (let i = 0; i < 4; i += 1) await round();
process.on('message', async () => process.send(await round()));
process.on('disconnect', () => process.exit());
process.send('ready');
