import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CircuitBreaker, CircuitOpenError, ManualClock, QueueFullError } from 'tidegate';

const make = (options = {}) => {
  const clock = new ManualClock();
  const settings = { windowCalls: 4, minCalls: 2, cooldownMs: 1000, clock, ...options };
  return { clock, breaker: new CircuitBreaker('payment', settings) };
};
const fail = async () => {
  throw new Error('provider down');
};
const trip = async (breaker) => {
  while (breaker.state === 'closed') await breaker.call(fail).catch(() => {});
};

describe('CircuitBreaker', () => {
  it('opens, refuses with the time left, probes and closes', async () => {
    const { clock, breaker } = make();
    await trip(breaker);
    assert.equal(breaker.state, 'open');
    clock.advance(400);
    assert.equal(breaker.retryAfterMs, 600);
    assert.equal(breaker.tryAcquire(), null);
    assert.throws(
      () => breaker.acquire(),
      (error) => {
        assert.ok(error instanceof CircuitOpenError);
        assert.deepEqual(
          [error.code, error.breaker, error.retryAfterMs],
          ['ERR_TIDEGATE_CIRCUIT_OPEN', 'payment', 600],
        );
        assert.match(error.message, /^circuit "payment" is open \(\d of \d calls failed\): try again in 0.6 s$/);
        return true;
      },
    );
    clock.advance(600);
    const probe = breaker.acquire();
    assert.equal(breaker.state, 'half_open');
    assert.equal(breaker.tryAcquire(), null);
    probe.success();
    assert.equal(breaker.state, 'closed');
    const kinds = breaker.events().map(({ kind }) => kind);
    assert.deepEqual(kinds, ['opened', 'half_opened', 'probe_succeeded', 'closed']);
    assert.deepEqual(
      breaker.events(3).map(({ seq }) => seq),
      [3],
    );
    assert.equal(breaker.events(99).length, 0);
  });

  it('tells its counts', async () => {
    const { breaker } = make({ windowCalls: 10, minCalls: 10, slowCallDurationMs: 50 });
    breaker.acquire().success(49);
    breaker.acquire().success(50);
    breaker.acquire().failure(1);
    breaker.acquire().ignore();
    breaker.acquire().release();
    assert.deepEqual(breaker.stats(), {
      state: 'closed',
      ramping: false,
      calls: 3,
      failed: 1,
      slow: 1,
      failureRate: 1 / 3,
      slowCallRate: 1 / 3,
      rejected: 0,
      opened: 0,
      retryAfterMs: 0,
      lastTrip: null,
    });
  });

  it('tells what opened it: in its counts, its event and its refusal', () => {
    const breaker = new CircuitBreaker('trip', { minCalls: 4 });
    for (const outcome of ['success', 'success', 'failure', 'failure']) breaker.acquire()[outcome]();
    const trip = { calls: 4, failed: 2, slow: 0, failureRate: 0.5, slowCallRate: 0 };
    assert.equal(breaker.stats().calls, 0);
    assert.deepEqual(breaker.stats().lastTrip, trip);
    assert.deepEqual(breaker.events().at(-1).trip, trip);
    assert.throws(() => breaker.acquire(), { name: 'CircuitOpenError', trip });
    breaker.forceOpen();
    assert.throws(() => breaker.acquire(), { name: 'CircuitOpenError', trip: null });
    assert.equal(breaker.events().at(-1).trip, null);
  });

  it('names each setting as it was written, with its whole range', () => {
    const wrong = [
      ['windowCalls', [0, 65_537, 1.5, -1, 5e9], '1 to 65536', [1, 65_536]],
      ['windowDurationMs', [0, 0.5, 31_536_000_001, 1e30], '1 ms to 31536000000 ms', [1, 31_536_000_000]],
      ['failureRateThreshold', [0, 50, Infinity], 'above 0 and up to 1', [1]],
      ['slowCallRateThreshold', [0, 1.1], 'above 0 and up to 1', [1]],
      ['consecutiveFailures', [0], '1 to 4294967295', [1, 4_294_967_295]],
      ['minCalls', [0], '1 to 4294967295', [1, 20]],
      ['cooldownMs', [0, 31_536_000_001, 1e30], '1 ms to 31536000000 ms', [1, 31_536_000_000]],
      ['cooldownBackoff', [0.5], '1 or more', [1, 1e308]],
      ['maxCooldownMs', [0, 31_536_000_001], '1 ms to 31536000000 ms', [30_000, 31_536_000_000]],
      ['cooldownJitter', [-0.1, 1.1], '0 to 1', [0, 1]],
      ['probes', [0, 1_025], '1 to 1024', [1, 1_024]],
      ['probeTimeoutMs', [0, 31_536_000_001], '1 ms to 31536000000 ms', [1, 31_536_000_000]],
    ];
    for (const [name, outside, range, inside] of wrong) {
      for (const value of outside) {
        const says = (error) => error.message.startsWith(`${name}: `) && error.message.includes(` ${range}`);
        assert.throws(() => new CircuitBreaker('it', { [name]: value }), says, `${name} ${value}`);
      }
      for (const value of inside) new CircuitBreaker('it', { [name]: value });
    }
    assert.throws(
      () => new CircuitBreaker('it', { minCalls: 50 }),
      /^RangeError.*: minCalls: 50 is more than the 20 calls of windowCalls/,
    );
  });

  it('counts one report of a permit', () => {
    const { breaker } = make({ windowCalls: 10, minCalls: 10 });
    const permit = breaker.acquire();
    permit.failure();
    permit.failure();
    permit.success();
    permit.release();
    assert.deepEqual([breaker.stats().calls, breaker.stats().failed], [1, 1]);
  });

  it("stays open for the server's own Retry-After", () => {
    const { breaker } = make({ consecutiveFailures: 1 });
    breaker.acquire().failure(undefined, 7000);
    assert.equal(breaker.retryAfterMs, 7000);
  });

  it('releases a permit at the end of its block', { skip: Symbol.dispose === undefined && 'no Symbol.dispose' }, () => {
    const { clock, breaker } = make({ consecutiveFailures: 1 });
    breaker.acquire().failure();
    clock.advance(1000);
    breaker.acquire()[Symbol.dispose]();
    assert.notEqual(breaker.tryAcquire(), null, 'the probe slot came back');
  });

  it('has switches for operators', () => {
    const { breaker } = make();
    breaker.forceOpen();
    assert.deepEqual([breaker.state, breaker.retryAfterMs, breaker.tryAcquire()], ['forced_open', Infinity, null]);
    breaker.disable();
    assert.equal(breaker.state, 'disabled');
    breaker.metricsOnly();
    for (let i = 0; i < 4; i += 1) breaker.acquire().failure();
    assert.deepEqual([breaker.state, breaker.stats().failed], ['metrics_only', 4]);
    breaker.reset();
    assert.deepEqual([breaker.state, breaker.stats().calls], ['closed', 0]);
  });
});

