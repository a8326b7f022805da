// What errors of clients mean by their codes, and timeouts that come as aborts.
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { TimeoutStrategy, bulkhead, timeout, wrap } from 'cockatiel';
import axios from 'axios';
import { CircuitBreaker, RetryPolicy, http } from 'tidegate';
import { Agent, errors, fetch as theirFetch, interceptors, request } from 'undici';
import { counts, serve } from './web.mjs';

/** What the end of a call is for a concurrency limit that learns. */
const { outcomeOf: endOf } = createRequire(import.meta.url)('../../lib/outcome.cjs');
const opening = () => new CircuitBreaker('it', { consecutiveFailures: 1, classifier: http() });
const outcomeOf = (error) => http().error(error).outcome;

/** By code of undici's, in the words of a classifier; `mistake` is an `ignore` that nobody counts or retries. */
const UNDICI = {
  UND_ERR: 'success',
  UND_ERR_ABORT: 'cancelled',
  UND_ERR_ABORTED: 'cancelled',
  UND_ERR_BODY_TIMEOUT: 'failure',
  UND_ERR_BPL_MISSING_UPSTREAM: 'unreached',
  UND_ERR_CLOSED: 'ignore',
  UND_ERR_CONNECT_TIMEOUT: 'failure',
  UND_ERR_DESTROYED: 'ignore',
  UND_ERR_HEADERS_OVERFLOW: 'failure',
  UND_ERR_HEADERS_TIMEOUT: 'failure',
  UND_ERR_INFO: 'failure',
  UND_ERR_INVALID_ARG: 'mistake',
  UND_ERR_INVALID_RETURN_VALUE: 'mistake',
  UND_ERR_MAX_ORIGINS_REACHED: 'unreached',
  UND_ERR_NOT_SUPPORTED: 'mistake',
  UND_ERR_PRX_TLS: 'failure',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'mistake',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'failure',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'failure',
  UND_ERR_SOCKET: 'failure',
  UND_ERR_SOCKS5: 'failure',
  UND_ERR_WS_MESSAGE_SIZE_EXCEEDED: 'failure',
};
/** Those that carry an answer, by its status. */
const ANSWERED = {
  UND_ERR_REQ_RETRY: { 200: 'failure', 206: 'failure', 302: 'success', 404: 'success', 429: 'failure', 502: 'failure' },
  UND_ERR_RESPONSE: { 404: 'success', 429: 'failure', 502: 'failure' },
};

describe("undici's codes", () => {
  const named = (code, more) => Object.assign(new Error(code), { code, ...more });

  it('each mean one thing', async () => {
    const made = Object.values(errors)
      .filter((Kind) => Kind.prototype instanceof Error && Kind.name !== 'HTTPParserError')
      .map((Kind) => new Kind('it', 'UND_ERR_SOCKS5', { headers: {}, data: {} }));
    const codes = new Set(made.map(({ code }) => code));
    for (const code of codes) assert.ok(code in UNDICI || code in ANSWERED, `${code} stands in no table`);
    for (const [code, expected] of Object.entries(UNDICI)) {
      const error = made.find((one) => one.code === code) ?? named(code);
      const isMistake = expected === 'mistake';
      for (const one of [error, new TypeError('fetch failed', { cause: error })]) {
        // An abort that fetch hands on is an AbortError itself.
        if (one !== error && expected === 'cancelled') continue;
        assert.equal(outcomeOf(one), isMistake ? 'ignore' : expected, code);
        if (!isMistake) continue;
        let calls = 0;
        const breaker = new CircuitBreaker('plain', { consecutiveFailures: 1 });
        const policy = new RetryPolicy({ baseMs: 0 });
        const call = () => policy.call(() => breaker.call(() => ((calls += 1), Promise.reject(one))));
        await assert.rejects(call, one);
        assert.deepEqual([breaker.state, calls], ['closed', 1], code);
      }
    }
    for (const [code, statuses] of Object.entries(ANSWERED)) {
      for (const [statusCode, expected] of Object.entries(statuses))
        assert.equal(outcomeOf(named(code, { statusCode: Number(statusCode) })), expected, `${code} ${statusCode}`);
    }
  });

  it('come from real servers', async (t) => {
    const server = await serve(t, (asked, response) => {
      if (asked.url === '/long') return response.end('x'.repeat(1000));
      if (asked.url === '/cut') {
        // The rest of it can be had from nobody.
        if (asked.headers.range !== undefined) return response.writeHead(200).end('another');
        response.writeHead(200, { 'content-length': '100' }).write('half');
        return setTimeout(() => asked.socket.destroy(), 10);
      }
      response.writeHead(Number(asked.url.slice(1))).end('no');
    });
    const agent = new Agent({ maxResponseSize: 100 });
    t.after(() => agent.destroy());
    const retry = interceptors.retry({ maxRetries: 1, minTimeout: 1, maxTimeout: 1 });
    const thrown = interceptors.responseError();
    for (const [path, dispatcher, code, state] of [
      ['/long', agent, 'UND_ERR_RES_EXCEEDED_MAX_SIZE', 'open'],
      ['/cut', agent.compose(retry), 'UND_ERR_REQ_RETRY', 'open'],
      ['/502', agent.compose(retry), 'UND_ERR_REQ_RETRY', 'open'],
      ['/404', agent.compose(thrown), 'UND_ERR_RESPONSE', 'closed'],
      ['/502', agent.compose(thrown), 'UND_ERR_RESPONSE', 'open'],
    ]) {
      const breaker = opening();
      const ask = async () => (await request(`${server.url}${path}`, { dispatcher })).body.text();
      await assert.rejects(breaker.call(ask), { code }, path);
      assert.equal(breaker.state, state, `${path} ${code}`);
    }
    for (const ask of [request, theirFetch]) {
      const breaker = opening();
      const headers = { expect: '100-continue' };
      await assert.rejects(breaker.call(() => ask(`${server.url}/200`, { dispatcher: agent, headers })));
      assert.deepEqual(counts(breaker), { calls: 0, failed: 0 }, ask.name);
    }
  });
});

