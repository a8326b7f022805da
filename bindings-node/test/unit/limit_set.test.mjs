import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitSet, ManualClock, RateLimitedError, RateLimiter, TokenBucket } from 'tidegate';

const make = () => {
  const clock = new ManualClock();
  const user = new RateLimiter({ rate: '3/minute', clock });
  const ip = new RateLimiter({ rate: '5/minute', algorithm: 'fixed_window', clock });
  const everyone = new TokenBucket({ rate: '10/minute', clock });
  return { clock, user, ip, everyone, set: new LimitSet({ user, ip, everyone }) };
};
const left = ({ user, ip, everyone }) => [
  user.peek('ann').remaining,
  ip.peek('home').remaining,
  everyone.peek().remaining,
];
const keys = { user: 'ann', ip: 'home' };

describe('LimitSet', () => {
  it('takes from all or from none, and names who denied', () => {
    const all = make();
    const first = all.set.check(keys, 2);
    assert.deepEqual([first.allowed, first.limit, first.remaining, first.deniedBy], [true, 3, 1, undefined]);
    const denied = all.set.check(keys, 2);
    assert.deepEqual([denied.allowed, denied.deniedBy], [false, 'user']);
    assert.ok(denied.retryAfterMs > 0);
    assert.deepEqual(left(all), [1, 3, 8]);
    assert.equal(all.set.check(keys, 20).retryAfterMs, Infinity);
    assert.deepEqual(all.set.names, ['user', 'ip', 'everyone']);
    assert.equal(all.set.members.user, all.user);
  });

  it('looks, answers yes or no, gives back', () => {
    const all = make();
    assert.equal(all.set.peek(keys, 3).allowed, true);
    assert.deepEqual(left(all), [3, 5, 10]);
    assert.deepEqual([all.set.tryAcquire(keys, 3), all.set.tryAcquire(keys)], [true, false]);
    all.set.refund(keys, 2);
    assert.deepEqual(left(all), [2, 4, 9]);
  });

  it('waits for all of them', async () => {
    const all = make();
    all.set.check(keys, 3);
    await assert.rejects(all.set.acquire(keys, 1, { timeoutMs: 100 }), (error) => {
      assert.match(error.message, /^(limiter|bucket) "\w+" \(.*\) refused 1 token within 0.1 s: try again in .* s$/);
      return error instanceof RateLimitedError;
    });
    assert.deepEqual(left(all), [0, 2, 7]);
    const waiting = all.set.acquire(keys);
    all.clock.advance(20_001);
    assert.equal((await waiting).allowed, true);
    assert.deepEqual(left(all), [0, 1, 9]);
  });

  it('needs each key, and no other', () => {
    const { set } = make();
    const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const value = { name: 'RangeError', code: 'ERR_INVALID_ARG_VALUE' };
    assert.throws(() => set.check({ user: 'ann' }), { ...type, message: /key of 'ip' is missing/ });
    assert.throws(() => set.check(), { ...type, message: /key of 'user' is missing/ });
    assert.throws(() => set.check({ user: 'ann', ip: 5 }), { ...type, message: /key of 'ip' must be a string/ });
    assert.throws(() => set.check('ann'), type);
    assert.throws(() => set.check({ ...keys, everyone: 'x' }), {
      ...value,
      message: /one for everybody and takes no key/,
    });
    assert.throws(() => set.check({ ...keys, ipp: 'x' }), { ...value, message: /no limit 'ipp'/ });
    assert.throws(() => set.check(keys, -1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  });

  it('needs 1 to 16 limits with names, on one clock', () => {
    const { user, everyone } = make();
    assert.throws(() => new LimitSet(), TypeError);
    assert.throws(() => new LimitSet({}), { name: 'RangeError', message: /1 to 16/ });
    assert.throws(
      () => new LimitSet(Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, everyone]))),
      RangeError,
    );
    assert.throws(() => new LimitSet({ n: user }), { name: 'RangeError', message: /'n'/ });
    assert.throws(() => new LimitSet({ user: { check() {} } }), {
      name: 'TypeError',
      message: /TokenBucket or a RateLimiter/,
    });
    assert.throws(() => new LimitSet({ user, other: new TokenBucket({ rate: 1 }) }), {
      name: 'RangeError',
      message: /clock/,
    });
    const sixteen = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`l${i}`, everyone]));
    assert.equal(new LimitSet(sixteen).check(undefined, 0).allowed, true);
  });

  it('is not disturbed by a getter that uses the library', () => {
    const all = make();
    const other = new TokenBucket({ rate: 1 });
    const decided = all.set.check(
      {
        user: 'ann',
        get ip() {
          other.check();
          return 'home';
        },
      },
      2,
    );
    assert.deepEqual([decided.allowed, decided.remaining], [true, 1]);
  });
});
