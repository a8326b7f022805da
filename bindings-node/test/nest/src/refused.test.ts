// Requests that are refused when the answer has begun, or whose `onRefused` gives none: never one that stays open.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import express from 'express';
import Fastify from 'fastify';
import { rateLimit } from 'tidegate/express';
import tidegate from 'tidegate/fastify';
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

/** What a client gets within three seconds: a text, or undefined where it was cut off. */
async function get(url: string) {
  const asked = fetch(url, { signal: AbortSignal.timeout(3000) });
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
          else assert.equal((await fetch(url)).status, 500);
          if (framework !== 'fastify') assert.ok(errors.length === 1 && errors[0] instanceof TypeError);
        }
      });

      it(`is refused plainly when onRefused ${how} nothing`, async (t) => {
        const request = requester(await serve(t, { rate: '1/hour', onRefused: () => wait(undefined) }, []));
        assert.deepEqual(await statuses(request, '/', 2), [200, 429]);
        assert.equal((await request('/')).json().status, 429);
      });
    }

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

it('an onRefused that gives no answer is in the log, once', () => {
  assert.deepEqual(logged, [
    'onRefused of tidegate/express: it neither sent nor returned an answer',
    'onRefused of tidegate/fastify: it neither sent nor returned an answer',
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
