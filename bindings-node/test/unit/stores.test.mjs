// The stores for other libraries, without them: windows that are no whole seconds, times that are told, fake timers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import tidegate from '../../index.cjs';
import express from '../../express-rate-limit/index.cjs';
import throttler from '../../throttler/index.cjs';
import native from '../../lib/native.cjs';

const { DateClock, ManualClock, RateLimiter } = tidegate;
const { TidegateStore } = express;
const { TidegateThrottlerStorage } = throttler;
const { numbers } = native;

function storeOf(windowMs) {
  const clock = new ManualClock(1_000_000_007n);
  const store = new TidegateStore({ clock });
  store.init({ windowMs });
  return { clock, store };
}

test('a window that is no whole number of seconds is one window', () => {
  const { clock, store } = storeOf(2500);
  const counts = [];
  for (let ms = 0; ms < 2500; ms += 100) {
    counts.push(store.increment('a').totalHits);
    clock.advance(100);
  }
  assert.deepEqual(
    counts,
    counts.map((_, index) => index + 1),
  );
  clock.advance(10);
  assert.equal(store.increment('a').totalHits, 1);
});

test('resetTime never lies beyond the window', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  for (const windowMs of [1, 999, 2500, 60_000, 3_600_000, 86_400_000, 30 * 86_400_000]) {
    const { clock, store } = storeOf(windowMs);
    for (let key = 0; key < 50; key++) {
      const end = Date.now() + windowMs;
      const name = `key-${key}`;
      assert.equal(store.increment(name).resetTime.getTime(), end, `${windowMs}: first`);
      // Somewhere inside: Date and the store's clock move by the same.
      const step = Math.floor(windowMs / 3);
      clock.advance(step);
      t.mock.timers.tick(step);
      for (const { resetTime } of [store.increment(name), store.get(name)]) {
        assert.ok(resetTime.getTime() <= end, `${windowMs}: ${resetTime.getTime() - end} ms late`);
        assert.ok(
          resetTime.getTime() >= end - Math.max(2, windowMs / 2 ** 15),
          `${windowMs}: ${resetTime.getTime() - end} ms`,
        );
      }
      clock.advance(windowMs + 12_345.678);
      t.mock.timers.tick(Math.ceil(windowMs + 12_345.678));
    }
  }
});

test('get tells an unknown key from one at zero', () => {
  for (const windowMs of [1000, 60_000, 86_400_000]) {
    const { clock, store } = storeOf(windowMs);
    assert.equal(store.get('a'), undefined);
    store.increment('a');
    store.decrement('a');
    // In the same instant, and later: a window that ends on a tick behind its time is one too.
    assert.equal(store.get('a').totalHits, 0, `${windowMs}`);
    clock.advance(windowMs / 60);
    assert.equal(store.get('a').totalHits, 0, `${windowMs}`);
    assert.equal(store.get('b'), undefined);
    clock.advance(windowMs);
    assert.equal(store.get('a'), undefined);
  }
});

test('shutdown forgets what is this process alone', () => {
  const { store } = storeOf(60_000);
  store.increment('a');
  store.shutdown();
  assert.equal(store.get('a'), undefined);
  const shared = new TidegateStore({ scope: `process:stores-${process.pid}`, name: 'shared' });
  shared.init({ windowMs: 60_000 });
  shared.increment('a');
  shared.shutdown();
  assert.equal(shared.get('a').totalHits, 1);
});

test('both follow fake timers by a DateClock', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const store = new TidegateStore({ clock: new DateClock() });
  store.init({ windowMs: 2500 });
  const storage = new TidegateThrottlerStorage({ clock: new DateClock() });
  const ask = () => storage.increment('k', 2500, 2, 0, 'default');
  const blocked = async (times) => {
    const answers = [];
    for (let i = 0; i < times; i++) answers.push((await ask()).isBlocked);
    return answers;
  };
  assert.deepEqual([store.increment('a').totalHits, store.increment('a').totalHits], [1, 2]);
  assert.deepEqual(await blocked(4), [false, false, true, true]);
  t.mock.timers.tick(2400);
  assert.equal(store.increment('a').totalHits, 3);
  assert.deepEqual(await blocked(1), [true]);
  t.mock.timers.tick(200);
  assert.equal(store.increment('a').totalHits, 1);
  assert.deepEqual(await blocked(3), [false, false, true]);
});

