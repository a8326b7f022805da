// LoadShedder: signals, who is shed, the loop's lag, middleware, and a service under twice what it can do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { rateLimit } from '../../express/index.mjs';
import { BoundedQueue, ConcurrencyLimiter, LoadShedder, ManualClock, OverloadedError } from '../../index.mjs';
import { createRequire } from 'node:module';

const { checkWith, levelAt } = createRequire(import.meta.url)('../../lib/shed.cjs');

const EACH = 250;
const PRIORITIES = ['critical', 'high', 'normal', 'sheddable'];

function gauge(options = {}) {
  const clock = new ManualClock();
  const signals = [{ kind: 'gauge', start: 0, full: 1 }];
  return { clock, shedder: new LoadShedder({ signals, clock, ...options }) };
}

function press({ clock, shedder }, value, intervals = 40) {
  for (let n = 0; n < intervals; n++) {
    shedder.tell('gauge', value);
    for (const priority of PRIORITIES) for (let call = 0; call < 4; call++) shedder.admit(priority, 64);
    clock.advance(EACH);
  }
}

test('the less important first', () => {
  const it = gauge({ name: 'api' });
  press(it, 1);
  const { allowed, signal, pressure, retryAfterMs } = checkWith(it.shedder, 'check', 'sheddable', 127, 0.5);
  assert.deepEqual([allowed, signal, pressure], [false, 'gauge', 1]);
  assert.ok(retryAfterMs >= 1000 && retryAfterMs <= 60_000);
  const { shed } = it.shedder.stats();
  assert.ok(shed.sheddable > shed.normal && shed.normal >= shed.high && shed.high >= shed.critical);
  const refuse = () => {
    for (let n = 0; n < 2000; n++) it.shedder.enter('sheddable', 127);
  };
  assert.throws(refuse, (error) => {
    assert.match(error.message, /^load shedder "api" refused a call \(gauge at 100 % of its range\): try again in /);
    return error instanceof OverloadedError && error.code === 'ERR_TIDEGATE_OVERLOADED' && error.retryAfterMs > 0;
  });
  press(it, 0, 120);
  assert.equal(it.shedder.pressure, 0);
  assert.equal(it.shedder.admit('sheddable', 127), true);
});

test('objects are signals', () => {
  const clock = new ManualClock();
  const queue = new BoundedQueue({ capacity: 10 });
  const limiter = new ConcurrencyLimiter({ limit: 4 });
  const shedder = new LoadShedder({ signals: [queue, limiter, 'queueDelay'], clock });
  const go = () => {
    for (let n = 0; n < 60; n++) {
      shedder.sample();
      clock.advance(50);
    }
  };
  for (let n = 0; n < 7; n++) assert.ok(queue.tryPush(n));
  go();
  assert.ok(Math.abs(shedder.pressure - 2 / 3) < 1e-5);
  const held = [1, 2, 3, 4].map(() => limiter.tryAcquire());
  go();
  assert.equal(shedder.check().signal, 'inFlight');
  held.forEach((permit) => permit.release());
  queue.drain();
  for (let n = 0; n < 10; n++) {
    shedder.tell('queueDelay', 50);
    go();
  }
  assert.equal(queue.capacity, 10);
  assert.ok(shedder.explain().some((line) => line.startsWith('queueDelay: ')));
});

test('functions that fail', async () => {
  const clock = new ManualClock();
  const of = (name, read) => ({ kind: 'gauge', start: 0, full: 1, name, read });
  const said = [];
  const listen = (warning) => said.push(warning.message);
  process.on('warning', listen);
  const signals = [
    of('throws', () => {
      throw new Error('gone');
    }),
    of('nan', () => NaN),
    of('later', async () => 1),
    of('fine', () => 0.5),
  ];
  const shedder = new LoadShedder({ signals, clock });
  for (let n = 0; n < 80; n++) {
    assert.ok(shedder.admit());
    clock.advance(50);
  }
  await sleep(1);
  process.off('warning', listen);
  assert.equal(shedder.pressure, 0.5);
  assert.deepEqual(
    said.map((text) => /'(\w+)' is off/.exec(text)?.[1]).sort(),
    ['later', 'nan', 'throws'],
  );
  assert.equal(shedder.explain().filter((line) => line.includes(': off, ')).length, 3);
});

