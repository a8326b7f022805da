// Fallback and Resilience: what stands in for a call, and everything around one call in its order.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import {
  BoundedQueue,
  CircuitBreaker,
  CircuitOpenError,
  ClientThrottle,
  ConcurrencyLimitError,
  ConcurrencyLimiter,
  Deadline,
  Fallback,
  ManualClock,
  Outcome,
  RateLimitedError,
  Resilience,
  RetryBudget,
  RetryBudgetExceededError,
  RetryPolicy,
  ThrottledError,
  Timeout,
  TimeoutExceededError,
  cached,
  http,
} from '../../index.mjs';
import { guardedFetch } from 'tidegate/fetch';
import { serve } from './web.mjs';

const INDEX = fileURLToPath(new URL('../../index.cjs', import.meta.url));
const { cases } = JSON.parse(readFileSync(new URL('../../../tests/resilience/policies.json', import.meta.url), 'utf8'));
const turn = () => new Promise(setImmediate);
const hang = () => new Promise(() => {});
const lost = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
const fail = () => {
  throw lost();
};

/** A promise that others settle. */
function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

const THROWN = {
  reset: lost,
  declined: () => Object.assign(new Error('HTTP 404'), { response: { status: 404 } }),
  mistake: () => new TypeError('x is not a function'),
};
const IS = {
  reset: (error) => error.code === 'ECONNRESET',
  declined: (error) => error.response?.status === 404,
  mistake: (error) => error instanceof TypeError,
  cancelled: (error) => error.message === 'gone',
  open: (error) => error instanceof CircuitOpenError,
  timeout: (error) => error instanceof TimeoutExceededError,
  budget: (error) => error instanceof RetryBudgetExceededError,
  full: (error) => error instanceof ConcurrencyLimitError,
  throttled: (error) => error instanceof ThrottledError,
};

/** A function that does one act after the other. */
function played(acts, clock, caller) {
  const left = [...acts];
  const play = async () => {
    const act = left.shift();
    if (act.takes_ms !== undefined) {
      clock.advance(act.takes_ms);
      await turn();
    }
    if (act.raise === 'cancelled') {
      caller().abort(new Error('gone'));
      return hang();
    }
    if (act.raise !== undefined) throw THROWN[act.raise]();
    return act.return;
  };
  return Object.assign(play, { left });
}

const FILTERS = { http: () => http(), reset: () => IS.reset };

function resilienceOf(given, clock) {
  const parts = {};
  const slow = given.slow_ms;
  const stale = given.slow_results?.map((result) => JSON.stringify(result));
  const isStale = stale && ((result) => stale.includes(JSON.stringify(result)));
  const judge = () => http({ slow: isStale, slowCallDurationMs: slow });
  // In an order of no meaning.
  if (given.attempt_ms !== undefined) parts.attemptTimeout = new Timeout({ attemptMs: given.attempt_ms, clock });
  if (given.concurrency !== undefined) parts.concurrency = new ConcurrencyLimiter({ limit: given.concurrency });
  if (given.breaker !== undefined) {
    const classifier = given.classifier && judge();
    const own = slow === undefined ? undefined : clock;
    parts.breaker = new CircuitBreaker('it', { consecutiveFailures: given.breaker, classifier, clock: own });
  }
  if (given.throttle !== undefined) {
    parts.throttle = new ClientThrottle({ maxRejection: 1, clock });
    for (let n = 0; n < given.throttle; n++) parts.throttle.refused();
  }
  if (given.attempts !== undefined) {
    const { ratio, min_per_second: minPerSecond } = given.budget ?? {};
    const budget = given.budget && new RetryBudget({ ratio, minPerSecond });
    const retryOn = given.retry_on && judge();
    const waitMs = given.base_ms ?? 0;
    const waits = { baseMs: waitMs, maxDelayMs: waitMs, jitter: 'none' };
    parts.retry = new RetryPolicy({ attempts: given.attempts, ...waits, budget, retryOn });
  }
  if (given.total_ms !== undefined) parts.totalTimeout = new Timeout({ totalMs: given.total_ms, clock });
  const standIn = {};
  if (given.cached !== undefined) {
    const { max_age_ms: maxAgeMs, max_entries: maxEntries } = given.cached;
    standIn.cached = cached({ maxAgeMs, maxEntries, key: (key) => key, clock });
  }
  if ('static' in given) standIn.static = given.static;
  const others = (given.alternatives ?? []).map(({ name, acts }) => ({ name, call: played(acts, clock) }));
  if (others.length > 0) standIn.alternatives = others;
  if (given.queue !== undefined) standIn.queue = new BoundedQueue({ capacity: given.queue, highWatermark: 1 });
  if (given.order !== undefined) standIn.order = given.order;
  if (given.fallback_on !== undefined) standIn.fallbackOn = FILTERS[given.fallback_on]();
  if (Object.keys(standIn).length > 0) parts.fallback = new Fallback(standIn);
  return { resilience: new Resilience(parts), parts, others };
}

const KNOWN = `attempts base_ms retry_on budget breaker classifier concurrency total_ms attempt_ms cached static
  alternatives queue order fallback_on slow_ms slow_results throttle`.split(/\s+/);