test('a DateClock moves with every date, before 1970 too, and stands still beyond its years', async (t) => {
  const first = Date.UTC(1800, 0, 1);
  const last = Date.UTC(2383, 11, 31);
  for (const now of [-1, 0, first, -1e12, first - 1, last, -8.64e15, 8.64e15]) {
    t.mock.method(Date, 'now', () => at);
    let at = now;
    const store = new TidegateStore({ clock: new DateClock() });
    store.init({ windowMs: 2500 });
    const storage = new TidegateThrottlerStorage({ clock: new DateClock() });
    const hits = async () => [store.increment('a').totalHits, (await storage.increment('k', 2500, 1, 0, '')).isBlocked];
    assert.deepEqual([await hits(), await hits()], [[1, false], [2, true]], `${now}`);
    at += 2500;
    const isMoved = now >= first - 2500 && now <= last;
    const isCut = now < first && isMoved;
    if (!isCut) assert.deepEqual(await hits(), isMoved ? [1, false] : [3, true], `${now}`);
    // A step back is no end of the world.
    at = now - 1000;
    await hits();
    t.mock.restoreAll();
  }
});

test('a Date that gives no number is a mistake that names it', (t) => {
  for (const value of [undefined, NaN, 7n, '7']) {
    t.mock.method(Date, 'now', () => value);
    assert.throws(() => new DateClock(), {
      name: 'TypeError',
      message: /^DateClock: Date\.now\(\) must give milliseconds, got /,
    });
    t.mock.restoreAll();
  }
  t.mock.method(Date, 'now', () => 1.5);
  const clock = new DateClock();
  t.mock.restoreAll();
  t.mock.method(Date, 'now', () => 2.25);
  const before = clock.nowNs;
  clock.follow();
  assert.equal(clock.nowNs - before, 750_000n);
});

test('each window has a Date of its own end, whatever an application does to one', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const store = new TidegateStore();
  store.init({ windowMs: 60_000 });
  const end = 1_700_000_060_000;
  const { resetTime } = store.increment('a');
  assert.ok(resetTime instanceof Date && +resetTime === end);
  resetTime.setTime(0);
  assert.equal(+store.increment('b').resetTime, end);
  // As many milliseconds on as there are Dates kept, and before 1970.
  for (const now of [1_700_000_001_024, 1_700_000_000_000, -1_000, -1_024 - 60_000, 0.5]) {
    t.mock.timers.setTime(Math.max(0, Math.trunc(now)));
    t.mock.method(Date, 'now', () => now);
    assert.equal(+store.increment(`at ${now}`).resetTime, Math.trunc(now + 60_000));
    t.mock.restoreAll();
  }
});

test('a key taken back to zero keeps its window, whatever hits it again', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  for (const { clock, store } of [storeOf(60_000), storeOf(2500)]) {
    const { windowMs } = store;
    const end = Date.now() + windowMs;
    for (const key of ['a', new Uint8Array([255])]) store.increment(key);
    clock.advance(1000);
    t.mock.timers.tick(1000);
    for (const key of ['a', new Uint8Array([255])]) {
      store.decrement(key);
      assert.equal(+store.increment(key).resetTime, end);
      assert.equal(+store.get(key).resetTime, end);
    }
    store.resetKey('a');
    assert.equal(+store.increment('a').resetTime, end + 1000);
    clock.advance(windowMs - 1000);
    assert.equal(store.get(new Uint8Array([255])), undefined);
    assert.equal(store.get('a').totalHits, 1);
    store.resetAll();
    assert.equal(store.get('a'), undefined);
  }
});

test('a window on a clock of tests is over when its time is, wherever it began', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  for (const windowMs of [1, 7, 1000, 2500, 60_000, 3_600_000, 86_400_000]) {
    const store = new TidegateStore({ clock: new DateClock() });
    store.init({ windowMs });
    const storage = new TidegateThrottlerStorage({ clock: new DateClock() });
    const hit = () => storage.increment('k', windowMs, 1, 0, 'default');
    const blocked = async () => (await hit()).isBlocked;
    for (let window = 0; window < 20; window++) {
      const first = store.increment('a');
      assert.deepEqual([first.totalHits, +first.resetTime], [1, Date.now() + windowMs], `${windowMs} ${window}`);
      const { isBlocked, timeToExpire } = await hit();
      assert.deepEqual([isBlocked, timeToExpire], [false, Math.ceil(windowMs / 1000)], `${windowMs} ${window}`);
      assert.equal(await blocked(), true);
      // Neither before, nor after.
      t.mock.timers.tick(windowMs - 1);
      const last = store.increment('a');
      assert.deepEqual([last.totalHits, +last.resetTime], [2, Date.now() + 1], `${windowMs} ${window}: last`);
      assert.equal(await blocked(), true, `${windowMs} ${window}`);
      t.mock.timers.tick(1);
      if (window % 3 === 0) {
        assert.equal(store.get('a'), undefined);
        t.mock.timers.tick(window + 1);
      }
    }
  }
});

