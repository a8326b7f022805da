// RetryPolicy, RetryBudget and ClientThrottle: what is retried, when, and at whose cost.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import {
  CircuitBreaker,
  CircuitOpenError,
  Classifier,
  ClientThrottle,
  ManualClock,
  RateLimitedError,
  RetryBudget,
  RetryBudgetExceededError,
  RetryPolicy,
  ThrottledError,
  TidegateError,
  Timeout,
  http,
} from '../../index.mjs';

const { isTransient, retryAfterMs } = createRequire(import.meta.url)('../../lib/retryable.cjs');

const QUICK = { baseMs: 0, maxDelayMs: 0 };
const lost = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
const answered = (status, headers = {}) =>
  Object.assign(new Error(`HTTP ${status}`), { response: { status, headers } });

/** Fails so often, then gives the number of the call. */
function flaky(failures, make = lost) {
  const call = () => {
    call.calls += 1;
    if (call.calls <= failures) throw make();
    return call.calls;
  };
  call.calls = 0;
  return call;
}

/** Moves the clock until the promise has settled. */
async function moving(clock, promise, step = 50) {
  let done = false;
  const settled = promise.finally(() => {
    done = true;
  });
  settled.catch(() => {});
  while (!done) {
    clock.advance(step);
    await new Promise(setImmediate);
  }
  return settled;
}