describe('the policies of tests/resilience', () => {
  for (const { name, with: given, steps } of cases) {
    it(name, { timeout: 60_000 }, async () => {
      assert.ok(Object.keys(given).every((key) => KNOWN.includes(key)));
      const clock = new ManualClock();
      const { resilience, parts, others } = resilienceOf(given, clock);
      for (const step of steps) {
        clock.setNs(clock.nowNs + BigInt(step.advance_ms ?? 0) * 1_000_000n);
        const caller = new AbortController();
        const fn = played(step.acts, clock, () => caller);
        const began = performance.now();
        const ended = resilience.call(fn, { signal: caller.signal, args: [step.key ?? ''] });
        const end = await ended.then(
          (value) => ({ value }),
          (error) => ({ error }),
        );
        assert.deepEqual(fn.left, [], inspect(step));
        if (step.at_once) assert.ok(performance.now() - began < 10_000);
        if (step.raises !== undefined) {
          assert.ok(IS[step.raises](end.error), inspect(end));
          if (step.cause !== undefined) assert.ok(IS[step.cause](end.error.cause), inspect(end));
          if (step.attempts !== undefined) assert.equal(end.error.attempts, step.attempts);
        } else if (step.source === undefined) {
          assert.deepEqual(end.value, step.value);
        } else {
          const { value, source, error, ageMs } = end.value;
          assert.ok(end.value instanceof Outcome);
          assert.deepEqual([value, source, ageMs], [step.value, step.source, step.age_ms], inspect(end));
          assert.ok(step.error === undefined ? error === undefined : IS[step.error](error), inspect(end));
          if (step.attempts !== undefined) assert.equal(error.attempts, step.attempts);
        }
        if (step.breaker !== undefined) {
          const { state, failed, slow } = parts.breaker.stats();
          assert.equal(state, step.breaker.state);
          if (step.breaker.failed !== undefined) assert.equal(failed, step.breaker.failed);
          assert.equal(slow, step.breaker.slow ?? 0);
        }
        if (step.throttle !== undefined) {
          const { accepted, refused } = parts.throttle.stats();
          assert.deepEqual({ accepted, refused: refused - given.throttle }, step.throttle);
        }
        assert.equal(getEventListeners(caller.signal, 'abort').length, 0);
        if (parts.concurrency !== undefined) assert.equal(parts.concurrency.inUse, 0);
      }
      assert.ok(others.every(({ call }) => call.left.length === 0));
    });
  }
});

