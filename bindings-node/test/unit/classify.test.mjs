// What the end of a call says of the dependency.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import {
  BreakerRegistry,
  CircuitBreaker,
  Classifier,
  ClientThrottle,
  ConcurrencyLimiter,
  Fallback,
  ManualClock,
  QueueFullError,
  Resilience,
  RetryPolicy,
  Timeout,
  http,
} from 'tidegate';

const outcome = ({ outcome }) => outcome;
const coded = (code) => Object.assign(new Error(code), { code });
const never = () => {
  throw new Error('asked');
};

describe('Classifier', () => {
  it('takes the first that fits', () => {
    const all = () => true;
    const classifier = new Classifier({ ignore: RangeError, unreached: [RangeError, TypeError], failureOn: all });
    assert.equal(outcome(classifier.error(new DOMException('gone', 'AbortError'))), 'cancelled');
    assert.equal(outcome(classifier.error(new QueueFullError())), 'ignore');
    assert.equal(outcome(classifier.error(new RangeError())), 'ignore');
    assert.equal(outcome(classifier.error(new TypeError())), 'unreached');
    assert.equal(outcome(classifier.error(new Error())), 'failure');
    assert.equal(outcome(new Classifier({ failureOn: TypeError }).error(new Error())), 'success');
    assert.equal(outcome(new Classifier().error('a text')), 'failure');
  });

  it('looks at results', () => {
    const halved = new Classifier({ failureResult: [[({ rows }) => rows < 10], () => false], retryAfterMs: () => 7 });
    assert.deepEqual(halved.result({ rows: 5 }), { outcome: 'failure', retryAfterMs: 7 });
    assert.deepEqual(halved.result({ rows: 10 }), { outcome: 'success', retryAfterMs: undefined });
    assert.equal(outcome(new Classifier().result(undefined)), 'success');
  });

  it('tells what it cannot use', () => {
    for (const [options, message] of [
      [{ failureResult: async () => true }, /failureResult must answer at once/],
      [{ failureResult: 5 }, /failureResult/],
      [{ unreached: 'pool' }, /unreached/],
      [{ retryAfterMs: 5 }, /retryAfterMs/],
      [{ failureOnResult: never }, /failureOnResult/],
      [{ failureOn: http }, /^TypeError.*failureOn: http makes a Classifier.*write http\(\)/],
      [{ failureResult: [http] }, /failureResult: .*write http\(\)/],
      [{ failureOn: [TypeError, http()] }, /failureOn: .*takes it as classifier/],
      [{ failureResult: http() }, /failureResult: .*takes it as classifier/],
    ]) {
      assert.throws(() => new Classifier(options), message);
    }
    const wrong = new Classifier({ retryAfterMs: () => -1 });
    assert.throws(() => wrong.error(new Error()), /retryAfterMs must be milliseconds/);
    assert.throws(() => new Classifier({ failureResult: () => Promise.resolve(true) }).result(1), /got a promise/);
    assert.throws(() => new CircuitBreaker('it', { classifier: {} }), /classifier must be a Classifier/);
    assert.throws(() => new CircuitBreaker('it', { classifier: http(), ignore: Error }), /classifier or ignore/);
    assert.throws(() => http({ maxRetryAfterMs: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  });
});

describe('a slow call', () => {
  const slow = (options) => new Classifier({ slowCallDurationMs: 100, ...options });

  it('is a success that took long', () => {
    const classifier = slow({ failureOn: TypeError, failureResult: (value) => value === 0 });
    for (const [said, expected] of [
      [classifier.result(1, 100), 'slow'],
      [classifier.result(1, 99.9), 'success'],
      [classifier.result(1), 'success'],
      [classifier.result(0, 100), 'failure'],
      [classifier.error(new Error(), 100), 'slow'],
      [classifier.error(new TypeError(), 100), 'failure'],
      [classifier.error(new DOMException('gone', 'AbortError'), 100), 'cancelled'],
      [classifier.error(new QueueFullError(), 100), 'ignore'],
      [classifier.error(new AggregateError([new Error(), new QueueFullError()]), 100), 'slow'],
    ]) {
      assert.equal(outcome(said), expected);
    }
    assert.deepEqual([classifier.slowCallDurationMs, new Classifier().slowCallDurationMs], [100, undefined]);
    for (const wrong of [0, -1, NaN, Infinity, '5']) {
      assert.throws(() => slow({ slowCallDurationMs: wrong }), /^(Range|Type)Error.*slowCallDurationMs/);
      assert.throws(() => http({ slowCallDurationMs: wrong }), /slowCallDurationMs/);
    }
    assert.throws(() => classifier.result(1, -1), /durationMs/);
    assert.throws(() => classifier.error(new Error(), 'long'), /durationMs/);
  });

  it('is a result of which a predicate says so', async () => {
    const slow = [(value) => value === 1, (value) => value === 2];
    const classifier = new Classifier({ failureResult: (value) => value === 0, slow });
    const outcomes = [0, 1, 2, 3].map((value) => classifier.result(value).outcome);
    assert.deepEqual(outcomes, ['failure', 'slow', 'slow', 'success']);
    assert.equal(classifier.error(new Error()).outcome, 'failure', 'errors are none of its matter');
    assert.equal(new Classifier({ slow: () => true, slowCallDurationMs: 9000 }).result(5, 1).outcome, 'slow');
    assert.equal(http({ slow: (answer) => answer === 'stale' }).result('stale').outcome, 'slow');
    const breaker = new CircuitBreaker('it', { slow: slow[0], windowCalls: 50 });
    assert.equal(breaker.call(() => 1) + breaker.wrap(() => 1)() + breaker.call(() => 2), 4);
    assert.equal(await breaker.call(async () => 1), 1);
    assert.equal(await breaker.wrap(async () => 1)(), 1);
    assert.equal(await breaker.call(() => Promise.resolve(1)), 1);
    breaker.acquire().result(1);
    const { calls, failed, slow: counted } = breaker.stats();
    assert.deepEqual([calls, failed, counted], [7, 0, 6]);
    const hosts = new BreakerRegistry({ slow: slow[0] });
    hosts.get('a').call(() => 1);
    assert.equal(hosts.get('a').stats().slow, 1);
    const thrown = new Error('asked');
    const broken = new CircuitBreaker('it', { slow() { throw thrown; }, consecutiveFailures: 1 });
    assert.throws(() => broken.call(() => 1), thrown);
    for (const wrong of [5, http(), async () => true, class Slow {}]) {
      assert.throws(() => new Classifier({ slow: wrong }), { name: 'TypeError', message: /^slow/ });
    }
    assert.throws(() => new CircuitBreaker('it', { classifier: http(), slow: () => true }), /give classifier or slow/);
  });

  it('counts as slow in a breaker by its clock, whatever reports it', async () => {
    const clock = new ManualClock();
    const breaker = new CircuitBreaker('it', { classifier: slow({ failureOn: TypeError }), clock, windowCalls: 50 });
    const after = (ms, value) => () => (clock.advance(ms), value);
    const thrown = (ms) => () => {
      clock.advance(ms);
      throw new Error('declined');
    };
    breaker.call(after(100));
    breaker.call(after(99));
    assert.throws(() => breaker.call(thrown(100)), /declined/);
    await breaker.call(async () => after(100)());
    await breaker.wrap(async () => after(99)())();
    for (const report of [(permit) => permit.result(1), (permit) => permit.error(new Error())]) {
      const permit = breaker.acquire();
      clock.advance(100);
      report(permit);
      report(permit);
    }
    breaker.tryAcquire().result(1, 100);
    breaker.acquire().error(new Error(), 100);
    const { calls, failed, slow: count } = breaker.stats();
    assert.deepEqual([calls, failed, count], [9, 0, 7]);
  });
});

describe('the reports of a permit', () => {
  /** What each does with a duration and with a Retry-After: nothing is dropped in silence. */
  for (const [method, takes, counted] of [
    ['success', 1, { failed: 0, slow: 1 }],
    ['slow', 1, { failed: 0, slow: 1 }],
    ['failure', 2, { failed: 1, slow: 1 }],
    ['unreached', 1, { failed: 1, slow: 1 }],
    ['ignore', 0, undefined],
  ]) {
    it(`${method} takes all that it is told, or refuses it`, () => {
      const settings = { slowCallDurationMs: 100, slowCallRateThreshold: 1, minCalls: 1, cooldownMs: 1000 };
      const make = () => new CircuitBreaker('it', { ...settings, windowCalls: 5, clock: new ManualClock() });
      for (const told of [[], [100], [undefined, 5000], [100, 5000], [99, 5000]]) {
        const breaker = make();
        const permit = breaker.acquire();
        if (told.length > takes) {
          assert.throws(() => permit[method](...told), /takes no more/);
          assert.equal(breaker.stats().calls, 0);
          permit[method]();
          continue;
        }
        permit[method](...told);
        const isSlow = method === 'slow' || told[0] === 100;
        const opens = counted !== undefined && (isSlow || counted.failed === 1);
        assert.equal(breaker.state, opens ? 'open' : 'closed');
        if (!opens) continue;
        const { failed, slow } = breaker.stats().lastTrip;
        assert.deepEqual({ failed, slow }, { ...counted, slow: isSlow ? 1 : 0 });
        assert.equal(breaker.retryAfterMs, told[1] ?? 1000);
      }
    });
  }
});

describe('the settings of a breaker', () => {
  it('are shown as setConfig takes them', () => {
    const given = { windowDurationMs: 5000, slowCallDurationMs: 0.25, consecutiveFailures: 4, rampMs: 7, probes: 3 };
    const breaker = new CircuitBreaker('it', given);
    const shown = breaker.config;
    for (const [name, value] of Object.entries(given)) assert.equal(shown[name], value, name);
    assert.deepEqual([shown.maxCooldownMs, shown.cooldownMs, 'windowCalls' in shown], [null, 30_000, false]);
    breaker.setConfig({ cooldownMs: 5, consecutiveFailures: null });
    assert.deepEqual(breaker.config, { ...shown, cooldownMs: 5, consecutiveFailures: null });
    breaker.setConfig(shown);
    assert.deepEqual(breaker.config, shown);
    assert.deepEqual(new CircuitBreaker('other', shown).config, shown);
    const { get } = Object.getOwnPropertyDescriptor(CircuitBreaker.prototype, 'config');
    assert.throws(() => get.call({}), /CircuitBreaker/);
  });
});

describe('http', () => {
  const classifier = http({ maxRetryAfterMs: 60_000 });

  it('knows the responses of clients', () => {
    const headers = { 'Retry-After': '7' };
    for (const response of [
      new Response(null, { status: 503, headers }),
      { status: 503, headers: { 'retry-after': '7' } },
      { statusCode: 503, headers: { 'retry-after': '7' } },
      { statusCode: 503, headers: { 'Retry-After': ['7', '9'] } },
    ]) {
      assert.deepEqual(classifier.result(response), { outcome: 'failure', retryAfterMs: 7000 });
    }
    assert.deepEqual(classifier.result({ status: 503, headers: { 'retry-after': '3600' } }).retryAfterMs, 60_000);
    for (const status of [200, 302, 404]) assert.equal(outcome(classifier.result({ status })), 'success');
    for (const other of [undefined, null, 5, 'text', {}, { status: 'fine' }]) {
      assert.equal(outcome(classifier.result(other)), 'success');
    }
  });

  it('asks no header of an answer that is well', () => {
    let asked = 0;
    const headers = {
      get() {
        asked += 1;
        throw new Error('asked');
      },
    };
    assert.equal(outcome(classifier.result({ status: 200, headers })), 'success');
    assert.equal(asked, 0);
    assert.deepEqual(classifier.result({ status: 503, headers }), { outcome: 'failure', retryAfterMs: undefined });
    assert.equal(asked, 1);
  });

  it('knows the errors of clients', () => {
    const axios = (status) => Object.assign(new Error(), { response: { status, headers: { 'retry-after': '2' } } });
    // Its later versions repeat the status.
    for (const error of [axios(429), Object.assign(axios(429), { status: 429 })]) {
      assert.deepEqual(classifier.error(error), { outcome: 'failure', retryAfterMs: 2000 });
    }
    assert.equal(outcome(classifier.error(axios(404))), 'success');
    assert.equal(outcome(classifier.error(new DOMException('late', 'TimeoutError'))), 'failure');
    assert.equal(outcome(classifier.error(new TypeError('fetch failed', { cause: coded('ECONNREFUSED') }))), 'failure');
    const both = new AggregateError([coded('ECONNREFUSED'), coded('ECONNREFUSED')]);
    assert.equal(outcome(classifier.error(new TypeError('fetch failed', { cause: both }))), 'failure');
    assert.equal(outcome(classifier.error(new TypeError('fetch failed', { cause: coded('EMFILE') }))), 'unreached');
    assert.equal(outcome(classifier.error(new TypeError('undefined is not a function'))), 'success');
    const circular = new Error();
    circular.cause = circular;
    assert.equal(outcome(classifier.error(circular)), 'success');
  });
});

describe('a breaker', () => {
  const make = (options) => {
    const settings = { consecutiveFailures: 1, cooldownMs: 1000, clock: new ManualClock() };
    return new CircuitBreaker('bank', { ...settings, ...options });
  };

  it('opens by results, of promises too', async () => {
    const failureResult = (rows) => rows.length === 0;
    const plain = make({ failureResult });
    assert.deepEqual(plain.call(() => []), []);
    assert.equal(plain.state, 'open');
    const wrapped = make({ failureResult });
    assert.deepEqual(await wrapped.wrap(async () => [])(), []);
    assert.equal(wrapped.state, 'open');
    const permits = make({ failureResult });
    permits.acquire().result([1]);
    assert.equal(permits.state, 'closed');
    permits.acquire().result([]);
    assert.equal(permits.state, 'open');
  });

  it('gives an unreached probe back, and counts an unreached call', () => {
    const clock = new ManualClock();
    const breaker = make({ unreached: TypeError, clock });
    const unreached = () => breaker.call(() => { throw new TypeError('no connection'); });
    assert.throws(unreached, TypeError);
    assert.equal(breaker.state, 'open');
    clock.advance(1000);
    assert.throws(unreached, TypeError);
    assert.equal(breaker.state, 'half_open');
    breaker.acquire().error(new TypeError());
    breaker.acquire().unreached();
    breaker.call(() => {});
    assert.equal(breaker.state, 'closed');
  });

  it('reports the permit where a predicate throws', async () => {
    const breaker = make({ failureResult: never });
    await assert.rejects(breaker.call(async () => 5), /asked/);
    assert.equal(breaker.state, 'open');
  });

  it('takes the cooldown from a real server', async () => {
    const server = createServer((request, response) => {
      response.writeHead(503, { 'Retry-After': '90' }).end();
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const breaker = make({ classifier: http() });
      const response = await breaker.call(fetch, `http://127.0.0.1:${server.address().port}/`);
      await response.arrayBuffer();
      assert.deepEqual([breaker.state, breaker.retryAfterMs], ['open', 64_000]);
    } finally {
      server.closeAllConnections?.();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe('a retry', () => {
  const thrown = (code) =>
    Object.assign(new Error(), typeof code === 'number' ? { response: { status: code } } : { code });

  it('goes by the same classifier', async () => {
    const attempts = async (code, retryOn = http()) => {
      let calls = 0;
      const policy = new RetryPolicy({ attempts: 3, baseMs: 0, maxDelayMs: 0, retryOn });
      const call = policy.call(async () => {
        calls += 1;
        throw thrown(code);
      });
      await assert.rejects(call);
      return calls;
    };
    assert.equal(await attempts(503), 3);
    assert.equal(await attempts('ECONNRESET'), 3);
    assert.equal(await attempts('EMFILE'), 3);
    assert.equal(await attempts(404), 1);
    assert.equal(await attempts('ENOENT'), 1);
    const several = [[TypeError, http()], ({ code }) => code === 'ENOENT'];
    assert.deepEqual(await Promise.all([503, 404, 'ENOENT'].map((code) => attempts(code, several))), [3, 1, 3]);
    assert.throws(() => new RetryPolicy({ retryOn: [http] }), /retryOn: .*write http\(\)/);
    assert.throws(() => new RetryPolicy({ retryOn: 503 }), /retryOn \(.*a Classifier, or an array of them\) must be/);
  });

  it('and so does a throttle', () => {
    const throttle = new ClientThrottle({ failureOn: [TypeError, http()] });
    for (const code of [503, 404, 'ECONNRESET']) {
      const fail = () => { throw thrown(code); };
      assert.throws(() => throttle.call(fail));
    }
    const { accepted, refused } = throttle.stats();
    assert.deepEqual([accepted, refused], [1, 2]);
  });
});

describe('an answer to the own client', () => {
  /** As Nest makes them; `httpError` is as http-errors does. */
  class HttpException extends Error {
    constructor(response, status) {
      super(response);
      Object.assign(this, { response, status });
    }
    getStatus() { return this.status; }
    getResponse() { return this.response; }
  }
  const exception = (status) => new HttpException('it', status);
  const httpError = (status) => Object.assign(new Error('it'), { status, statusCode: status, expose: status < 500 });
  const raise = (error) => () => { throw error; };

  it('says nothing of the dependency, unless failureOn names it', () => {
    for (const make of [exception, httpError]) {
      for (const [options, status, expected] of [
        [{}, 404, 'ignore'],
        [{}, 429, 'ignore'],
        [{}, 500, 'failure'],
        [{ failureOn: RangeError }, 404, 'ignore'],
        [{ failureOn: RangeError }, 500, 'success'],
        [{ failureOn: Error }, 404, 'ignore'],
        [{ failureOn: Error }, 503, 'failure'],
        [{ failureOn: ({ status }) => status === 404 }, 404, 'failure'],
      ]) {
        const given = `${make.name} ${status} ${Object.values(options)}`;
        assert.equal(outcome(new Classifier(options).error(make(status))), expected, given);
        const breaker = new CircuitBreaker('it', { consecutiveFailures: 1, ...options });
        assert.throws(() => breaker.call(raise(make(status))), { status });
        assert.equal(breaker.state, expected === 'failure' ? 'open' : 'closed', given);
      }
      assert.equal(outcome(http().error(make(429))), 'ignore');
      assert.equal(outcome(http().error(make(503))), 'failure');
      assert.equal(outcome(new Classifier().error(new AggregateError([make(404), make(400)]))), 'ignore');
      assert.equal(outcome(new Classifier().error(new AggregateError([make(404), new Error('it')]))), 'failure');
    }
  });

  it('is neither retried nor replaced, and no word of a backend', async () => {
    for (const error of [exception(404), exception(429), httpError(404), httpError(429)]) {
      const breaker = new CircuitBreaker('it', { consecutiveFailures: 1 });
      const retry = new RetryPolicy({ attempts: 3, baseMs: 1 });
      const resilience = new Resilience({ breaker, retry, fallback: new Fallback({ static: 1 }) });
      let calls = 0;
      await assert.rejects(resilience.call(async () => { calls += 1; throw error; }), { status: error.status });
      assert.deepEqual([calls, breaker.state], [1, 'closed']);
      for (const failureOn of [undefined, RangeError, Error]) {
        const throttle = new ClientThrottle({ failureOn });
        assert.throws(() => throttle.call(raise(error)), { status: error.status });
        const { accepted, refused } = throttle.stats();
        assert.deepEqual([accepted, refused], failureOn === Error ? [0, 1] : [0, 0]);
      }
    }
  });

  it('is not the error of a client, which has the answer of the dependency', () => {
    const clients = [
      Object.assign(new Error('axios'), { code: 'ERR_BAD_REQUEST', status: 404, response: { status: 404 } }),
      Object.assign(new Error('made of it'), { ...httpError(404), response: { status: 404 } }),
      Object.assign(new Error('undici'), { code: 'UND_ERR_RESPONSE', statusCode: 404, headers: {} }),
      Object.assign(new Error('none'), { getStatus: () => 404 }),
      { ...httpError(404) },
      exception('404'),
    ];
    for (const error of clients) assert.equal(outcome(new Classifier().error(error)), 'failure', error.message);
    for (const error of clients.slice(0, 3)) assert.equal(outcome(http().error(error)), 'success', error.message);
  });
});

describe('a wrong argument', () => {
  const WRONG = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  class Fetcher {}

  it('is none of the dependency, unless failureOn names it', async () => {
    for (const [options, expected] of [
      [{}, 'closed'],
      [{ failureOn: RangeError }, 'closed'],
      [{ classifier: http() }, 'closed'],
      [{ failureOn: TypeError }, 'open'],
    ]) {
      const breaker = new CircuitBreaker('it', { consecutiveFailures: 1, ...options });
      await assert.rejects(breaker.call(readFile, undefined), WRONG);
      assert.deepEqual([breaker.state, breaker.stats().calls], [expected, 0], JSON.stringify(options));
    }
  });

  it('is a class in place of a function, wherever one is called', async () => {
    const breaker = new CircuitBreaker('it', { consecutiveFailures: 1 });
    const retry = new RetryPolicy();
    const throttle = new ClientThrottle();
    const timeout = new Timeout({ attemptMs: 1000 });
    const fallback = new Fallback({ static: 1 });
    const resilience = new Resilience({ breaker });
    const limiter = new ConcurrencyLimiter({ limit: 1 });
    const frozen = Object.freeze(function fine() { return 7; });
    for (const wrong of [Fetcher, class extends Fetcher {}, class {}, Map, Promise, new Proxy(Fetcher, {})]) {
      for (const [policy, methods] of [
        [breaker, ['call', 'wrap']],
        [retry, ['call', 'wrap']],
        [throttle, ['call', 'wrap']],
        [timeout, ['call', 'wrap']],
        [fallback, ['call', 'wrap']],
        [resilience, ['call', 'wrap']],
        [limiter, ['run']],
      ]) {
        for (const method of methods) {
          const call = async () => policy[method](wrong);
          await assert.rejects(call, { ...WRONG, message: /^fn: .* is a class/ }, `${method} ${wrong}`);
        }
      }
    }
    breaker.forceOpen();
    assert.throws(() => breaker.call(Fetcher), WRONG, 'whatever the state');
    breaker.reset();
    const made = [breaker.call(frozen), breaker.call(Number, '8'), breaker.call(Error, 'it').message];
    assert.deepEqual(made, [7, 8, 'it']);
    assert.deepEqual([breaker.stats().failed, throttle.stats().refused, limiter.stats().inUse], [0, 0, 0]);
  });
});