describe('RetryPolicy', () => {
  it('calls again what failed', async () => {
    const policy = new RetryPolicy(QUICK);
    assert.equal(await policy.call(flaky(2)), 3);
    const fail = flaky(2);
    assert.equal(await policy.call(async () => fail()), 3);
    assert.equal(await policy.call(() => 5), 5);
  });

  it('tells on the last error how often', async () => {
    const fail = flaky(Infinity);
    await assert.rejects(new RetryPolicy(QUICK).call(fail), (error) => {
      assert.deepEqual([error.code, error.attempts, error.retryAfterMs], ['ECONNRESET', 3, 0]);
      return !Object.keys(error).includes('attempts');
    });
    assert.equal(fail.calls, 3);
    for (const thrown of [undefined, null, 'text', Object.freeze(lost())]) {
      await assert.rejects(new RetryPolicy(QUICK).call(flaky(9, () => thrown)), (error) => error === thrown);
    }
  });

  it('wraps functions with their arguments, this, name and length', async () => {
    const policy = new RetryPolicy(QUICK);
    const bank = {
      calls: 0,
      charge: policy.wrap(async function charge(amount, _order) {
        this.calls += 1;
        if (this.calls < 3) throw lost();
        return amount;
      }),
    };
    assert.equal(await bank.charge(7), 7);
    assert.deepEqual([bank.calls, bank.charge.name, bank.charge.length], [3, 'charge', 2]);
  });

  it('never retries what another call cannot mend', async () => {
    const wrong = () => Buffer.from(undefined);
    const never = [
      () => new DOMException('gone', 'AbortError'),
      () => new CircuitOpenError('bank', 3000),
      () => new ThrottledError(),
      () => new RetryBudgetExceededError(),
      () => {
        try {
          return wrong();
        } catch (error) {
          return error;
        }
      },
    ];
    for (const make of never) {
      const fail = flaky(9, make);
      await assert.rejects(new RetryPolicy({ ...QUICK, retryOn: Error }).call(fail));
      assert.equal(fail.calls, 1, String(make()));
    }
  });

  it('retries a mistake, a refusal and another status only when they are named', async () => {
    const named = [() => new TypeError('x'), () => new RangeError(), () => new RateLimitedError(), () => answered(404)];
    for (const make of named) {
      const fail = flaky(2, make);
      await assert.rejects(new RetryPolicy(QUICK).call(fail));
      assert.equal(fail.calls, 1);
      assert.equal(await new RetryPolicy({ ...QUICK, retryOn: [SyntaxError, () => true] }).call(flaky(2, make)), 3);
    }
    const fetchFailed = () => new TypeError('fetch failed', { cause: lost() });
    assert.equal(await new RetryPolicy(QUICK).call(flaky(2, fetchFailed)), 3);
    const statuses = [400, 404, 409, 429, 500, 503].map((status) => isTransient(answered(status)));
    assert.deepEqual(statuses, [false, false, false, true, true, true]);
  });

  it('reads Retry-After', () => {
    const cases = [
      [{ 'Retry-After': '7' }, 7000],
      [{ 'retry-after': 7 }, 7000],
      [new Headers({ 'Retry-After': '1.5' }), 1500],
      [{ 'retry-after-ms': '250', 'retry-after': '7' }, 250],
      [{ 'retry-after': 'soon' }, undefined],
      [{ 'retry-after': '-5' }, undefined],
      [{ 'retry-after': '' }, undefined],
      [{ 'retry-after': '1e9' }, undefined],
      [{ 'retry-after': '1000000000' }, 300_000],
      [{ 'retry-after': '9'.repeat(400) }, 300_000],
      [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 0],
      [{}, undefined],
      [undefined, undefined],
    ];
    const read = (error) => retryAfterMs(error, 300_000);
    for (const [headers, ms] of cases) assert.equal(read(answered(503, headers)), ms, inspect(headers));
    const soon = read(answered(503, { 'retry-after': new Date(Date.now() + 90_000).toUTCString() }));
    assert.ok(soon > 85_000 && soon <= 90_000);
    for (const [own, ms] of [[5, 5], [-5, 0], [Infinity, 300_000], [NaN, undefined], ['5', undefined]]) {
      assert.equal(read({ retryAfterMs: own }), ms);
    }
    const hostile = { status: 503, get headers() { throw new Error('no'); } };
    for (const nothing of [hostile, undefined, null, 'text']) assert.equal(read(nothing), undefined);
    assert.ok(isTransient(hostile));
    // As axios throws it.
    assert.equal(read(Object.assign(answered(429, { 'retry-after': '7' }), { status: 429 })), 7000);
  });

  it('reads Retry-After as every binding does', () => {
    const file = new URL('../../../tests/vectors/http_answers.json', import.meta.url);
    for (const { config, asks } of JSON.parse(readFileSync(file, 'utf8')).cases) {
      for (const ask of asks) {
        const headers = { 'Retry-After': ask.retry_after, 'retry-after-ms': ask.retry_after_ms, Date: ask.date };
        const most = Number(config.max_retry_after_ns) / 1e6;
        const wait = retryAfterMs(answered(ask.status, headers), most, Number(ask.now_ms ?? 0));
        const expected = ask.retry_after_ns === null ? undefined : Number(ask.retry_after_ns) / 1e6;
        assert.equal(wait, expected, JSON.stringify(ask));
      }
    }
  });

  it('obeys a server as far as allowed', async () => {
    for (const [told, maxRetryAfterMs, least] of [['7', undefined, 7000], ['100000', 2000, 2000]]) {
      const [clock, fail] = [new ManualClock(), flaky(1, () => answered(503, { 'retry-after': told }))];
      assert.equal(await moving(clock, new RetryPolicy({ maxRetryAfterMs, clock }).call(fail)), 2);
      const took = Number(clock.nowNs) / 1e6;
      assert.ok(took >= least && took < least + 200, `${took}`);
    }
  });

  it('sleeps no wait that would pass the deadline', async () => {
    const fail = flaky(Infinity, () => answered(503, { 'retry-after': '7' }));
    const once = (error) => error.attempts === 1 && error.retryAfterMs === 7000;
    await assert.rejects(new RetryPolicy({ deadlineMs: 5000 }).call(fail), once);
    assert.equal(fail.calls, 1);
  });

  it('has more time until its deadline where the clock steps back', async () => {
    const clock = new ManualClock(100_000_000_000n);
    const fail = flaky(3);
    const call = async () => {
      // Each attempt takes 0.9 s of the one, and then the clock steps back.
      clock.advance(900);
      if (fail.calls === 0) clock.setNs(clock.nowNs - 60_000_000_000n);
      return fail();
    };
    assert.equal(await new RetryPolicy({ attempts: 4, deadlineMs: 1000, clock, ...QUICK }).call(call), 4);
  });

  it('ends with an empty budget, whose cause is the last error', async () => {
    const budget = new RetryBudget({ ratio: 0.5, minPerSecond: 0, name: 'bank', scope: 'process' });
    budget.deposit();
    await assert.rejects(new RetryPolicy({ ...QUICK, attempts: 9, budget }).call(flaky(9)), (error) => {
      assert.ok(error instanceof RetryBudgetExceededError && error instanceof TidegateError);
      assert.equal(error.message, 'retry budget "bank" is empty after 2 attempts of a call: do not try again');
      assert.equal(error.code, 'ERR_TIDEGATE_RETRY_BUDGET_EXCEEDED');
      assert.deepEqual([error.attempts, error.retryAfterMs], [2, Infinity]);
      return error.cause.code === 'ECONNRESET';
    });
    const { deposited, withdrawn, denied } = budget.stats();
    assert.deepEqual([deposited, withdrawn, denied], [2, 1, 1]);
  });

  it('charges the budget before the wait', async () => {
    const clock = new ManualClock();
    const budget = new RetryBudget({ minPerSecond: 0.1, clock });
    const policy = new RetryPolicy({ baseMs: 10_000, maxDelayMs: 10_000, jitter: 'none', budget, clock });
    const waiting = policy.call(flaky(1));
    await new Promise(setImmediate);
    assert.equal(budget.stats().withdrawn, 1);
    await assert.rejects(policy.call(flaky(1)), RetryBudgetExceededError);
    clock.advance(10_000);
    assert.equal(await waiting, 2);
  });

  it('is ended by a signal, before a call and within a wait', async () => {
    const policy = new RetryPolicy({ baseMs: 3_600_000, maxDelayMs: 3_600_000, jitter: 'none' });
    const [before, within, fail] = [new AbortController(), new AbortController(), flaky(9)];
    before.abort(new Error('gone'));
    await assert.rejects(policy.call(fail, { signal: before.signal }), /gone/);
    assert.equal(fail.calls, 0);
    const waiting = policy.call(fail, { signal: within.signal });
    await new Promise(setImmediate);
    within.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    assert.equal(fail.calls, 1);
    const during = new AbortController();
    const failing = () => {
      during.abort();
      throw lost();
    };
    await assert.rejects(new RetryPolicy(QUICK).call(failing, { signal: during.signal }), /ECONNRESET/);
  });

  it('ends its wait with the call around it, whatever signal it has itself', async () => {
    const [own, caller] = [new AbortController(), new AbortController()];
    const policy = new RetryPolicy({ baseMs: 60_000, maxDelayMs: 60_000, jitter: 'none' });
    let inner;
    const around = new Timeout({ totalMs: 600_000 }).call(
      () => (inner = policy.call(() => Promise.reject(lost()), { signal: own.signal })),
      { signal: caller.signal },
    );
    setTimeout(() => caller.abort(new Error('gone')), 10);
    await assert.rejects(around, /gone/);
    await assert.rejects(inner, /gone/);
  });

  it('tells with the refusal of a later attempt what the one before ended by', async () => {
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
    const error = lost();
    const call = new RetryPolicy(QUICK).call(() => breaker.call(() => Promise.reject(error)));
    await assert.rejects(call, (refusal) => {
      assert.ok(refusal instanceof CircuitOpenError);
      assert.deepEqual([refusal.cause, refusal.attempts], [error, 2]);
      return true;
    });
    // Of a first attempt nothing was made.
    const first = new RetryPolicy(QUICK).call(() => breaker.call(() => assert.fail('called')));
    await assert.rejects(first, (refusal) => refusal.cause === undefined && refusal.attempts === 1);
  });

  it('lets others run between attempts without a wait', async () => {
    let isWell = false;
    setTimeout(() => {
      isWell = true;
    }, 1);
    const policy = new RetryPolicy({ ...QUICK, attempts: Infinity });
    const answer = await policy.call(() => (isWell ? 'well' : Promise.reject(lost())));
    assert.equal(answer, 'well');
  });

  it('keeps the process alive in a wait, and leaves no timer behind', () => {
    const index = JSON.stringify(fileURLToPath(new URL('../../index.cjs', import.meta.url)));
    const program = `
      const { RetryPolicy } = require(${index});
      let calls = 0;
      const fail = () => { calls += 1; if (calls < 2) throw new Error('x'); return calls; };
      new RetryPolicy({ baseMs: 30, jitter: 'none' }).call(fail).then((calls) => console.log(calls));
      const gone = new AbortController();
      new RetryPolicy({ baseMs: 3600000, maxDelayMs: 3600000, jitter: 'none' })
        .call(() => { throw new Error('x'); }, { signal: gone.signal }).catch(() => {});
      setImmediate(() => gone.abort());`;
    const { stdout, status } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 60_000 });
    assert.deepEqual([stdout, status], ['2\n', 0]);
  });

  it('keeps the context of every attempt', async () => {
    const request = new AsyncLocalStorage();
    const seen = [];
    const policy = new RetryPolicy({ baseMs: 1, maxDelayMs: 1 });
    const call = () => {
      seen.push(request.getStore());
      throw lost();
    };
    await Promise.all(['a', 'b'].map((name) => request.run(name, () => assert.rejects(policy.call(call)))));
    assert.deepEqual(seen.sort(), ['a', 'a', 'a', 'b', 'b', 'b']);
  });

  it('lets predicates choose and throw', async () => {
    const odd = () => {
      throw new Error('mine');
    };
    const call = (retryOn) => new RetryPolicy({ retryOn }).call(flaky(1));
    await assert.rejects(call(odd), (error) => error.cause.code === 'ECONNRESET');
    await assert.rejects(call(() => Promise.resolve(true)), /must answer at once/);
    assert.throws(() => new RetryPolicy({ retryOn: async () => true }), /must answer at once/);
    for (const retryOn of [5, 'Error', [5]]) {
      assert.throws(() => new RetryPolicy({ retryOn }), /^TypeError.*retryOn/);
    }
  });

  it('retries the results that a Classifier counts as failures, and returns the last', async () => {
    const statuses = (...given) => async () => new Response('x', { status: given.shift() });
    for (const retryOn of [http(), [RangeError, [http()]]]) {
      const policy = new RetryPolicy({ ...QUICK, retryOn });
      for (const call of [(fn) => policy.call(fn), (fn) => policy.wrap(fn)()]) {
        assert.equal((await call(statuses(503, 429, 200))).status, 200);
        assert.equal((await call(statuses(404))).status, 404);
        const last = await call(statuses(500, 502, 503));
        assert.deepEqual([last.status, await last.text()], [503, 'x']);
      }
    }
    assert.equal((await new RetryPolicy({ ...QUICK, retryOn: Error }).call(statuses(503, 200))).status, 503);
    assert.equal((await new RetryPolicy(QUICK).call(statuses(503, 200))).status, 503);
  });

  it('waits as long as a result asks, and by its Classifier', async () => {
    const asks = new Classifier({ failureResult: ({ ok }) => !ok, failureOn: RangeError, retryAfterMs: () => 7000 });
    const answers = [
      [http(), () => new Response(null, { status: 503, headers: { 'Retry-After': '7' } })],
      [asks, () => ({ ok: false })],
      [[SyntaxError, asks], () => { throw new RangeError('x'); }],
    ];
    for (const [retryOn, fail] of answers) {
      for (const [maxRetryAfterMs, least] of [[undefined, 7000], [2000, 2000]]) {
        const clock = new ManualClock();
        let calls = 0;
        const policy = new RetryPolicy({ retryOn, maxRetryAfterMs, clock });
        await moving(clock, policy.call(() => (++calls === 1 ? fail() : { ok: true, status: 200 })));
        const took = Number(clock.nowNs) / 1e6;
        assert.ok(calls === 2 && took >= least && took < least + 200, `${took}`);
      }
    }
  });

  it('returns a failed result where no other attempt is to be had', async () => {
    const failing = () => ({ status: 503, headers: { 'retry-after': '7' } });
    const options = { ...QUICK, retryOn: http() };
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0 });
    assert.equal((await new RetryPolicy({ ...options, budget }).call(failing)).status, 503);
    assert.equal(budget.stats().denied, 1);
    assert.equal((await new RetryPolicy({ ...options, deadlineMs: 5000 }).call(failing)).status, 503);
    const gone = new AbortController();
    const aborting = () => {
      gone.abort();
      return failing();
    };
    assert.equal((await new RetryPolicy(options).call(aborting, { signal: gone.signal })).status, 503);
    const retryOn = new Classifier({ failureResult: () => { throw new Error('mine'); } });
    await assert.rejects(new RetryPolicy({ ...QUICK, retryOn }).call(failing), /mine/);
    await assert.rejects(new RetryPolicy({ ...QUICK, retryOn }).wrap(failing)(), /mine/);
  });

  it('lets go of the connection of an answer that it retries', { timeout: 60_000 }, async () => {
    let asked = 0;
    const closed = [];
    const server = createServer((request, response) => {
      asked += 1;
      if (asked === 2) return response.end('ok');
      response.writeHead(503).write('and so on');
      return closed.push(once(response, 'close'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}/`;
    const answer = await new RetryPolicy({ ...QUICK, retryOn: http() }).call(() => fetch(url));
    assert.equal(await answer.text(), 'ok');
    await Promise.all(closed);
    assert.equal(asked, 2);
    server.closeAllConnections();
    server.close();
  });

  it('names what is wrong with its options', () => {
    for (const [options, says] of [
      [{ attempts: 0 }, /^attempts: 0 is not within 1 to/],
      [{ attempts: 2 ** 100 }, /^attempts: /],
      [{ baseMs: -1 }, /^baseMs: /],
      [{ baseMs: Infinity }, /^baseMs: /],
      [{ factor: NaN }, /^factor: /],
      [{ jitter: 'fuller' }, /^jitter: 'fuller' is not "none"/],
      [{ budget: {} }, /^budget must be a RetryBudget/],
      [{ clock: 5 }, /^clock must be a ManualClock/],
      [{ clock: { nowNs: 5n } }, /^clock must be a ManualClock/],
      [{ base: 5 }, /has no option 'base'/],
    ]) {
      assert.throws(() => new RetryPolicy(options), { message: says });
    }
    assert.throws(() => new RetryBudget({ ratio: 20 }), { name: 'RangeError', message: /did you mean 0.2\?/ });
  });

  it('refuses generators, what is no function, and detached methods', async () => {
    const policy = new RetryPolicy();
    function* rows() {}
    async function* later() {}
    for (const wrong of [rows, later, runInNewContext('(function* rows() {})')]) {
      assert.throws(() => policy.wrap(wrong), /is a generator/);
      await assert.rejects(policy.call(wrong), /is a generator.*; retry the part that does the work$/);
      assert.throws(() => new ClientThrottle().call(wrong), /is a generator.*tryAcquire\(\)/);
      assert.throws(() => new ClientThrottle().wrap(wrong), /is a generator/);
    }
    assert.throws(() => policy.wrap(5), TypeError);
    await assert.rejects(policy.call(() => 1, { signal: 5 }), /AbortSignal/);
    await assert.rejects(policy.call(() => 1, { timeoutMs: 5 }), /no option/);
    const { call, wrap } = policy;
    await assert.rejects(call(() => 1), /without its RetryPolicy/);
    assert.throws(() => wrap(() => 1), /without its RetryPolicy/);
    const { deposit } = new RetryBudget();
    assert.throws(() => deposit(), /without its RetryBudget/);
    const { tryAcquire } = new ClientThrottle();
    assert.throws(() => tryAcquire(), /without its ClientThrottle/);
  });

  it('makes each attempt a call of the breaker', async () => {
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 2 });
    const fail = flaky(Infinity);
    await assert.rejects(new RetryPolicy({ ...QUICK, attempts: 5 }).call(() => breaker.call(fail)), CircuitOpenError);
    assert.equal(fail.calls, 2);
  });

  it('tells its delays and shows itself', () => {
    const policy = new RetryPolicy({ attempts: 5, baseMs: 1000, factor: 3, maxDelayMs: 20_000, jitter: 'none' });
    assert.deepEqual([...policy.delays()], [1000, 3000, 9000, 20_000]);
    assert.deepEqual([...new RetryPolicy({ attempts: 1 }).delays()], []);
    let n = 0;
    for (const ms of new RetryPolicy({ attempts: Infinity, jitter: 'equal' }).delays()) {
      assert.ok(n < 6 || (ms >= 2500 && ms <= 5000));
      n += 1;
      if (n > 2000) break;
    }
    const shown = inspect(RetryPolicy.stamina({ budget: new RetryBudget() }));
    assert.match(shown, /RetryPolicy {[^]*attempts: 10,[^]*deadlineMs: 45000/);
    assert.equal(JSON.parse(JSON.stringify(new RetryPolicy())).jitter, 'full');
  });

  it('gets through to a flaky server', async () => {
    let asked = 0;
    const server = createServer((request, response) => {
      asked += 1;
      if (asked % 3 === 1) return response.writeHead(503, { 'retry-after': '0.01' }).end();
      if (asked % 3 === 2) return request.socket.destroy();
      return response.end('ok');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const policy = new RetryPolicy({ baseMs: 1, budget: new RetryBudget() });
    const ask = policy.wrap(async (path) => {
      const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`);
      if (!response.ok) throw Object.assign(new Error(`HTTP ${response.status}`), { response });
      return response.text();
    });
    for (let i = 0; i < 4; i += 1) assert.equal(await ask('/'), 'ok');
    assert.equal(asked, 12);
    server.closeAllConnections();
    server.close();
  });
});

