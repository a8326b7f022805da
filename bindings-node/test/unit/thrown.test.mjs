// Values that throw when they are looked at: getters, revoked Proxies, codes that are no texts. None costs a permit, a
// probe or the process, and none hides the error that there was.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CircuitBreaker,
  ClientThrottle,
  ConcurrencyLimiter,
  Fallback,
  ManualClock,
  Resilience,
  RetryPolicy,
  TidegateError,
  http,
} from '../../index.mjs';

const run = (program) => spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 60_000 });
const INDEX = fileURLToPath(new URL('../../index.cjs', import.meta.url));

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
const look = () => {
  throw new Error('looked at');
};
const trap = (...names) =>
  Object.defineProperties({}, Object.fromEntries(names.map((name) => [name, { get: look, enumerable: true }])));
const VALUES = {
  'a revoked Proxy': revoked,
  'a name that throws': () => trap('name'),
  'a code that throws': () => trap('code', 'cause', 'errors'),
  'a status that throws': () => trap('status', 'statusCode', 'response', 'retryAfterMs'),
  'a code that is a Symbol': () => Object.assign(new Error('bank'), { code: Symbol('down') }),
  'a code without a text': () => Object.assign(new Error('bank'), { code: Object.create(null) }),
};

/** A circuit whose next call is its only probe. */
function probing(options = {}) {
  const clock = new ManualClock();
  const settings = { consecutiveFailures: 1, cooldownMs: 1000, probes: 1, clock };
  const breaker = new CircuitBreaker('bank', { ...settings, ...options });
  breaker.acquire().failure();
  clock.advance(1000);
  return breaker;
}

const outcome = async (call) => {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
};

for (const [what, make] of Object.entries(VALUES)) {
  describe(`thrown: ${what}`, () => {
    const thrown = make();
    const fail = () => {
      throw thrown;
    };
    const reject = async () => fail();

    it('gives probe and permit back', async () => {
      for (const classifier of [undefined, http()]) {
        for (const call of [(it) => it.call(fail), (it) => it.call(reject), (it) => it.wrap(fail)()]) {
          const breaker = probing(classifier === undefined ? {} : { classifier });
          assert.equal((await outcome(() => call(breaker))).error, thrown);
          assert.notEqual(breaker.state, 'half_open');
        }
      }
      const limiter = new ConcurrencyLimiter({ limit: 1 });
      assert.equal((await outcome(() => limiter.run(reject))).error, thrown);
      assert.equal((await outcome(() => new Resilience({ concurrency: limiter }).call(reject))).error, thrown);
      assert.equal(limiter.inUse, 0);
    });

    it('is retried, counted and replaced as an unknown error', async () => {
      let calls = 0;
      const retry = new RetryPolicy({ attempts: 2, baseMs: 0 });
      const counted = () => {
        calls += 1;
        fail();
      };
      assert.equal((await outcome(() => retry.call(counted))).error, thrown);
      assert.equal(calls, 2);
      const throttle = new ClientThrottle();
      assert.equal((await outcome(() => throttle.call(reject))).error, thrown);
      assert.equal(throttle.stats().refused, 1);
      const { value } = await outcome(() => new Fallback({ static: 1 }).call(reject));
      assert.deepEqual([value.source, value.error === thrown], ['static', true]);
      assert.equal(thrown instanceof TidegateError, false);
    });
  });
}

it('what is returned and cannot be asked for its then is an error of the call', async () => {
  const given = () => trap('then');
  const breaker = probing();
  assert.match((await outcome(() => breaker.call(given))).error.message, /looked at/);
  assert.equal(breaker.state, 'open');
  const throttle = new ClientThrottle();
  assert.match((await outcome(() => throttle.call(given))).error.message, /looked at/);
  assert.equal(throttle.stats().refused, 1);
});

it('an abort with such a reason ends the call, and not the process', () => {
  const program = `
    const { CircuitBreaker, ManualClock, Resilience, RetryPolicy } = require(${JSON.stringify(INDEX)});
    const clock = new ManualClock();
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1, cooldownMs: 1000, probes: 1, clock });
    breaker.acquire().failure();
    clock.advance(1000);
    const reason = { get name() { throw new Error('looked at'); } };
    const aborted = () => {
      const life = new AbortController();
      setTimeout(() => life.abort(reason), 10);
      return { signal: life.signal };
    };
    const told = (error) => console.log(error === reason);
    const busy = setInterval(() => {}, 1000);
    (async () => {
      await new Resilience({ breaker }).call((signal) => new Promise(() => {}), aborted()).catch(told);
      console.log(breaker.tryAcquire() !== null);
      const retry = new RetryPolicy({ baseMs: 60_000, jitter: 'none' });
      await retry.call(() => { throw new Error('bank'); }, aborted()).catch(told);
      clearInterval(busy);
    })();`;
  const { stdout, stderr, status } = run(program);
  assert.deepEqual([stdout, stderr, status], ['true\ntrue\ntrue\n', '', 0]);
});

it("a listener's is a warning, and not the end of the process", () => {
  const program = `
    const { CircuitBreaker } = require(${JSON.stringify(INDEX)});
    const breaker = new CircuitBreaker('bank', { consecutiveFailures: 1 });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    breaker.on('opened', () => { throw Object.assign(new Error(), { message: Symbol('down') }); });
    breaker.on('opened', () => { throw Object.defineProperty(new Error(), 'message', { get() { throw 1; } }); });
    breaker.on('opened', () => { throw proxy; });
    breaker.on('opened', async () => { throw proxy; });
    breaker.on('opened', () => console.log('heard'));
    breaker.acquire().failure();
    setTimeout(() => console.log('alive'), 300);`;
  const { stdout, stderr, status } = run(program);
  assert.deepEqual([stdout, status], ['heard\nalive\n', 0], stderr);
  assert.match(stderr, /TidegateWarning: a listener of 'opened' failed/);
});
