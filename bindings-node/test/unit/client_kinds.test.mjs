// What is of one client alone: fetch's Requests and Responses, undici's dispatchers, axios's errors, cockatiel's wrap.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import axios, { AxiosError } from 'axios';
import { TaskCancelledError, TimeoutStrategy, handleAll, retry as theirs, timeout, wrap } from 'cockatiel';
import {
  CircuitBreaker,
  CircuitOpenError,
  ClientThrottle,
  ConcurrencyLimiter,
  ManualClock,
  RateLimitedError,
  RateLimiter,
  RetryPolicy,
  TokenBucket,
  http,
} from 'tidegate';
import { guardedAdapter } from 'tidegate/axios';
import { asPolicy } from 'tidegate/cockatiel';
import { guardedFetch } from 'tidegate/fetch';
import { guardedInterceptor } from 'tidegate/undici';
import {
  Agent,
  Client,
  MockAgent,
  Pool,
  ProxyAgent,
  fetch as theirFetch,
  interceptors,
  request,
  stream,
  upgrade,
} from 'undici';
import { until } from './until.mjs';
import { circuit, counts, failing, quick, serve } from './web.mjs';

/** A server that answers with these bytes, whatever it is asked. */
async function answering(t, bytes) {
  const server = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(bytes)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

describe('guardedFetch', () => {
  it('gives an answer that no Response could be made with', async (t) => {
    for (const [line, status, statusText] of [
      ['999 Request denied', 999, 'Request denied'],
      ['600 more', 600, 'more'],
      ['200 Gr\u00f6\u00dfe \u2713', 200, 'Gr\u00f6\u00dfe \u2713'],
    ]) {
      const url = await answering(t, `HTTP/1.1 ${line}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi`);
      const clock = new ManualClock();
      const breaker = circuit({ consecutiveFailures: 1, cooldownMs: 1000, probes: 1, clock });
      breaker.acquire().failure();
      clock.advance(1000);
      const response = await guardedFetch({ breaker })(url);
      const { ok } = response;
      assert.deepEqual([response.status, response.statusText, ok], [status, statusText, status === 200], line);
      assert.deepEqual([response.clone().status, response.clone().statusText], [status, statusText]);
      assert.equal(await response.text(), 'hi');
      assert.equal(breaker.state, 'closed');
    }
  });

  it("tells the breaker of the classifier's slow calls, and the throttle that they are accepted", async (t) => {
    const statuses = [200, 404, 503, 200];
    const server = await serve(t, (asked, response) => response.writeHead(statuses.shift()).end('hi'));
    const [breaker, throttle] = [circuit(), new ClientThrottle()];
    // Whatever a call takes is more than a nanosecond.
    const classifier = http({ slowCallDurationMs: 1e-6 });
    const fetch = guardedFetch({ breaker, throttle, classifier, retry: new RetryPolicy({ baseMs: 0, maxDelayMs: 0 }) });
    for (const status of [200, 404, 200]) {
      const response = await fetch(server.url);
      assert.equal(response.status, status);
      await response.text();
    }
    const { calls, failed, slow } = breaker.stats();
    assert.deepEqual([calls, failed, slow], [4, 1, 3]);
    assert.deepEqual([throttle.stats().accepted, throttle.stats().refused], [3, 1]);
  });

  it('leaves alone what a test gives in place of a Response', async () => {
    const breaker = circuit();
    const given = { status: 200, ok: true, headers: new Headers(), body: new Response('hi').body, json: async () => 1 };
    assert.equal(await guardedFetch({ breaker, fetch: async () => given })('http://bank.test/'), given);
    assert.deepEqual(counts(breaker), { calls: 1, failed: 0 });
  });

  it('gives Responses as fetch does', async (t) => {
    const server = await serve(t, (asked, response) => {
      if (asked.url === '/empty') return response.writeHead(204).end();
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.end('hello');
    });
    const breaker = circuit();
    const fetch = guardedFetch({ breaker });
    const response = await fetch(`${server.url}/a`);
    const { url, ok, redirected, type, statusText } = response;
    assert.deepEqual([url, ok, redirected, type, statusText], [`${server.url}/a`, true, false, 'basic', 'OK']);
    assert.ok(response instanceof Response);
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
    const clone = response.clone();
    assert.equal(clone.url, url);
    assert.deepEqual([await clone.text(), await response.text(), response.bodyUsed], ['hello', 'hello', true]);
    await assert.rejects(response.text(), TypeError);
    const reader = (await fetch(server.url)).body.getReader({ mode: 'byob' });
    const { value } = await reader.read(new Uint8Array(16));
    assert.equal(Buffer.from(value).toString(), 'hello');
    assert.equal((await reader.read(new Uint8Array(16))).done, true);
    const empty = await fetch(`${server.url}/empty`);
    assert.deepEqual([empty.status, empty.body, counts(breaker)], [204, null, { calls: 3, failed: 0 }]);
  });

  it('sends a Request once that has a body, and again one that has none', async (t) => {
    for (const [init, times] of [
      [{ method: 'PUT', body: 'paid' }, 1],
      [{ method: 'PUT' }, 3],
      [{ method: 'POST', headers: { 'idempotency-key': 'a' } }, 3],
      [{ method: 'POST' }, 1],
    ]) {
      const server = await serve(t, failing(2));
      const asked = new Request(server.url, init);
      const { status } = await guardedFetch({ retry: quick() })(asked);
      assert.deepEqual([status, server.asked.length], [times === 1 ? 503 : 200, times]);
      assert.equal(server.asked[0].body, init.body ?? '');
    }
  });

  it('leaves mistakes to fetch, and counts them for nothing', async (t) => {
    const server = await serve(t, failing(0));
    const breaker = circuit();
    const fetch = guardedFetch({ breaker, retry: quick() });
    await assert.rejects(fetch('nonsense'), /Failed to parse URL/);
    await assert.rejects(fetch(server.url, { body: 'a' }), /GET\/HEAD method cannot have body/);
    await assert.rejects(fetch(server.url, { headers: { a: 'b\nc' } }), TypeError);
    await assert.rejects(fetch(), TypeError);
    assert.deepEqual([counts(breaker), server.asked.length], [{ calls: 0, failed: 0 }, 0]);
  });

  it('takes the fetch that is given, or the one of the moment', async (t) => {
    const made = async () => new Response('made', { status: 503 });
    assert.equal(await (await guardedFetch({ fetch: made, retry: quick() })('http://a/')).text(), 'made');
    const fetch = guardedFetch({ breaker: circuit() });
    t.mock.method(globalThis, 'fetch', async () => new Response('mocked'));
    assert.equal(await (await fetch('http://a/')).text(), 'mocked');
    // Chunks whose memory belongs to somebody else stay as they are.
    const chunk = Buffer.from('pooled');
    globalThis.fetch.mock.mockImplementation(
      async () =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(new Uint8Array(0));
              controller.enqueue(chunk);
              controller.close();
            },
          }),
        ),
    );
    assert.equal(await (await fetch('http://a/')).text(), 'pooled');
    const other = guardedFetch({ fetch: theirFetch, breaker: circuit() });
    const server = await serve(t, failing(0));
    assert.equal(await (await other(server.url)).text(), 'yes');
  });

  const skip = globalThis.gc === undefined && 'needs --expose-gc';
  it('gives the probe of a Response that nobody has any more back', { skip }, async (t) => {
    const server = await serve(t, (_request, response) => response.write('a'));
    const clock = new ManualClock();
    const breaker = circuit({ consecutiveFailures: 1, cooldownMs: 1000, clock });
    breaker.acquire().failure();
    clock.advance(1000);
    await (async () => {
      assert.equal((await guardedFetch({ breaker })(server.url)).status, 200);
    })();
    assert.equal(breaker.tryAcquire(), null);
    let probe = null;
    await until(() => {
      globalThis.gc();
      probe = breaker.tryAcquire();
      return probe !== null;
    });
    await until(() => [...server.sockets].every((socket) => socket.destroyed));
  });
});

