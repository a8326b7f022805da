// Requests that are refused when the answer has begun, or whose `onRefused` gives none: never one that stays open.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect as connect2, createServer as createServer2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { type TestContext, after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import express from 'express';
import Fastify from 'fastify';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
import './alone.js';
import { requester, statuses } from './request.js';

async function listen(t: TestContext, listener: any) {
  const server = createServer(listener);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

type Serve = (t: TestContext, options: any, errors: unknown[], first?: (response: any) => void) => Promise<string>;

const SERVERS: Record<string, Serve> = {
  async http(t, options, errors, first = () => {}) {
    const limit = rateLimit(options);
    return listen(t, (request: any, response: any) => {
      first(response);
      limit(request, response, (error) => {
        if (error !== undefined) errors.push(error);
        if (error === undefined) response.end('ok');
        else response.destroy();
      });
    });
  },
  async express(t, options, errors, first = () => {}) {
    const app = express();
    app.set('env', 'test');
    app.use((_request, response, next) => (first(response), next()));
    app.use(rateLimit(options));
    app.get('/', (_request, response) => void response.end('ok'));
    app.use((error: unknown, _request: any, _response: any, next: any) => (errors.push(error), next(error)));
    return listen(t, app);
  },
  async fastify(t, options, _errors, first = () => {}) {
    const app = Fastify();
    app.addHook('onRequest', async (_request, reply) => first(reply.raw));
    await app.register(tidegate, options);
    app.get('/', async (_request, reply) => (reply.raw.headersSent ? (reply.hijack(), reply.raw.end('ok')) : 'ok'));
    t.after(() => app.close());
    return app.listen({ port: 0, host: '127.0.0.1' });
  },
};

/** What the log says of `onRefused`. */
const logged: string[] = [];
const log = ({ name, message }: Error) => {
  if (name === 'TidegateWarning' && message.startsWith('onRefused')) logged.push(message);
};
before(() => void process.on('warning', log));
after(() => void process.off('warning', log));

/** What a client gets within five seconds: a text, or undefined where it was cut off. */
async function get(url: string) {
  const asked = fetch(url, { signal: AbortSignal.timeout(5000) });
  return asked.then((answer) => answer.text()).catch((error) => {
    assert.notEqual(error.name, 'TimeoutError', 'the answer stayed open');
    return undefined;
  });
}

for (const [framework, serve] of Object.entries(SERVERS)) {
  describe(`a refused request over ${framework}`, { timeout: 60_000 }, () => {
    for (const onRefused of [undefined, () => assert.fail('nothing can be answered')]) {
      it(`whose answer has begun is cut off, ${onRefused ? 'with' : 'without'} onRefused`, async (t) => {
        const errors: any[] = [];
        const options = { rate: '1/hour', ...(onRefused && { onRefused }) };
        const url = await serve(t, options, errors, (response) => response.write('x'));
        assert.deepEqual([await get(url), await get(url)], ['xok', undefined]);
        if (framework !== 'fastify') assert.deepEqual(errors.map(({ status }) => status), [429]);
      });
    }

    it('whose key fails when its answer has begun is cut off', async (t) => {
      const key = () => {
        throw new Error('key');
      };
      const url = await serve(t, { rate: '1/hour', key }, [], (response) => response.write('x'));
      assert.equal(await get(url), undefined);
    });

    const ways = { returns: (value: unknown) => value, promises: async (value: unknown) => value };
    for (const [how, wait] of Object.entries(ways)) {
      it(`is answered with what onRefused ${how}`, async (t) => {
        const bodies: [unknown, string, RegExp | null][] = [
          [{ slow: true }, '{"slow":true}', /^application\/json/],
          ['slow', 'slow', /^text\/plain/],
          [null, 'null', null],
        ];
        for (const [value, body, type] of bodies) {
          const request = requester(await serve(t, { rate: '1/hour', onRefused: () => wait(value) }, []));
          assert.equal((await request('/')).status, 200);
          const refused = await request('/');
          assert.deepEqual([refused.status, refused.text], [429, body]);
          if (type !== null) assert.match(refused.get('content-type')!, type);
          assert.ok(Number(refused.get('retry-after')) > 0);
        }
      });

      it(`is an error when onRefused ${how} what cannot be sent`, async (t) => {
        const round: Record<string, unknown> = {};
        round.round = round;
        for (const value of [10n, Symbol('no'), () => 'no', { n: 10n }, [10n], round]) {
          const errors: unknown[] = [];
          const url = await serve(t, { rate: '1/hour', onRefused: () => wait(value) }, errors);
          assert.equal((await fetch(url)).status, 200);
          // The server of node:http cuts off what has failed.
          if (framework === 'http') await assert.rejects(fetch(url));
          else {
            const { status, headers } = await fetch(url);
            assert.deepEqual([status, headers.get('retry-after')], [500, null]);
          }
          if (framework !== 'fastify') assert.ok(errors.length === 1 && errors[0] instanceof TypeError);
        }
      });

      it(`is refused plainly when onRefused ${how} nothing`, async (t) => {
        const request = requester(await serve(t, { rate: '1/hour', onRefused: () => wait(undefined) }, []));
        assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
        assert.equal((await request('/')).json().status, 429);
      });
    }

    const raw = (response: any) => response.raw ?? response;
    const hang = () => new Promise(() => {});
    const stalled: Record<string, [onRefused: (request: any, response: any) => unknown, body: RegExp | undefined]> = {
      'has sent the head alone': [(_request, response) => void raw(response).writeHead(429), /^$/],
      writes: [(_request, response) => void raw(response).write('slow'), /^slow$/],
      'writes, and waits for ever': [(_request, response) => (raw(response).write('slow'), hang()), /^slow$/],
      'waits for ever': [hang, /"status":429/],
      'has taken the answer over': [(_request, response) => void response.hijack?.(), /"status":429/],
      'has promised a length': [
        (_request, response) => {
          raw(response).setHeader('Content-Length', 9);
          raw(response).write('slow');
        },
        undefined,
      ],
      'pipes what hangs': [
        (_request, response) => {
          const source = new Readable({ read() {} });
          source.push('slow');
          source.pipe(raw(response));
        },
        undefined,
      ],
    };
    for (const [how, [onRefused, body]] of Object.entries(stalled)) {
      it(`does not stay open when onRefused ${how} and never ends it`, async (t) => {
        const url = await serve(t, { rate: '1/hour', onRefused }, []);
        assert.equal(await get(url), 'ok');
        const got = await get(url);
        if (body === undefined) assert.equal(got, undefined);
        else assert.match(got!, body);
      });
    }

    it('stays open as long as onRefused sends something', async (t) => {
      async function* pieces() {
        for (let i = 0; i < 6; i += 1) yield setTimeout(400, 'x');
      }
      const onRefused = (_request: any, response: any) => void Readable.from(pieces()).pipe(raw(response));
      const url = await serve(t, { rate: '1/hour', onRefused }, []);
      await get(url);
      assert.equal(await get(url), 'xxxxxx');
    });

    it('is answered with streams and Responses that onRefused returns', async (t) => {
      const values: [() => unknown, number, string][] = [
        [() => Readable.from(['sl', 'ow']), 429, 'slow'],
        [() => new Blob(['slow']).stream(), 429, 'slow'],
        [() => new Response('slow', { status: 420 }), 420, 'slow'],
        [() => new Response(null, { status: 420 }), 420, ''],
      ];
      for (const [value, status, text] of values) {
        for (const onRefused of [value, async () => value()]) {
          const url = await serve(t, { rate: '1/hour', onRefused }, []);
          await get(url);
          const answer = await fetch(url);
          assert.deepEqual([answer.status, await answer.text()], [status, text]);
        }
      }
    });

    it('is an error when a stream fails before anything of it is out', async (t) => {
      const errors: unknown[] = [];
      const onRefused = () =>
        new Readable({
          read() {
            this.destroy(new Error('bad'));
          },
        });
      const url = await serve(t, { rate: '1/hour', onRefused }, errors);
      await get(url);
      if (framework === 'http') await assert.rejects(fetch(url));
      else assert.equal((await fetch(url)).status, 500);
    });

    it('is redirected where onRefused says so', async (t) => {
      if (framework === 'http') return;
      for (const [given, status] of [[[], 302], [[303], 303]] as const) {
        const redirect = (response: any) =>
          framework === 'express' ? response.redirect(...given, '/x') : response.redirect('/x', ...given);
        for (const onRefused of [
          (_request: any, response: any) => void redirect(response),
          async (_request: any, response: any) => redirect(response),
        ]) {
          const url = await serve(t, { rate: '1/hour', onRefused }, []);
          await get(url);
          const answer = await fetch(url, { redirect: 'manual' });
          assert.deepEqual([answer.status, answer.headers.get('location')], [status, '/x']);
        }
      }
    });

    it('may be answered later, and too late does no harm', async (t) => {
      for (const [ms, body] of [[50, 'later'], [1300, 'problem']] as const) {
        let said: Promise<void> | undefined;
        const onRefused = (_request: any, response: any) => {
          said = setTimeout(ms).then(() => {
            response.header?.('x-late', 'yes');
            if (response.raw === undefined) response.setHeader('x-late', 'yes');
            if (response.raw === undefined) response.end('later');
            else response.send('later');
          });
        };
        const request = requester(await serve(t, { rate: '1/hour', onRefused }, []));
        await request('/');
        const refused = await request('/');
        await said;
        assert.equal(refused.status, 429);
        assert.match(refused.text, new RegExp(body));
      }
    });
  });
}

describe('an answer over HTTP/2 that is cut off', () => {
  /** The code with which its stream ends. */
  async function codeOf(t: TestContext, port: number) {
    const session = connect2(`http://127.0.0.1:${port}`).on('error', () => {});
    t.after(() => session.destroy());
    const stream = session.request({ ':path': '/' }).on('error', () => {});
    await new Promise((resolve) => stream.resume().once('close', resolve));
    return stream.rstCode;
  }
  const pipes = (_request: any, response: any) => {
    const source = new Readable({ read() {} });
    source.push('slow');
    source.pipe(raw(response));
  };
  const raw = (response: any) => response.raw ?? response;

  it('cannot pass for a whole one: middleware', async (t) => {
    const limit = rateLimit({ rate: '1/hour', onRefused: pipes });
    const fails = rateLimit({ rate: '9/hour' });
    let middleware = limit;
    const server = createServer2((request: any, response: any) =>
      middleware(request, response, () => {
        if (middleware === limit) return void response.end('ok');
        response.write('x');
        throw new Error('the handler fails');
      }),
    );
    t.after(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    assert.deepEqual([await codeOf(t, port), await codeOf(t, port)], [0, 2]);
    middleware = fails;
    assert.equal(await codeOf(t, port), 2);
  });

  it('cannot pass for a whole one: fastify', async (t) => {
    for (const isBegun of [false, true]) {
      const app = Fastify({ http2: true });
      let asked = 0;
      app.addHook('onRequest', async (_request, reply) => {
        asked += 1;
        if (isBegun && asked > 1) reply.raw.write('x');
      });
      await app.register(tidegate, { rate: '1/hour', onRefused: pipes });
      app.get('/', async () => 'ok');
      // It waits for the sessions, which end after it.
      t.after(() => void app.close());
      await app.listen({ port: 0, host: '127.0.0.1' });
      const { port } = app.server.address() as AddressInfo;
      assert.deepEqual([await codeOf(t, port), await codeOf(t, port)], [0, 2]);
    }
  });
});

it('an onRefused that gives no answer is in the log, once', () => {
  assert.deepEqual(logged, [
    'onRefused of tidegate/express: it neither sent nor returned an answer',
    'onRefused of tidegate/express: it began an answer and did not end it',
    'onRefused of tidegate/fastify: it neither sent nor returned an answer',
    'onRefused of tidegate/fastify: it began an answer and did not end it',
  ]);
});

it('Fastify: what a hook still works on is an answer', async (t) => {
  for (const onRefused of [
    (_request: any, reply: any) => void reply.send('slow'),
    async (_request: any, reply: any) => void reply.send('slow'),
  ]) {
    const app = Fastify();
    let sent = 0;
    app.addHook('onSend', async () => {
      sent += 1;
      await setTimeout(1200);
    });
    await app.register(tidegate, { rate: '1/hour', onRefused });
    app.get('/', async () => 'ok');
    t.after(() => app.close());
    await app.inject('/');
    const { statusCode, body } = await app.inject('/');
    assert.deepEqual([statusCode, body, sent], [429, 'slow', 2]);
  }
});
