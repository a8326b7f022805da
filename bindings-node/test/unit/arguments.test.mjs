// Wrong arguments, subclasses, detached methods: a typed error or a defined answer, never a crash.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BoundedQueue,
  CircuitBreaker,
  LimitSet,
  ManualClock,
  Permit,
  RateLimiter,
  Reservation,
  TokenBucket,
} from 'tidegate';

const TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
const VALUE = { name: 'RangeError', code: 'ERR_INVALID_ARG_VALUE' };

const bucket = () => new TokenBucket({ rate: '10/s' });
const limiter = (options) => new RateLimiter({ rate: '10/s', ...options });
const breaker = (options) => new CircuitBreaker('b', options);
const queue = (options) => new BoundedQueue({ capacity: 10, ...options });

/** What is wrong → the error it must give. */
const WRONG = {
  'no options': [() => new TokenBucket(), TYPE],
  'a rate in place of options': [() => new TokenBucket('10/s'), TYPE],
  'an unknown option': [() => new TokenBucket({ rate: 1, bust: 2 }), { ...VALUE, message: /no option 'bust'/ }],
  'no rate': [() => new TokenBucket({}), TYPE],
  'a rate of another type': [() => new TokenBucket({ rate: [1] }), TYPE],
  'a rate that is no rate': [() => new TokenBucket({ rate: 'often' }), { ...VALUE, message: /"often" is not a rate/ }],
  'a rate of zero': [() => new TokenBucket({ rate: 0 }), RANGE],
  'a negative rate': [() => new TokenBucket({ rate: -1 }), RANGE],
  'a NaN rate': [() => new TokenBucket({ rate: NaN }), RANGE],
  'an infinite rate': [() => new TokenBucket({ rate: Infinity }), RANGE],
  'a rate beyond the core': [() => new TokenBucket({ rate: 1e12 }), RANGE],
  'a rate slower than a year': [() => new TokenBucket({ rate: 1e-12 }), { name: 'RangeError' }],
  'a period of zero': [() => new TokenBucket({ rate: 1, perMs: 0 }), { name: 'RangeError' }],
  'a period with a text': [() => new TokenBucket({ rate: '1/s', perMs: 5 }), VALUE],
  'a burst of zero': [() => new TokenBucket({ rate: 1, burst: 0 }), RANGE],
  'a burst beyond 32 bits': [() => new TokenBucket({ rate: 1, burst: 2 ** 32 }), RANGE],
  'a broken burst': [() => new TokenBucket({ rate: 1, burst: 1.5 }), RANGE],
  'a burst of decades': [() => new TokenBucket({ rate: '1/year', burst: 1000 }), { name: 'RangeError' }],
  'a clock that is none': [() => new TokenBucket({ rate: 1, clock: Date }), TYPE],
  'a count of another type': [() => bucket().tryAcquire('1'), TYPE],
  'a bigint count': [() => bucket().tryAcquire(1n), TYPE],
  'a symbol count': [() => bucket().check(Symbol('n')), TYPE],
  'a negative count': [() => bucket().tryAcquire(-1), RANGE],
  'a NaN count': [() => bucket().check(NaN), RANGE],
  'a broken count': [() => bucket().refund(0.5), RANGE],
  'a count beyond 32 bits': [() => bucket().reserve(2 ** 32), RANGE],
  'a negative wait': [() => bucket().reserve(1, { maxWaitMs: -1 }), RANGE],
  'an infinite penalty': [() => bucket().penalize(Infinity), RANGE],
  'a penalty of another type': [() => bucket().penalize('1s'), TYPE],
  'a quota of another type': [() => bucket().setQuota('1/s'), TYPE],
  'a signal that is none': [() => bucket().acquire(1, { signal: {} }), TYPE],
  'a misspelt timeout': [() => bucket().acquire(1, { timeout: 5 }), VALUE],

  'a switch of another type': [() => new TokenBucket({ rate: 1, enabled: 'no' }), TYPE],
  'a warm-up from nothing': [
    () => new TokenBucket({ rate: 1, warmUp: { periodMs: 5, from: 0 } }),
    { ...RANGE, message: /^warmUp\.from/ },
  ],
  'a warm-up of no time': [
    () => new TokenBucket({ rate: 1, warmUp: { periodMs: 0, from: 0.5 } }),
    { ...RANGE, message: /^warmUp\.periodMs/ },
  ],
  'a misspelt warm-up': [() => new TokenBucket({ rate: 1, warmUp: { period: 5, from: 0.5 } }), VALUE],

  'a limiter without a rate': [() => new RateLimiter({}), TYPE],
  'an unknown algorithm': [
    () => limiter({ algorithm: 'gcra' }),
    { ...VALUE, message: /^algorithm: .*"token_bucket", "fixed_window"/ },
  ],
  'no keys': [() => limiter({ maxKeys: 0 }), RANGE],
  'too many keys': [() => limiter({ maxKeys: 1e9 }), { ...RANGE, message: /maxKeys/ }],
  'a burst of a window': [
    () => limiter({ algorithm: 'fixed_window', burst: 5 }),
    { ...VALUE, message: /burst: a fixed_window has none/ },
  ],
  'a burst of a leaky bucket': [
    () => limiter({ algorithm: 'leaky_bucket', burst: 5 }),
    { ...VALUE, message: /queue: 9/ },
  ],
  'a queue of a token bucket': [() => limiter({ queue: 5 }), { ...VALUE, message: /only a leaky_bucket/ }],
  'a log beyond its limit': [
    () => limiter({ algorithm: 'sliding_log', rate: '5000/s' }),
    { ...RANGE, message: /4,?096/ },
  ],
  'a block after nothing': [
    () => limiter({ block: { after: 0, withinMs: 1, durationMs: 1 } }),
    { ...RANGE, message: /block\.after/ },
  ],
  'a block of no time': [
    () => limiter({ block: { after: 1, withinMs: 1, durationMs: 0 } }),
    { ...RANGE, message: /^block\.durationMs/ },
  ],
  'a block that shrinks': [
    () => limiter({ block: { after: 1, withinMs: 1, durationMs: 1, growth: 0.5 } }),
    { ...RANGE, message: /^block\.growth/ },
  ],
  'a misspelt block': [() => limiter({ block: { after: 1, within: 1, durationMs: 1 } }), VALUE],
  'a tier beyond the fastest': [
    () => limiter({ rate: '10/day' }).tier({ rate: '100000/s', burst: 5 }),
    { name: 'RangeError', message: /fastest/ },
  ],
  'an infinite penalty of a key': [() => limiter({}).penalize('k', Infinity), RANGE],
  'a misspelt wait': [() => limiter({}).acquire('k', 1, { timeout: 5 }), VALUE],

  'a breaker without a name': [() => new CircuitBreaker(), TYPE],
  'both windows': [() => breaker({ windowCalls: 5, windowDurationMs: 5 }), VALUE],
  'a window of no calls': [() => breaker({ windowCalls: 0 }), RANGE],
  'a rate in percent': [
    () => breaker({ failureRateThreshold: 50 }),
    { name: 'RangeError', message: /did you mean 0\.5/ },
  ],
  'a threshold of zero': [() => breaker({ failureRateThreshold: 0 }), { name: 'RangeError' }],
  'a NaN threshold': [() => breaker({ slowCallRateThreshold: NaN }), RANGE],
  'a negative cooldown': [() => breaker({ cooldownMs: -1 }), RANGE],
  'an infinite cooldown': [() => breaker({ cooldownMs: Infinity }), RANGE],
  'a backoff below one': [() => breaker({ cooldownBackoff: 0.5 }), { name: 'RangeError' }],
  'a cap below the cooldown': [
    () => breaker({ cooldownMs: 1000, maxCooldownMs: 10 }),
    { name: 'RangeError', message: /maxCooldownMs/ },
  ],
  'no probes': [() => breaker({ probes: 0 }), RANGE],
  'a predicate that is none': [() => breaker({ ignore: 'all' }), TYPE],
  'a duration of another type': [() => breaker().acquire().success('1'), TYPE],
  'a negative duration': [() => breaker().acquire().failure(-1), RANGE],

  'a capacity of zero': [() => new BoundedQueue({ capacity: 0 }), RANGE],
  'no capacity': [() => new BoundedQueue({}), TYPE],
  'a capacity beyond 2^24': [() => new BoundedQueue({ capacity: 2 ** 24 + 1 }), RANGE],
  'watermarks the wrong way round': [() => queue({ highWatermark: 0.4 }), { name: 'RangeError' }],
  'a watermark above one': [() => queue({ highWatermark: 1.5 }), { name: 'RangeError' }],
  'an unknown strategy': [() => queue({ onFull: 'explode' }), VALUE],
  'a sojourn of another type': [() => queue({ sojourn: 1 }), TYPE],
  'a negative timeout': [() => queue().pop({ timeoutMs: -1 }), RANGE],

  'a clock that starts with a number': [() => new ManualClock(5), TYPE],
  'a clock beyond 64 bits': [() => new ManualClock(1n << 64n), RANGE],
  'a clock moved back': [() => new ManualClock().advance(-1), RANGE],
};