test('rubbish is no value', () => {
  const odd = new Proxy(
    {},
    {
      get() {
        throw new Error('odd');
      },
    },
  );
  const thrown = [undefined, null, 'text', odd].map((what) => () => {
    throw what;
  });
  const given = [undefined, null, '0.5', 1n, true, {}, [], Symbol('odd'), odd, NaN, new Date(5), Promise.reject(odd)];
  for (const read of [...thrown, ...given.map((value) => () => value)]) {
    const clock = new ManualClock();
    const shedder = new LoadShedder({ signals: [{ kind: 'gauge', start: 0, full: 1, read }], clock });
    for (let n = 0; n < 20; n++) {
      assert.ok(shedder.admit('sheddable', 127));
      clock.advance(EACH);
    }
    assert.equal(shedder.pressure, 0);
    assert.ok(shedder.explain().some((line) => line.startsWith('gauge: off, ')));
  }
  const ends = [
    [Infinity, 1],
    [1e308, 1],
    [-5, 0],
    [-Infinity, 0],
    [0.5, 0.5],
  ];
  for (const [value, pressure] of ends) {
    const clock = new ManualClock();
    const shedder = new LoadShedder({ signals: [{ kind: 'gauge', start: 0, full: 1, read: () => value }], clock });
    for (let n = 0; n < 20; n++) {
      shedder.admit();
      clock.advance(EACH);
    }
    assert.equal(shedder.pressure, pressure, `${value}`);
  }
});

test('a function that blocks holds up one call an interval', () => {
  const clock = new ManualClock();
  let [asked, now] = [0, 0];
  const read = () => {
    asked += 1;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    return 0;
  };
  const shedder = new LoadShedder({ signals: [{ kind: 'gauge', start: 0, full: 1, read }], clock });
  for (; now < 10 * EACH; now += 5) {
    assert.ok(shedder.admit());
    clock.advance(5);
  }
  assert.ok(asked >= 9 && asked <= 11, `${asked}`);
});

test('files of the system that are missing, and change', { skip: process.platform !== 'linux' }, async (t) => {
  const program = new URL('programs/cgroup.mjs', import.meta.url).pathname;
  // Where no namespace may be made, there is nothing to mount in.
  if (spawnSync('unshare', ['-r', '-m', 'true']).status !== 0) return t.skip('needs the right to unshare mounts');
  const own = readlinkSync('/proc/self/ns/mnt');
  const command = ['-r', '-m', process.execPath, program, own];
  const { status, stdout, stderr } = spawnSync('unshare', command, { encoding: 'utf8' });
  if (stdout.startsWith('SKIP')) return t.skip(stdout.slice('SKIP '.length).trim());
  assert.deepEqual([status, stdout], [0, 'OK\n'], stderr);
});

test('what is wrong is said', () => {
  const making = (signals) => () => new LoadShedder({ signals });
  assert.throws(making([]), /signals: give at least one/);
  assert.throws(making(['cpu', 'memory']), /waits for its database/);
  assert.throws(making(['nothing']), /signals: 'nothing' is none; there are 'queueFill'/);
  assert.throws(making(['loopLag', 'loopLag']), /stands there twice/);
  assert.throws(making([{ kind: 'gauge' }]), /a gauge needs start and full/);
  assert.throws(making([{ kind: 'loopLag', start: 1, full: 2 }]), /of loopLag write startMs and fullMs/);
  assert.throws(making('cpu'), TypeError);
  assert.throws(making([{ kind: 'gauge', start: 0, full: 1, read: 5 }]), /read must be a function/);
  const { shedder } = gauge();
  assert.throws(() => shedder.admit('urgent'), /priority: 'urgent' is none of 'critical', 'high'/);
  for (const level of [-1, 128, 1.5, NaN]) assert.throws(() => shedder.admit('high', level), RangeError);
  assert.throws(() => shedder.admit('high', '5'), TypeError);
  assert.throws(() => shedder.tell('other', 1), /signal: "other" is none of this shedder's: "gauge"/);
  assert.throws(() => shedder.watch(0), RangeError);
  assert.throws(() => LoadShedder.prototype.admit.call({}), TypeError);
  assert.throws(() => rateLimit({ shedder, priority: 'urgent' }), /priority/);
  assert.throws(() => rateLimit({ shedder: 5 }), /shedder must be a LoadShedder/);
  assert.throws(() => rateLimit({ rate: '5/s', priority: 'high' }), /priority: it goes with a shedder/);
});

test('levels are those of every language', () => {
  const { shedder } = gauge();
  const at = (user) => levelAt(shedder, user, 1_700_000_000);
  assert.deepEqual(['', new Uint8Array([97]), 'user 7'].map(at), [90, 88, 69]);
});

test('the loop is watched', async () => {
  const shedder = new LoadShedder({ signals: ['loopLag'] });
  const stop = shedder.watch(5);
  assert.equal(shedder.watch(), stop);
  while (shedder.loopLag === undefined) await sleep(5);
  const end = performance.now() + 300;
  while (performance.now() < end);
  const patience = performance.now() + 30_000;
  while (shedder.pressure < 1) {
    await sleep(5);
    assert.ok(performance.now() < patience, shedder.explain().join('\n'));
  }
  assert.ok(shedder.loopLag.maxMs >= 250);
  stop();
});

/** A server of middleware and handler; `ask` gives what it answered. */
async function serve(middleware, handler) {
  const server = createServer((request, response) => middleware(request, response, () => handler(request, response)));
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address();
  const ask = (path, headers = {}) =>
    new Promise((resolve, reject) => {
      const request = get({ port, path, headers, agent: false }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer));
      });
      request.on('error', reject);
    });
  return { ask, close: () => new Promise((closed) => server.close(closed)) };
}