describe('guardedInterceptor', () => {
  it('makes no request for a handler that throws at its start', async (t) => {
    const server = await serve(t, failing(0));
    const breaker = circuit();
    const agent = new Agent();
    t.after(() => agent.destroy());
    const dispatcher = agent.compose(guardedInterceptor({ breaker, retry: quick() }));
    const told = await new Promise((resolve) => {
      dispatcher.dispatch({ origin: server.url, path: '/', method: 'GET' }, {
        onRequestStart() {
          throw new Error('no start');
        },
        onResponseStart() {
          resolve('answered');
        },
        onResponseError: (_controller, error) => resolve(error.message),
      });
    });
    assert.deepEqual([told, server.asked.length, breaker.stats().calls], ['no start', 0, 0]);
  });

  it('ends a request whose handler throws as undici does, and gives the probe back', async (t) => {
    const url = await answering(t, `HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n${'x'.repeat(200)}`);
    const factory = () => {
      throw new Error('no file');
    };
    const asks = {
      factory: (dispatcher) => stream(url, { dispatcher, method: 'GET' }, factory),
      dump: (dispatcher) => request(url, { dispatcher: dispatcher.compose(interceptors.dump({ maxSize: 10 })) }),
    };
    for (const [what, ask] of Object.entries(asks)) {
      const clock = new ManualClock();
      const breaker = circuit({ consecutiveFailures: 1, cooldownMs: 1000, probes: 1, clock });
      breaker.acquire().failure();
      clock.advance(1000);
      const agent = new Agent();
      t.after(() => agent.destroy());
      await assert.rejects(ask(agent.compose(guardedInterceptor({ breaker }))), /no file|larger than maxSize/, what);
      assert.equal(breaker.state, 'half_open');
      assert.notEqual(breaker.tryAcquire(), null, what);
    }
  });

  it('knows an agent that is closed from a server that is down', async (t) => {
    const server = await serve(t, failing(0));
    const breaker = circuit();
    const agent = new Agent();
    const dispatcher = agent.compose(guardedInterceptor({ breaker, retry: quick() }));
    assert.equal((await request(server.url, { dispatcher })).statusCode, 200);
    await agent.destroy();
    await assert.rejects(request(server.url, { dispatcher }), { code: 'UND_ERR_DESTROYED' });
    const coded = (code) => http().error(Object.assign(new Error(), { code })).outcome;
    assert.deepEqual(
      ['UND_ERR_CLOSED', 'UND_ERR_DESTROYED', 'UND_ERR_INVALID_ARG'].map(coded),
      Array(3).fill('ignore'),
    );
    assert.deepEqual(
      ['UND_ERR_BPL_MISSING_UPSTREAM', 'UND_ERR_MAX_ORIGINS_REACHED', 'EMFILE'].map(coded),
      Array(3).fill('unreached'),
    );
    // A host that is dead lets connections time out: of a probe that says everything.
    for (const code of ['UND_ERR_CONNECT_TIMEOUT', 'HPE_INVALID_CONSTANT', 'Z_BUF_ERROR'])
      assert.equal(coded(code), 'failure');
    assert.equal(coded('ERR_CANCELED'), 'cancelled');
    assert.equal(breaker.stats().failed, 0);
  });

  it('knows a TLS that failed, a stream that was reset, and a name or a proxy that leads nowhere', async (t) => {
    const coded = (code) => http().error(Object.assign(new Error(), { code })).outcome;
    for (const code of [
      'CERT_HAS_EXPIRED',
      'CERT_NOT_YET_VALID',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'EAI_NODATA',
      'ENODATA',
      'ERR_HTTP2_GOAWAY_SESSION',
      'ERR_HTTP2_SESSION_ERROR',
      'ERR_HTTP2_STREAM_ERROR',
      'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
      'ERR_SSL_WRONG_VERSION_NUMBER',
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'ERR_TLS_HANDSHAKE_TIMEOUT',
      'HOSTNAME_MISMATCH',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'UND_ERR_HEADERS_OVERFLOW',
      'UND_ERR_PRX_TLS',
      'UND_ERR_SOCKS5',
      'UND_ERR_SOCKS5_REPLY_4',
    ])
      assert.equal(coded(code), 'failure', code);
    for (const code of ['ERR_TLS_INVALID_PROTOCOL_VERSION', 'ERR_SSL_NO_CIPHER_MATCH', 'CERTAINLY_NOT', 'ERR_TLS_'])
      assert.equal(coded(code), 'success', code);

    // As the one who calls sees it: fetch wraps the code, and what speaks no TLS is not trusted either.
    const address = (await answering(t, 'HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n')).replace('http:', 'https:');
    const breaker = new CircuitBreaker('tls', { consecutiveFailures: 1, classifier: http() });
    await assert.rejects(breaker.call(() => fetch(address)));
    assert.equal(breaker.state, 'open');
  });

  it('tells a proxy that makes no tunnel from an abort by the caller', async (t) => {
    const proxy = await answering(t, 'HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n');
    const agent = new ProxyAgent(proxy);
    t.after(() => agent.destroy());
    const open = () => new CircuitBreaker('proxy', { consecutiveFailures: 1, classifier: http() });
    for (const ask of [request, theirFetch]) {
      const [guarding, plain] = [open(), open()];
      const dispatcher = agent.compose(guardedInterceptor({ breaker: guarding }));
      await assert.rejects(ask('https://shop.invalid/', { dispatcher }));
      await assert.rejects(plain.call(() => ask('https://shop.invalid/', { dispatcher: agent })));
      assert.deepEqual([guarding.state, plain.state], ['open', 'open'], ask.name);
    }
    const aborted = (message) => Object.assign(new Error(message), { name: 'AbortError', code: 'UND_ERR_ABORTED' });
    assert.equal(http().error(aborted('Request aborted')).outcome, 'cancelled');
  });

  it('knows a body that cannot be decompressed', async (t) => {
    for (const code of ['ERR__ERROR_FORMAT_PADDING_1', 'ERR_BROTLI_DECODER_ERROR_X', 'ZSTD_error_prefix_unknown'])
      assert.equal(http().error(Object.assign(new Error(), { code })).outcome, 'failure', code);
    const head = 'HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 12\r\n\r\n';
    const address = await answering(t, `${head}not brotli!!`);
    for (const guarded of [false, true]) {
      const breaker = new CircuitBreaker('br', { consecutiveFailures: 1, classifier: http() });
      const ask = guarded ? guardedFetch({ breaker, outcomeAt: 'body' }) : fetch;
      const read = async () => (await ask(address)).text();
      await assert.rejects(guarded ? read() : breaker.call(read));
      assert.equal(breaker.state, 'open', `${guarded}`);
    }
  });

  it('knows what is no HTTP', async (t) => {
    const server = createServer((socket) => socket.end('this is no HTTP\r\n\r\n')).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const breaker = circuit();
    const agent = new Agent();
    t.after(() => agent.destroy());
    const dispatcher = agent.compose(guardedInterceptor({ breaker }));
    await assert.rejects(request(`http://127.0.0.1:${server.address().port}`, { dispatcher }), /HTTP/i);
    assert.deepEqual(counts(breaker), { calls: 1, failed: 1 });
  });

  it('stands before Pools and Clients, and takes headers in every form', async (t) => {
    for (const Dispatcher of [Pool, Client]) {
      for (const headers of [
        { 'Idempotency-Key': 'a' },
        ['idempotency-key', 'a'],
        new Map([['idempotency-key', 'a']]),
        new Headers({ 'idempotency-key': 'a' }),
      ]) {
        const server = await serve(t, failing(2));
        const dispatcher = new Dispatcher(server.url);
        t.after(() => dispatcher.destroy());
        const guarded = dispatcher.compose(guardedInterceptor({ retry: quick(), breaker: circuit() }));
        const { statusCode, body } = await guarded.request({ path: '/', method: 'POST', headers });
        assert.deepEqual([statusCode, await body.text(), server.asked.length], [200, 'yes', 3]);
      }
    }
    const server = await serve(t, failing(0));
    const pool = new Pool(server.url);
    t.after(() => pool.destroy());
    const keyed = pool.compose(guardedInterceptor({ breaker: new Map() }));
    await assert.rejects(keyed.request({ path: '/', method: 'GET' }), /key must give a text/);
  });

  it('is what fetch sends through, once where it has a body', async (t) => {
    const agent = new Agent();
    t.after(() => agent.destroy());
    const dispatcher = agent.compose(guardedInterceptor({ retry: quick(), breaker: circuit() }));
    for (const [init, times] of [
      [{}, 3],
      [{ method: 'PUT', body: 'a' }, 1],
    ]) {
      const server = await serve(t, failing(2));
      const response = await theirFetch(server.url, { dispatcher, ...init });
      assert.deepEqual([response.status, server.asked.length], [times === 1 ? 503 : 200, times]);
      await response.text();
    }
  });

  it('reads a long body at the pace of its reader', async (t) => {
    const server = await serve(t, (_request, response) => response.end(Buffer.alloc(5_000_000, 'x')));
    const agent = new Agent();
    t.after(() => agent.destroy());
    const { body } = await request(server.url, {
      dispatcher: agent.compose(guardedInterceptor({ breaker: circuit() })),
    });
    let length = 0;
    for await (const chunk of body) {
      length += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(length, 5_000_000);
  });

  it('lets upgrades and mocks through', async (t) => {
    const server = await serve(t, failing(0));
    server.server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n');
    });
    const agent = new Agent();
    t.after(() => agent.destroy());
    const breaker = circuit();
    const dispatcher = agent.compose(guardedInterceptor({ breaker, retry: quick() }));
    const { socket } = await upgrade(server.url, { dispatcher, protocol: 'chat' });
    socket.destroy();
    await until(() => breaker.stats().calls === 1);
    const mocks = new MockAgent();
    t.after(() => mocks.close());
    mocks.disableNetConnect();
    mocks.get('http://bank').intercept({ path: '/' }).reply(503, 'no');
    mocks.get('http://bank').intercept({ path: '/' }).reply(200, 'yes');
    const mocked = mocks.compose(guardedInterceptor({ retry: quick(), breaker: circuit() }));
    assert.equal(await (await request('http://bank/', { dispatcher: mocked })).body.text(), 'yes');
  });
});