describe('a wrong argument', () => {
  for (const [what, [run, error]] of Object.entries(WRONG)) {
    // An async method rejects, the others throw: both end here.
    it(what, () => assert.rejects(async () => run(), error));
  }

  it('keeps its own error when an option is a getter that throws', () => {
    const options = {
      get rate() {
        throw new EvalError('mine');
      },
    };
    assert.throws(() => new TokenBucket(options), EvalError);
  });

  it('does not disturb another object when a getter uses the library', () => {
    const other = new TokenBucket({ rate: '3/s' });
    const options = {
      rate: 7,
      get burst() {
        other.check(2);
        return 9;
      },
    };
    assert.deepEqual(new TokenBucket(options).quota, { count: 7, periodMs: 1000, burst: 9 });
  });
});

describe('a method without its object', () => {
  const methods = { TokenBucket, RateLimiter, LimitSet, CircuitBreaker, BoundedQueue, ManualClock };
  for (const [name, type] of Object.entries(methods)) {
    it(`of ${name} is a TypeError`, async () => {
      const entries = Object.entries(Object.getOwnPropertyDescriptors(type.prototype));
      for (const [method, { value, get }] of entries) {
        if (method === 'constructor') continue;
        for (const receiver of [undefined, null, 5, {}, Object.create(type.prototype)]) {
          const run = async () => (value ?? get).call(receiver, name === 'ManualClock' ? 1n : 1);
          const message = `${method} on ${receiver}`;
          await assert.rejects(run, (error) => error instanceof TypeError, message);
        }
      }
    });
  }

  it('says so', () => {
    const { tryAcquire } = bucket();
    assert.throws(() => tryAcquire(), { ...TYPE, message: /tryAcquire was called without its TokenBucket/ });
  });

  it('of another class is a TypeError', () => {
    assert.throws(() => TokenBucket.prototype.check.call(breaker()), TYPE);
    assert.throws(() => Permit.prototype.success.call(bucket()), TypeError);
    assert.throws(() => Reservation.prototype.cancel.call({}), TypeError);
  });
});

