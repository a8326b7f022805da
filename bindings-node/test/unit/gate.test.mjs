// Gate: one decision of all parts, its end, errors, calls with a fallback.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import {
  AccessDeniedError,
  Admission,
  BoundedQueue,
  CircuitBreaker,
  CircuitOpenError,
  ConcurrencyLimitError,
  ConcurrencyLimiter,
  Deadline,
  Fallback,
  Gate,
  LimitSet,
  LoadShedder,
  ManualClock,
  OverloadedError,
  QueueFullError,
  RateLimitedError,
  RateLimiter,
  TimeoutExceededError,
  TokenBucket,
} from 'tidegate';

const ANN = { keys: { client: 'ann' } };

function parts(options = {}, permits = 2) {
  const clock = new ManualClock();
  const client = new RateLimiter({ rate: '3/min', maxKeys: 100, clock });
  const everyone = new TokenBucket({ rate: '100/s', clock });
  const database = new ConcurrencyLimiter({ limit: permits });
  const payment = new CircuitBreaker('payment', { consecutiveFailures: 1, clock });
  const queue = new BoundedQueue({ capacity: 1, highWatermark: 1 });
  const signals = [{ kind: 'gauge', start: 0, full: 1 }];
  const shedder = new LoadShedder({ signals, rise: 1, minAdmit: 0, clock });
  const gate = new Gate('orders', {
    limits: { client, everyone },
    concurrency: { database },
    dependencies: { payment },
    queue: { jobs: queue },
    shedder: { main: shedder },
    access: { allow: ['key:monitoring'], deny: ['192.0.2.0/24'] },
    ...options,
  });
  return { clock, client, everyone, database, payment, queue, shedder, gate, left: () => client.peek('ann').remaining };
}

