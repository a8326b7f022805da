// A program: every function of an application fails in every way, on every framework, and the process must live. Prints
// what came of it as JSON.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import express from 'express';
import Fastify from 'fastify';
import { TokenBucket } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';

const FAILURES: Record<string, () => any> = {
  throws: () => {
    throw new Error('thrown');
  },
  'throws undefined': () => {
    throw undefined;
  },
  "throws 'route'": () => {
    throw 'route';
  },
  rejects: async () => {
    throw new Error('rejected');
  },
  'rejects with undefined': () => Promise.reject(undefined),
  'returns rubbish': () => Object.create(null),
  'gives a then that throws': () => ({
    get then() {
      throw new Error('then');
    },
  }),
  'throws what cannot be shown': () => {
    throw { [inspect.custom]: () => assert.fail('looked at') };
  },
};

interface Served {
  url: string;
  /** Errors that reached the framework's handler. */
  errors: unknown[];
  close(): unknown;
}
type Serve = (options: any) => Promise<Served>;

const listening = async (server: any) => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const SERVERS: Record<string, Serve> = {
  async http(options) {
    const limit = rateLimit(options);
    const errors: unknown[] = [];
    const server = createServer((request, response) =>
      limit(request, response, (error) => {
        if (error !== undefined) errors.push(error);
        response.statusCode = error === undefined ? 200 : 500;
        // What is said after the end of an answer is an error that nobody catches.
        response.end(error === undefined ? 'ok' : 'error');
      }),
    );
    return { url: await listening(server), errors, close: () => server.close() };
  },
  async express(options) {
    const app = express();
    const errors: unknown[] = [];
    app.use(rateLimit(options));
    app.get('/', (_request, response) => void response.end());
    app.use((error: unknown, _request: any, response: any, _next: any) => {
      errors.push(error);
      response.status(500).end();
    });
    const server = createServer(app);
    return { url: await listening(server), errors, close: () => server.close() };
  },
  async fastify(options) {
    const app = Fastify();
    const errors: unknown[] = [];
    app.setErrorHandler((error, _request, reply) => {
      errors.push(error);
      return reply.code(500).send();
    });
    app.register(tidegate, options);
    app.get('/', async () => 'ok');
    return { url: await app.listen({ port: 0, host: '127.0.0.1' }), errors, close: () => app.close() };
  },
};

const usedUp = () => {
  const bucket = new TokenBucket({ rate: '1/hour' });
  bucket.tryAcquire();
  return bucket;
};

const PLACES: Record<string, (fail: () => any, bucket: TokenBucket) => any> = {
  key: (fail) => ({ rate: '9/hour', key: fail }),
  cost: (fail, bucket) => ({ rate: bucket, cost: fail }),
  rate: (fail) => ({ rate: fail }),
  'cost beside a key that rejects': (fail) => ({
    rate: '9/hour',
    key: () => Promise.reject(new Error('key')),
    cost: fail,
  }),
  'key of the second limit, after one that rejects': (fail, bucket) => ({
    limits: { a: { rate: bucket, cost: () => Promise.reject(new Error('cost')) }, b: { rate: '9/hour', key: fail } },
  }),
  'key of the second limit': (fail, bucket) => ({ limits: { a: bucket, b: { rate: '9/hour', key: fail } } }),
  'check of a limit': (fail, bucket) => ({ limits: { a: bucket, b: { rate: { check: fail, refund() {} } } } }),
  tier: (fail) => ({ rate: '9/hour', key: () => 'k', tiers: { pro: '10/hour' }, tier: fail }),
  skip: (fail, bucket) => ({ rate: bucket, skip: fail }),
  refundOn: (fail, bucket) => ({ rate: bucket, refundOn: fail }),
  onRefused: (fail) => ({ rate: usedUp(), onRefused: fail }),
  'onRefused that has answered': (fail) => ({
    rate: usedUp(),
    onRefused(_request: any, response: any) {
      if (typeof response.send === 'function') response.send('no');
      else response.end('no');
      return fail();
    },
  }),
};

async function main() {
  const seen: Record<string, unknown> = {};
  for (const [framework, serve] of Object.entries(SERVERS)) {
    for (const [place, options] of Object.entries(PLACES)) {
      for (const [how, fail] of Object.entries(FAILURES)) {
        const bucket = new TokenBucket({ rate: '9/hour' });
        const { url, errors, close } = await serve(options(fail, bucket));
        const { status } = await fetch(url, { headers: { connection: 'close' }, signal: AbortSignal.timeout(5000) });
        await close();
        seen[`${framework}: ${place} ${how}`] = { status, errors: errors.length, remaining: bucket.peek().remaining };
      }
    }
  }
  console.log(JSON.stringify(seen));
}
void main();