describe('guardedAdapter', () => {
  it('leaves axios what is axios', async (t) => {
    const server = await serve(t, (asked, response) => {
      if (asked.url === '/cut') {
        response.writeHead(200, { 'content-length': '100' }).write('half');
        setTimeout(() => asked.socket.destroy(), 10);
      } else {
        response.writeHead(asked.url === '/well' ? 200 : 503, { 'content-type': 'application/json' }).end('{"a":1}');
      }
    });
    const breaker = circuit();
    const client = axios.create({ baseURL: server.url, adapter: guardedAdapter({ breaker, retry: quick() }) });
    let passed = 0;
    client.interceptors.request.use((config) => ((passed += 1), config));
    assert.deepEqual((await client.post('/well', { b: 2 })).data, { a: 1 });
    assert.equal(server.asked[0].body, '{"b":2}');
    const error = await client.get('/ill').then(assert.fail, (thrown) => thrown);
    assert.ok(error instanceof AxiosError);
    assert.deepEqual([error.code, error.response.status, error.response.data], ['ERR_BAD_RESPONSE', 503, { a: 1 }]);
    assert.deepEqual([server.asked.length, passed, counts(breaker)], [4, 2, { calls: 4, failed: 3 }]);
    assert.equal((await client.get('/ill', { validateStatus: () => true })).status, 503);
    const cut = await client.get('/cut').then(assert.fail, (thrown) => thrown);
    assert.ok(cut instanceof AxiosError && cut.message === 'stream has been aborted');
    assert.deepEqual(counts(breaker), { calls: 10, failed: 9 });
    await assert.rejects(
      client.get('/well', { adapter: guardedAdapter({ adapter: 'none' }) }),
      /Unknown adapter 'none'/,
    );
  });

  it('is no success for http() when the body has no end', async (t) => {
    const server = await serve(t, (asked, response) => {
      if (asked.url === '/old') return response.writeHead(304).end();
      if (asked.url === '/garbled') return response.writeHead(200, { 'content-encoding': 'gzip' }).end('half');
      response.writeHead(200, { 'content-length': '100' }).write('half');
      if (asked.url === '/cut') setTimeout(() => asked.socket.destroy(), 10);
    });
    const stalls = { proxy: false, timeout: 200 };
    const limits = { proxy: false };
    for (const [path, wanted] of [
      ['/cut', /^ERR_BAD_RESPONSE$/],
      // By whether the head has come when the time is over.
      ['/stalled', /^(ERR_BAD_RESPONSE|ECONNABORTED)$/],
      ['/garbled', /^Z_DATA_ERROR$/],
    ]) {
      const code = ({ code }) => wanted.test(code);
      const breaker = new CircuitBreaker('axios', { consecutiveFailures: 1, classifier: http() });
      const ask = () => axios.get(`${server.url}${path}`, path === '/stalled' ? stalls : limits);
      await assert.rejects(breaker.call(ask), code, path);
      assert.equal(breaker.state, 'open', path);
      for (const retry of [quick({ attempts: 2 }), quick({ attempts: 2, retryOn: http() })]) {
        server.asked.length = 0;
        await assert.rejects(retry.call(ask), code, path);
        assert.equal(server.asked.length, 2, path);
      }
    }
    // An answer that came, with a status that the caller does not want.
    const old = await axios.get(`${server.url}/old`, limits).then(assert.fail, (error) => error);
    assert.equal(old.code, 'ERR_BAD_RESPONSE');
    assert.equal(http().error(old).outcome, 'success');
    server.asked.length = 0;
    await assert.rejects(quick().call(() => axios.get(`${server.url}/old`, limits)));
    assert.equal(server.asked.length, 1);
  });

  it('sends forms of the platform again, and streams once', async (t) => {
    const form = new FormData();
    form.append('a', 'b');
    for (const data of [form, new URLSearchParams({ a: 'b' }), { a: 'b' }]) {
      const server = await serve(t, failing(2));
      const { status } = await axios.put(server.url, data, { adapter: guardedAdapter({ retry: quick() }) });
      assert.deepEqual([status, server.asked.length], [200, 3]);
      for (const { body } of server.asked) assert.match(body, /a.*b/s);
    }
  });

  it('ends for its tokens and its own timeout', async (t) => {
    const server = await serve(t, () => {});
    const breaker = circuit();
    const client = axios.create({
      baseURL: server.url,
      adapter: guardedAdapter({ breaker, retry: quick({ attempts: 2 }) }),
    });
    const source = axios.CancelToken.source();
    const cancelled = client.get('/', { cancelToken: source.token });
    await until(() => server.asked.length === 1);
    source.cancel('the customer left');
    await assert.rejects(cancelled, (error) => axios.isCancel(error) && error.message === 'the customer left');
    assert.deepEqual(counts(breaker), { calls: 0, failed: 0 });
    await assert.rejects(client.get('/', { timeout: 40 }), { code: 'ECONNABORTED' });
    // Whether they arrived before is the machine's to say.
    assert.deepEqual(counts(breaker), { calls: 2, failed: 2 });
  });

  it('goes through the fetch of axios as well', async (t) => {
    const server = await serve(t, failing(2));
    const breaker = circuit();
    const client = axios.create({ adapter: guardedAdapter({ breaker, retry: quick(), adapter: 'fetch' }) });
    const { data } = await client.get(server.url, { responseType: 'stream' });
    assert.deepEqual(counts(breaker), { calls: 2, failed: 2 });
    assert.equal(await new Response(data).text(), 'yes');
    assert.deepEqual(counts(breaker), { calls: 3, failed: 2 });
  });
});