describe('Fallback', () => {
  it('counts what stood in', async () => {
    const fallback = new Fallback({ static: (error) => error.code, queue: new BoundedQueue({ capacity: 1 }) });
    const good = { value: 5, source: 'primary', error: undefined, ageMs: undefined };
    assert.deepEqual({ ...(await fallback.call(() => 5)) }, good);
    const { value, source } = await fallback.call(fail);
    assert.deepEqual([value, source], ['ECONNRESET', 'static']);
    const stats = { primary: 1, failures: 1, fallback: { static: 1, queued: 0 }, unserved: 0 };
    assert.deepEqual(fallback.stats(), stats);
    assert.match(inspect(fallback), /^Fallback {[^]*failures: 1/);
  });

  it('passes arguments and this, to alternatives as well', async () => {
    const bank = {
      fee: 1,
      charge: new Fallback({
        alternatives: [
          function other(cents) {
            return cents + this.fee;
          },
        ],
      }).wrap(async function charge(cents, _order) {
        if (cents > 5) throw lost();
        return cents;
      }),
    };
    assert.equal((await bank.charge(5)).value, 5);
    const { value, source, error } = await bank.charge(7);
    assert.deepEqual([value, source, error.code], [8, 'other', 'ECONNRESET']);
    assert.deepEqual([bank.charge.name, bank.charge.length], ['charge', 2]);
  });

  it('gives each alternative a breaker of its own, and passes it over while that is open', async () => {
    let asked = 0;
    const second = () => {
      asked += 1;
      throw lost();
    };
    const breaker = new CircuitBreaker('second', { consecutiveFailures: 2 });
    const alternatives = [{ name: 'second', call: second, breaker }, function third() { return 3; }];
    for (const fallbackOn of [undefined, IS.reset]) {
      const fallback = new Fallback({ alternatives, fallbackOn });
      for (let i = 0; i < 5; i += 1) assert.equal((await fallback.call(fail)).source, 'third');
      assert.deepEqual(fallback.stats().fallback, { second: 0, third: 5 });
      assert.equal(fallback.breakers.second, breaker);
      assert.ok(fallback.breakers.third instanceof CircuitBreaker);
    }
    assert.deepEqual([asked, breaker.state], [2, 'open']);
  });

  it('makes one call of a key at a time, and lets no caller take the others along', async () => {
    const fallback = new Fallback({ cached: cached({ key: (user) => user }) });
    const calls = [];
    const ask = (user) => {
      calls.push({ user, ...deferred() });
      return calls.at(-1).promise;
    };
    const all = [fallback.call(ask, 'a'), fallback.call(ask, 'a'), fallback.call(ask, 'b')];
    await turn();
    assert.deepEqual(calls.map(({ user }) => user), ['a', 'b']);
    calls[0].resolve(1);
    calls[1].resolve(2);
    const outcomes = (await Promise.all(all)).map(({ value, source }) => `${value} ${source}`);
    assert.deepEqual(outcomes, ['1 primary', '1 primary', '2 primary']);
    // One that is over is joined by nobody.
    const again = fallback.call(ask, 'a');
    await turn();
    assert.equal(calls.length, 3);
    calls[2].reject(lost());
    assert.equal((await again).source, 'cache');

    const guarded = new Resilience({ fallback, totalTimeout: new Timeout({ totalMs: 60_000 }) });
    const waiting = async (signal, user) => {
      calls.push({ user, ...deferred() });
      return calls.at(-1).promise;
    };
    const [first, second] = [new AbortController(), new AbortController()];
    const led = guarded.call(waiting, { signal: first.signal, args: ['c'] });
    const joined = guarded.call(waiting, { args: ['c'] });
    const left = guarded.call(waiting, { signal: second.signal, args: ['c'] });
    await turn();
    assert.equal(calls.length, 4);
    second.abort(new Error('second'));
    await assert.rejects(left, /second/);
    first.abort('first');
    await assert.rejects(led, (error) => error === 'first');
    await turn();
    assert.equal(calls.length, 5);
    calls[4].resolve(5);
    assert.equal((await joined).value, 5);
    assert.equal(getEventListeners(second.signal, 'abort').length, 0);
  });

  it('does not wait for itself', async () => {
    const fallback = new Fallback({ cached: cached({ key: () => 'a' }) });
    const outer = await fallback.call(async () => {
      const inner = await fallback.call(async () => 1);
      return inner.value + 1;
    });
    assert.equal(outer.value, 2);
  });

  it('takes nobody along whose caller would wait longer', async () => {
    const clock = new ManualClock();
    const fallback = new Fallback({ cached: cached({ key: () => 'k', clock }), static: 'stood in' });
    let calls = 0;
    const primary = () => {
      calls += 1;
      return calls === 1 ? new Timeout({ totalMs: 60_000, clock }).call(hang) : 'fresh';
    };
    const hasty = Deadline.after(10, { clock }).run(() => fallback.call(primary));
    const patient = fallback.call(primary);
    await turn();
    clock.advance(10);
    assert.equal((await hasty).source, 'static');
    assert.deepEqual({ ...(await patient) }, { value: 'fresh', source: 'primary', error: undefined, ageMs: undefined });
  });

  it('waits for the call of another no longer than its own deadline', async () => {
    const clock = new ManualClock();
    const { promise, resolve } = deferred();
    const fallback = new Fallback({ cached: cached({ key: () => 'k', clock }), static: 'stood in' });
    const guarded = new Resilience({ fallback });
    let calls = 0;
    const primary = () => {
      calls += 1;
      return promise;
    };
    const led = guarded.call(primary);
    const within = Deadline.after(50, { clock }).run(() => guarded.call(primary));
    const late = Deadline.after(0, { clock }).run(() => guarded.call(primary));
    const { signal } = new AbortController();
    const signalled = Deadline.after(50, { clock }).run(() => guarded.call(primary, { signal }));
    const around = new Timeout({ totalMs: 50, clock }).call(() => guarded.call(primary));
    const patient = Deadline.after(51, { clock }).run(() => guarded.call(primary));
    await turn();
    clock.advance(50);
    for (const { source, error } of [await within, await late, await signalled]) {
      assert.equal(source, 'static');
      assert.ok(error instanceof TimeoutExceededError);
    }
    await assert.rejects(around, TimeoutExceededError);
    resolve('fresh');
    for (const { value, source } of [await led, await patient]) assert.deepEqual([value, source], ['fresh', 'primary']);
    await turn();
    assert.deepEqual([calls, getEventListeners(signal, 'abort').length], [1, 0]);
  });

  it('takes nobody along by a group of which its own deadline ended one', async () => {
    const clock = new ManualClock();
    const fallback = new Fallback({ cached: cached({ key: () => 'k', clock }) });
    let calls = 0;
    const timeout = new Timeout({ totalMs: 60_000, clock });
    const primary = () => {
      calls += 1;
      return calls === 1 ? Promise.any([timeout.call(hang), timeout.call(fail)]) : 'fresh';
    };
    const hasty = Deadline.after(10, { clock }).run(() => fallback.call(primary));
    const patient = fallback.call(primary);
    await turn();
    clock.advance(10);
    await assert.rejects(hasty, AggregateError);
    assert.equal((await patient).value, 'fresh');
  });

  it('forgets the calls around that are over', async (t) => {
    let longest = 0;
    const { run } = AsyncLocalStorage.prototype;
    t.mock.method(AsyncLocalStorage.prototype, 'run', function (store, ...rest) {
      if (Array.isArray(store)) longest = Math.max(longest, store.length);
      return run.call(this, store, ...rest);
    });
    const fallback = new Fallback({ cached: cached({ key: (n) => n }), static: 0 });
    // Each begins the next, in its own context.
    await new Promise((resolve) => {
      const call = async (n) => void (n === 100 ? resolve() : setImmediate(() => fallback.call(call, n + 1)));
      fallback.call(call, 0);
    });
    assert.equal(longest, 1);
  });

  it('tells calls apart by function, this and arguments', async () => {
    const fallback = new Fallback({ cached: cached(), static: 'none' });
    let isUp = true;
    class User {
      constructor(name) {
        this.name = name;
      }
      look(field) {
        if (!isUp) throw lost();
        return `${this.name} ${field}`;
      }
    }
    User.prototype.look = fallback.wrap(User.prototype.look);
    const [ann, bob] = [new User('ann'), new User('bob')];
    await ann.look('age');
    await ann.look(5);
    const key = (n) => (isUp ? n : fail());
    await fallback.call(key, 5n);
    isUp = false;
    const looks = [ann.look('age'), ann.look(5), ann.look('5'), bob.look('age')];
    const seen = await Promise.all([...looks, fallback.call(key, 5n), fallback.call(key, 5)]);
    const values = seen.map(({ value }) => value);
    assert.deepEqual(values, ['ann age', 'ann 5', 'none', 'none', 5n, 'none']);
    assert.equal((await fallback.call(() => (isUp ? 1 : fail()))).value, 'none');
    await assert.rejects(fallback.call(key, {}), { name: 'TypeError', message: /^cached: give a key/ });
    const keys = [[() => ({ a: 1 }), /got \[Object\]/], [async () => 'a', /Promise/], [() => NaN, /NaN/]];
    for (const [wrong, says] of keys) {
      await assert.rejects(new Fallback({ cached: cached({ key: wrong }) }).call(key), says);
    }
    await assert.rejects(new Fallback({ cached: cached({ key: fail }), static: 1 }).call(key), /ECONNRESET/);
  });

  it('puts calls in a queue, which makes them later', async () => {
    const queue = new BoundedQueue({ capacity: 5 });
    let isUp = false;
    const bank = {
      paid: 0,
      pay: new Fallback({ queue }).wrap(async function pay(cents) {
        if (!isUp) throw lost();
        this.paid += cents;
        return cents;
      }),
    };
    const outcome = await bank.pay(7);
    assert.deepEqual([outcome.source, outcome.value, bank.paid], ['queued', undefined, 0]);
    isUp = true;
    const { call, args, error } = queue.tryPop();
    assert.deepEqual([args, error.code, await call(), bank.paid], [[7], 'ECONNRESET', 7, 7]);
    queue.close();
    isUp = false;
    await assert.rejects(bank.pay(7), /ECONNRESET/);
    assert.equal(queue.depth, 0);
    // Under Resilience a later call has its policies, and no caller that could abort it.
    const later = new BoundedQueue({ capacity: 5 });
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 9 });
    const gone = new AbortController();
    let own;
    const call2 = new Resilience({ fallback: new Fallback({ queue: later }), breaker }).call(
      (signal) => {
        own = signal;
        if (!isUp) throw lost();
        return 5;
      },
      { signal: gone.signal },
    );
    assert.equal((await call2).source, 'queued');
    gone.abort();
    isUp = true;
    assert.equal(await later.tryPop().call(), 5);
    assert.ok(!own.aborted);
    assert.equal(breaker.stats().calls, 2);
  });

  it('is not for aborts, mistakes and what is not named', async () => {
    const fallback = new Fallback({ static: 5 });
    const wrong = () => Buffer.from(undefined);
    for (const error of [new DOMException('gone', 'AbortError'), new TypeError('x'), THROWN.declined()]) {
      await assert.rejects(fallback.call(async () => Promise.reject(error)), (thrown) => thrown === error);
    }
    await assert.rejects(fallback.call(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(new Fallback({ static: 5, fallbackOn: Error }).call(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
    const refused = [new RateLimitedError(), new CircuitOpenError('b', 1), new TimeoutExceededError()];
    for (const error of [...refused, 'text', null]) {
      assert.equal((await fallback.call(async () => Promise.reject(error))).error, error);
    }
    const named = new Fallback({ static: 5, fallbackOn: [TypeError, IS.declined] });
    assert.equal((await named.call(() => Promise.reject(new TypeError('x')))).value, 5);
    await assert.rejects(named.call(fail), /ECONNRESET/);
    assert.deepEqual(named.stats().unserved, 0);
    const odd = new Fallback({ static: 5, fallbackOn: () => { throw new Error('mine'); } });
    await assert.rejects(odd.call(fail), ({ message, cause }) => message === 'mine' && cause.code === 'ECONNRESET');
  });

  it('tries what comes after a static function that throws', async () => {
    const warned = [];
    const listener = (warning) => warned.push(warning.message);
    process.on('warning', listener);
    const order = ['static', 'alternatives'];
    for (const broken of [() => { throw new Error('no'); }, async () => Promise.reject(new Error('no'))]) {
      const fallback = new Fallback({ static: broken, alternatives: [function other() { return 7; }], order });
      assert.equal((await fallback.call(fail)).value, 7);
    }
    await turn();
    process.off('warning', listener);
    assert.deepEqual(warned, ['static of a Fallback failed: no']);
  });

  it('keeps as much as it is told to, and no longer', async () => {
    const clock = new ManualClock(10n ** 12n);
    const fallback = new Fallback({ cached: cached({ maxAgeMs: 100, maxEntries: 3, key: (n) => n, clock }) });
    const [good, bad] = [(n) => n, fail];
    for (let n = 0; n < 5; n += 1) await fallback.call(good, n);
    for (const n of [0, 1]) await assert.rejects(fallback.call(bad, n));
    clock.setNs(0n);
    assert.deepEqual({ ...(await fallback.call(bad, 2)), error: 0 }, { value: 2, source: 'cache', error: 0, ageMs: 0 });
    const endless = new Fallback({ cached: cached({ maxAgeMs: Infinity, key: (n) => n, clock }) });
    await endless.call(good, 1);
    clock.advance(1e12);
    assert.equal((await endless.call(bad, 1)).ageMs, 1e12);
  });

  it('names what is wrong', async () => {
    const other = () => 1;
    function* rows() {}
    const wrong = [
      [{}, 'new Fallback takes one of cached, static, alternatives, queue, and got none'],
      [{ cache: 5 }, /^new Fallback has no option 'cache'/],
      [{ cached: {} }, /^cached must be what cached\({ maxAgeMs, key }\) makes/],
      [{ queue: [] }, /^queue must be a BoundedQueue/],
      [{ alternatives: other }, /^alternatives must be an array/],
      [{ alternatives: [5] }, /^alternatives must hold functions/],
      [{ alternatives: [() => 1] }, /^an alternative must have a name/],
      [{ alternatives: [{ name: 'a', fn: other }] }, /^an alternative has no option 'fn'/],
      [{ alternatives: [{ name: 'cache', call: other }] }, /cannot be called 'cache'/],
      [{ alternatives: [other, other] }, /two are called 'other'/],
      [{ alternatives: [rows] }, /rows is a generator/],
      [{ alternatives: [{ name: 'a', call: other, breaker: {} }] }, /^breaker of 'a' must be a CircuitBreaker/],
      [{ static: 5, order: ['queue'] }, 'order must name each of what is given once (static), got queue'],
      [{ static: 5, order: 'static' }, /^order must name each/],
      [{ static: 5, fallbackOn: 5 }, /^fallbackOn .* must be a function/],
      [{ static: 5, fallbackOn: async () => true }, /must answer at once/],
    ];
    for (const [options, message] of wrong) assert.throws(() => new Fallback(options), { message }, inspect(options));
    for (const [options, message] of [
      [{ maxAgeMs: 0 }, /^maxAgeMs must be milliseconds above 0/],
      [{ maxAgeMs: NaN }, /^maxAgeMs/],
      [{ maxEntries: 0 }, /^maxEntries must be a whole number from 1/],
      [{ key: 'id' }, /^key must be a function/],
      [{ ageMs: 5 }, /no option 'ageMs'/],
      [{ clock: Date }, /^clock must be a ManualClock/],
    ]) {
      assert.throws(() => cached(options), { message });
    }
    const fallback = new Fallback({ static: 5 });
    assert.throws(() => fallback.wrap(rows), /is a generator/);
    await assert.rejects(fallback.call(5), /fn must be a function/);
    const { call, wrap, stats } = fallback;
    await assert.rejects(call(other), /without its Fallback/);
    assert.throws(() => wrap(other), /without its Fallback/);
    assert.throws(() => stats(), /without its Fallback/);
  });
});

describe('Resilience', () => {
  it('ends with its caller, also by an alternative that aborts at once', async () => {
    const life = new AbortController();
    const gone = new Error('gone');
    const other = () => {
      life.abort(gone);
      return hang();
    };
    const guarded = new Resilience({ fallback: new Fallback({ alternatives: [{ name: 'other', call: other }] }) });
    await assert.rejects(guarded.call(fail, { signal: life.signal }), gone);
  });

  it('tells an adaptive limit how each call ended', async () => {
    const clock = new ManualClock(1_000_000_000_000n);
    const learning = { algorithm: 'aimd', minLimit: 1, samples: 1, minSamples: 1 };
    const concurrency = ConcurrencyLimiter.adaptive({ ...learning, clock });
    const inTime = new Resilience({ concurrency, attemptTimeout: new Timeout({ totalMs: 10, clock }) });
    const before = concurrency.limit;
    let end;
    const late = new Promise((_, reject) => {
      end = () => reject(lost());
    });
    const calls = Array.from({ length: before }, () => inTime.call(() => late));
    await turn();
    clock.advance(10);
    for (const { reason } of await Promise.allSettled(calls)) assert.ok(reason instanceof TimeoutExceededError);
    assert.equal(concurrency.inUse, before);
    end();
    await turn();
    assert.equal(concurrency.inUse, 0);
    // The window is over with the next report.
    clock.advance(5000);
    await inTime.call(() => 1);
    assert.ok(concurrency.limit < before, `timeouts lower it: ${concurrency.limit}`);
  });

  const everything = (options = {}) =>
    new Resilience({
      attemptTimeout: new Timeout({ attemptMs: 60_000 }),
      breaker: new CircuitBreaker('bank', { consecutiveFailures: 100 }),
      retry: new RetryPolicy({ baseMs: 0, maxDelayMs: 0 }),
      concurrency: new ConcurrencyLimiter({ limit: 100 }),
      totalTimeout: new Timeout({ totalMs: 60_000 }),
      fallback: new Fallback({ static: 0 }),
      ...options,
    });

  it('keeps the context in every attempt and in the fallback', async () => {
    const request = new AsyncLocalStorage();
    const seen = [];
    const see = (answer) => async () => {
      await turn();
      seen.push(request.getStore());
      return answer === undefined ? fail() : answer;
    };
    const fallback = new Fallback({ static: see(5), cached: cached({ key: () => request.getStore() }) });
    const guarded = everything({ fallback });
    await Promise.all(['a', 'b'].map((name) => request.run(name, () => guarded.call(see()))));
    assert.deepEqual(seen.sort(), [...Array(4).fill('a'), ...Array(4).fill('b')]);
    assert.equal(Deadline.current, undefined);
  });

  it('gives each attempt a signal of its own', async () => {
    const clock = new ManualClock();
    const signals = [];
    const guarded = everything({ attemptTimeout: new Timeout({ attemptMs: 100, clock }) });
    const outcome = guarded.call((signal) => {
      signals.push(signal);
      return signals.length < 3 ? hang() : signals.length;
    });
    for (let i = 0; i < 2; i += 1) {
      // Another attempt begins in a turn of its own.
      await turn();
      await turn();
      clock.advance(100);
    }
    assert.equal((await outcome).value, 3);
    assert.deepEqual(signals.map(({ aborted }) => aborted), [true, true, false]);
  });

  it('wraps functions with their arguments, this, name and length', async () => {
    const bank = {
      calls: 0,
      charge: everything().wrap(async function charge(cents, _order) {
        this.calls += 1;
        this.signal = Deadline.current.signal;
        if (this.calls < 3) throw lost();
        return cents;
      }),
    };
    assert.equal((await bank.charge(7)).value, 7);
    assert.deepEqual([bank.calls, bank.charge.name, bank.charge.length], [3, 'charge', 2]);
    assert.ok(bank.signal instanceof AbortSignal);
    assert.equal(await new Resilience({}).wrap((a, b) => a + b)(1, 2), 3);
    assert.equal(await new Resilience({}).call((_signal, a, b) => a + b, { args: [1, 2] }), 3);
  });

  it('is ended by its caller, for whom nothing stands in and whom the breaker does not count', async () => {
    for (const reason of [undefined, new Error('gone'), 'gone', 5]) {
      const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
      const guarded = everything({ breaker });
      const gone = new AbortController();
      let calls = 0;
      const call = guarded.call(
        () => {
          calls += 1;
          return hang();
        },
        { signal: gone.signal },
      );
      await turn();
      gone.abort(reason);
      await assert.rejects(call, (error) => error === gone.signal.reason);
      assert.deepEqual([calls, breaker.state, breaker.stats().calls], [1, 'closed', 0]);
      await assert.rejects(guarded.call(hang, { signal: gone.signal }), (error) => error === gone.signal.reason);
      assert.equal(getEventListeners(gone.signal, 'abort').length, 0);
    }
  });

  it('tries nothing more for whoever has been told the end', async () => {
    const gone = new AbortController();
    const queue = new BoundedQueue({ capacity: 5 });
    const slow = deferred();
    const fallback = new Fallback({ alternatives: [function second() { return slow.promise; }], queue });
    const call = new Resilience({ fallback }).call(fail, { signal: gone.signal });
    await turn();
    gone.abort(new Error('gone'));
    await assert.rejects(call, /gone/);
    slow.reject(lost());
    await turn();
    // The same where the fallback is within a call that is over.
    const clock = new ManualClock();
    const timeout = new Timeout({ totalMs: 100, clock });
    const [first, held] = [new Fallback({ queue }), deferred()];
    let inner;
    const late = timeout.call(() => (inner = first.call(() => held.promise)));
    clock.advance(100);
    await assert.rejects(late, TimeoutExceededError);
    held.reject(lost());
    await assert.rejects(inner, TimeoutExceededError);
    assert.deepEqual([queue.depth, first.stats().fallback.queued], [0, 0]);
    assert.equal(getEventListeners(gone.signal, 'abort').length, 0);
  });

  it('keeps its places, probes and listeners through any order of ends', { timeout: 60_000 }, async () => {
    let seed = 7;
    const draw = (n) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * n);
    };
    const unhandled = [];
    const listener = (error) => unhandled.push(error);
    process.on('unhandledRejection', listener);
    const clock = new ManualClock();
    const breaker = new CircuitBreaker('bank', { windowCalls: 10, minCalls: 5, cooldownMs: 50, probes: 2, clock });
    const concurrency = new ConcurrencyLimiter({ limit: 5, maxWaitMs: 60_000 });
    const guarded = new Resilience({
      fallback: new Fallback({ cached: cached({ key: () => draw(3), maxEntries: 2 }), static: 0 }),
      totalTimeout: new Timeout({ totalMs: 300, attemptMs: 100, clock }),
      retry: new RetryPolicy({ baseMs: 20, clock }),
      breaker,
      concurrency,
    });
    const open = new Set();
    const act = (signal) => {
      const kind = draw(6);
      if (kind === 0) return 1;
      if (kind === 1) throw lost();
      if (kind === 2) return Promise.reject(lost());
      const it = deferred();
      open.add(it);
      // Some obey the signal, some do not.
      if (kind === 3) signal.addEventListener('abort', () => it.reject(signal.reason));
      return it.promise;
    };
    const callers = Array.from({ length: 3 }, () => new AbortController());
    const calls = [];
    for (let step = 0; step < 2000; step += 1) {
      const kind = draw(8);
      if (kind < 4) calls.push(guarded.call(act, { signal: callers[draw(3)].signal }).catch(() => {}));
      else if (kind < 6) clock.advance(draw(60));
      else if (kind === 6 && draw(20) === 0) {
        const which = draw(3);
        callers[which].abort(['gone', undefined, new Error('gone')][draw(3)]);
        assert.equal(getEventListeners(callers[which].signal, 'abort').length, 0);
        callers[which] = new AbortController();
      } else {
        const [it] = open;
        if (it !== undefined) {
          open.delete(it);
          if (draw(2) === 0) it.resolve(2);
          else it.reject(lost());
        }
      }
      if (draw(4) === 0) await turn();
      assert.ok(concurrency.inUse <= 5);
    }
    // All come to their end.
    for (let i = 0; i < 400 || open.size > 0; i += 1) {
      for (const it of open) it.resolve(2);
      open.clear();
      clock.advance(100);
      await turn();
    }
    await Promise.all(calls);
    await turn();
    process.off('unhandledRejection', listener);
    assert.deepEqual([concurrency.inUse, concurrency.stats().waiting, unhandled], [0, 0, []]);
    for (const { signal } of callers) assert.equal(getEventListeners(signal, 'abort').length, 0);
    assert.ok(breaker.stats().opened > 5 && breaker.stats().rejected > 5);
    // No probe was lost: it closes as soon as it may be tried.
    clock.advance(1000);
    const well = new Resilience({ breaker, concurrency });
    for (let i = 0; i < 2; i += 1) assert.equal(await well.call(() => 5), 5);
    assert.equal(breaker.state, 'closed');
  });

  it('counts for the breaker what ran out of the total time', async () => {
    const clock = new ManualClock();
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
    const guarded = everything({ breaker, fallback: undefined, totalTimeout: new Timeout({ totalMs: 100, clock }) });
    const call = guarded.call(hang);
    await turn();
    clock.advance(100);
    await assert.rejects(call, /call timed out after 100 ms/);
    assert.equal(breaker.state, 'open');
  });

  it('holds a permit as long as the function runs, however long anybody waits for it', async () => {
    const clock = new ManualClock();
    const concurrency = new ConcurrencyLimiter({ limit: 1 });
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 2 });
    const attemptTimeout = new Timeout({ attemptMs: 100, clock });
    const guarded = new Resilience({ concurrency, breaker, attemptTimeout });
    const deaf = deferred();
    const call = guarded.call(() => deaf.promise);
    await turn();
    clock.advance(100);
    await assert.rejects(call, TimeoutExceededError);
    assert.equal(concurrency.inUse, 1);
    await assert.rejects(guarded.call(() => 5), ConcurrencyLimitError);
    // Refused here: it says nothing of the dependency.
    assert.equal(breaker.stats().calls, 1);
    deaf.reject(lost());
    await turn();
    assert.equal(await guarded.call(() => 5), 5);
    assert.equal(concurrency.inUse, 0);
  });

  it('tells a throttle what it tells a breaker', async () => {
    const throttle = new ClientThrottle({ failureOn: () => assert.fail('mine') });
    const breaker = new CircuitBreaker('it', { minCalls: 20 });
    const concurrency = new ConcurrencyLimiter({ limit: 1 });
    const resilience = new Resilience({ breaker, throttle, concurrency });
    const heard = () => [throttle.stats().accepted + throttle.stats().refused, breaker.stats().calls];
    await resilience.call(() => 1);
    // A predicate that throws counts as a refusal, and keeps nothing from the other.
    await assert.rejects(resilience.call(fail), /mine/);
    assert.deepEqual([throttle.stats().refused, breaker.stats().failed, ...heard()], [1, 1, 2, 2]);
    // A caller who is gone, for whatever reason, and a call without its turn say nothing.
    const caller = new AbortController();
    const gone = resilience.call(hang, { signal: caller.signal });
    await assert.rejects(resilience.call(() => 1), ConcurrencyLimitError);
    caller.abort(new Error('gone'));
    await assert.rejects(gone, /gone/);
    assert.deepEqual(heard(), [2, 2]);
  });

  it('leaves the breaker alone when a call waits in vain for its turn', async () => {
    const clock = new ManualClock();
    const concurrency = new ConcurrencyLimiter({ limit: 1, maxWaitMs: 60_000 });
    const permit = concurrency.tryAcquire();
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
    const guarded = new Resilience({ concurrency, breaker, totalTimeout: new Timeout({ totalMs: 100, clock }) });
    const call = guarded.call(() => 5);
    await turn();
    clock.advance(100);
    await assert.rejects(call, TimeoutExceededError);
    assert.deepEqual([breaker.state, breaker.stats().calls], ['closed', 0]);
    permit.release();
    assert.equal(await guarded.call(() => 5), 5);
  });

  it('says nothing of a dependency that it did not call, its caller having no time left', async () => {
    const clock = new ManualClock();
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1, cooldownMs: 1000, probes: 1, clock });
    const learning = { algorithm: 'aimd', minLimit: 1, samples: 1, minSamples: 1 };
    const concurrency = ConcurrencyLimiter.adaptive({ ...learning, clock });
    const attemptTimeout = new Timeout({ totalMs: 100, clock });
    const never = () => assert.fail('called');
    const fetch = guardedFetch({ fetch: never });
    const calls = {
      'under Resilience': () => new Resilience({ breaker, attemptTimeout }).call(never),
      'with a place': () => new Resilience({ breaker, concurrency, attemptTimeout }).call(never),
      'by hand': () => breaker.call(() => attemptTimeout.call(never)),
      'of fetch': () => breaker.call(() => fetch('http://bank.test/')),
    };
    for (const state of ['closed', 'half_open']) {
      for (const [how, call] of Object.entries(calls)) {
        await assert.rejects(Deadline.after(0, { clock }).run(call), TimeoutExceededError);
        assert.equal(breaker.stats().opened, state === 'closed' ? 0 : 1, how);
      }
      if (state === 'closed') {
        breaker.acquire().failure();
        clock.advance(1000);
      }
    }
    clock.advance(5000);
    assert.deepEqual([concurrency.limit, concurrency.inUse], [20, 0]);
    assert.notEqual(breaker.tryAcquire(), null);
    // One that had begun is a failure all the same.
    const begun = new CircuitBreaker('bank', { consecutiveFailures: 1 });
    const guarded = new Resilience({ breaker: begun, attemptTimeout: new Timeout({ totalMs: 60_000 }) });
    await assert.rejects(Deadline.after(5).run(() => guarded.call(hang)), TimeoutExceededError);
    assert.equal(begun.state, 'open');
  });

  it('gives a probe back that did not reach the dependency', async () => {
    const clock = new ManualClock();
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1, cooldownMs: 1000, clock });
    const concurrency = new ConcurrencyLimiter({ limit: 1 });
    const guarded = new Resilience({ concurrency, breaker });
    await assert.rejects(guarded.call(fail), /ECONNRESET/);
    clock.advance(1000);
    const permit = concurrency.tryAcquire();
    await assert.rejects(guarded.call(() => 5), ConcurrencyLimitError);
    permit.release();
    assert.equal(await guarded.call(() => 5), 5);
    assert.equal(breaker.state, 'closed');
  });

  it('takes the times of one Timeout where each belongs', async () => {
    const clock = new ManualClock();
    const totalTimeout = new Timeout({ totalMs: 250, attemptMs: 100, clock });
    const retry = new RetryPolicy({ attempts: 9, baseMs: 0, maxDelayMs: 0 });
    const guarded = new Resilience({ totalTimeout, retry });
    let calls = 0;
    const call = guarded.call(() => {
      calls += 1;
      return hang();
    });
    call.catch(() => {});
    for (let i = 0; i < 3; i += 1) {
      // Another attempt begins in a turn of its own.
      await turn();
      await turn();
      clock.advance(100);
    }
    await assert.rejects(call, /after 250 ms/);
    assert.equal(calls, 3);
  });

  it('spares a server that is ill, and finds out that it is well', { timeout: 60_000 }, async (t) => {
    const clock = new ManualClock();
    let mode = 'well';
    const answers = {
      well: (response) => response.end('ok'),
      failing: (response) => response.writeHead(500).end(),
      resetting: (response) => response.socket.destroy(),
      stuck: (response) => void response.writeHead(200).flushHeaders(),
      hanging: () => {},
    };
    const { url, asked } = await serve(t, (_request, response) => {
      answers[mode](response);
      // Nobody waits for longer.
      if (mode === 'hanging') clock.advance(100);
    });
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 4, cooldownMs: 1000, classifier: http(), clock });
    const budget = new RetryBudget({ minPerSecond: 0, ratio: 0.2, clock });
    const guarded = new Resilience({
      fallback: new Fallback({ static: 'none', fallbackOn: http() }),
      totalTimeout: new Timeout({ totalMs: 60_000, attemptMs: 100, clock }),
      retry: new RetryPolicy({ baseMs: 0, maxDelayMs: 0, retryOn: http(), budget }),
      breaker,
      concurrency: new ConcurrencyLimiter({ limit: 3 }),
    });
    let calls = 0;
    const ask = async () => {
      calls += 1;
      const { value, source } = await guarded.call(async (signal) => {
        const response = await fetch(url, { signal });
        if (mode === 'stuck') clock.advance(100);
        return { status: response.status, body: await response.text() };
      });
      return source === 'primary' ? value.body : value;
    };
    for (const ill of ['failing', 'resetting', 'hanging', 'stuck']) {
      mode = 'well';
      for (let i = 0; i < 5; i += 1) assert.equal(await ask(), 'ok');
      mode = ill;
      while (breaker.state !== 'open') assert.equal(await ask(), 'none');
      const before = asked.length;
      for (let i = 0; i < 20; i += 1) assert.equal(await ask(), 'none');
      assert.equal(asked.length, before);
      // One cooldown, one probe, and no more than that.
      clock.advance(1000);
      for (let i = 0; i < 20; i += 1) assert.equal(await ask(), 'none');
      assert.equal(asked.length, before + 1);
      mode = 'well';
      clock.advance(1000);
      assert.equal(await ask(), 'ok');
      assert.equal(breaker.state, 'closed');
    }
    const { deposited, withdrawn } = budget.stats();
    assert.ok(deposited === calls && withdrawn > 0 && withdrawn <= 1 + 0.2 * calls, `${withdrawn} of ${calls}`);
  });

  it('names what is wrong', async () => {
    const wrong = [
      [undefined, /^new Resilience takes an object of options/],
      [{ timeout: 5 }, /^new Resilience has no option 'timeout'/],
      [{ totalTimeout: 5 }, 'totalTimeout must be a Timeout, got 5'],
      [{ totalTimeout: new Timeout({ attemptMs: 5 }) }, 'totalTimeout must be a Timeout with totalMs'],
      [{ retry: {} }, /^retry must be a RetryPolicy/],
      [{ breaker: null }, 'breaker must be a CircuitBreaker, got null'],
      [{ fallback: () => 1 }, /^fallback must be a Fallback/],
    ];
    for (const [options, message] of wrong) assert.throws(() => new Resilience(options), { message });
    const guarded = everything();
    function* rows() {}
    await assert.rejects(guarded.call(rows), /is a generator/);
    assert.throws(() => guarded.wrap(rows), /is a generator/);
    await assert.rejects(guarded.call(hang, { signal: 5 }), /AbortSignal/);
    await assert.rejects(guarded.call(hang, { args: 5 }), /args must be an array/);
    await assert.rejects(guarded.call(hang, { key: 5 }), /no option 'key'/);
    const { call, wrap } = guarded;
    await assert.rejects(call(hang), /without its Resilience/);
    assert.throws(() => wrap(hang), /without its Resilience/);
    assert.match(inspect(guarded), /^Resilience {[^]*fallback[^]*totalTimeout[^]*retry[^]*breaker/);
  });

  it('leaves nothing behind', { timeout: 120_000 }, () => {
    const program = `
      const t = require(${JSON.stringify(INDEX)});
      const { getEventListeners } = require('node:events');
      const guarded = new t.Resilience({
        totalTimeout: new t.Timeout({ totalMs: 3600000, attemptMs: 1800000 }),
        retry: new t.RetryPolicy({ baseMs: 0, maxDelayMs: 0 }),
        breaker: new t.CircuitBreaker('bank'),
        concurrency: new t.ConcurrencyLimiter({ limit: 50 }),
        fallback: new t.Fallback({ cached: t.cached({ maxEntries: 10 }), static: 0 }),
      });
      const caller = new AbortController();
      const batch = async (n) => {
        for (let i = 0; i < n; i += 50) {
          const one = (_, j) => guarded.call(
            async (signal) => { signal.addEventListener('abort', () => {}); if (j % 9 === 0) throw new Error('x'); },
            { signal: caller.signal });
          await Promise.all(Array.from({ length: 50 }, one));
        }
        await new Promise(setImmediate);
        gc();
        return process.memoryUsage().heapUsed;
      };
      process.on('warning', (warning) => console.log(warning.name));
      (async () => {
        await batch(5000);
        const before = await batch(5000);
        const after = await batch(10000);
        const grown = after - before;
        console.log(getEventListeners(caller.signal, 'abort').length, grown < 1e6 ? 'flat' : grown);
      })();`;
    const options = { encoding: 'utf8', timeout: 120_000 };
    const { stdout, status } = spawnSync(process.execPath, ['--expose-gc', '-e', program], options);
    assert.deepEqual([stdout, status], ['0 flat\n', 0]);
  });
});