describe('a timeout that comes as an abort', () => {
  const viaNode = (url, signal) =>
    new Promise((resolve, reject) => get(url, { signal }, resolve).on('error', reject));
  const CLIENTS = {
    'axios over http': (url, signal) => axios.get(url, { signal, proxy: false }),
    'axios over fetch': (url, signal) => axios.get(url, { signal, adapter: 'fetch' }),
    'node:http': viaNode,
    fetch: (url, signal) => fetch(url, { signal }),
  };

  for (const [name, ask] of Object.entries(CLIENTS)) {
    it(`of a signal of its own is a failure, by ${name}, and any other the caller's`, async (t) => {
      const server = await serve(t, () => {});
      for (const [signalOf, outcome] of [
        [() => AbortSignal.timeout(30), 'failure'],
        [() => AbortSignal.any([new AbortController().signal, AbortSignal.timeout(30)]), 'failure'],
        [left, 'cancelled'],
      ]) {
        for (const options of [{ classifier: http() }, {}]) {
          const breaker = new CircuitBreaker('it', { consecutiveFailures: 1, ...options });
          const error = await breaker.call(() => ask(server.url, signalOf())).then(assert.fail, (thrown) => thrown);
          assert.equal(breaker.state, outcome === 'failure' ? 'open' : 'closed', `${outcome}: ${error}`);
          assert.deepEqual(counts(breaker), { calls: 0, failed: 0 });
          assert.equal(endOf(error), outcome === 'failure' ? 'dropped' : 'cancelled');
        }
        let calls = 0;
        const retry = new RetryPolicy({ attempts: 2, baseMs: 0, retryOn: http() });
        await assert.rejects(retry.call(() => ((calls += 1), ask(server.url, signalOf()))));
        assert.equal(calls, outcome === 'failure' ? 2 : 1);
      }
    });
  }

  function left() {
    const life = new AbortController();
    setTimeout(() => life.abort(), 30);
    return life.signal;
  }

  it('of cockatiel is one, and a call that its signal had ended before is not', async () => {
    const hung = () => new Promise(() => {});
    const breaker = opening();
    const late = timeout(10, TimeoutStrategy.Aggressive);
    await assert.rejects(
      breaker.call(() => late.execute(hung)),
      { isTaskCancelledError: true },
    );
    assert.equal(breaker.state, 'open');
    assert.equal(endOf(await late.execute(hung).catch((error) => error)), 'dropped');
    let calls = 0;
    const retry = new RetryPolicy({ attempts: 2, baseMs: 0, retryOn: http() });
    await assert.rejects(retry.call(() => late.execute(() => ((calls += 1), hung()))));
    assert.equal(calls, 2);
    const other = opening();
    const gone = AbortSignal.abort();
    await assert.rejects(
      other.call(() => wrap(bulkhead(1)).execute(hung, gone)),
      { isTaskCancelledError: true },
    );
    assert.deepEqual([other.state, counts(other)], ['closed', { calls: 0, failed: 0 }]);
  });
});