describe('asPolicy', () => {
  it('wraps in the order that it is given', async () => {
    const breaker = circuit();
    const limiter = new ConcurrencyLimiter({ limit: 1 });
    const layers = wrap(
      asPolicy(quick()),
      asPolicy(breaker),
      asPolicy(limiter),
      timeout(60_000, TimeoutStrategy.Aggressive),
    );
    const seen = [];
    const result = await layers.execute(async ({ signal, attempt }) => {
      seen.push([attempt, signal instanceof AbortSignal]);
      if (seen.length < 3) throw new Error('lost');
      return 'paid';
    });
    assert.deepEqual(
      [result, seen],
      [
        'paid',
        [
          [0, true],
          [1, true],
          [2, true],
        ],
      ],
    );
    assert.deepEqual(counts(breaker), { calls: 3, failed: 2 });
    await assert.rejects(
      wrap(asPolicy(breaker), timeout(20, TimeoutStrategy.Aggressive)).execute(() => new Promise(() => {})),
      TaskCancelledError,
    );
    assert.deepEqual([counts(breaker), limiter.inUse], [{ calls: 4, failed: 3 }, 0]);
  });

  it('is retried by theirs, and refuses by its own errors', async () => {
    const breaker = circuit({ consecutiveFailures: 2 });
    let asked = 0;
    const layers = wrap(theirs(handleAll, { maxAttempts: 3 }), asPolicy(breaker));
    await assert.rejects(
      layers.execute(() => Promise.reject(new Error(`lost ${(asked += 1)}`))),
      CircuitOpenError,
    );
    assert.equal(asked, 2);
    const bucket = asPolicy(new TokenBucket({ rate: '1/hour' }));
    assert.equal(await bucket.execute(() => 5), 5);
    await assert.rejects(
      bucket.execute(() => 5),
      RateLimitedError,
    );
    const limiter = new RateLimiter({ rate: '1/hour' });
    const [ann, ben] = ['ann', 'ben'].map((key) => asPolicy(limiter, { key }));
    assert.deepEqual([await ann.execute(() => 1), await ben.execute(() => 2)], [1, 2]);
    await assert.rejects(
      ann.execute(() => 1),
      RateLimitedError,
    );
    const throttle = new ClientThrottle();
    await asPolicy(throttle).execute(() => 1);
    assert.equal(throttle.stats().accepted, 1);
  });

  it('takes a timeout inside of a breaker for one', async () => {
    const hung = ({ signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    for (const classifier of [http(), undefined]) {
      for (const [strategy, fn] of [
        [TimeoutStrategy.Aggressive, () => new Promise(() => {})],
        [TimeoutStrategy.Aggressive, hung],
        [TimeoutStrategy.Cooperative, hung],
      ]) {
        const breaker = new CircuitBreaker('hung', { consecutiveFailures: 1, classifier });
        const layers = wrap(asPolicy(breaker), timeout(10, strategy));
        await assert.rejects(layers.execute(fn));
        assert.equal(breaker.state, 'open', strategy);
        // The caller's own end is still its own, also through their timeout.
        const other = new CircuitBreaker('left', { consecutiveFailures: 1, classifier });
        const life = new AbortController();
        const asked = wrap(asPolicy(other), timeout(60_000, strategy)).execute(fn, life.signal);
        life.abort();
        await assert.rejects(asked);
        assert.deepEqual([other.state, counts(other)], ['closed', { calls: 0, failed: 0 }]);
      }
    }
    // Who names what is a failure, or says that a timeout is none, is still asked.
    for (const [options, state] of [
      [{ ignore: TaskCancelledError }, 'closed'],
      [{ failureOn: RangeError }, 'closed'],
      [{ failureOn: TaskCancelledError }, 'open'],
    ]) {
      const breaker = new CircuitBreaker('named', { consecutiveFailures: 1, ...options });
      const layers = wrap(asPolicy(breaker), timeout(10, TimeoutStrategy.Aggressive));
      await assert.rejects(
        layers.execute(() => new Promise(() => {})),
        TaskCancelledError,
      );
      assert.equal(breaker.state, state);
    }
  });

  it('counts a call that its signal has ended for nothing', async () => {
    const breaker = circuit();
    const life = new AbortController();
    const asked = asPolicy(breaker).execute(
      ({ signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      life.signal,
    );
    life.abort(new Error('the customer left'));
    await assert.rejects(asked, /the customer left/);
    assert.deepEqual(counts(breaker), { calls: 0, failed: 0 });
  });

  it('tells how calls end', async () => {
    const policy = asPolicy(circuit());
    const told = [];
    const listening = [
      policy.onSuccess(({ duration }) => told.push(duration >= 0)),
      policy.onFailure(({ reason }) => told.push(reason.error.message)),
    ];
    await policy.execute(() => 1);
    await assert.rejects(policy.execute(() => Promise.reject(new Error('lost'))));
    for (const one of listening) one.dispose();
    await policy.execute(() => 1);
    assert.deepEqual(told, [true, 'lost']);
  });

  it('takes what it can wrap', () => {
    assert.throws(() => asPolicy({}), /asPolicy takes a CircuitBreaker, RetryPolicy/);
    assert.throws(() => asPolicy(new RateLimiter({ rate: '1/s' })), /needs a key/);
    assert.throws(() => asPolicy(circuit(), { key: 'a' }), /key is for a RateLimiter/);
  });
});
