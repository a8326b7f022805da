// What a person sees first: console.log and JSON.stringify of every public object.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import tidegate from '../../index.cjs';

const {
  BoundedQueue,
  CircuitBreaker,
  ConcurrencyLimiter,
  DateClock,
  HostScope,
  LimitSet,
  ManualClock,
  ProcessScope,
  RateLimiter,
  TokenBucket,
} = tidegate;
const scope = `process:shown-${process.pid}`;
const bucket = new TokenBucket({ rate: '400/s', burst: 800, scope, name: 'door' });
const limiter = new RateLimiter({ rate: '5/min', name: 'login', scope });

const OBJECTS = [
  [bucket, ["name: 'door'", 'count: 400', 'burst: 800', 'remaining: 800']],
  [limiter, ["name: 'login'", "algorithm: 'token_bucket'", 'periodMs: 60000']],
  [new LimitSet({ limiter, bucket }), ['limiter: ', 'bucket: ']],
  [new CircuitBreaker('bank'), ["name: 'bank'", "state: 'closed'"]],
  [new BoundedQueue({ capacity: 3 }), ['isClosed: false', 'depth: 0', 'accepting: true']],
  [new ConcurrencyLimiter({ limit: 7 }), ['limit: 7', 'inUse: 0']],
  [limiter.tier({ rate: '9/min' }), ["rate: '9/min'"]],
  [bucket.reserve(1), ['booked: true']],
  [new ManualClock(5n), ["nowNs: '5'"]],
  [new HostScope('orders', { path: '/tmp/x' }), ["name: 'orders'", "path: '/tmp/x'"]],
  [new ProcessScope('orders', { capacity: 2 ** 20 }), ["name: 'orders'", 'capacity: 1048576']],
];

test('console.log shows name, settings and state', () => {
  for (const [object, parts] of OBJECTS) {
    const text = inspect(object, { depth: 3 });
    assert.ok(text.startsWith(object.constructor.name), text);
    for (const part of parts) assert.ok(text.includes(part), `${text} lacks ${part}`);
  }
});

test('JSON has the same', () => {
  for (const [object] of OBJECTS) assert.notEqual(JSON.stringify(object), '{}');
  const { name, quota, remaining } = JSON.parse(JSON.stringify(bucket));
  assert.deepEqual([name, quota.count, remaining <= 800], ['door', 400, true]);
});

test('a subclass has its own name, and a prototype can be shown', () => {
  class Door extends TokenBucket {}
  assert.match(inspect(new Door({ rate: '1/s' })), /^Door \{/);
  for (const [object] of OBJECTS) assert.equal(typeof inspect(Object.getPrototypeOf(object)), 'string');
});

test('no class, prototype or what is made of them throws where it is inspected', () => {
  const classes = Object.values(tidegate).filter((one) => typeof one === 'function' && /^class/.test(String(one)));
  assert.ok(classes.length > 20);
  for (const Class of classes) {
    class Sub extends Class {}
    for (const one of [Class, Sub, Class.prototype, Sub.prototype, Object.create(Class.prototype)]) {
      for (const options of [{}, { showHidden: true, getters: true }, { depth: -1 }]) inspect(one, options);
    }
  }
  for (const [object] of OBJECTS) assert.equal(typeof inspect(Object.create(object)), 'string');
});

test('a clock follows Date under fake timers', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const clock = new DateClock();
  const limit = new TokenBucket({ rate: '1/min', clock });
  assert.deepEqual([limit.tryAcquire(), limit.tryAcquire()], [true, false]);
  t.mock.timers.tick(60_000);
  assert.equal(limit.tryAcquire(), false);
  clock.follow();
  assert.equal(limit.tryAcquire(), true);
});