describe('ClientThrottle', () => {
  it('rejects by chance, and lets one a second through', async () => {
    const clock = new ManualClock();
    const throttle = new ClientThrottle({ maxRejection: 1, name: 'search', scope: 'process', clock });
    for (let i = 0; i < 400; i += 1) assert.throws(() => throttle.call(flaky(9)));
    const { forced, rejected } = throttle.stats();
    assert.ok(forced === 1 && rejected > 300 && throttle.probability > 0.9);
    const rejections = [];
    for (let i = 0; i < 500; i += 1) {
      try {
        throttle.call(() => 1);
      } catch (error) {
        rejections.push(error);
      }
    }
    assert.match(rejections[0].message, /^client throttle "search" rejected a call: try again in 1 s$/);
    assert.ok(rejections[0] instanceof ThrottledError && rejections[0].code === 'ERR_TIDEGATE_THROTTLED');
    clock.advance(31_000);
    assert.equal(throttle.probability, 0);
  });

  it('tells refusals from answers', async () => {
    const counts = async (make, options) => {
      const throttle = new ClientThrottle(options);
      const [fail, later] = [flaky(Infinity, make), async () => fail()];
      assert.throws(() => throttle.call(fail));
      await assert.rejects(throttle.call(later));
      await assert.rejects(throttle.wrap(later)());
      const { accepted, refused } = throttle.stats();
      return [accepted, refused];
    };
    assert.deepEqual(await counts(lost), [0, 3]);
    assert.deepEqual(await counts(() => answered(429)), [0, 3]);
    assert.deepEqual(await counts(() => answered(404)), [3, 0]);
    assert.deepEqual(await counts(() => new RateLimitedError()), [0, 0]);
    assert.deepEqual(await counts(() => new DOMException('gone', 'AbortError')), [0, 0]);
    assert.deepEqual(await counts(() => new TypeError('x'), { failureOn: TypeError }), [0, 3]);
    const throttle = new ClientThrottle();
    assert.deepEqual([throttle.call((a, b) => a + b, 1, 2), await throttle.call(async () => 5)], [3, 5]);
    assert.equal(throttle.stats().accepted, 2);
  });

  it('judges results by its Classifier', async () => {
    const throttle = new ClientThrottle({ failureOn: [http(), RangeError] });
    const counted = () => {
      const { accepted, refused } = throttle.stats();
      return [accepted, refused];
    };
    await throttle.call(async () => new Response('', { status: 503 }));
    throttle.call(() => ({ status: 429 }));
    await throttle.wrap(async () => new Response('', { status: 500 }))();
    assert.deepEqual(counted(), [0, 3]);
    await throttle.call(async () => new Response('', { status: 404 }));
    throttle.call(() => 1);
    assert.deepEqual(counted(), [2, 3]);
    const look = new Classifier({
      failureResult() {
        throw new Error('looked at');
      },
    });
    const other = new ClientThrottle({ failureOn: look });
    assert.throws(() => other.call(() => 1), /looked at/);
    assert.equal(other.stats().refused, 1);
  });

  it('counts a predicate that throws as a refusal, and tells both errors', async () => {
    const throttle = new ClientThrottle({ failureOn: () => { throw new Error('mine'); } });
    const both = ({ message, cause }) => message === 'mine' && cause.code === 'ECONNRESET';
    assert.throws(() => throttle.call(flaky(1)), both);
    await assert.rejects(throttle.call(async () => flaky(1)()), both);
    assert.equal(throttle.stats().refused, 2);
  });

  it('has switches', () => {
    const dry = new ClientThrottle({ minCalls: 1, dryRun: true });
    for (let i = 0; i < 50; i += 1) dry.refused();
    for (let i = 0; i < 50; i += 1) assert.ok(dry.tryAcquire());
    assert.ok(dry.stats().wouldReject > 0);
    const off = new RetryBudget({ minPerSecond: 0, enabled: false });
    assert.ok(off.tryWithdraw() && off.stats().withdrawn === 0);
  });
});