describe('call and wrap', () => {
  it('follow sync functions and promises', async () => {
    const { breaker } = make({ windowCalls: 20, minCalls: 20 });
    assert.equal(
      breaker.call((a, b) => a + b, 1, 2),
      3,
    );
    assert.equal(await breaker.call(async (a) => a, 4), 4);
    assert.equal(await breaker.call(() => Promise.resolve(5)), 5);
    assert.throws(() => breaker.call(() => JSON.parse('{')), SyntaxError);
    await assert.rejects(breaker.call(fail), /provider down/);
    assert.deepEqual([breaker.stats().calls, breaker.stats().failed], [5, 2]);
  });

  it('keep this, name and length; an async function stays one', async () => {
    const { breaker } = make();
    const client = {
      base: 10,
      add: breaker.wrap(function add(n) {
        return this.base + n;
      }),
    };
    assert.deepEqual([client.add(5), client.add.name, client.add.length], [15, 'add', 1]);
    breaker.forceOpen();
    assert.throws(() => client.add(1), CircuitOpenError);
    const wrapped = breaker.wrap(async () => 1);
    const refused = wrapped();
    assert.ok(refused instanceof Promise);
    await assert.rejects(refused, CircuitOpenError);
    await assert.rejects(
      breaker.call(async () => 1),
      CircuitOpenError,
    );
    assert.throws(() => breaker.wrap(function* numbers() {}), { name: 'TypeError', message: /generator/ });
    assert.throws(() => breaker.call(5), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });

  it("report every permit, and keep the dependency's error, where a predicate fails", async () => {
    const down = new Error('provider down');
    const dependency = async () => {
      throw down;
    };
    const sync = () => {
      throw down;
    };
    const rejecting = () => Promise.reject(new Error('nobody waits for this'));
    const bad = { throws: (error) => error.response.status >= 500, answers: rejecting };
    for (const option of ['failureOn', 'ignore']) {
      for (const [how, predicate] of Object.entries(bad)) {
        const { breaker } = make({ windowCalls: 20, minCalls: 20, [option]: predicate });
        const failed = {
          name: 'TypeError',
          cause: down,
          ...(how === 'answers' ? { message: `${option} must answer at once, got a promise` } : {}),
        };
        await assert.rejects(breaker.call(dependency), failed);
        assert.throws(() => breaker.call(sync), failed);
        await assert.rejects(breaker.wrap(dependency)(), failed);
        assert.deepEqual([breaker.stats().calls, breaker.stats().failed], [3, 3], `${option} ${how}`);
      }
      assert.throws(() => make({ [option]: async () => false }), { name: 'TypeError', message: /must answer at once/ });
    }
    const { breaker } = make({
      failureOn: (error) => {
        throw error;
      },
    });
    await assert.rejects(breaker.call(dependency), (error) => error === down && error.cause === undefined);
  });

  it('take classes that are no errors', async () => {
    class Fault {}
    const { breaker } = make({ failureOn: Fault, minCalls: 4 });
    const thrown = [new Fault(), new Error('another')];
    for (const one of thrown) {
      await assert.rejects(
        breaker.call(() => Promise.reject(one)),
        (error) => error === one,
      );
    }
    assert.deepEqual([breaker.stats().calls, breaker.stats().failed], [2, 1]);
  });

  it('judge errors: cancelled, refused, ignored, failed', async () => {
    class NotFound extends Error {}
    class Invalid extends Error {}
    const { breaker } = make({
      windowCalls: 20,
      minCalls: 20,
      ignore: Invalid,
      failureOn: [(error) => error.status >= 500, TypeError],
    });
    const outcome = async (error) => {
      const before = breaker.stats();
      await assert.rejects(
        breaker.call(() => Promise.reject(error)),
        (caught) => caught === error,
      );
      const after = breaker.stats();
      return [after.calls - before.calls, after.failed - before.failed];
    };
    const abort = new DOMException('cancelled', 'AbortError');
    assert.deepEqual(await outcome(abort), [0, 0]);
    assert.deepEqual(await outcome(new QueueFullError()), [0, 0]);
    assert.deepEqual(await outcome(new Invalid()), [0, 0]);
    assert.deepEqual(await outcome(new NotFound()), [1, 0]);
    assert.deepEqual(await outcome(new TypeError()), [1, 1]);
    assert.deepEqual(await outcome(Object.assign(new Error(), { status: 503 })), [1, 1]);
  });

  it('give a probe slot back when the caller cancels', async () => {
    const { clock, breaker } = make();
    await trip(breaker);
    clock.advance(1000);
    await assert.rejects(breaker.call(() => Promise.reject(new DOMException('cancelled', 'AbortError'))));
    assert.equal(await breaker.call(async () => 'probe'), 'probe');
    assert.equal(breaker.state, 'closed');
  });

  describe('after closing', () => {
    const closed = async (options) => {
      const { clock, breaker } = make(options);
      await trip(breaker);
      clock.advance(1000);
      breaker.call(() => {});
      assert.equal(breaker.state, 'closed');
      return { clock, breaker };
    };

    it('lets calls back by degrees', async () => {
      const { clock, breaker } = await closed({ rampMs: 10_000, rampFrom: 0.5 });
      assert.equal(breaker.stats().ramping, true);
      breaker.acquireWith(0.49).success();
      assert.throws(
        () => breaker.acquireWith(0.51),
        (error) => {
          assert.ok(error instanceof CircuitOpenError);
          assert.deepEqual([error.ramping, error.retryAfterMs, error.trip.failed], [true, 1000, 2]);
          assert.equal(error.message, 'circuit "payment" has closed and lets calls back by degrees: try again in 1 s');
          return true;
        },
      );
      clock.advance(10_000);
      breaker.acquireWith(1).success();
      assert.equal(breaker.stats().ramping, false);
      assert.deepEqual(
        breaker
          .events()
          .slice(-2)
          .map(({ kind }) => kind),
        ['ramp_started', 'ramp_ended'],
      );
    });

    it('draws for itself', async () => {
      const { breaker } = await closed({ rampMs: 10_000, rampFrom: 0.5 });
      const passed = Array.from({ length: 1000 }, () => breaker.tryAcquire()).filter((permit) => permit !== null);
      // Thirteen standard deviations around a half.
      assert.ok(passed.length > 300 && passed.length < 700, String(passed.length));
    });

    it('takes a draw of 0 to 1', () => {
      for (const draw of [-0.1, 1.1, NaN]) {
        assert.throws(() => make().breaker.acquireWith(draw), { code: 'ERR_OUT_OF_RANGE', message: /^draw must be/ });
      }
      assert.throws(() => make().breaker.acquireWith(), { code: 'ERR_INVALID_ARG_TYPE' });
    });

    it('goes on with the backoff when it trips soon', async () => {
      const { clock, breaker } = make({ cooldownBackoff: 2, healthyAfterMs: 5000 });
      for (const [healthy, cooldown] of [
        [0, 1000],
        [4999, 2000],
        [5000, 1000],
      ]) {
        clock.advance(healthy);
        await trip(breaker);
        assert.equal(breaker.retryAfterMs, cooldown);
        clock.advance(cooldown);
        breaker.call(() => {});
      }
    });
  });

  it('probes one at a time where it is told to', async () => {
    const { clock, breaker } = make({ probes: 2, probesAtOnce: 1 });
    await trip(breaker);
    clock.advance(1000);
    for (let i = 0; i < 2; i++) {
      const probe = breaker.acquire();
      assert.equal(breaker.tryAcquire(), null);
      probe.success();
    }
    assert.equal(breaker.state, 'closed');
    assert.throws(() => make({ probes: 2, probesAtOnce: 3 }), /probesAtOnce: 3 is more than probes \(2\)/);
  });
});

it('settings change at run time, and the others stay', () => {
  const clock = new ManualClock();
  const breaker = new CircuitBreaker('payment', { clock, cooldownMs: 7000 });
  const fail = (times) => Array.from({ length: times }, () => breaker.acquire()).forEach((permit) => permit.failure());
  fail(4);
  const early = breaker.acquire();
  breaker.setConfig({ minCalls: 5, consecutiveFailures: null });
  assert.deepEqual([breaker.state, breaker.stats().calls], ['closed', 4]);
  early.failure();
  assert.deepEqual([breaker.state, breaker.retryAfterMs], ['open', 7000]);
  assert.deepEqual(breaker.events().map(({ kind }) => kind), ['configured', 'opened']);
});

it('a change that cannot be changes nothing', () => {
  const breaker = new CircuitBreaker('payment');
  for (const [changes, message] of [
    [{ windowDurationMs: 10000 }, /^windowDurationMs: this breaker's window is one of calls/],
    [{ windowCalls: 993 }, /^windowCalls: 993 is not within 1 to 992/],
    [{ windowCalls: 9, windowDurationMs: 9 }, /not both/],
    [{ minCalls: 1, probes: 17 }, /^probes: 17 is not within 1 to 16/],
    [{ cooldownMs: 0 }, /cooldownMs/],
    [{ classifier: null }, /classifier/],
  ]) {
    assert.throws(() => breaker.setConfig(changes), { message });
  }
  assert.throws(() => CircuitBreaker.prototype.setConfig.call({}, {}), TypeError);
  breaker.acquire().failure();
  assert.deepEqual([breaker.state, breaker.events()], ['closed', []]);
});
