// What stands for several errors, as `Promise.any` rejects with it, is judged by them.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { runInNewContext } from 'node:vm';
import {
  ArenaError,
  CircuitBreaker,
  CircuitOpenError,
  Classifier,
  ClientThrottle,
  Fallback,
  QueueFullError,
  RateLimitedError,
  RetryPolicy,
  http,
} from 'tidegate';

const { isTransient, retryAfterMs } = createRequire(import.meta.url)('../../lib/retryable.cjs');
const { members } = createRequire(import.meta.url)('../../lib/group.cjs');

const group = (...errors) => new AggregateError([errors[0], new AggregateError(errors)]);
const coded = (code) => Object.assign(new Error(code), { code });
const answered = (status, headers = {}) => Object.assign(new Error(String(status)), { response: { status, headers } });
const lost = coded('ECONNRESET');
const open = new CircuitOpenError('bank', 5000);
const full = new QueueFullError();
const gone = new DOMException('gone', 'AbortError');

async function attempts(error, options = {}) {
  let calls = 0;
  const policy = new RetryPolicy({ attempts: 3, baseMs: 0, maxDelayMs: 0, maxRetryAfterMs: 0, ...options });
  const call = policy.call(() => {
    calls += 1;
    throw error;
  });
  // By hand: assert looks at what was thrown.
  const thrown = await call.then(
    () => 'nothing',
    (reason) => [reason],
  );
  assert.ok(thrown[0] === error);
  return calls;
}

