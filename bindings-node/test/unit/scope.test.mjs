// Where state lives, as constructors take it; arenas of this process. What processes share stands in host.test.mjs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import {
  ArenaError,
  CircuitBreaker,
  ConcurrencyLimiter,
  HostScope,
  ProcessScope,
  LimitSet,
  ManualClock,
  RateLimiter,
  TidegateError,
  TokenBucket,
} from 'tidegate';
import { fresh, ownDirectory, skip } from './arenas.mjs';

ownDirectory();

/** Each primitive, and how to use up what `make` gives of it. */
const PRIMITIVES = {
  TokenBucket: {
    make: (place) => new TokenBucket({ rate: '1/hour', ...place }),
    use: (bucket) => bucket.tryAcquire(),
  },
  RateLimiter: {
    make: (place) => new RateLimiter({ rate: '1/hour', maxKeys: 100, ...place }),
    use: (limiter) => limiter.tryAcquire('key'),
  },
  CircuitBreaker: {
    make: ({ name = 'b', ...place }) => new CircuitBreaker(name, { consecutiveFailures: 1, ...place }),
    use(breaker) {
      const permit = breaker.tryAcquire();
      permit?.failure();
      return permit !== null;
    },
  },
  ConcurrencyLimiter: {
    make: (place) => new ConcurrencyLimiter({ limit: 1, ...place }),
    use: (limiter) => limiter.tryAcquire() !== null,
  },
};

const counts = (object) => ({ ...object.stats(), retryAfterMs: undefined });

describe('a named scope', () => {
  for (const [primitive, { make, use }] of Object.entries(PRIMITIVES)) {
    it(`makes one ${primitive} of all that have a name`, () => {
      const scope = `process:${fresh()}`;
      const [one, same, other] = ['a', 'a', 'b'].map((name) => make({ scope, name }));
      use(one);
      assert.equal(use(same), false, 'the same');
      assert.deepEqual(counts(one), counts(same), 'what one counts, all do');
      assert.equal(use(other), true, 'another');
      assert.equal(use(make({ scope: `process:${fresh()}`, name: 'a' })), true, 'in another arena');
    });

    it(`leaves a ${primitive} private where none is said`, () => {
      const [one, other] = [make({ name: 'a' }), make({ name: 'a', scope: 'process' })];
      use(one);
      assert.equal(use(other), true);
    });
  }

  it('holds the members of a set, which go together only where they live together', () => {
    const scope = `process:${fresh()}`;
    const make = () => ({
      user: new RateLimiter({ rate: '2/hour', maxKeys: 100, scope, name: 'user' }),
      everyone: new TokenBucket({ rate: '3/hour', scope, name: 'everyone' }),
    });
    const [one, other] = [new LimitSet(make()), new LimitSet(make())];
    assert.equal(one.tryAcquire({ user: 'ann' }), true);
    assert.equal(other.tryAcquire({ user: 'ann' }), true);
    assert.equal(one.check({ user: 'ann' }).deniedBy, 'user');
    assert.equal(other.tryAcquire({ user: 'bob' }), true);
    assert.equal(one.check({ user: 'bob' }).deniedBy, 'everyone');
  });

  it('lets a quota set at run time survive who declares what was declared before', () => {
    const place = { scope: `process:${fresh()}`, name: 'a' };
    const first = new TokenBucket({ rate: '5/hour', ...place });
    first.setQuota({ rate: '50/hour' });
    assert.equal(new TokenBucket({ rate: '5/hour', ...place }).quota.count, 50);
  });
});

describe('a conflict', () => {
  const place = () => ({ scope: `process:${fresh()}`, name: 'a' });

  it('of settings is an error, or kept, or applied', () => {
    const where = place();
    const first = new TokenBucket({ rate: '5/hour', ...where });
    assert.throws(
      () => new TokenBucket({ rate: '6/hour', ...where }),
      (error) => {
        assert.ok(error instanceof ArenaError && error instanceof TidegateError);
        assert.deepEqual([error.name, error.kind, error.code], ['ArenaError', 'settings', 'ERR_TIDEGATE_ARENA']);
        assert.match(error.message, /"a".*5.*6/s);
        return true;
      },
    );
    assert.equal(new TokenBucket({ rate: '6/hour', onConflict: 'keep', ...where }).quota.count, 5);
    new TokenBucket({ rate: '6/hour', onConflict: 'apply', ...where });
    assert.equal(first.quota.count, 6);
    new TokenBucket({ rate: '6/hour', ...where });
  });

  it('of shapes is an error whatever is said', () => {
    const where = place();
    const limiter = new ConcurrencyLimiter({ limit: 1, ...where });
    for (const onConflict of ['error', 'keep', 'apply']) {
      assert.throws(() => new TokenBucket({ rate: '1/s', onConflict, ...where }), {
        name: 'ArenaError',
        kind: 'shape',
      });
      assert.throws(() => new ConcurrencyLimiter({ limit: 1, maxLimit: 1000, onConflict, ...where }), {
        kind: 'shape',
      });
    }
    assert.equal(limiter.limit, 1);
  });

  it('leaves each its own mode', () => {
    const where = place();
    const watching = new TokenBucket({ rate: '1/hour', dryRun: true, ...where });
    const strict = new TokenBucket({ rate: '1/hour', ...where });
    assert.deepEqual([watching.tryAcquire(), watching.tryAcquire(), strict.tryAcquire()], [true, true, false]);
  });
});