test('the middleware sheds', async () => {
  const signals = [{ kind: 'gauge', start: 0, full: 1, read: () => 1 }];
  const shedder = new LoadShedder({ signals, rise: 1, minAdmit: 0, intervalMs: 10_000, criticalAfterMs: 3_600_000 });
  while (shedder.admit('normal')) await sleep(5);
  const priority = async (request) => (request.url === '/pay' ? 'critical' : 'normal');
  const app = await serve(rateLimit({ shedder, priority, user: () => null }), (_, response) => response.end('ok'));
  const [shed, paid] = [await app.ask('/'), await app.ask('/pay')];
  assert.deepEqual([shed.statusCode, shed.headers['content-type']], [503, 'application/problem+json']);
  assert.ok(Number(shed.headers['retry-after']) >= 1);
  assert.equal(paid.statusCode, 200);
  await app.close();
});

test('goodput of what is important under twice the load', async () => {
  // Two workers of 40 ms; 25 important calls a second and 75 others come, twice what they can do.
  let [inFlight, free] = [0, 2];
  const line = [];
  const work = async (begins) => {
    if (free === 0) await new Promise((turn) => line.push(turn));
    else free -= 1;
    begins();
    await sleep(40);
    if (line.length > 0) line.shift()();
    else free += 1;
  };
  // Few and slow workers: full pressure is a wait of four calls. Shorter intervals, as the test is short.
  const delay = { kind: 'queueDelay', startMs: 40, fullMs: 160 };
  const shedder = new LoadShedder({ signals: [delay], intervalMs: 100, coolOffMs: 400 });
  const priority = (request) => (request.url === '/high' ? 'high' : 'sheddable');
  const middleware = rateLimit({ shedder, priority, user: (request) => request.headers['x-user'] });
  const app = await serve(middleware, async (_, response) => {
    if (inFlight >= 20) {
      response.statusCode = 500;
    } else {
      inFlight += 1;
      const asked = performance.now();
      await work(() => shedder.tell('queueDelay', performance.now() - asked));
      inFlight -= 1;
    }
    response.end('ok');
  });
  const seen = {};
  const one = async (path, user, isCounted) => {
    const { statusCode } = await app.ask(path, { 'x-user': String(user) });
    if (isCounted) seen[`${path} ${statusCode}`] = (seen[`${path} ${statusCode}`] ?? 0) + 1;
  };
  const [start, asked] = [performance.now(), []];
  for (let n = 0; n < 100 * 6; n++) {
    const wait = start + n * 10 - performance.now();
    if (wait > 0) await sleep(wait);
    // It has two seconds to find its threshold.
    asked.push(one(n % 4 === 0 ? '/high' : '/other', n, n > 100 * 2));
  }
  await Promise.all(asked);
  await app.close();
  const served = (path) => {
    const counts = Object.entries(seen).filter(([key]) => key.startsWith(path));
    return (seen[`${path} 200`] ?? 0) / counts.reduce((sum, [, count]) => sum + count, 0);
  };
  // Without it both would be served by half, and late. Two workers can do 200 in the four seconds that count.
  assert.ok(served('/high') >= 0.85 && served('/other') <= 0.4 && seen['/other 503'] > 0, JSON.stringify(seen));
  assert.ok(seen['/high 200'] + seen['/other 200'] >= 120, JSON.stringify(seen));
});
