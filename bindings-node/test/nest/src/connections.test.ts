// Permits of `concurrency` come back however a connection ends, whatever the handler does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2ServerResponse,
  connect as connect2,
  createServer as createServer2,
} from 'node:http2';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { pipeline } from 'node:stream';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import express from 'express';
import Fastify from 'fastify';
import { ConcurrencyLimiter } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import './alone.js';

const until = async (holds: () => boolean) => {
  const deadline = performance.now() + 60_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not within a minute: ${holds}`);
    await setImmediate();
  }
};

type Serve = (t: TestContext, concurrency: ConcurrencyLimiter, hang: () => void) => Promise<number>;

async function listen(t: TestContext, server: any) {
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function listenFastify(t: TestContext, app: any, concurrency: ConcurrencyLimiter, hang: () => void) {
  await app.register(tidegate, { concurrency });
  app.get('/answers', async () => 'ok');
  // A reply that is returned and never sent.
  app.get('/hangs', (_request: any, reply: any) => (hang(), reply));
  t.after(() => app.close());
  await app.listen({ port: 0, host: '127.0.0.1' });
  return (app.server.address() as AddressInfo).port;
}

/** Each answers `/answers` and never answers `/hangs`. */
const SERVERS: Record<string, Serve> = {
  'node:http'(t, concurrency, hang) {
    const limit = rateLimit({ concurrency });
    return listen(
      t,
      createServer((request, response) =>
        limit(request, response, () => (request.url === '/answers' ? void response.end('ok') : hang())),
      ),
    );
  },
  express(t, concurrency, hang) {
    const app = express();
    app.use(rateLimit({ concurrency }));
    app.get('/answers', (_request, response) => void response.end('ok'));
    app.get('/hangs', () => hang());
    return listen(t, createServer(app));
  },
  fastify: (t, concurrency, hang) => listenFastify(t, Fastify({ forceCloseConnections: true }), concurrency, hang),
};

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`;

async function open(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

for (const [name, serve] of Object.entries(SERVERS)) {
  describe(`permits over ${name}`, () => {
    it('of requests that nobody answers are held as long as their connection', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 3 });
      const port = await serve(t, concurrency, () => {});
      for (const end of ['destroy', 'resetAndDestroy', 'end'] as const) {
        const socket = await open(t, port);
        socket.write(get('/hangs'));
        await until(() => concurrency.inUse === 1);
        socket[end]();
        await until(() => concurrency.inUse === 0);
      }
    });

    it('of pipelined requests come back with the connection, answered or not', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 9 });
      let hanging = 0;
      const port = await serve(t, concurrency, () => (hanging += 1));
      for (const others of [['/hangs'], ['/answers', '/answers'], ['/answers', '/hangs', '/answers']]) {
        const socket = await open(t, port);
        // Those behind the first have an answer that waits for its own, or none; Node tells neither of the end.
        socket.write(['/hangs', ...others].map(get).join(''));
        await until(() => concurrency.inUse === others.length + 1);
        socket.destroy();
        await until(() => concurrency.inUse === 0);
      }
      assert.equal(hanging, 5);
    });

    it('of pipelined requests that wait in line are not given out when the connection is gone', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 1, maxWaitMs: 60_000 });
      let hanging = 0;
      const port = await serve(t, concurrency, () => (hanging += 1));
      const socket = await open(t, port);
      socket.write(get('/hangs') + get('/hangs') + get('/hangs'));
      await until(() => concurrency.stats().waiting === 2);
      socket.destroy();
      await until(() => concurrency.inUse === 0 && concurrency.stats().waiting === 0);
      assert.equal(hanging, 1);
    });

    it('of pipelined requests come back one by one as they are answered, without a listener each', async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 50 });
      const warnings: Error[] = [];
      const hear = (warning: Error) => void warnings.push(warning);
      process.on('warning', hear);
      t.after(() => process.off('warning', hear));
      const port = await serve(t, concurrency, () => {});
      const socket = await open(t, port);
      let text = '';
      socket.on('data', (data) => (text += data));
      socket.write(get('/answers').repeat(30));
      await until(() => text.split('200 OK').length === 31);
      await until(() => concurrency.inUse === 0);
      assert.deepEqual([warnings, concurrency.stats().admitted], [[], 30]);
    });
  });
}