describe('a wrong place', () => {
  const value = { name: 'RangeError', code: 'ERR_INVALID_ARG_VALUE' };
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };

  for (const [primitive, { make }] of Object.entries(PRIMITIVES)) {
    it(`of a ${primitive} is told`, () => {
      for (const scope of ['', 'host', 'host:', 'hosts:a', 'host:a/b', 'host:.a', 'process:a b', 'cluster:a']) {
        assert.throws(() => make({ scope, name: 'a' }), { ...value, message: /scope|name/ }, scope);
      }
      assert.throws(() => make({ scope: 5, name: 'a' }), { ...type, message: /scope must be/ });
      assert.throws(() => make({ scope: `process:${fresh()}`, name: 'no spaces' }), value);
      assert.throws(() => make({ scope: `process:${fresh()}`, name: 'a', onConflict: 'win' }), {
        ...value,
        message: /onConflict.*keep/,
      });
      assert.throws(() => make({ scope: `process:${fresh()}`, name: 'a', onConflict: 1 }), type);
      if (primitive !== 'CircuitBreaker') {
        assert.throws(() => make({ scope: `process:${fresh()}` }), {
          ...value,
          message: /needs a name .*say name: '…', or scope: 'process'/,
        });
        assert.throws(() => make({ scope: `process:${fresh()}`, name: 5 }), type);
      }
      if (primitive !== 'ConcurrencyLimiter') {
        const clock = new ManualClock();
        assert.throws(() => make({ scope: `process:${fresh()}`, name: 'a', clock }), {
          ...value,
          message: /clock of its own/,
        });
      }
    });
  }

  it('of a HostScope is told', () => {
    assert.throws(() => new HostScope(5), type);
    assert.throws(() => new HostScope('a/b'), value);
    assert.throws(() => new HostScope('a', { capacity: 0.5 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new HostScope('a', { size: 5 }), { ...value, message: /no option 'size'/ });
    assert.throws(() => new HostScope('a', { path: 5 }), type);
    assert.throws(() => new HostScope('a', { group: [] }), type);
  });

  it('of a ProcessScope is told', () => {
    assert.throws(() => new ProcessScope(5), type);
    assert.throws(() => new ProcessScope('a/b'), value);
    assert.throws(() => new ProcessScope('a', { capacity: 0.5 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new ProcessScope('a', { path: '/tmp' }), { ...value, message: /no option 'path'/ });
  });

  it('of an arena of this process has the bytes that were asked for', () => {
    const arena = fresh();
    const scope = new ProcessScope(arena, { capacity: 2 ** 20 });
    const bucket = (where) => new TokenBucket({ rate: '1/hour', scope: where, name: 'door' });
    assert.ok(bucket(scope).tryAcquire());
    assert.ok(!bucket(`process:${arena}`).tryAcquire());
    assert.deepEqual([scope.name, scope.capacity], [arena, 2 ** 20]);
    const other = new ProcessScope(arena, { capacity: 2 ** 21 });
    assert.throws(() => bucket(other), { ...value, message: /made with 1048576 bytes, here 2097152/ });
    const limiter = (where) => new RateLimiter({ rate: '1/s', maxKeys: 100_000, scope: where, name: 'keys' });
    const message = /where it is first opened \(capacity/;
    assert.throws(() => limiter(scope), { name: 'ArenaError', kind: 'full', message });
    assert.ok(limiter(new ProcessScope(fresh(), { capacity: 2 ** 26 })).tryAcquire('a'));
  });

  it('is found by the core where only it can know', { skip }, () => {
    const bucket = (scope) => () => new TokenBucket({ rate: '1/s', name: 'a', scope });
    assert.throws(() => new HostScope(fresh(), { capacity: 5 }), {
      ...value,
      message: /^capacity: 5 is not within 262144 to/,
    });
    assert.throws(bucket(new HostScope(fresh(), { path: '/proc' })), {
      name: 'ArenaError',
      code: 'ERR_TIDEGATE_ARENA',
    });
    assert.throws(bucket(new HostScope(fresh(), { group: 'no-such-group-here' })), /no-such-group-here/);
    const full = new HostScope(fresh(), { capacity: 2 ** 20 });
    assert.throws(() => new RateLimiter({ rate: '1/s', maxKeys: 1_000_000, scope: full, name: 'a' }), {
      name: 'ArenaError',
      kind: 'full',
      message: /capacity/,
    });
  });
});

describe('TIDEGATE_SCOPE', () => {
  const run = (scope, code) => {
    const env = { ...process.env, TIDEGATE_SCOPE: scope };
    const text = `import { TokenBucket } from 'tidegate'; ${code}`;
    return spawnSync(process.execPath, ['--input-type=module', '-e', text], {
      env,
      encoding: 'utf8',
      cwd: import.meta.dirname,
    });
  };
  const take = "console.log(new TokenBucket({ rate: '1/hour', name: 'a' }).tryAcquire())";

  it('says where state lives that says nothing itself', { skip }, () => {
    const scope = `host:${fresh()}`;
    const answers = [run(scope, take), run(scope, take)].map(({ stdout, stderr }) => stdout.trim() || stderr);
    assert.deepEqual(answers, ['true', 'false']);
    const own = take.replace('name:', "scope: 'process', name:");
    assert.equal(run(scope, own).stdout.trim(), 'true', 'an explicit scope wins');
  });

  it('needs a name for each object, and a scope that is one', () => {
    assert.match(
      run('process:a', "new TokenBucket({ rate: '1/hour' })").stderr,
      /RangeError.*TIDEGATE_SCOPE.*needs a name/,
    );
    assert.match(run('hosts:a', take).stderr, /RangeError.*TIDEGATE_SCOPE: .*hosts:a/);
  });
});