describe('in a scope', () => {
  it('is one budget and one throttle under a name', () => {
    const scope = `process:retry-${process.pid}`;
    const open = () => new RetryBudget({ minPerSecond: 0.1, scope, name: 'bank' });
    const [one, two] = [open(), open()];
    assert.ok(one.tryWithdraw());
    assert.ok(!two.tryWithdraw());
    assert.throws(() => new RetryBudget({ scope, name: 'bank' }), { name: 'ArenaError', kind: 'settings' });
    const [three, four] = [0, 1].map(() => new ClientThrottle({ scope, name: 'search' }));
    for (let i = 0; i < 30; i += 1) three.refused();
    assert.equal(four.probability, 0.9);
  });
});

describe('docs/retry.md', () => {
  it('has an example that runs', async () => {
    const page = readFileSync(new URL('../../../docs/retry.md', import.meta.url), 'utf8');
    const [, code] = /```js\n([^]*?)```/.exec(page);
    const entry = new URL('../../index.mjs', import.meta.url).href;
    const source = code.replace("'tidegate'", JSON.stringify(entry));
    const { charge, later } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
    const fail = flaky(2);
    assert.equal(await charge('7', async () => fail()), 3);
    const gone = new AbortController();
    gone.abort(new Error('gone'));
    await assert.rejects(charge('7', async () => fail(), gone.signal), /gone/);
    assert.equal(later(new RetryBudgetExceededError('empty', 5)), 5);
  });
});