describe('Gate', () => {
  it('charges a call once and gives back what it holds', () => {
    const { gate, database, left } = parts();
    const admission = gate.admit(ANN);
    assert.ok(admission instanceof Admission);
    const { allowed, deniedBy, kind, status, remaining, limit, pressure, retryAfterMs } = admission;
    assert.deepEqual([allowed, deniedBy, kind, status], [true, undefined, undefined, undefined]);
    assert.deepEqual([remaining, limit, pressure, retryAfterMs], [2, 3, 0, 0]);
    assert.equal(database.inUse, 1);
    assert.deepEqual([admission.finish(), admission.finish('failure'), database.inUse, left()], [true, false, 0, 2]);
    gate.admit({ ...ANN, cost: 2 }).finish();
    const denied = gate.admit(ANN);
    assert.deepEqual([denied.allowed, denied.deniedBy, denied.kind, denied.status], [false, 'client', 'limit', 429]);
    assert.deepEqual([denied.finish(), database.inUse], [false, 0]);
    const { admitted, deniedBy: by } = gate.stats();
    assert.deepEqual([admitted, by.limit], [2, 1]);
  });

  it('throws the error of the part that refused', () => {
    const { gate, queue, shedder, clock, database, left } = parts();
    const refused = (request, Class, status, text) => {
      assert.equal(gate.admit({ ...ANN, ...request }).status, status);
      assert.throws(
        () => gate.enter({ ...ANN, ...request }),
        (error) => {
          assert.ok(error instanceof Class, error);
          assert.ok(error.message.includes(text), error.message);
          return true;
        },
      );
    };
    refused({ cost: 4 }, RateLimitedError, 429, 'limiter "client" (3/min) refused 4 tokens, and never gives');
    refused({ deadlineMs: 0 }, TimeoutExceededError, 504, 'gate "orders" refused a call whose time is over');
    refused({ deadlineMs: -1 }, TimeoutExceededError, 504, 'time is over');
    refused({ address: '192.0.2.7' }, AccessDeniedError, 403, 'refused a client that its access list denies');
    queue.tryPush(1);
    refused({}, QueueFullError, 503, 'queue "jobs" refused an item with 1 of 1 places taken: try again in 1 s');
    queue.tryPop();
    const held = ['a', 'b'].map((client) => gate.enter({ keys: { client } }));
    refused({}, ConcurrencyLimitError, 503, 'concurrency limiter "database" (2 at once) refused a call');
    for (const admission of held) admission.finish();
    clock.advance(250);
    shedder.tell('gauge', 2);
    shedder.sample();
    refused({}, OverloadedError, 503, 'load shedder "main" refused a call (gauge at 100 % of its range)');
    assert.ok(gate.enter({ ...ANN, priority: 'critical' }).finish());
    assert.deepEqual([left(), database.inUse], [2, 0]);
  });

  it('tells the longest wait, and what every part says', () => {
    const { gate, queue, client, payment } = parts();
    queue.tryPush(1);
    for (let n = 0; n < 3; n++) client.tryAcquire('ann');
    assert.equal(gate.admit(ANN).deniedBy, 'client');
    payment.forceOpen();
    const told = gate.admit({ ...ANN, dependencies: ['payment'] });
    assert.deepEqual([told.deniedBy, told.retryAfterMs, told.status], ['payment', Infinity, 503]);
    const said = gate.explain({ ...ANN, dependencies: ['payment'] });
    assert.deepEqual(
      said.map(({ kind, allowed }) => [kind, allowed]),
      [
        ['access', true],
        ['shedder', true],
        ['queue', false],
        ['breaker', false],
        ['concurrency', true],
        ['limit', false],
        ['limit', true],
      ],
    );
    const wanted = { kind: 'limit', name: 'client', allowed: false, retryAfterMs: 20_000, detail: '0 of 3 left' };
    assert.deepEqual(said[5], wanted);
    assert.equal(said[3].retryAfterMs, Infinity);
  });

  it('gives the call its own permits of its dependencies', () => {
    const { gate, payment, clock } = parts();
    const call = gate.enter({ ...ANN, dependencies: ['payment'] });
    call.breaker('payment').failure();
    assert.throws(() => call.breaker('payment'), CircuitOpenError);
    assert.throws(() => call.breaker('mail'), /dependencies: 'mail' is none; the gate has payment/);
    call.finish('failure');
    assert.throws(() => gate.enter({ ...ANN, dependencies: ['payment'] }), {
      message: 'circuit "payment" is open (1 of 1 calls failed): try again in 30 s',
      retryAfterMs: 30_000,
    });
    clock.advance(30_000);
    const [one, two] = ['b', 'c'].map((client) => gate.enter({ keys: { client }, dependencies: ['payment'] }));
    one.breaker('payment');
    assert.throws(() => two.breaker('payment'), CircuitOpenError);
    // What was not reported comes back at the end.
    one.finish('cancelled');
    two.breaker('payment').success();
    two.finish();
    assert.equal(payment.state, 'closed');
  });

  it('judges what answers the own client as the answer itself, and as a breaker does', async () => {
    /** As Nest has them, whose status nobody else may see, and as http-errors makes them. */
    class HttpException extends Error {
      #status;
      constructor(status) {
        super('it');
        this.#status = status;
      }
      getStatus() { return this.#status; }
      getResponse() { return 'it'; }
    }
    const httpError = (status) =>
      Object.assign(new Error('it'), { status, statusCode: status, expose: status < 500 });
    const gone = new DOMException('gone', 'AbortError');
    const groupOf = (...errors) => new AggregateError(errors);
    for (const make of [(status) => new HttpException(status), httpError]) {
      for (const [error, expected] of [
        [make(404), 'success'],
        [make(401), 'success'],
        [make(429), 'failure'],
        [make(500), 'failure'],
        [make(503), 'dropped'],
        [make(504), 'dropped'],
        [groupOf(make(404), make(409)), 'success'],
        [groupOf(make(404), gone), 'cancelled'],
        [groupOf(make(404), new Error('it')), 'failure'],
        [groupOf(make(404), make(503)), 'dropped'],
        // A client's error, which has the answer of a dependency.
        [Object.assign(new Error('axios'), { status: 404, response: { status: 404 } }), 'failure'],
      ]) {
        const ends = [];
        for (const outcome of ['success', 'failure', 'dropped', 'cancelled']) {
          const { gate, left } = parts({ refundOn: [outcome] });
          await assert.rejects(gate.call(() => Promise.reject(error), ANN));
          if (left() === 3) ends.push(outcome);
        }
        assert.deepEqual(ends, [expected], `${make.name} ${error.message}`);
        // One rule: what a breaker holds against its dependency is none that was served.
        const breaker = new CircuitBreaker('it', { consecutiveFailures: 1 });
        assert.throws(() => breaker.call(() => { throw error; }));
        if (expected === 'success') assert.equal(breaker.state, 'closed', error.message);
      }
    }
  });

  it('refunds after the outcomes that were named', async () => {
    const { gate, left, database } = parts({ refundOn: ['dropped', 'cancelled'] });
    for (const [outcome, rest] of [
      ['dropped', 3],
      ['cancelled', 3],
      ['failure', 2],
      ['success', 1],
    ]) {
      gate.enter(ANN).finish(outcome);
      assert.equal(left(), rest, outcome);
    }
    const aborted = () => Promise.reject(new DOMException('gone', 'AbortError'));
    await assert.rejects(gate.call(aborted, ANN), { name: 'AbortError' });
    await assert.rejects(
      gate.call(() => Promise.reject(new TimeoutExceededError()), ANN),
      TimeoutExceededError,
    );
    assert.deepEqual([left(), database.inUse], [1, 0]);
    await assert.rejects(
      gate.call(() => {
        throw new Error('down');
      }, ANN),
      /down/,
    );
    assert.deepEqual([left(), database.inUse], [0, 0]);
  });

  it('calls, with a fallback', async () => {
    const { gate, database } = parts();
    assert.equal(await gate.call((admission) => admission.remaining, ANN), 2);
    assert.equal(await gate.call(async () => 1, { ...ANN, cost: 9, fallback: 7 }), 7);
    const code = await gate.call(() => 1, { ...ANN, cost: 9, fallback: (error) => error.code });
    assert.equal(code, 'ERR_TIDEGATE_RATE_LIMITED');
    const fallback = new Fallback({ static: 8 });
    assert.equal(await gate.call(() => 1, { ...ANN, cost: 9, fallback }), 8);
    assert.equal(fallback.stats().fallback.static, 1);
    await assert.rejects(
      gate.call(() => 1, { ...ANN, cost: 9 }),
      RateLimitedError,
    );
    assert.equal(database.inUse, 0);
  });

  it('hands a permit that comes back to who waits for one', async () => {
    const { gate, database } = parts({}, 1);
    const held = gate.enter(ANN);
    const waits = database.acquire({ timeoutMs: 10_000 });
    held.finish();
    (await waits).release();
    assert.equal(database.inUse, 0);
  });

  it('is disposed of with success', () => {
    const { gate, database } = parts();
    const admission = gate.enter(ANN);
    if (Symbol.dispose === undefined) admission.finish();
    else admission[Symbol.dispose]();
    assert.deepEqual([admission.finish(), database.inUse], [false, 0]);
  });

  it('goes by deadlines and lists', () => {
    const { gate, left, everyone } = parts();
    const clock = new ManualClock();
    const deadline = Deadline.after(1000, { clock });
    assert.ok(gate.admit({ keys: { client: 'b' }, deadline }).finish());
    clock.advance(1000);
    assert.equal(gate.admit({ ...ANN, deadline }).kind, 'deadline');
    assert.ok(gate.admit({ keys: { client: 'c' }, deadlineMs: Infinity }).finish());
    const listed = gate.enter({ keys: { client: 'monitoring' }, cost: 99 });
    assert.deepEqual([listed.finish(), listed.finish(), left(), everyone.stats().admitted], [true, false, 3, 2]);
  });

  it('counts in a dry run and refuses nothing; switched off it touches nothing', () => {
    const { gate, left, database } = parts({ dryRun: true }, 1);
    const held = [1, 2, 3, 4].map(() => gate.admit(ANN));
    assert.ok(held.every(({ allowed }) => allowed));
    assert.deepEqual(
      held.map(({ deniedBy }) => deniedBy),
      [undefined, 'database', 'database', 'client'],
    );
    assert.deepEqual([gate.stats().admitted, gate.stats().wouldDeny, left()], [4, 3, 0]);
    for (const admission of held) admission.finish();
    assert.equal(database.inUse, 0);
    const off = parts({ enabled: false });
    assert.ok(off.gate.enter({ ...ANN, cost: 99, address: '192.0.2.7' }).finish());
    assert.deepEqual([off.left(), off.gate.stats().admitted, off.gate.explain(ANN)], [3, 0, []]);
  });

  it('takes parts without a name', () => {
    const { client, queue, shedder } = parts();
    const limits = new LimitSet({ client });
    const gate = new Gate('orders', { limits, concurrency: new ConcurrencyLimiter({ limit: 1 }), queue, shedder });
    assert.deepEqual([gate.name, gate.limits, gate.queue, gate.dependencies], ['orders', limits, queue, {}]);
    const held = gate.enter(ANN);
    assert.equal(gate.admit(ANN).deniedBy, 'concurrency');
    held.finish();
    queue.tryPush(1);
    assert.equal(gate.admit(ANN).deniedBy, 'queue');
    assert.ok(new Gate('empty').admit().finish());
  });

  it('says what is wrong with a gate', () => {
    const of = (options) => () => new Gate('orders', options);
    assert.throws(() => new Gate(''), /name: a gate must have a name/);
    assert.throws(() => new Gate(5), /name must be a text/);
    assert.throws(of({ limit: 5 }), /new Gate has no option 'limit'/);
    assert.throws(of({ limits: {} }), /takes 1 to 16 limits/);
    assert.throws(of({ concurrency: 5 }), /concurrency must be a ConcurrencyLimiter, or an object of its name and it/);
    assert.throws(of({ concurrency: {} }), /concurrency must be a ConcurrencyLimiter/);
    assert.throws(of({ concurrency: { '': new ConcurrencyLimiter({ limit: 1 }) } }), /concurrency: a name is empty/);
    assert.throws(of({ queue: { a: 1 } }), /queue must be a BoundedQueue/);
    assert.throws(of({ dependencies: [1] }), /dependencies: '0' must be a CircuitBreaker/);
    assert.throws(of({ dependencies: 1 }), /dependencies must be an object of CircuitBreakers by name/);
    assert.throws(of({ access: { allow: ['x'] } }), /allow/);
    assert.throws(of({ refundOn: 'failure' }), /refundOn must be an array/);
    assert.throws(of({ refundOn: ['late'] }), /refundOn: 'late' is none of 'success'/);
    const many = Object.fromEntries([...Array(65).keys()].map((n) => [n, new CircuitBreaker('a')]));
    assert.throws(of({ dependencies: many }), /at most 64/);
  });

  it('says what is wrong with a call', () => {
    const { gate, database } = parts();
    for (const ask of ['admit', 'enter', 'explain']) {
      const wrong = (request, message) => assert.throws(() => gate[ask](request), { message });
      wrong({}, /keys: the key of 'client' is missing/);
      wrong({ keys: { client: 'a', ip: 'b' } }, /keys: there is no limit 'ip'/);
      wrong({ keys: 'ann' }, /keys must be an object/);
      wrong({ keys: { client: 5 } }, /the key of 'client'/);
      wrong({ ...ANN, priority: 'urgent' }, /priority: 'urgent' is none of/);
      wrong({ ...ANN, level: 128 }, /level: 128 is not within/);
      wrong({ ...ANN, cost: -1 }, /cost must be a whole number/);
      wrong({ ...ANN, deadlineMs: NaN }, /deadlineMs must be/);
      wrong({ ...ANN, deadline: 5 }, /deadline must be a Deadline.*milliseconds are deadlineMs/);
      wrong({ ...ANN, dependencies: 'payment' }, /dependencies must be an array of names/);
      wrong({ ...ANN, dependencies: ['mail'] }, /dependencies: 'mail' is none; the gate has payment/);
      wrong({ ...ANN, address: 5 }, /address must be a text/);
      wrong({ ...ANN, keyz: 5 }, /has no option 'keyz'/);
      wrong(null, /takes an object of options/);
    }
    const admission = gate.enter(ANN);
    assert.throws(() => admission.finish('done'), /outcome: 'done' is none of 'success'/);
    assert.throws(() => new Gate('a').admit(ANN), /keys: 'client' is too many/);
    assert.throws(() => Gate.prototype.admit.call({}, ANN), /called without its Gate/);
    admission.finish();
    assert.deepEqual([database.inUse, gate.stats().admitted], [0, 1]);
  });

  it('knows 64 dependencies', () => {
    const clock = new ManualClock();
    const names = [...Array(64).keys()].map((n) => `d${n}`);
    const breakers = Object.fromEntries(names.map((name) => [name, new CircuitBreaker(name, { clock })]));
    const gate = new Gate('orders', { dependencies: breakers });
    for (const name of ['d0', 'd31', 'd32', 'd63']) {
      breakers[name].forceOpen();
      assert.equal(gate.admit({ dependencies: [name] }).deniedBy, name);
      breakers[name].reset();
      assert.ok(gate.admit({ dependencies: names }).allowed);
    }
  });
});

describe('an admission that is forgotten', () => {
  it('comes back when it is collected, and the log says so once for its gate', { skip: !globalThis.gc }, async (t) => {
    const warnings = [];
    const hear = ({ name, message }) => name === 'TidegateWarning' && warnings.push(message);
    process.on('warning', hear);
    t.after(() => process.off('warning', hear));
    const { gate, database, payment, clock, left } = parts({ refundOn: ['cancelled'] });
    payment.acquire().failure();
    clock.advance(30_000);
    const forget = () => void gate.enter(ANN).breaker('payment');
    const kept = gate.enter(ANN);
    for (let round = 0; round < 2; round += 1) {
      forget();
      assert.deepEqual([database.inUse, left(), payment.tryAcquire()], [2, 1, null]);
      const deadline = performance.now() + 30_000;
      while (database.inUse === 2) {
        assert.ok(performance.now() < deadline, 'not within half a minute');
        await setTimeout(50);
        globalThis.gc();
      }
      assert.equal(left(), 2);
      // The probe is back too.
      payment.acquire().release();
    }
    assert.deepEqual([kept.finish(), kept.finish(), database.inUse, left()], [true, false, 0, 2]);
    const told = warnings.filter((text) => text.includes('dropped without finish()'));
    assert.deepEqual(
      told.map((text) => text.slice(0, 62)),
      ["an admission of the gate 'orders' was dropped without finish()"],
    );
  });
});

describe('partitions', () => {
  it('a call belongs to one of the limit', async () => {
    const partitions = { live: 0.9, batch: 0.1 };
    const database = new ConcurrencyLimiter({ limit: 10, partitions });
    const gate = new Gate('orders', { concurrency: { database } });
    const lent = Array.from({ length: 10 }, () => gate.enter({ partition: 'batch' }));
    assert.equal(gate.explain({ partition: 'live' })[0].allowed, false);
    assert.equal(database.partitionStats().live.calledBack, 0);
    await assert.rejects(
      gate.call(() => {}, { partition: 'live', address: '192.0.2.1', level: 127 }),
      ConcurrencyLimitError,
    );
    lent.pop().finish();
    assert.deepEqual([gate.admit({ partition: 'batch' }).deniedBy, gate.admit().deniedBy], ['database', 'database']);
    assert.equal(gate.enter({ partition: 'live' }).finish(), true);
    for (const admission of lent) admission.finish();
  });

  it('one that is none is told', () => {
    const gate = new Gate('orders', { concurrency: new ConcurrencyLimiter({ limit: 1, partitions: { live: 1 } }) });
    assert.throws(() => gate.admit({ partition: 'night' }), /partition: "night" is none of "live"/);
    assert.throws(() => gate.admit({ partition: 1 }), { name: 'TypeError', message: /partition must be the name of/ });
    const plain = new Gate('plain', {});
    assert.throws(() => plain.explain({ partition: 'live' }), /partition: the gate has no concurrency limit/);
  });
});
