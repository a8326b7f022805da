// fetch, undici and axios under a breaker, a retry policy and a throttle: the same on real servers, whichever it is.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners, once, setMaxListeners } from 'node:events';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  CircuitBreaker,
  CircuitOpenError,
  Classifier,
  ClientThrottle,
  Deadline,
  ManualClock,
  RetryBudget,
  RetryBudgetExceededError,
  RetryPolicy,
  ThrottledError,
  TimeoutExceededError,
  http,
} from 'tidegate';
import { until } from './until.mjs';
import { CLIENTS, circuit, counts, failing, quick, serve } from './web.mjs';

const leaks = [];
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') leaks.push(warning);
});
after(() => assert.deepEqual(leaks, []));

/** A circuit whose cooldown is over: the next call is its only probe. */
function probing(options = {}) {
  const clock = new ManualClock();
  const breaker = circuit({ consecutiveFailures: 1, cooldownMs: 1000, clock, ...options });
  breaker.acquire().failure();
  clock.advance(1000);
  return breaker;
}

for (const [name, { make, stream }] of Object.entries(CLIENTS)) {
  describe(`${name}, guarded`, () => {
    it('calls again what may be called again', async (t) => {
      const statusOf = async (init, times = 2) => {
        const server = await serve(t, failing(times));
        const ask = make(t, { retry: quick() });
        const { status, read } = await ask(server.url, init);
        await read();
        return [status, server.asked.length];
      };
      for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
        assert.deepEqual(await statusOf({ method }), [200, 3], method);
      }
      // A key without a value is none: nothing tells the server that it is the same order.
      const keyless = name === 'fetch' ? ['', ' '] : ['', ' ', undefined];
      for (const key of keyless) {
        const headers = { 'Idempotency-Key': key };
        assert.deepEqual(await statusOf({ method: 'POST', headers }), [503, 1], String(key));
      }
      for (const method of ['POST', 'PATCH']) {
        assert.deepEqual(await statusOf({ method }), [503, 1], method);
        assert.deepEqual(await statusOf({ method, idempotent: true }), [200, 3], method);
        assert.deepEqual(await statusOf({ method, headers: { 'idempotency-Key': 'order-1' } }), [200, 3], method);
      }
      assert.deepEqual(await statusOf({ method: 'GET', idempotent: false }), [503, 1]);
      // Nothing that a second call would mend.
      assert.deepEqual(await statusOf({ method: 'GET' }, 3), [503, 3]);
      const server = await serve(t, failing(1, 404));
      assert.equal((await make(t, { retry: quick() })(server.url)).status, 404);
      assert.equal(server.asked.length, 1);
    });

    it('sends a body again that can be, and none that is used up', async (t) => {
      const put = async (body) => {
        const server = await serve(t, failing(2));
        const { status, read } = await make(t, { retry: quick() })(server.url, { method: 'PUT', body });
        await read();
        return [status, ...server.asked.map((asked) => asked.body)];
      };
      for (const body of ['paid', Buffer.from('paid'), new Uint8Array([112, 97, 105, 100])]) {
        assert.deepEqual(await put(body), [200, 'paid', 'paid', 'paid']);
      }
      assert.deepEqual(await put(stream(['pa', 'id'])), [503, 'paid']);
    });

    it('waits as long as the server says, and so does the circuit', async (t) => {
      const server = await serve(t, failing(1, 429, { 'retry-after-ms': '150' }));
      const start = performance.now();
      assert.equal((await make(t, { retry: quick() })(server.url)).status, 200);
      assert.ok(performance.now() - start >= 150);
      const later = await serve(t, failing(1, 503, { 'retry-after': '120' }));
      const breaker = circuit({ consecutiveFailures: 1, maxCooldownMs: 600_000 });
      assert.equal((await make(t, { breaker })(later.url)).status, 503);
      assert.ok(breaker.retryAfterMs > 110_000, `${breaker.retryAfterMs}`);
    });

    it('knows a body that was cut off', async (t) => {
      const server = await serve(t, (request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half');
        server.cut = () => request.socket.destroy();
      });
      const breaker = circuit();
      const { status, read } = await make(t, { breaker })(server.url);
      assert.deepEqual([status, counts(breaker)], [200, { calls: 0, failed: 0 }]);
      server.cut();
      await assert.rejects(read());
      assert.deepEqual(counts(breaker), { calls: 1, failed: 1 });
    });

    it('is over with its body, or with its headers', async (t) => {
      const server = await serve(t, (_request, response) => {
        response.write('a');
        server.end = () => response.end('b');
      });
      const breaker = circuit();
      for (const [outcomeAt, at] of [
        ['body', 0],
        ['headers', 1],
        [undefined, 0],
      ]) {
        const before = breaker.stats().calls;
        const { read } = await make(t, { breaker, outcomeAt })(server.url);
        assert.equal(breaker.stats().calls - before, at);
        server.end();
        assert.equal(await read(), 'ab');
        assert.equal(breaker.stats().calls - before, 1);
      }
      assert.equal(breaker.stats().failed, 0);
    });

    it('gives the probe of a body that is given up back', async (t) => {
      const server = await serve(t, (_request, response) => response.write('a'));
      const breaker = probing();
      const { drop } = await make(t, { breaker })(server.url);
      assert.deepEqual([breaker.state, breaker.tryAcquire()], ['half_open', null]);
      drop();
      let probe;
      await until(() => (probe = breaker.tryAcquire()) !== null);
      probe.success();
      assert.equal(breaker.state, 'closed');
    });

    it('ends one call when its caller aborts it, and counts it for nothing', async (t) => {
      const server = await serve(t, (_request, response, nth) => {
        if (nth > 1) setTimeout(() => response.end('other'), 100);
      });
      const breaker = circuit();
      const ask = make(t, { breaker, retry: quick() });
      const life = new AbortController();
      const first = ask(server.url, { signal: life.signal });
      await until(() => server.asked.length === 1);
      const second = ask(server.url);
      await until(() => server.asked.length === 2);
      life.abort(new Error('the customer left'));
      await assert.rejects(first, name === 'axios' ? { code: 'ERR_CANCELED' } : { message: 'the customer left' });
      assert.equal(await (await second).read(), 'other');
      assert.deepEqual([counts(breaker), server.asked.length], [{ calls: 1, failed: 0 }, 2]);
      // A signal that has aborted asks nobody.
      await assert.rejects(ask(server.url, { signal: life.signal }));
      assert.deepEqual([counts(breaker), server.asked.length], [{ calls: 1, failed: 0 }, 2]);
    });

    it('ends the wait for the next attempt as well', async (t) => {
      const server = await serve(t, failing(9));
      const retry = new RetryPolicy({ baseMs: 60_000, maxDelayMs: 60_000, jitter: 'none' });
      const life = new AbortController();
      const asked = make(t, { retry })(server.url, { signal: life.signal });
      await until(() => server.asked.length === 1);
      setTimeout(() => life.abort(new Error('the customer left')), 50);
      await assert.rejects(asked, name === 'axios' ? { code: 'ERR_CANCELED' } : { message: 'the customer left' });
    });

    it('takes a timeout by a signal for what it is', async (t) => {
      const server = await serve(t, () => {});
      const breaker = circuit();
      await assert.rejects(make(t, { breaker, retry: quick() })(server.url, { signal: AbortSignal.timeout(40) }));
      assert.deepEqual(counts(breaker), { calls: 1, failed: 1 });
      assert.ok(server.asked.length <= 1);
    });

    it('takes one that ends a body for a timeout as well', async (t) => {
      const server = await serve(t, (_request, response) => response.write('a'));
      const breaker = circuit();
      const life = new AbortController();
      const { read } = await make(t, { breaker })(server.url, { signal: life.signal });
      const reading = read();
      life.abort(new DOMException('the time is over', 'TimeoutError'));
      await assert.rejects(reading);
      await until(() => breaker.stats().calls === 1);
      assert.deepEqual(counts(breaker), { calls: 1, failed: 1 });
    });

    it('does not call while the circuit is open', async (t) => {
      const server = await serve(t, failing(9));
      const breaker = circuit({ consecutiveFailures: 2 });
      const ask = make(t, { breaker, retry: quick() });
      // The second failure opens it: there is an answer, and no further attempt that would be refused.
      assert.deepEqual([(await ask(server.url)).status, server.asked.length], [503, 2]);
      await assert.rejects(ask(server.url), CircuitOpenError);
      assert.equal(server.asked.length, 2);
    });

    it('has a breaker, a budget and a throttle for each key', async (t) => {
      const [well, ill] = [await serve(t, failing(0)), await serve(t, failing(1000))];
      const [breakers, budgets] = [new Map(), new Map()];
      const of = (map, key, made) => map.get(key) ?? map.set(key, made()).get(key);
      const single = () => new RetryBudget({ ratio: 1, minPerSecond: 0 });
      const options = {
        breaker: { get: (key) => of(breakers, key, () => circuit({ consecutiveFailures: 3 })) },
        retry: quick({ attempts: 9 }),
        budget: { get: (key) => of(budgets, key, single) },
      };
      const ask = make(t, options);
      assert.equal((await ask(well.url)).status, 200);
      // Each call pays for one retry; once there is none, the last answer is the result.
      assert.deepEqual([(await ask(ill.url)).status, ill.asked.length], [503, 2]);
      assert.deepEqual([(await ask(ill.url)).status, ill.asked.length], [503, 3]);
      await assert.rejects(ask(ill.url), CircuitOpenError);
      assert.deepEqual([...breakers.keys()], [new URL(well.url).host, new URL(ill.url).host]);
      assert.deepEqual([...budgets.keys()], [...breakers.keys()]);
      assert.equal((await ask(well.url)).status, 200);
      const byMethod = make(t, { ...options, key: ({ method, url }) => `${method} ${url.pathname}` });
      await byMethod(`${well.url}/pay`, { method: 'POST' });
      assert.equal([...breakers.keys()].at(-1), 'POST /pay');
      // A Map that has nothing for a key guards it by nothing.
      assert.equal((await make(t, { breaker: new Map() })(ill.url)).status, 503);
      await assert.rejects(make(t, { ...options, key: () => undefined })(ill.url), { code: 'ERR_INVALID_ARG_TYPE' });
      const byFunction = make(t, { breaker: (key) => of(breakers, `fn ${key}`, circuit) });
      await byFunction(well.url);
      assert.equal([...breakers.keys()].at(-1), `fn ${new URL(well.url).host}`);
      await assert.rejects(make(t, { breaker: { get: () => 5 } })(ill.url), /breaker: what is given for a key.*5/);
    });

    it('says when the budget is empty and there is no answer', async (t) => {
      const server = await serve(t, (request) => request.socket.destroy());
      const breaker = circuit();
      const budget = new RetryBudget({ ratio: 1, minPerSecond: 0 });
      const ask = make(t, { breaker, retry: quick({ attempts: 9 }), budget });
      const error = await ask(server.url).then(assert.fail, (thrown) => thrown);
      assert.ok(error instanceof RetryBudgetExceededError);
      assert.deepEqual([error.attempts, counts(breaker)], [2, { calls: 2, failed: 2 }]);
      assert.ok(error.cause instanceof Error && !/ended by/.test(error.cause.message));
    });

    it('hears from a throttle when the server refuses', async (t) => {
      const server = await serve(t, failing(1000));
      const throttle = new ClientThrottle({ minCalls: 1, maxRejection: 1, k: 1, forcePassMs: 86_400_000 });
      const ask = make(t, { throttle });
      for (let i = 0; i < 20; i += 1)
        await ask(server.url).catch((error) => assert.ok(error instanceof ThrottledError));
      const { accepted, refused, rejected } = throttle.stats();
      assert.deepEqual([accepted, refused + rejected, refused], [0, 20, server.asked.length]);
    });

    it('throws what a classifier throws, and the call is a failure', async (t) => {
      const server = await serve(t, failing(0));
      const breaker = probing();
      const classifier = new Classifier({
        failureResult: () => {
          throw new Error('no such field');
        },
      });
      await assert.rejects(make(t, { breaker, classifier })(server.url), /no such field/);
      assert.equal(breaker.state, 'open');
    });

    it('counts by the classifier of the breaker, which may have its own', async (t) => {
      const server = await serve(t, failing(1000, 404));
      const strict = circuit({ failureResult: (answer) => answer.status === 404 });
      for (const [breaker, failed] of [
        [strict, 1],
        [circuit(), 0],
      ]) {
        await (await make(t, { breaker })(server.url)).read();
        assert.deepEqual(counts(breaker), { calls: 1, failed });
      }
    });

    it('takes no mistake for an answer that closes the circuit', async (t) => {
      const breaker = probing();
      const ask = make(t, { breaker });
      for (const url of ['ftp://127.0.0.1/', 'nonsense://x', 'http://127.0.0.1:99999/']) {
        await assert.rejects(async () => (await ask(url)).read());
        assert.deepEqual([breaker.stats().calls, breaker.state === 'closed'], [0, false], url);
      }
    });

    it('calls an answer slow that says so, and its body can still fail', async (t) => {
      const server = await serve(t, (request, response, nth) => {
        response.writeHead(nth === 2 ? 404 : 200, { 'content-length': 3 });
        if (nth < 3) response.end('yes');
        else response.write('y', () => response.destroy());
      });
      const classifier = http({ slow: (answer) => (answer.status ?? answer.statusCode) === 200 });
      const breaker = circuit();
      const ask = make(t, { breaker, classifier });
      for (let i = 0; i < 2; i++) await (await ask(server.url)).read();
      const { calls, failed, slow } = breaker.stats();
      assert.deepEqual([calls, failed, slow], [2, 0, 1]);
      await assert.rejects(async () => (await ask(server.url)).read());
      await until(() => breaker.stats().calls === 3);
      assert.deepEqual([breaker.stats().failed, breaker.stats().slow], [1, 1]);
    });

    it('retries by results where the policy has a Classifier for them', async (t) => {
      const server = await serve(t, failing(2, 425));
      const retryOn = new Classifier({ failureResult: (answer) => answer.status === 425, failureOn: () => false });
      const { status, read } = await make(t, { retry: quick({ retryOn }) })(server.url);
      assert.deepEqual([status, await read(), server.asked.length], [200, 'yes', 3]);
    });

    it('follows redirects and decompresses as it did', async (t) => {
      const server = await serve(t, (request, response) => {
        if (request.url === '/old') response.writeHead(302, { location: '/new' }).end();
        else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('hello'));
      });
      const breaker = circuit();
      const { status, read } = await make(t, { breaker })(`${server.url}/old`);
      // undici's own request() does neither.
      if (name !== 'undici') assert.deepEqual([status, await read()], [200, 'hello']);
      else assert.deepEqual([status, await read()], [302, '']);
      assert.deepEqual(counts(breaker), { calls: 1, failed: 0 });
    });

    it('gives the sockets of answers that nobody gets back', async (t) => {
      const server = await serve(t, (_request, response, nth) => {
        response.writeHead(nth % 2 === 1 ? 503 : 200).end('x'.repeat(20_000));
      });
      const breaker = circuit();
      const ask = make(t, { breaker, retry: quick({ baseMs: 5 }) });
      for (let i = 0; i < 20; i += 1) assert.equal((await (await ask(server.url)).read()).length, 20_000);
      assert.equal(server.asked.length, 40);
      // axios asks for a connection of its own each time, but for the agent that node has kept alive.
      assert.ok(server.sockets.size <= 10, `${server.sockets.size} sockets`);
      const held = [];
      const long = await serve(t, (request, response, nth) => {
        response.writeHead(nth % 2 === 1 ? 503 : 200);
        if (nth % 2 === 1) held.push(request.socket);
        // Longer than is worth reading, or without end.
        if (nth === 1) response.write('x'.repeat(1_000_000));
        else if (nth === 3) response.write('x');
        else response.end('yes');
      });
      for (let i = 0; i < 2; i += 1) assert.equal(await (await ask(long.url)).read(), 'yes');
      await until(() => held.every((socket) => socket.destroyed));
    });

    it('tells the server what is left of the deadline', async (t) => {
      const server = await serve(t, failing(1));
      const ask = make(t, { retry: quick() });
      const told = () => server.asked.map(({ headers }) => Number(headers['x-request-timeout-ms']));
      await Deadline.after(10_000).run(() => ask(server.url, { headers: { 'X-Request-Timeout-MS': '99999', a: 'b' } }));
      assert.equal(server.asked[1].headers.a, 'b');
      assert.ok(told().every((ms) => ms > 8000 && ms <= 9500) && told()[1] <= told()[0], `${told()}`);
      await ask(server.url);
      await Deadline.after(10_000).run(() => make(t, { deadlineHeader: null })(server.url));
      await Deadline.after(10_000).run(() => make(t, { deadlineHeader: 'grpc-timeout' })(server.url));
      assert.deepEqual(told().slice(2), [NaN, NaN, NaN]);
      assert.match(server.asked.at(-1).headers['grpc-timeout'], /^9\d{3}m$/);
      const breaker = circuit();
      const late = Deadline.after(0).run(() => make(t, { breaker })(server.url));
      await assert.rejects(late, TimeoutExceededError);
      assert.deepEqual([server.asked.length, counts(breaker)], [5, { calls: 0, failed: 0 }]);
    });

    it('reaches every attempt with the context of its caller', async (t) => {
      const log = new AsyncLocalStorage();
      const seen = [];
      const server = await serve(t, failing(2));
      const classifier = new Classifier({ failureResult: () => void seen.push(log.getStore()) });
      const ask = make(t, { breaker: circuit(), classifier, retry: quick() });
      await log.run('request 1', () => ask(server.url));
      assert.deepEqual(seen, Array(3).fill('request 1'));
    });

    it('knows a server that is not there', async (t) => {
      const server = await serve(t, failing(0));
      server.close();
      await once(server.server, 'close');
      const breaker = circuit();
      await assert.rejects(make(t, { breaker, retry: quick() })(server.url));
      assert.deepEqual(counts(breaker), { calls: 3, failed: 3 });
    });

    it(
      'leaks nothing in thousands of calls',
      { skip: globalThis.gc === undefined && 'needs --expose-gc' },
      async (t) => {
        const server = await serve(t, (_request, response, nth) => {
          server.asked.length = 0;
          response.writeHead(nth % 5 === 0 ? 503 : 200).end('x');
        });
        const ask = make(t, {
          breaker: circuit(),
          retry: quick({ attempts: 2, baseMs: 0 }),
          throttle: new ClientThrottle(),
        });
        const life = new AbortController();
        // One signal for twenty calls at once: undici and axios listen to it once an attempt, until its body has gone.
        setMaxListeners(2 * 20 + 1, life.signal);
        const used = async (calls) => {
          for (let i = 0; i < calls; i += 20) {
            const answers = Array.from({ length: 20 }, () =>
              ask(server.url, { signal: life.signal }).then((a) => a.read()),
            );
            await Promise.all(answers);
          }
          for (let i = 0; i < 4; i += 1) {
            await new Promise((resolve) => setTimeout(resolve, 5));
            globalThis.gc();
          }
          return process.memoryUsage().heapUsed;
        };
        const before = await used(500);
        const after = await used(1500);
        assert.equal(getEventListeners(life.signal, 'abort').length, 0);
        // A hundred bytes a call would be 200 kB; what is kept per call is a few kB.
        assert.ok(after - before < 3_000_000, `${after - before} bytes more after 1500 calls`);
      },
    );
  });
}

describe('what the clients take', () => {
  it('is checked when it is given', async () => {
    const { guardedFetch } = await import('tidegate/fetch');
    const retry = quick();
    for (const [options, message] of [
      [{ breakers: circuit() }, /no option 'breakers'/],
      [{ breaker: 5 }, /breaker must be a CircuitBreaker, or a function of the key or something with get\(key\)/],
      [{ throttle: circuit() }, /throttle must be a ClientThrottle/],
      [{ retry: {} }, /retry must be a RetryPolicy/],
      [{ budget: new RetryBudget() }, /without retry/],
      [{ retry: quick({ budget: new RetryBudget() }), budget: new RetryBudget() }, /not both/],
      [{ retry, key: 'host' }, /key must be a function/],
      [{ outcomeAt: 'end' }, /outcomeAt must be 'headers' or 'body'/],
      [{ classifier: () => true }, /classifier must be a Classifier/],
      [{ deadlineHeader: 5 }, /deadlineHeader must be a text/],
      [{ deadlineHeader: '' }, /deadlineHeader must not be ''/],
      [{ fetch: 'node' }, /fetch must be a function/],
    ]) {
      assert.throws(() => guardedFetch(options), { message });
    }
  });
});