describe('a subclass', () => {
  class Named extends TokenBucket {
    constructor(name) {
      super({ rate: '2/hour' });
      this.name = name;
    }
    tryAcquire(n) {
      return super.tryAcquire(n) && `${this.name} may`;
    }
  }

  it('works, and so does what it overrides', () => {
    const named = new Named('ann');
    assert.deepEqual([named.tryAcquire(2), named.tryAcquire()], ['ann may', false]);
    class PerUser extends RateLimiter {
      tryAcquire(user) {
        return super.tryAcquire(user.id);
      }
    }
    const perUser = new PerUser({ rate: '1/hour' });
    assert.deepEqual([perUser.tryAcquire({ id: 'a' }), perUser.tryAcquire({ id: 'a' })], [true, false]);
    assert.equal(new LimitSet({ perUser }).tryAcquire({ perUser: 'a' }), false);
    assert.ok(named instanceof TokenBucket);
    assert.equal(named.peek().remaining, 0);
  });

  it('works for breakers, queues and clocks too', async () => {
    class MyBreaker extends CircuitBreaker {}
    class MyQueue extends BoundedQueue {}
    class MyClock extends ManualClock {}
    const clock = new MyClock(5n);
    assert.equal(await new MyBreaker('b', { clock }).call(async () => 1), 1);
    const mine = new MyQueue({ capacity: 2, clock });
    mine.tryPush('a');
    assert.equal(await mine.pop(), 'a');
  });
});
