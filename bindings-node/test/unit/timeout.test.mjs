// Timeout and Deadline: calls that end in time, by a signal of their own.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import {
  CircuitBreaker,
  ClientThrottle,
  ConcurrencyLimiter,
  Deadline,
  ManualClock,
  RetryPolicy,
  TidegateError,
  Timeout,
  TimeoutExceededError,
  http,
} from '../../index.mjs';

const INDEX = fileURLToPath(new URL('../../index.cjs', import.meta.url));
const { isTransient } = createRequire(import.meta.url)('../../lib/retryable.cjs');
const turn = () => new Promise(setImmediate);
const hang = () => new Promise(() => {});
function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
const lost = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

/** A timeout of a second, its clock, and a call of it that is under way. */
function begun(fn, options = undefined) {
  const clock = new ManualClock();
  const call = new Timeout({ totalMs: 1000, clock }).call(fn, options);
  call.catch(() => {});
  return { clock, call };
}

/** Runs a program in a process of its own; what it says. */
function ran(program, ...flags) {
  const source = `const tidegate = require(${JSON.stringify(INDEX)});${program}`;
  const options = { encoding: 'utf8', timeout: 120_000 };
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, '-e', source], options);
  return { stdout, stderr, status };
}

describe('Timeout', () => {
  it('gives what the function gives, in time', async () => {
    const timeout = new Timeout({ totalMs: 60_000, attemptMs: 50_000 });
    assert.equal(await timeout.call(() => 5), 5);
    assert.equal(await timeout.call(async () => 6), 6);
    assert.equal(await timeout.call(() => ({ then: (good) => good(7) })), 7);
    assert.equal(await timeout.call(() => undefined), undefined);
    for (const thrown of [lost(), undefined, null, 'text']) {
      const throws = () => {
        throw thrown;
      };
      await assert.rejects(timeout.call(throws), (error) => error === thrown);
      await assert.rejects(timeout.call(async () => throws()), (error) => error === thrown);
    }
    const broken = { get then() { throw lost(); } };
    await assert.rejects(timeout.call(() => broken), /ECONNRESET/);
    await assert.rejects(timeout.call(() => ({ then() { throw lost(); } })), /ECONNRESET/);
  });

  it('rejects at its end, and aborts the signal of this call alone', async () => {
    const clock = new ManualClock();
    const timeout = new Timeout({ totalMs: 1000, clock });
    const signals = [];
    const keep = (signal) => {
      signals.push(signal);
      return hang();
    };
    const first = timeout.call(keep);
    clock.advance(600);
    const second = timeout.call(keep);
    clock.advance(399);
    assert.ok(!signals[0].aborted);
    clock.advance(1);
    await assert.rejects(first, (error) => {
      assert.ok(error instanceof TimeoutExceededError && error instanceof TidegateError);
      const { name, code, message, retryAfterMs } = error;
      assert.deepEqual([name, code, retryAfterMs], ['TimeoutError', 'ERR_TIDEGATE_TIMEOUT_EXCEEDED', 0]);
      assert.equal(message, 'call timed out after 1000 ms');
      return signals[0].reason === error;
    });
    assert.ok(!signals[1].aborted);
    clock.advance(600);
    await assert.rejects(second, TimeoutExceededError);
  });

  it('gives the signal to whatever can see it', async () => {
    const timeout = new Timeout({ totalMs: 60_000 });
    const seers = [
      (signal) => signal,
      (...all) => all[0],
      (signal = 5) => signal,
      function () {
        return arguments[0];
      },
      ((signal) => signal).bind(undefined),
      (() => (signal) => signal)(),
      new Proxy((signal) => signal, {}),
      { call: (signal) => signal }.call,
      () => Deadline.current.signal,
      async () => Deadline.current.signal,
    ];
    for (const fn of seers) assert.ok((await timeout.call(fn)) instanceof AbortSignal, String(fn));
    // Who asks for it when the call is over is told so.
    const clock = new ManualClock();
    let late;
    const kept = new Timeout({ totalMs: 5, clock }).call(() => {
      late = Deadline.current;
      return hang();
    });
    clock.advance(5);
    await assert.rejects(kept, TimeoutExceededError);
    assert.ok(late.signal.aborted && late.signal.reason instanceof TimeoutExceededError);
  });

  it('ends by the shorter of its times', async () => {
    for (const options of [{ totalMs: 5000, attemptMs: 100 }, { totalMs: 100, attemptMs: 5000 }, { attemptMs: 100 }]) {
      const clock = new ManualClock();
      const call = new Timeout({ ...options, clock }).call(hang);
      clock.advance(100);
      await assert.rejects(call, /after 100 ms/);
    }
  });

  it('measures by the machine', async () => {
    const start = performance.now();
    const rejects = async (signal) => {
      await once(signal, 'abort');
      throw signal.reason;
    };
    await assert.rejects(new Timeout({ totalMs: 20 }).call(rejects), TimeoutExceededError);
    assert.ok(performance.now() - start >= 20);
  });

  it('does not wait for who ignores the signal, and takes what comes of it', async () => {
    let fail;
    const { clock, call } = begun(() => new Promise((_, reject) => (fail = reject)));
    clock.advance(1000);
    await assert.rejects(call, TimeoutExceededError);
    const unhandled = [];
    const listener = (error) => unhandled.push(error);
    process.on('unhandledRejection', listener);
    fail(lost());
    await turn();
    await turn();
    process.off('unhandledRejection', listener);
    assert.deepEqual(unhandled, []);
  });

  it('is ended by its caller, with the reason, and that counts for nobody', async () => {
    for (const reason of [undefined, new Error('gone'), Object.freeze(new Error('frozen'))]) {
      const gone = new AbortController();
      const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
      const throttle = new ClientThrottle();
      let calls = 0;
      let own;
      const call = new RetryPolicy({ baseMs: 0 }).call(() =>
        breaker.call(() =>
          throttle.call(() =>
            new Timeout({ totalMs: 60_000 }).call(
              (signal) => {
                calls += 1;
                own = signal;
                return hang();
              },
              { signal: gone.signal },
            ),
          ),
        ),
      );
      await turn();
      gone.abort(reason);
      await assert.rejects(call, (error) => error === gone.signal.reason);
      assert.equal(own.reason, gone.signal.reason);
      const { accepted, refused } = throttle.stats();
      assert.deepEqual([calls, breaker.state, breaker.stats().calls, accepted, refused], [1, 'closed', 0, 0, 0]);
      let late = 0;
      const again = new Timeout({ totalMs: 5 }).call(() => (late += 1), { signal: gone.signal });
      await assert.rejects(again, (error) => error === gone.signal.reason && late === 0);
      assert.equal(getEventListeners(gone.signal, 'abort').length, 0);
    }
  });

  it('tells every wait from a failure, whatever the caller gave as its reason', async () => {
    const full = new ConcurrencyLimiter({ limit: 1 });
    full.tryAcquire();
    const failing = () => {
      throw lost();
    };
    const waits = [
      (signal) => full.acquire({ timeoutMs: 60_000, signal }),
      (signal) => new RetryPolicy({ baseMs: 60_000, jitter: 'none', maxDelayMs: 60_000 }).call(failing, { signal }),
    ];
    waits.push((signal) => new Timeout({ totalMs: 60_000 }).call(hang, { signal }));
    for (const reason of [new Error('gone'), 'gone', null, 0, Symbol('gone')]) {
      for (const wait of waits) {
        const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
        const gone = new AbortController();
        const call = breaker.call(() => wait(gone.signal));
        await turn();
        gone.abort(reason);
        await assert.rejects(call, (error) => error === reason);
        assert.deepEqual([breaker.state, breaker.stats().calls], ['closed', 0], String(reason));
      }
    }
  });

  it('knows the latest reasons that are no objects, and does not keep them all', async () => {
    const outcome = (error) => http().error(error).outcome;
    for (let i = 0; i < 101; i += 1) {
      const call = new Timeout({ totalMs: 60_000 }).call(hang, { signal: AbortSignal.abort(`gone ${i}`) });
      await assert.rejects(call, (error) => error === `gone ${i}`);
    }
    assert.deepEqual(['gone 0', 'gone 1', 'gone 100'].map(outcome), ['success', 'cancelled', 'cancelled']);
  });

  it('counts as a failure', async () => {
    for (const options of [{}, { classifier: http() }]) {
      const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1, ...options });
      const { clock, call } = begun(() => 1);
      await call;
      const late = breaker.call(() => new Timeout({ totalMs: 5, clock }).call(hang));
      clock.advance(5);
      await assert.rejects(late, TimeoutExceededError);
      assert.equal(breaker.state, 'open');
    }
    const late = new TimeoutExceededError();
    assert.ok(isTransient(late));
    assert.equal(http().error(late).outcome, 'failure');
    const throttle = new ClientThrottle();
    await assert.rejects(throttle.call(() => Promise.reject(late)));
    assert.equal(throttle.stats().refused, 1);
    let calls = 0;
    const retried = new RetryPolicy({ baseMs: 0 }).call(() => {
      calls += 1;
      if (calls === 1) throw late;
      return calls;
    });
    assert.equal(await retried, 2);
    // The caller's own timeout is one as well.
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
    const call = breaker.call(() => new Timeout({ totalMs: 60_000 }).call(hang, { signal: AbortSignal.timeout(1) }));
    await assert.rejects(call, { name: 'TimeoutError' });
    assert.equal(breaker.state, 'open');
  });

  it('wraps functions with their arguments, this, name and length', async () => {
    const clock = new ManualClock();
    const timeout = new Timeout({ totalMs: 1000, clock });
    const bank = {
      limit: 5,
      charge: timeout.wrap(async function charge(cents, _order) {
        await turn();
        this.signal = Deadline.current.signal;
        return cents > this.limit ? hang() : cents;
      }),
    };
    assert.equal(await bank.charge(5), 5);
    assert.deepEqual([bank.charge.name, bank.charge.length], ['charge', 2]);
    const late = bank.charge(7);
    await turn();
    await turn();
    clock.advance(1000);
    await assert.rejects(late, TimeoutExceededError);
    assert.ok(bank.signal.aborted);
  });

  it('ends what it calls, and what that retries', async () => {
    const clock = new ManualClock();
    const timeout = new Timeout({ totalMs: 1000, clock });
    const inner = new Timeout({ totalMs: 60_000, clock });
    const nested = timeout.call(() => inner.call(hang));
    clock.advance(1000);
    await assert.rejects(nested, /after 1000 ms/);
    // A wait that would pass the end is not begun.
    let calls = 0;
    const failing = () => {
      calls += 1;
      throw lost();
    };
    const retry = new RetryPolicy({ baseMs: 2000, maxDelayMs: 2000, jitter: 'none' });
    await assert.rejects(timeout.call(() => retry.call(failing)), { code: 'ECONNRESET', attempts: 1 });
    // When the caller goes away, so does the wait, and no further attempt is made.
    const gone = new AbortController();
    let ended;
    const slow = new RetryPolicy({ baseMs: 100, jitter: 'none', clock });
    const call = new Timeout({ totalMs: 60_000 }).call(
      () => {
        ended = slow.call(failing);
        return ended;
      },
      { signal: gone.signal },
    );
    await turn();
    gone.abort(new Error('gone'));
    await assert.rejects(call, /gone/);
    await assert.rejects(ended, /gone/);
    clock.advance(1000);
    await turn();
    assert.equal(calls, 2);
  });

  it('keeps the context of its caller', async () => {
    const request = new AsyncLocalStorage();
    const seen = await request.run('a', () => new Timeout({ totalMs: 60_000 }).call(async () => request.getStore()));
    assert.equal(seen, 'a');
    assert.equal(Deadline.current, undefined);
  });

  it('names what is wrong', async () => {
    const wrong = [
      [undefined, { name: 'TypeError', message: /takes an object of options/ }],
      [{}, { name: 'RangeError', message: 'new Timeout takes totalMs, attemptMs or both, and got neither' }],
      [{ total: 5 }, { message: /^new Timeout has no option 'total'/ }],
      [{ totalMs: 5, clock: Date }, { name: 'TypeError', message: /^clock must be a ManualClock/ }],
    ];
    for (const ms of [0, -1, NaN, -Infinity]) {
      wrong.push([{ totalMs: ms }, { name: 'RangeError', message: /^totalMs must be milliseconds above 0/ }]);
      wrong.push([{ attemptMs: ms }, { name: 'RangeError', message: /^attemptMs must be milliseconds above 0/ }]);
    }
    for (const ms of ['5', null, 5n]) wrong.push([{ totalMs: ms }, { name: 'TypeError' }]);
    for (const [options, error] of wrong) assert.throws(() => new Timeout(options), error, inspect(options));
    const timeout = new Timeout({ totalMs: 60_000 });
    function* rows() {}
    await assert.rejects(timeout.call(rows), /rows is a generator.*\. Put the timeout around/);
    assert.throws(() => timeout.wrap(rows), /rows is a generator/);
    await assert.rejects(timeout.call(5), { name: 'TypeError', message: /^fn must be a function/ });
    await assert.rejects(timeout.call(hang, { signal: {} }), /call: signal must be an AbortSignal/);
    await assert.rejects(timeout.call(hang, { timeoutMs: 5 }), /no option 'timeoutMs'/);
    const { call, wrap } = timeout;
    await assert.rejects(call(hang), /without its Timeout/);
    assert.throws(() => wrap(hang), /without its Timeout/);
    assert.match(inspect(timeout), /^Timeout { totalMs: 60000 }$/);
    assert.equal(await new Timeout({ totalMs: Infinity, clock: new ManualClock() }).call(() => 5), 5);
  });

  it('leaves nothing behind', { timeout: 120_000 }, () => {
    const program = `
      const { Timeout } = tidegate;
      const { getEventListeners } = require('node:events');
      const timeout = new Timeout({ totalMs: 3600000 });
      const caller = new AbortController();
      const batch = async (n) => {
        for (let i = 0; i < n; i += 50) {
          const calls = Array.from({ length: 50 }, (_, j) => timeout.call(
            async (signal) => { signal.addEventListener('abort', () => {}); if (j % 2) throw j; },
            { signal: caller.signal }).catch(() => {}));
          await Promise.all(calls);
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
        console.log(getEventListeners(caller.signal, 'abort').length, after - before < 1e6 ? 'flat' : after - before);
        // And with that the process ends, an hour before its timers would.
      })();`;
    const { stdout, status } = ran(program, '--expose-gc');
    assert.deepEqual([stdout, status], ['0 flat\n', 0]);
  });

  it('keeps the process alive for who waits', () => {
    const program = `new tidegate.Timeout({ totalMs: 30 }).call(() => new Promise(() => {}))
      .catch(({ name }) => console.log(name));`;
    assert.deepEqual(ran(program), { stdout: 'TimeoutError\n', stderr: '', status: 0 });
  });

  it('does the same in a worker thread', async () => {
    const program = `const { Timeout } = require(${JSON.stringify(INDEX)});
      new Timeout({ totalMs: 5 }).call(() => new Promise(() => {}))
        .catch((error) => require('node:worker_threads').parentPort.postMessage(error.code));`;
    const worker = new Worker(program, { eval: true });
    const [code] = await once(worker, 'message');
    await worker.terminate();
    assert.equal(code, 'ERR_TIDEGATE_TIMEOUT_EXCEEDED');
  });

  it('takes its connection from a server that hangs', { timeout: 60_000 }, async () => {
    const clock = new ManualClock();
    const closed = [];
    const server = createServer((_request, response) => {
      closed.push(once(response, 'close'));
      clock.advance(100);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}/`;
    try {
      const call = new Timeout({ totalMs: 100, clock }).call((signal) => fetch(url, { signal }));
      await assert.rejects(call, TimeoutExceededError);
      await Promise.all(closed);
      assert.equal(closed.length, 1);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('Deadline', () => {
  it('counts down to its end', () => {
    const clock = new ManualClock();
    const deadline = Deadline.after(100, { clock });
    assert.deepEqual([deadline.remainingMs, deadline.expired], [100, false]);
    const { signal } = deadline;
    clock.advance(99);
    assert.ok(!signal.aborted && deadline.signal === signal);
    clock.advance(1);
    assert.deepEqual([deadline.remainingMs, deadline.expired, signal.aborted], [0, true, true]);
    assert.ok(signal.reason instanceof TimeoutExceededError);
    assert.ok(Deadline.after(0).signal.aborted);
  });

  it('is that of all that it runs, and of their calls', async () => {
    const clock = new ManualClock();
    const deadline = Deadline.after(1000, { clock });
    const sum = await deadline.run(
      async (a, b) => {
        await turn();
        assert.equal(Deadline.current, deadline);
        // The sooner of two counts.
        assert.equal(Deadline.after(5000, { clock }).run(() => Deadline.current), deadline);
        assert.equal(Deadline.after(500, { clock }).run(() => Deadline.current.remainingMs), 500);
        return a + b;
      },
      1,
      2,
    );
    assert.equal(sum, 3);
    const call = deadline.run(() => new Timeout({ totalMs: 60_000 }).call(hang));
    clock.advance(1000);
    await assert.rejects(call, /its deadline has passed/);
    let calls = 0;
    const late = deadline.run(() => new Timeout({ totalMs: 60_000 }).call(() => (calls += 1)));
    await assert.rejects(late, /had passed before it began/);
    assert.equal(calls, 0);
  });

  it('is not that of what outlives its call', async () => {
    const clock = new ManualClock();
    const timeout = new Timeout({ totalMs: 1000, clock });
    const own = Deadline.after(5000, { clock });
    const goOn = deferred();
    const after = async () => {
      await goOn.promise;
      return Deadline.current;
    };
    let loop;
    const begin = () => {
      loop = [after(), own.run(after), Deadline.detached(after), Deadline.after(9000, { clock }).run(after)];
    };
    // Ended in time: nothing of it holds any more but what was said within it.
    await timeout.call(begin);
    const whole = Deadline.after(100, { clock });
    const within = whole.run(() => timeout.call(() => [after(), Deadline.current.remainingMs]));
    const [, left] = await within;
    assert.equal(left, 100);
    goOn.resolve();
    const seen = await Promise.all(loop);
    assert.deepEqual([seen[0], seen[1], seen[2], seen[3].remainingMs], [undefined, own, undefined, 9000]);
    // Ended late: what it has left behind has no more time than it had.
    const [hold, orphan] = [deferred(), {}];
    const late = timeout.call(() => {
      orphan.ended = hold.promise.then(() => timeout.call(() => 5));
      orphan.freed = Deadline.detached(async () => {
        await hold.promise;
        return timeout.call(() => 5);
      });
      return hang();
    });
    clock.advance(1000);
    await assert.rejects(late, TimeoutExceededError);
    hold.resolve();
    await assert.rejects(orphan.ended, TimeoutExceededError);
    assert.equal(await orphan.freed, 5);
  });

  it('ends retries, whose waits it leaves no room', async () => {
    let calls = 0;
    const failing = () => {
      calls += 1;
      throw lost();
    };
    const retry = new RetryPolicy({ baseMs: 2000, maxDelayMs: 2000, jitter: 'none' });
    await assert.rejects(Deadline.after(1000).run(() => retry.call(failing)), { code: 'ECONNRESET', attempts: 1 });
    const at = new RetryPolicy({ baseMs: 0, maxDelayMs: 0 });
    await assert.rejects(Deadline.after(0).run(() => at.call(failing)), { attempts: 1 });
    await assert.rejects(Deadline.after(60_000).run(() => at.wrap(failing)()), { attempts: 3 });
    assert.equal(calls, 5);
  });

  it('is read from headers', () => {
    const clock = new ManualClock();
    const read = (headers, options) => Deadline.fromHeaders(headers, { clock, ...options })?.remainingMs;
    const cases = [
      [{ 'grpc-timeout': '100m' }, 100],
      [{ 'grpc-timeout': '2S' }, 2000],
      [{ 'grpc-timeout': '3M' }, 180_000],
      [{ 'grpc-timeout': '1H' }, 3_600_000],
      [{ 'grpc-timeout': '500u' }, 0.5],
      [{ 'grpc-timeout': '1000000n' }, 1],
      [{ 'grpc-timeout': '99999999H' }, 3_600_000],
      [{ 'X-Request-Timeout-Ms': '250' }, 250],
      [{ 'x-request-timeout-ms': ' 2.5 ' }, 2.5],
      [{ 'x-request-timeout-ms': 7 }, 7],
      [{ 'x-request-timeout-ms': '0' }, 0],
      [{ 'x-request-timeout-ms': '10000000000000' }, 3_600_000],
      [{ 'x-request-timeout-ms': '9'.repeat(400) }, 3_600_000],
      [new Headers({ 'x-request-timeout-ms': '250', 'grpc-timeout': '1S' }), 250],
      [new Headers({ 'x-request-timeout-ms': '2500', 'grpc-timeout': '1S' }), 1000],
      [new Headers({ 'x-request-timeout-ms': '2500', 'grpc-timeout': 'soon' }), 2500],
      [{}, undefined],
    ];
    for (const text of ['', '-5', '5s', '1e3', 'NaN', 'Infinity', '0x10', '5, 6', '١']) {
      cases.push([{ 'x-request-timeout-ms': text }, undefined]);
    }
    for (const text of ['100', '100 m', '123456789m', '1.5S', 'm', '-1S', '1s']) {
      cases.push([{ 'grpc-timeout': text }, undefined]);
    }
    for (const [headers, ms] of cases) assert.equal(read(headers), ms, inspect(headers));
    assert.equal(read({ 'x-request-timeout-ms': '60000' }, { maxMs: 5000 }), 5000);
    assert.equal(read({ 'grpc-timeout': '99999999H' }, { maxMs: Infinity }), 99_999_999 * 3_600_000);
    assert.equal(read({ 'x-request-timeout-ms': '9'.repeat(400) }, { maxMs: Infinity }), 1e13);
    assert.equal(read({ 'X-Time': '60' }, { names: 'x-time' }), 60);
    assert.equal(read({ 'X-Time-Ms': '60', 'grpc-timeout': '1m' }, { names: ['X-TIME-MS'] }), 60);
  });

  it('of a client that waits for ever overflows no timer, and keeps no process', () => {
    const program = `
      const { Deadline, Timeout } = require(${JSON.stringify(INDEX)});
      process.on('warning', (warning) => { throw warning; });
      for (const maxMs of [undefined, Infinity]) {
        const deadline = Deadline.fromHeaders({ 'x-request-timeout-ms': '10000000000000' }, { maxMs });
        deadline.run(async () => {
          const timeout = new Timeout({ totalMs: 1e9 });
          await timeout.call((signal) => new Promise((resolve) => setTimeout(resolve, 20)));
          if (deadline.signal.aborted || deadline.expired) throw new Error('over at once');
          process.stdout.write('held ');
        });
      }`;
    const ended = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 30_000 });
    assert.deepEqual([ended.status, ended.stdout, ended.stderr], [0, 'held held ', '']);
  });

  it('tells a server what remains, less the way', () => {
    const clock = new ManualClock();
    const deadline = Deadline.after(1000, { clock });
    assert.deepEqual(deadline.headers(), { 'x-request-timeout-ms': '950' });
    assert.deepEqual(deadline.headers('grpc-timeout'), { 'grpc-timeout': '950m' });
    assert.deepEqual(deadline.headers('X-Time'), { 'X-Time': '950' });
    assert.deepEqual(Deadline.after(Infinity).headers(), {});
    assert.deepEqual(Deadline.after(1e12, { clock }).headers('grpc-timeout'), { 'grpc-timeout': '99999999S' });
    clock.advance(2000);
    assert.deepEqual(deadline.headers(), { 'x-request-timeout-ms': '0' });
  });

  it('names what is wrong', () => {
    assert.throws(() => new Deadline(), /is made by Deadline\.after\(ms\)/);
    for (const ms of [-1, NaN, -Infinity]) assert.throws(() => Deadline.after(ms), { name: 'RangeError' });
    for (const ms of ['5', undefined, null]) assert.throws(() => Deadline.after(ms), { name: 'TypeError' });
    assert.throws(() => Deadline.after(5, { clok: 1 }), /no option 'clok'/);
    assert.throws(() => Deadline.fromHeaders(undefined), /^TypeError.*headers must be those of a request/);
    assert.throws(() => Deadline.fromHeaders({}, { names: [5] }), /names must be a text/);
    assert.throws(() => Deadline.fromHeaders({}, { maxMs: -5 }), /maxMs/);
    assert.throws(() => Deadline.after(5).run(5), /fn must be a function/);
    assert.throws(() => Deadline.after(5).run(function* rows() {}), /rows is a generator/);
    assert.throws(() => Deadline.detached(5), /fn must be a function/);
    const { run, headers } = Deadline.after(5);
    assert.throws(() => run(() => 1), /without its Deadline/);
    assert.throws(() => headers(), /without its Deadline/);
    assert.match(inspect(Deadline.after(0)), /^Deadline { remainingMs: 0, expired: true }$/);
  });

  it('keeps no process alive', () => {
    const program = `const { signal } = tidegate.Deadline.after(3600000);
      signal.addEventListener('abort', () => console.log('late'));`;
    assert.deepEqual(ran(program), { stdout: '', stderr: '', status: 0 });
  });
});