test('what is wrong is called as its caller wrote it', async () => {
  const store = new TidegateStore();
  for (const windowMs of [0, -1, NaN, Infinity, 2 ** 50]) {
    assert.throws(() => store.init({ windowMs }), {
      name: 'RangeError',
      message: /^windowMs must be milliseconds above 0/,
    });
  }
  assert.throws(() => store.init({ windowMs: '60000' }), { name: 'TypeError', message: /^windowMs / });
  for (const call of ['increment', 'decrement', 'resetKey', 'get']) {
    assert.throws(() => store[call](undefined), { name: 'TypeError', message: /^what keyGenerator returns / });
  }
  const hit = (ttl, limit, blockDuration) =>
    new TidegateThrottlerStorage().increment('k', ttl, limit, blockDuration, 'default');
  await assert.rejects(hit(0, 1, 0), { name: 'RangeError', message: /^ttl must be milliseconds above 0/ });
  await assert.rejects(hit('1000', 1, 0), { name: 'TypeError', message: /^ttl / });
  await assert.rejects(hit(1000, 1, Infinity), { name: 'RangeError', message: /^blockDuration / });
  for (const limit of [NaN, undefined, '', 'many']) {
    await assert.rejects(hit(1000, limit, 0), { name: 'TypeError', message: /^limit must be a number/ });
  }
});

test('a number is a key, and a limit of Infinity counts and blocks nobody', async () => {
  const store = new TidegateStore();
  assert.deepEqual(
    [store.increment(7), store.increment('7'), store.increment(8)].map(({ totalHits }) => totalHits),
    [1, 2, 1],
  );
  store.decrement(7);
  assert.equal(store.get(7).totalHits, 1);
  store.resetKey(7);
  assert.equal(store.get('7'), undefined);
  const storage = new TidegateThrottlerStorage();
  const hit = (limit) => storage.increment('k', 60_000, limit, 60_000, 'default');
  for (let nth = 1; nth <= 5; nth++) {
    const { totalHits, isBlocked, timeToBlockExpire } = await hit(Infinity);
    assert.deepEqual([totalHits, isBlocked, timeToBlockExpire], [nth, false, 0]);
  }
  assert.deepEqual(
    [await hit('2'), await hit('2'), await hit('2')].map(({ isBlocked }) => isBlocked),
    [false, false, true],
  );
});

test('what is wrong with its options is told at once, not at the first hit', () => {
  const scope = `process:stores-${process.pid}`;
  for (const Store of [TidegateStore, TidegateThrottlerStorage]) {
    const range = { name: 'RangeError', message: /^maxKeys: 1000000000 is not within 1 to 100000000$/ };
    assert.throws(() => new Store({ maxKeys: 1e9 }), range);
    assert.throws(() => new Store({ maxKeys: 1e9, scope, name: 'large' }), range);
    assert.throws(
      () => new Store({ scope, name: 'clocked', clock: new ManualClock() }),
      /^RangeError.*clock: .*clock of its own/,
    );
  }
});

test('an end is told by the time of day, whenever that was read, and whoever replaces it', async (t) => {
  const store = new TidegateStore();
  const windowMs = 60_000;
  store.init({ windowMs });
  let nth = 0;
  const offBy = () => {
    const before = Date.now();
    const { resetTime } = store.increment(`client ${nth++}`);
    const after = Date.now();
    // A Date holds whole milliseconds.
    return resetTime - windowMs < before - 1 ? 'early' : resetTime - windowMs > after + 1 ? 'late' : 'not';
  };
  // Longer than a reading stands, and at once after each change.
  for (const until = performance.now() + 200; performance.now() < until; await null) assert.equal(offBy(), 'not');
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  assert.equal(offBy(), 'not');
  t.mock.timers.setTime(1_800_000_000_000);
  assert.equal(offBy(), 'not');
  t.mock.timers.reset();
  assert.equal(offBy(), 'not');
  t.mock.method(Date, 'now', () => 5);
  assert.equal(offBy(), 'not');
  t.mock.restoreAll();
  assert.equal(offBy(), 'not');
});

test('a hit tells by which reading of its clock it was judged', () => {
  const clock = new ManualClock(7_000_000_000n);
  const limiter = new RateLimiter({ algorithm: 'fixed_window', rate: 3, perMs: 1000, clock });
  for (const nowMs of [7000, 7250.5]) {
    clock.advance(nowMs - Number(clock.nowNs) / 1e6);
    assert.equal(limiter.hit('a').count > 0 && numbers[2], nowMs);
  }
});