describe('docs/resilience.md', () => {
  it('has an example that runs', async () => {
    const page = readFileSync(new URL('../../../docs/resilience.md', import.meta.url), 'utf8');
    const [, code] = /```js\n([^]*?)```/.exec(page);
    const entry = new URL('../../index.mjs', import.meta.url).href;
    const source = code.replace("'tidegate'", JSON.stringify(entry));
    const { pay, backlog, serve } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
    const told = [];
    const bank = async (order, init) => {
      told.push(init.headers['x-request-timeout-ms']);
      return new Response(order, { status: order === 'down' ? 503 : 200 });
    };
    const other = async (order) => {
      if (order === 'down') throw lost();
      return new Response(order);
    };
    const paid = await serve({ 'x-request-timeout-ms': '1000' }, () => pay('7', bank, other));
    assert.deepEqual([paid.source, await paid.value.text()], ['primary', '7']);
    assert.ok(told[0] > 0 && told[0] <= 950, told[0]);
    assert.equal((await pay('down', bank, other)).source, 'queued');
    assert.equal(told.length, 4);
    assert.equal(backlog.depth, 1);
  });
});

describe('one budget in a client and in a policy around it', () => {
  it('is paid into once a call, and withdrawn from for each retry', async (t) => {
    const server = await serve(t, (_request, response) => response.writeHead(503).end());
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 10, ttlMs: 60_000 });
    const waits = { baseMs: 0, maxDelayMs: 0, attempts: 2 };
    const ask = guardedFetch({ retry: new RetryPolicy({ ...waits, budget }) });
    const outer = new RetryPolicy({ ...waits, budget, retryOn: http() });
    for (const call of [() => outer.call(() => ask(server.url)), outer.wrap(async () => ask(server.url))]) {
      const [before, asked] = [budget.stats(), server.asked.length];
      assert.equal((await call()).status, 503);
      const { deposited, withdrawn } = budget.stats();
      assert.deepEqual([deposited - before.deposited, withdrawn - before.withdrawn], [1, 3]);
      assert.equal(server.asked.length - asked, 4);
    }
    // What a call leaves behind pays for itself, and so does another budget.
    let later;
    const { promise, resolve } = deferred();
    await outer.call(async () => {
      later = promise.then(() => outer.call(async () => 1));
    });
    resolve();
    await later;
    assert.equal(budget.stats().deposited, 4);
    const other = new RetryBudget();
    await outer.call(() => new RetryPolicy({ budget: other }).call(() => 1));
    assert.deepEqual([budget.stats().deposited, other.stats().deposited], [5, 1]);
    const posted = new RetryPolicy({ attempts: 1, budget }).call(() => ask(server.url, { method: 'POST' }));
    assert.deepEqual([(await posted).status, budget.stats().deposited], [503, 6]);
  });

  it('is kept by no call that such a call has started', async () => {
    const budgets = [];
    const { promise, resolve } = deferred();
    async function poll(left) {
      if (left === 0) {
        await setTimeout(1);
        globalThis.gc();
        return resolve(budgets.filter((budget) => budget.deref() !== undefined).length);
      }
      const budget = new RetryBudget();
      budgets.push(new WeakRef(budget));
      // In the context of this call, which is over by then.
      setImmediate(() => new RetryPolicy({ budget }).call(() => poll(left - 1)));
    }
    await poll(50);
    assert.ok((await promise) <= 5);
  });
});

describe('a failed result where the circuit opens', () => {
  it('is read by nobody, and let go', async (t) => {
    const server = await serve(t, (_request, response) => response.writeHead(503).end('x'.repeat(1000)));
    const breaker = new CircuitBreaker('it', { consecutiveFailures: 1, classifier: http() });
    const retry = new RetryPolicy({ attempts: 3, baseMs: 1000, jitter: 'none', retryOn: http() });
    let answer;
    const ask = async () => (answer = await fetch(server.url));
    await assert.rejects(new Resilience({ retry, breaker }).call(ask), CircuitOpenError);
    assert.equal(answer.bodyUsed, true);
  });
});