/** How a handler ends an answer that it has not begun. */
const TEARS: Record<string, (response: ServerResponse, request: IncomingMessage) => void> = {
  destroys: (response) => void response.destroy(),
  'destroys with an error': (response) => void response.destroy(new Error('no')),
  'sends what fails': (response) => void pipeline(createReadStream('/no/such/file'), response, () => {}),
  'destroys its request': (_response, request) => void request.destroy(),
  'destroys its socket': (_response, request) => void request.socket.destroy(),
  'resets its socket': (_response, request) => void request.socket.resetAndDestroy(),
};
/** The same over HTTP/2. */
const TEARS2: Record<string, (response: Http2ServerResponse) => void> = {
  'destroys its stream': ({ stream }) => void stream.destroy(),
  'destroys its stream with an error': ({ stream }) => void stream.on('error', () => {}).destroy(new Error('no')),
  'closes its stream': ({ stream }) => void stream.close(),
  'cancels its stream': ({ stream }) => void stream.close(8),
  'destroys its socket': (response) => void response.req.socket.destroy(),
  'destroys its session': ({ stream }) => void stream.session!.destroy(),
  'sends what fails': (response) => void pipeline(createReadStream('/no/such/file'), response, () => {}),
  'sends by its stream what fails': ({ stream }) =>
    void pipeline(createReadStream('/no/such/file'), stream.on('error', () => {}), () => {}),
};