describe('a group of errors', () => {
  it('is what its members are', () => {
    const outcome = (error, classifier = http()) => classifier.error(error).outcome;
    for (const [error, expected] of [
      [group(lost, lost), 'failure'],
      [group(answered(404), lost), 'failure'],
      [group(full, lost), 'failure'],
      [group(coded('ERR_INVALID_ARG_TYPE'), lost), 'failure'],
      [group(coded('EMFILE'), lost), 'failure'],
      [group(full, coded('EMFILE')), 'unreached'],
      [group(answered(404), full), 'success'],
      [group(full, open), 'ignore'],
      [group(full, gone), 'ignore'],
      [group(gone, gone), 'cancelled'],
      [new TypeError('fetch failed', { cause: group(lost) }), 'failure'],
    ]) {
      assert.equal(outcome(error), expected, String(error.errors ?? error));
    }
    assert.equal(outcome(group(open, full), new Classifier()), 'ignore');
    assert.equal(outcome(group(answered(404), full), new Classifier()), 'failure');
    // An option that names the group itself goes first; of two waits the longer counts.
    assert.equal(outcome(group(lost), new Classifier({ ignore: AggregateError })), 'ignore');
    const waits = new Classifier({ failureOn: ({ ms }) => ms > 0, retryAfterMs: ({ ms }) => ms });
    const waiting = (ms) => Object.assign(new Error(), { ms });
    assert.deepEqual(waits.error(group(waiting(3), waiting(5), waiting(4))), { outcome: 'failure', retryAfterMs: 5 });
  });

  it('of refusals opens no circuit', async () => {
    const breaker = new CircuitBreaker('shop', { consecutiveFailures: 1 });
    await assert.rejects(breaker.call(() => Promise.any([Promise.reject(open), Promise.reject(full)])), AggregateError);
    assert.equal(breaker.state, 'closed');
    await assert.rejects(breaker.call(() => Promise.any([Promise.reject(open), Promise.reject(lost)])), AggregateError);
    assert.equal(breaker.state, 'open');
  });

  it('is retried where each member is', async () => {
    const mistake = new TypeError('x');
    assert.equal(await attempts(group(lost, lost)), 3);
    assert.equal(await attempts(group(lost, mistake)), 1);
    assert.equal(await attempts(group(mistake, mistake)), 1);
    assert.equal(await attempts(group(lost, open)), 1);
    assert.equal(await attempts(group(open, open)), 1);
    assert.equal(await attempts(group(lost, gone), { retryOn: Error }), 1);
    assert.equal(await attempts(group(open), { retryOn: Error }), 1);
    assert.equal(await attempts(group(lost, open), { retryOn: http() }), 1);
    assert.equal(await attempts(group(lost, mistake), { retryOn: http() }), 3);
    const chosen = { retryOn: [TypeError, ({ code }) => code === 'ECONNRESET'] };
    assert.equal(await attempts(group(lost, mistake), chosen), 3);
    assert.equal(await attempts(group(lost, new RangeError()), chosen), 1);
  });

  it('waits for the longest of its members', () => {
    const told = answered(503, { 'retry-after': '9' });
    assert.equal(retryAfterMs(group(lost, new RateLimitedError('no', 7000), told, open), 60_000), 9000);
    assert.equal(retryAfterMs(group(lost, told), 4000), 4000);
    assert.equal(retryAfterMs(group(lost), 60_000), undefined);
  });

  it('is refused by a backend where one of its members is', () => {
    const throttle = new ClientThrottle();
    const counts = (error, on = throttle) => {
      assert.throws(() => on.call(() => { throw error; }), (thrown) => thrown === error);
      const { accepted, refused } = on.stats();
      return [accepted, refused];
    };
    assert.deepEqual(counts(group(open, gone)), [0, 0]);
    assert.deepEqual(counts(group(lost, new TypeError('x'))), [0, 1]);
    assert.deepEqual(counts(group(new TypeError('x'))), [1, 1]);
    // No call was made that the backend could have answered.
    assert.deepEqual(counts(coded('ERR_INVALID_ARG_TYPE')), [1, 1]);
    const judging = new ClientThrottle({ failureOn: new Classifier({ ignore: RangeError, failureOn: TypeError }) });
    assert.deepEqual(counts(new RangeError(), judging), [0, 0]);
    assert.deepEqual(counts(group(new RangeError(), new TypeError()), judging), [0, 1]);
    assert.deepEqual(counts(lost, judging), [1, 1]);
  });

  it('is stood in for where each member would be', async () => {
    const source = async (error, options = {}) => {
      const fallback = new Fallback({ static: 0, ...options });
      return (await fallback.call(async () => { throw error; })).source;
    };
    const thrown = (error, options) => assert.rejects(source(error, options), (it) => it === error);
    assert.equal(await source(group(open, full)), 'static');
    assert.equal(await source(group(open, lost)), 'static');
    await thrown(group(lost, new TypeError('x')));
    await thrown(group(lost, gone));
    await thrown(group(open, new ArenaError()));
    assert.equal(await source(group(open, full), { fallbackOn: http() }), 'static');
    assert.equal(await source(group(new TypeError('x'), lost), { fallbackOn: [TypeError, http()] }), 'static');
    await thrown(group(open, new ArenaError()), { fallbackOn: http() });
    await thrown(group(lost, new RangeError()), { fallbackOn: TypeError });
  });

  it('of another realm is one too, and another kind of error with errors is none', () => {
    const [other, empty] = runInNewContext('[new AggregateError([new TypeError("x")]), new AggregateError([])]');
    assert.deepEqual([isTransient(other), isTransient(empty)], [false, true]);
    assert.equal(isTransient(Object.assign(new Error('form'), { errors: [new TypeError('x')] })), true);
  });

  it('that cannot be read, is circular or empty is judged as it is', async () => {
    const hostile = () => {
      throw new Error('looked at');
    };
    const circular = new AggregateError([]);
    circular.errors.push(circular);
    const within = new AggregateError([circular, lost]);
    circular.errors.push(within);
    const endless = new AggregateError([]);
    endless.errors = new Array(4e9);
    const unread = Object.defineProperty(new AggregateError([]), 'errors', { get: hostile });
    const members = Object.defineProperty([open], 1, { get: hostile });
    const all = [
      unread,
      Object.assign(new AggregateError([]), { errors: members }),
      Object.assign(new AggregateError([]), { errors: new Proxy([], { get: hostile }) }),
      new Proxy(new AggregateError([]), { get: hostile, getPrototypeOf: hostile, has: hostile }),
      new AggregateError([]),
      Object.assign(new AggregateError([]), { errors: 'none' }),
      circular,
      within,
    ];
    for (const [index, error] of all.entries()) {
      assert.equal(await attempts(error), 3, `${index}`);
      assert.match(http().error(error).outcome, index < 6 ? /^success$/ : /^failure$/, `${index}`);
      assert.equal(new Classifier().error(error).outcome, 'failure', `${index}`);
      assert.equal((await new Fallback({ static: 0 }).call(async () => { throw error; })).source, 'static', `${index}`);
      const throttle = new ClientThrottle();
      try {
        throttle.call(() => { throw error; });
      } catch (thrown) {
        assert.ok(thrown === error);
      }
      assert.equal(throttle.stats().refused, 1);
    }
    assert.equal(await attempts(endless), 3);
    // What is no error at all.
    for (const member of [undefined, null, 'text', 5, Symbol('x')]) {
      assert.equal(http().error(group(member)).outcome, 'success');
      assert.equal(await attempts(group(member)), 3);
    }
  });

  it('is read so far and no further', () => {
    let deep = lost;
    for (let depth = 0; depth < 100_000; depth += 1) deep = new AggregateError([deep]);
    assert.equal(members(deep)[0], deep);
    assert.equal(members(new AggregateError(Array(100_000).fill(lost))).length, 1000);
  });
});
