// Adaptive limits: what run reports, what is refused, and what stands in a scope that threads share.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ArenaError,
  CircuitOpenError,
  ConcurrencyLimiter,
  ManualClock,
  QueueClosedError,
  Resilience,
  Timeout,
} from 'tidegate';
import { fresh } from './arenas.mjs';

function made(options = {}) {
  const clock = new ManualClock(1_000_000_000_000n);
  return [ConcurrencyLimiter.adaptive({ initialLimit: 10, probe: false, samples: 10, clock, ...options }), clock];
}

/** The limit after calls of half a second that all end so, with somebody refused. */
async function window(limiter, clock, end) {
  let open;
  const gate = new Promise((resolve) => {
    open = resolve;
  });
  const calls = Array.from({ length: limiter.limit }, () => limiter.run(() => gate.then(end)));
  await Promise.resolve();
  assert.equal(limiter.tryAcquire(), null);
  clock.advance(500);
  open();
  await Promise.allSettled(calls);
  assert.equal(limiter.inUse, 0);
  return limiter.limit;
}

test('a call that returns is a success', async () => {
  const [limiter, clock] = made();
  assert.equal(await window(limiter, clock, () => 1), 20);
  assert.equal(await window(limiter, clock, () => 1), 40);
  assert.equal(limiter.explain()[0], 'algorithm: gradient, after 2 windows');
});

const failing = (error) => () => {
  throw error;
};

test('a timeout and a refusal are drops', async () => {
  const errors = [
    new DOMException('late', 'TimeoutError'),
    Object.assign(new Error(), { code: 'ETIMEDOUT' }),
    Object.assign(new Error(), { cause: { code: 'UND_ERR_HEADERS_TIMEOUT' } }),
    new CircuitOpenError('db', 1000),
    new QueueClosedError(),
    Object.assign(new Error(), { status: 503 }),
    Object.assign(new Error(), { response: { status: 504 } }),
    new AggregateError([new Error(), new CircuitOpenError('db', 1000)]),
  ];
  for (const error of errors) {
    const [limiter, clock] = made();
    assert.equal(await window(limiter, clock, failing(error)), 9, String(error));
  }
});

const answered = (status) => Object.assign(new Error(), { status });

test('any other error says nothing', async () => {
  const gone = new DOMException('gone', 'AbortError');
  const answers = [answered(500), answered(404)];
  const errors = [new Error(), gone, 'text', undefined, { code: 7 }, new ArenaError(), ...answers];
  for (const error of [...errors, new AggregateError(errors)]) {
    const [limiter, clock] = made();
    assert.equal(await window(limiter, clock, failing(error)), 10);
    assert.equal(limiter.explain()[0], 'algorithm: gradient, after 0 windows');
  }
});

test('Resilience reports how its attempts end', async () => {
  const late = new DOMException('late', 'TimeoutError');
  for (const [end, expected] of [
    [() => 1, 20],
    [failing(new Error()), 10],
    [failing(late), 9],
    [failing(new CircuitOpenError('db', 1000)), 9],
  ]) {
    const [limiter, clock] = made();
    const guarded = new Resilience({ concurrency: limiter });
    limiter.run = (fn) => guarded.call(fn);
    assert.equal(await window(limiter, clock, end), expected);
  }
});

test('an attempt that Resilience cuts is dropped, one that its caller leaves is not', async () => {
  for (const [part, expected] of [
    ['attemptTimeout', 9],
    ['totalTimeout', 9],
    ['caller', 10],
  ]) {
    const [limiter, clock] = made();
    const timeout = new Timeout({ totalMs: 1000, clock });
    const guarded = new Resilience({ concurrency: limiter, ...(part === 'caller' ? {} : { [part]: timeout }) });
    const caller = new AbortController();
    let open;
    const gate = new Promise((resolve) => {
      open = resolve;
    });
    const calls = Array.from({ length: 10 }, () => guarded.call(() => gate, { signal: caller.signal }));
    // Each has its permit at once, and its timer a turn later.
    await new Promise(setImmediate);
    clock.advance(1500);
    if (part === 'caller') caller.abort();
    const ends = await Promise.allSettled(calls);
    const name = part === 'caller' ? 'AbortError' : 'TimeoutError';
    assert.deepEqual([...new Set(ends.map(({ reason }) => reason.name))], [name]);
    assert.equal(limiter.inUse, 10);
    open();
    while (limiter.inUse > 0) await new Promise(setImmediate);
    assert.equal(limiter.limit, expected, part);
  }
});

test('a permit counts once, and one without a word not at all', () => {
  const [limiter, clock] = made();
  for (let i = 0; i < 30; i++) {
    const permit = limiter.tryAcquire();
    clock.advance(100);
    assert.equal(permit.release(), true);
    assert.deepEqual([permit.success(), permit.dropped(), permit.ignore(), permit.release()], Array(4).fill(false));
  }
  assert.equal(limiter.explain()[0], 'algorithm: gradient, after 0 windows');
});

test('a latency that is none is refused, and the permit stays', () => {
  const [limiter] = made();
  const permit = limiter.tryAcquire();
  for (const latency of [NaN, -1, Infinity]) assert.throws(() => permit.success(latency), { name: 'RangeError' });
  assert.throws(() => permit.dropped('soon'), { name: 'TypeError' });
  assert.equal(limiter.inUse, 1);
  assert.equal(permit.success(0), true);
});

test('wrong settings are named', () => {
  const adaptive = (options) => () => ConcurrencyLimiter.adaptive(options);
  assert.throws(adaptive({ tolerance: NaN }), /^RangeError.*tolerance/);
  assert.throws(adaptive({ initialLimit: 30, maxLimit: 20 }), /initialLimit: 30 is above maxLimit, 20/);
  assert.throws(adaptive({ algorithm: 'median' }), /algorithm.*"gradient2"/);
  assert.throws(adaptive({ limit: 5 }), /limit/);
  assert.throws(() => ConcurrencyLimiter.adaptive().setLimit(5), /an adaptive limit moves by itself/);
  assert.equal(ConcurrencyLimiter.adaptive({ maxLimit: 10 }).limit, 10);
  assert.equal(ConcurrencyLimiter.adaptive({ algorithm: 'aimd' }).explain()[1], 'limit: 20 of 20 to 200, from 20');
  assert.deepEqual(new ConcurrencyLimiter({ limit: 4 }).explain(), []);
});

test('one name is one estimate', () => {
  const place = { scope: `process:${fresh()}`, name: 'db', maxLimit: 8 };
  const both = [ConcurrencyLimiter.adaptive(place), ConcurrencyLimiter.adaptive(place)];
  const held = Array.from({ length: 8 }, (_, i) => both[i % 2].tryAcquire());
  assert.ok(both.every((limiter) => limiter.tryAcquire() === null && limiter.inUse === 8));
  assert.ok(held.every((permit) => permit.success()));
  assert.deepEqual(both[0].explain(), both[1].explain());
});