describe('permits of answers that their handler tears down', () => {
  for (const [how, tear] of Object.entries(TEARS)) {
    it(`come back at once: it ${how}`, async (t) => {
      const concurrency = new ConcurrencyLimiter({ limit: 1 });
      const limit = rateLimit({ concurrency });
      let seen: Promise<number>;
      const port = await listen(
        t,
        createServer((request, response) =>
          limit(request, response, () => {
            seen = once(response, 'close').then(() => concurrency.inUse);
            tear(response, request);
          }),
        ),
      );
      for (let time = 0; time < 2; time += 1) {
        await assert.rejects(fetch(`http://127.0.0.1:${port}`));
        assert.equal(await seen!, 0);
      }
    });
  }

  /** Middleware in front of a plain server of HTTP/2, and a hook of Fastify's. */
  const servers2: Record<string, (t: TestContext, limiter: ConcurrencyLimiter, then: any) => Promise<number>> = {
    async 'node:http2'(t, concurrency, then) {
      const limit = rateLimit({ concurrency });
      const server = createServer2((request: any, response: any) => limit(request, response, () => then(response)));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.after(() => void server.close());
      return (server.address() as AddressInfo).port;
    },
    async fastify(t, concurrency, then) {
      const app = Fastify({ http2: true });
      await app.register(tidegate, { concurrency });
      app.get('/', (_request: any, reply: any) => (reply.hijack(), then(reply.raw), undefined));
      // It waits for the sessions, which end after it.
      t.after(() => void app.close());
      await app.listen({ port: 0, host: '127.0.0.1' });
      return (app.server.address() as AddressInfo).port;
    },
  };
  const session = (t: TestContext, port: number) => {
    const made = connect2(`http://127.0.0.1:${port}`).on('error', () => {});
    t.after(() => made.destroy());
    return made;
  };
  for (const [name, serve] of Object.entries(servers2)) {
    for (const [how, tear] of Object.entries(TEARS2)) {
      it(`come back at once over HTTP/2 and ${name}: it ${how}`, async (t) => {
        const concurrency = new ConcurrencyLimiter({ limit: 1 });
        let seen: Promise<number>;
        const port = await serve(t, concurrency, (response: Http2ServerResponse) => {
          seen = once(response, 'close').then(() => concurrency.inUse);
          tear(response);
        });
        const stream = session(t, port).request({ ':path': '/' }).on('error', () => {});
        await new Promise((resolve) => stream.resume().once('close', resolve));
        assert.equal(await seen!, 0);
      });
    }

    const gone: Record<string, (session: ClientHttp2Session, stream: ClientHttp2Stream) => void> = {
      'resets the stream': (_session, stream) => stream.close(0),
      'cancels the stream': (_session, stream) => stream.close(8),
      'goes away': (session) => session.goaway(1),
      'ends the connection': (session) => session.destroy(),
    };
    const answers: Record<string, (response: Http2ServerResponse) => void> = {
      writes: (response) => void response.write('x'),
      ends: (response) => void response.end(),
      'destroys its stream': ({ stream }) => void stream.destroy(),
      'closes its stream': ({ stream }) => void stream.close(),
    };
    for (const [how, leave] of Object.entries(gone)) {
      it(`are held by a handler over HTTP/2 and ${name} whose client ${how}, until it answers`, async (t) => {
        for (const answer of Object.values(answers)) {
          const concurrency = new ConcurrencyLimiter({ limit: 1 });
          let response: Http2ServerResponse | undefined;
          const port = await serve(t, concurrency, (one: Http2ServerResponse) => void (response = one));
          const client = session(t, port);
          const stream = client.request({ ':path': '/' }).on('error', () => {});
          await until(() => response !== undefined);
          const isClosed = once(response!, 'close');
          leave(client, stream);
          await isClosed;
          assert.equal(concurrency.inUse, 1);
          response!.on('error', () => {});
          response!.stream.on('error', () => {});
          answer(response!);
          assert.equal(concurrency.inUse, 0);
        }
      });
    }
  }

  const ends: Record<string, (response: ServerResponse) => void> = {
    destroys: (response) => void response.destroy(),
    writes: (response) => void response.on('error', () => {}).write('x'),
    ends: (response) => void response.end(),
    'sends a stream': (response) => void pipeline(createReadStream('/dev/null'), response, () => {}),
  };
  for (const [how, end] of Object.entries(ends)) {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      it(`come back then, where the client had gone before by ${leave}: it ${how}`, async (t) => {
        const concurrency = new ConcurrencyLimiter({ limit: 1 });
        const limit = rateLimit({ concurrency });
        let response: ServerResponse | undefined;
        const port = await listen(
          t,
          createServer((asked, answer) => limit(asked, answer, () => void (response = answer))),
        );
        const socket = await open(t, port);
        socket.write(get('/'));
        await until(() => response !== undefined);
        const isClosed = once(response!, 'close');
        socket[leave]();
        await isClosed;
        assert.equal(concurrency.inUse, 1);
        end(response!);
        assert.equal(concurrency.inUse, 0);
      });
    }
  }
});

describe('permits over fastify', () => {
  it('come back when its own timeout ends a connection', async (t) => {
    const concurrency = new ConcurrencyLimiter({ limit: 1 });
    const app = Fastify({ connectionTimeout: 50, forceCloseConnections: true });
    const port = await listenFastify(t, app, concurrency, () => {});
    const socket = await open(t, port);
    socket.write(get('/hangs'));
    await until(() => concurrency.inUse === 1);
    await until(() => concurrency.inUse === 0);
  });

  it('come back when a stream of HTTP/2 is reset, or its session goes', async (t) => {
    const concurrency = new ConcurrencyLimiter({ limit: 3 });
    const port = await listenFastify(t, Fastify({ http2: true }), concurrency, () => {});
    const session = connect2(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    t.after(() => session.destroy());
    const ask = () => session.request({ ':path': '/hangs' }).on('error', () => {});
    const [first] = [ask(), ask()];
    await until(() => concurrency.inUse === 2);
    first.close(8);
    await until(() => concurrency.inUse === 1);
    session.destroy();
    await until(() => concurrency.inUse === 0);
  });
});
