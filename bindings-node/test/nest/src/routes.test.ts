// The key 'route' on Express: however a client spells a path, one route has one quota.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express, { type Express, type Handler, Router } from 'express';
import Fastify from 'fastify';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import { ADAPTERS } from './app.js';
import { requester } from './request.js';

const twice = () => rateLimit({ rate: '2/hour', key: 'route' }) as Handler;
const ok: Handler = (_request, response) => void response.end();
const router = (prepare: (made: Router) => unknown) => {
  const made = Router();
  prepare(made);
  return made;
};
const ids = () => router((made) => made.get('/:id', twice(), ok));

/** Applications, and groups of paths: of each group the first two are admitted, the others refused. */
const CASES: Record<string, [(app: Express) => unknown, string[][]]> = {
  'under a mount with parameters': [
    (app) => app.use('/t/:tenant', ids().get('/:id/x', twice(), ok)),
    [
      ['/t/a/1', '/t/b/2', '/t/c/3', '/t/%61/1', '/T/A/1', '/t/a%20/1'],
      ['/t/a/1/x', '/t/b/1/X/', '/t/c/1/x'],
    ],
  ],
  'under one mount of several prefixes': [
    (app) => app.use(['/x', '/y', /^\/z\d/], ids()),
    [['/x/1', '/y/1', '/z1/1', '/z2/1', '/X/1']],
  ],
  'under two mounts, which are two': [
    (app) => app.use('/x', ids()).use('/y', ids()),
    [
      ['/x/1', '/x/2', '/x/3', '/X/1'],
      ['/y/1', '/y/2', '/y/3'],
    ],
  ],
  'of middleware with a prefix and no route': [
    (app) => app.use(['/x', '/y'], twice(), ok),
    [['/x', '/x/1', '/x/2', '/X/', '/x//', '/y', '/y/z']],
  ],
  'in front of all routes': [
    (app) =>
      app
        .use(twice())
        .use('/api/:version', router((made) => made.get('/l/:id', ok)))
        .get('/u/:id', ok),
    [
      ['/u/1', '/U/2', '/u/3', '/u/4/'],
      ['/api/1/l/1', '/api/2/l/2', '/API/3/L/3'],
      // No route: by path, as the router compares it.
      ['/none', '/None', '/NONE/'],
      ['/other', '/Other', '/other'],
    ],
  ],
  'in front of a mounted router': [
    (app) => app.use('/api/:version', router((made) => made.use(twice()).get('/l/:id', ok).get('/m', ok))),
    [
      ['/api/1/l/1', '/api/2/l/2', '/API/3/L/3'],
      ['/api/1/m', '/api/2/M', '/api/3/m/'],
      ['/api/1/none', '/api/2/none', '/api/3/other'],
    ],
  ],
  'in an application that is mounted in another': [
    (app) => {
      const inner = express().get('/:id', twice(), ok);
      const outer = express().get('/:id', twice(), ok).use('/b/:part', inner);
      app.use('/other', Router()).use('/s/:tenant', outer);
    },
    [
      ['/s/1/1', '/s/2/2', '/s/3/3', '/s/1/b'],
      ['/s/1/b/1/1', '/s/2/b/2/2', '/s/3/b/3/3'],
    ],
  ],
  'of a router that compares otherwise than the application': [
    (app) => app.enable('case sensitive routing').use(twice(), router((made) => made.get('/login', ok))),
    [['/login', '/Login', '/LOGIN', '/login/']],
  ],
  'of several patterns': [
    (app) => app.get(['/a', '/b/:x'], twice(), ok).all('/c', twice(), ok),
    [
      ['/a', '/b/1', '/b/2'],
      ['/c', '/c/', '/c'],
    ],
  ],
};

describe("the key 'route' on Express", () => {
  for (const [what, [prepare, groups]] of Object.entries(CASES)) {
    it(`is one ${what}`, async (t) => {
      const app = express();
      prepare(app);
      const server = app.listen(0, '127.0.0.1');
      t.after(() => server.close());
      await new Promise((resolve) => server.once('listening', resolve));
      const request = requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      for (const paths of groups) {
        const seen = [];
        for (const path of paths) seen.push((await request(path, seen.length === 1 ? 'HEAD' : 'GET')).status === 429);
        assert.deepEqual(seen, [false, false, ...paths.slice(2).map(() => true)], paths.join(' '));
      }
    });
  }

  it('leaves a path that cannot be decoded to the router', async (t) => {
    const app = express();
    app.use(twice()).use('/t/:tenant', ids());
    app.use(((_error, _request, response, _next) => void response.status(400).end()) as express.ErrorRequestHandler);
    const server = app.listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const request = requester(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    assert.equal((await request('/t/%zz/1')).status, 400);
    assert.equal((await request('/t/a/1')).status, 200);
  });
});

/** Where no router is known. */
const UNROUTED: Record<string, (t: any) => Promise<string>> = {
  async 'node:http'(t) {
    const limit = rateLimit({ rate: '1/hour', key: 'route' });
    const server = createServer((asked, answer) => limit(asked, answer, () => void answer.end()));
    t.after(() => (server.close(), server.closeAllConnections()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
  async 'middleware of Nest on Fastify'(t) {
    class Root {
      login() {
        return '';
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Root.prototype, 'login')!;
    Get(['login', 'Login', 'other'])(Root.prototype, 'login', descriptor);
    Controller()(Root);
    class App {}
    Module({ controllers: [Root] })(App);
    const app: any = await NestFactory.create(App, ADAPTERS.fastify() as any, { logger: false });
    t.after(() => app.close());
    app.use(rateLimit({ rate: '1/hour', key: 'route' }));
    await app.listen(0, '127.0.0.1');
    return `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
  },
  async 'fastify, where no route matches'(t) {
    const app = Fastify();
    await app.register(tidegate, { rate: '1/hour', key: 'route' });
    t.after(() => app.close());
    return app.listen({ port: 0, host: '127.0.0.1' });
  },
};

describe("the key 'route' where no router is known", () => {
  const said: string[] = [];
  for (const [where, serve] of Object.entries(UNROUTED)) {
    it(`is one for all spellings of a path: ${where}`, async (t) => {
      const hear = ({ message }: Error) => void (message.startsWith("key: 'route'") && said.push(message));
      process.on('warning', hear);
      const request = requester(await serve(t));
      const spellings = ['/login', '/Login', '/login/', '//login', '/%6cogin', '/LOGIN?a=b', '/other'];
      const refused = [];
      for (const path of spellings) refused.push((await request(path)).status === 429);
      assert.deepEqual(refused, [false, true, true, true, true, true, false]);
      await setImmediate();
      process.off('warning', hear);
    });
  }

  it('is in the log, once', () => assert.equal(said.length, 1));
});
