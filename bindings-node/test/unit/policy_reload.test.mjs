// Reload of policies: all or nothing, state kept; by a timer and by a signal; who is told.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ManualClock, Metrics, Policy, PolicyError, TokenBucket } from 'tidegate';
import { admit } from 'tidegate/express';

const TABLE = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../../tests/policies/reloads.json', import.meta.url)), 'utf8'),
);
const folder = mkdtempSync(join(tmpdir(), 'tidegate-reload-'));
after(() => rmSync(folder, { recursive: true }));

const text = (rate, cooldown = 30) => `
version = 1
[limits]
everyone = { rate = "${rate}/s", burst = 100 }
client = { rate = "6/min", key = "user", fastest = "600/min" }
[breakers]
payment = { cooldown = "${cooldown}s" }
`;

const afterOf = ({ replace, add = '' }) => {
  let own = TABLE.before;
  for (const [from, to] of replace) {
    assert.ok(own.includes(from));
    own = own.replace(from, to);
  }
  return own + add;
};

const stateOf = (policy) => [
  policy.limit('everyone').quota,
  policy.limit('client').quota,
  policy.concurrency('database').limit,
  policy.concurrency('database').shares,
  policy.shedder('main').explain().filter((line) => !line.includes('pressure: ')),
  policy.breaker('payment').config,
];

/** All that a policy of the table makes. */
const objectsOf = (policy) => [
  ...['everyone', 'client'].map((name) => policy.limit(name)),
  ...['database', 'service'].map((name) => policy.concurrency(name)),
  policy.queue('orders'),
  policy.shedder('main'),
  policy.breaker('payment'),
  policy.retry('payment'),
  policy.gate('orders'),
];

/** Another file in its place, as editors and Kubernetes put it. */
function put(path, own) {
  writeFileSync(`${path}.new`, own);
  renameSync(`${path}.new`, path);
}

async function until(isSo) {
  const end = Date.now() + 60_000;
  while (!isSo()) {
    assert.ok(Date.now() < end);
    await sleep(10);
  }
}

function warnings(t) {
  const said = [];
  const hear = ({ name, message }) => name === 'TidegateWarning' && said.push(message);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  return said;
}

describe('reload', () => {
  for (const isMade of [true, false]) {
    for (const given of TABLE.cases) {
      it(`says what every language says: ${given.name}${isMade ? ', objects made' : ''}`, () => {
        const policy = Policy.parse(TABLE.before, { clock: new ManualClock() });
        const before = isMade ? stateOf(policy) : undefined;
        const read = [policy.text, policy.hash];
        // What nobody has asked for is made of what the file says when it comes back, and has room for it.
        const made = isMade || given.made ? objectsOf(policy) : [];
        if (given.first !== undefined) {
          policy.reload(given.first);
          read.splice(0, 2, policy.text, policy.hash);
        }
        const reloads = policy.generation;
        if (given.changes !== undefined) {
          const { changes, generation } = policy.reload(afterOf(given));
          const told = changes.map((it) => ({ path: it.path, before: it.before ?? null, after: it.after ?? null }));
          assert.deepEqual(told, given.changes);
          assert.deepEqual([generation, policy.generation, policy.failedReloads], [reloads + 1, reloads + 1, 0]);
          if (given.first !== undefined) {
            const now = objectsOf(policy);
            made.forEach((own, at) => assert.ok(now[at] === own, `${at}`));
          }
          const fresh = Policy.parse(afterOf(given));
          assert.equal(policy.hash, fresh.hash);
          if (fresh.names('limits').includes('everyone')) assert.deepEqual(stateOf(policy), stateOf(fresh));
          return;
        }
        assert.throws(
          () => policy.reload(afterOf(given)),
          (error) => {
            assert.ok(error instanceof PolicyError);
            assert.equal(error.problems.length, given.problems.length);
            error.problems.forEach((problem, at) => {
              const { hint, ...expected } = given.problems[at];
              // An object that has no room says it in its own words.
              const isObject = problem.path.split('.').length === 2;
              const message = isObject ? expected.message : problem.message;
              assert.deepEqual({ ...problem, message }, { ...expected, hint: hint ?? undefined });
            });
            return true;
          },
        );
        assert.deepEqual([policy.text, policy.hash], read);
        assert.deepEqual([policy.generation, policy.failedReloads], [reloads, 1]);
        if (given.first !== undefined) policy.reload(TABLE.before);
        if (isMade) assert.deepEqual(stateOf(policy), before);
      });
    }
  }

  it('keeps the state of objects', () => {
    const policy = Policy.parse(TABLE.before, { clock: new ManualClock() });
    const [everyone, client, payment] = [policy.limit('everyone'), policy.limit('client'), policy.breaker('payment')];
    const [gate, database] = [policy.gate('orders'), policy.concurrency('database')];
    assert.ok(everyone.tryAcquire(8) && client.tryAcquire('ann', 3));
    payment.forceOpen();
    const held = database.tryAcquire();
    const { changes } = policy.reload(afterOf(TABLE.cases.find(({ name }) => name === 'all that stays in place')));
    assert.equal(String(changes[0]), 'limits.client.rate: "6/min" becomes "12/min"');
    assert.deepEqual([everyone.quota.burst, everyone.peek().remaining, client.peek('ann').remaining], [40, 2, 6]);
    assert.deepEqual([database.limit, database.inUse, payment.state], [6, 1, 'forced_open']);
    assert.equal(policy.limit('everyone'), everyone);
    assert.equal(policy.gate('orders'), gate);
    held.release();
    assert.ok(gate.admit({ keys: { client: 'ben' } }).allowed);
    assert.equal(policy.reload(TABLE.before).changes.length, changes.length);
    assert.deepEqual([everyone.quota.count, database.limit, policy.generation], [10, 4, 2]);
  });

  it('gives a shedder and partitions what the file says now', () => {
    const clock = new ManualClock();
    const policy = Policy.parse(TABLE.before, { clock });
    const [main, database] = [policy.shedder('main'), policy.concurrency('database')];
    const pressure = (told) => {
      clock.advance(250);
      main.tell('backlog', told);
      clock.advance(250);
      main.sample();
      return main.pressure;
    };
    assert.equal(pressure(55), 0.5);
    policy.reload(
      TABLE.before.replace('[10, 100]', '[10, 1000]').replace('live = 0.5, batch = 0.5', 'live = 0.75, batch = 0.25'),
    );
    assert.ok(pressure(55) < 0.1 && main.explain().some((line) => line.includes('(10 to 1000)')));
    assert.deepEqual(database.shares, { live: 0.75, batch: 0.25 });
    main.setConfig({ ranges: { backlog: [0, 110] }, rise: 0.5 });
    assert.equal(pressure(55), 0.5);
    const error = (message) => ({ name: 'RangeError', message });
    assert.throws(() => main.setConfig({ ranges: { cpu: [0, 1] } }), error(/'cpu' is none of .* signals: 'backlog'/));
    assert.throws(() => main.setConfig({ ranges: { backlog: [2, 1] } }), error(/start 2 and full 1 are no range/));
    assert.throws(() => main.setConfig({ ranges: { backlog: 5 } }), { name: 'TypeError' });
    assert.throws(() => main.setConfig({ rise: 7 }), error(/rise/));
    assert.throws(() => main.setConfig({ intervalMs: 7 }), error(/no option 'intervalMs'/));
    const other = error(/partitions: are "live", "batch", and stay those; "live", "night" are given/);
    assert.throws(() => database.setShares({ live: 0.5, night: 0.5 }), other);
    assert.throws(() => database.setShares({ live: 0.75, batch: 0.75 }), error(/1.5 together/));
    assert.throws(() => database.setShares(0.5), { name: 'TypeError' });
    assert.deepEqual(database.shares, { live: 0.75, batch: 0.25 });
    database.setShares({ batch: 0.5, live: 0.5 });
    assert.deepEqual(database.shares, { live: 0.5, batch: 0.5 });
  });

  it('lowers a limit and raises it again, whether it is made or not', () => {
    const policy = Policy.parse('version = 1\nconcurrency.c.limit = 10\n');
    for (const limit of [3, 10, 7]) {
      policy.reload(`version = 1\nconcurrency.c.limit = ${limit}\n`);
      assert.equal(policy.concurrency('c').limit, limit);
    }
    assert.throws(() => policy.reload('version = 1\nconcurrency.c.limit = 11\n'), /concurrency\.c\.limit/);
  });

  it('makes what comes and leaves what goes', () => {
    const policy = Policy.parse(text(10));
    const client = policy.limit('client');
    policy.reload("version = 1\n[limits]\nmore.rate = '1/s'\n[gates.g]\nuse.limits = ['more']\n");
    assert.ok(policy.gate('g').admit({}).allowed);
    assert.throws(() => policy.limit('client'), RangeError);
    assert.ok(client.tryAcquire('ann'));
    policy.reload(text(10));
    assert.equal(policy.limit('client'), client, 'the same, if it comes again: a gate that serves has it');
  });

  it('reads a file again', () => {
    const path = join(folder, 'read.toml');
    writeFileSync(path, text(50));
    const policy = Policy.load(path);
    const everyone = policy.limit('everyone');
    assert.equal(policy.reloadIfChanged(), undefined);
    assert.deepEqual(policy.reload().changes, []);
    put(path, 'version = 2');
    assert.throws(() => policy.reloadIfChanged(), /read\.toml:1:11: version/);
    assert.equal(policy.reloadIfChanged(), undefined, 'it was told');
    unlinkSync(path);
    assert.throws(() => policy.reloadIfChanged(), /cannot be read/);
    put(path, text(70));
    assert.equal(policy.reloadIfChanged().generation, 2);
    assert.deepEqual([everyone.quota.count, policy.failedReloads], [70, 2]);
    assert.throws(() => policy.reload(''), /^PolicyError: 1:1: version/);
    assert.throws(() => Policy.parse('version = 1').reload(), /made of no file/);
    assert.throws(() => policy.reload(Buffer.from('version = 1')), { name: 'TypeError' });
  });

  it('comes by itself where the file is watched, and tells each thing once', async (t) => {
    const said = warnings(t);
    const path = join(folder, 'watched.toml');
    writeFileSync(path, text(10));
    const policy = Policy.load(path);
    const everyone = policy.limit('everyone');
    const heard = [];
    const onReload = async ({ generation }) => {
      heard.push(generation);
      throw new Error('of a listener');
    };
    const watch = policy.watch({ intervalMs: 10, onReload });
    put(path, text(20));
    await until(() => everyone.quota.count === 20);
    put(path, 'version = 7');
    await until(() => policy.failedReloads === 1);
    // Another file with the same mistake is read, and not told again.
    put(path, 'version = 7');
    await until(() => policy.failedReloads === 2);
    put(path, text(30));
    await until(() => everyone.quota.count === 30 && heard.length === 2);
    watch.cancel();
    watch.cancel();
    put(path, text(40));
    await sleep(100);
    assert.equal(everyone.quota.count, 30);
    const wrong = said.filter((it) => it.includes('nothing of the file was applied'));
    assert.equal(wrong.length, 1);
    assert.match(wrong[0], /watched\.toml:1:11: version/);
    assert.equal(said.filter((it) => it.includes('onReload of a policy failed')).length, 2);
  });

  for (const scope of ['process', `process:back-${process.pid}`]) {
    it(`gives a name that comes back the same object: ${scope}`, () => {
      const base = `version = 1\nscope = "${scope}"\n`;
      const whole = (rate, capacity = 10) => `${base}
        [limits]
        all = { rate = "${rate}/h", burst = ${rate} }
        [queues]
        orders = { capacity = ${capacity} }
        [concurrency]
        db = { limit = 1, max_limit = 5 }
        [gates.g]
        use = { limits = ["all"], concurrency = "db", queue = "orders" }`;
      const policy = Policy.parse(whole(1000));
      const [all, gate, queue] = [policy.limit('all'), policy.gate('g'), policy.queue('orders')];
      const database = policy.concurrency('db');
      for (const rate of [1000, 1]) {
        policy.reload(base);
        // A named scope's figures are those of its arena.
        const isTold = policy.metrics().includes('name="all"');
        assert.equal(isTold, scope !== 'process', 'what the file does not have is not told');
        // Changed by hand meanwhile: the file that comes back wins, whether it says another thing or not.
        all.setQuota({ rate: '77/h', burst: 77 });
        database.setLimit(3);
        policy.reload(whole(rate));
        assert.deepEqual([all.quota.count, all.quota.burst, database.limit], [rate, rate, 1]);
      }
      policy.queue('orders').push('an order');
      assert.equal(queue.depth, 1);
      assert.equal(policy.gate('g'), gate);
      const calls = Array.from({ length: 50 }, () => gate.admit({}));
      assert.ok(calls.filter(({ allowed }) => allowed).length <= 1, 'the gate that serves has the limit in force');
      assert.throws(() => policy.reload(whole(5, 20)), /needs a new object/);
    });
  }

  it('reads no file that is watched while it is written', async () => {
    const path = join(folder, 'pieces.toml');
    writeFileSync(path, text(10));
    const policy = Policy.load(path);
    const everyone = policy.limit('everyone');
    const watch = policy.watch({ intervalMs: 40 });
    // Half of it is a policy too, and would take the limit away; each look finds another.
    const end = Date.now() + 400;
    for (let rate = 50; Date.now() < end; rate += 1) {
      writeFileSync(path, 'version = 1\n' + '#'.repeat(rate));
      await sleep(5);
      assert.equal(policy.generation, 0);
    }
    writeFileSync(path, text(20));
    await until(() => everyone.quota.count === 20);
    watch.cancel();
    assert.equal(policy.generation, 1);
  });

  it('keeps no process alive', () => {
    const path = join(folder, 'alive.toml');
    writeFileSync(path, text(10));
    const code = `import { Policy } from 'tidegate';
      globalThis.policy = Policy.load(${JSON.stringify(path)});
      policy.watch({ intervalMs: 10 }); policy.reloadOn('SIGUSR2');`;
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd, timeout: 60_000 });
  });

  it('goes on where nobody holds the policy', async () => {
    const path = join(folder, 'held.toml');
    writeFileSync(path, text(10));
    const [everyone, watch] = (() => {
      const policy = Policy.load(path);
      return [policy.limit('everyone'), policy.watch({ intervalMs: 10 })];
    })();
    global.gc?.();
    put(path, text(20));
    await until(() => everyone.quota.count === 20);
    watch.cancel();
  });

  it('comes at a signal', { skip: process.platform === 'win32' }, async () => {
    const path = join(folder, 'signal.toml');
    writeFileSync(path, text(10));
    const policy = Policy.load(path);
    const everyone = policy.limit('everyone');
    const before = process.listenerCount('SIGHUP');
    const watch = policy.reloadOn();
    const timer = setInterval(() => {}, 1_000);
    put(path, text(20));
    process.kill(process.pid, 'SIGHUP');
    await until(() => everyone.quota.count === 20);
    watch.cancel();
    clearInterval(timer);
    assert.equal(process.listenerCount('SIGHUP'), before);
  });

  it('is refused what is no option', () => {
    const path = join(folder, 'refused.toml');
    writeFileSync(path, 'version = 1');
    const policy = Policy.load(path);
    for (const intervalMs of [0, -1, 1e12, NaN]) assert.throws(() => policy.watch({ intervalMs }), RangeError);
    assert.throws(() => policy.watch({ intervalMs: '2s' }), { name: 'TypeError' });
    assert.throws(() => policy.watch({ onReload: 5 }), { name: 'TypeError' });
    assert.throws(() => policy.watch({ interval: 5 }), /no option 'interval'/);
    for (const signal of ['SIGKILL', 'SIGSTOP']) {
      const text = new RegExp(`^signal: '${signal}' cannot be heard by a program`);
      assert.throws(() => policy.reloadOn(signal), { name: 'RangeError', message: text });
    }
    assert.throws(() => policy.reloadOn('SIGHUB'), { name: 'RangeError', message: /^signal: 'SIGHUB' is no signal/ });
    assert.throws(() => policy.reloadOn(1), { name: 'TypeError', message: /^signal / });
    assert.throws(() => Policy.parse('version = 1').watch(), /made of no file/);
    assert.throws(() => Policy.parse('version = 1').reloadOn(), /made of no file/);
  });

  it('of another process wins in an arena, for what is made late too', async (t) => {
    const said = warnings(t);
    const scope = `scope = "process:reload-${process.pid}"\n`;
    const path = join(folder, 'arena.toml');
    writeFileSync(path, scope + text(10));
    const policy = Policy.load(path);
    assert.equal(policy.inForce, undefined);
    const everyone = policy.limit('everyone');
    assert.ok(everyone.tryAcquire(7));
    assert.deepEqual(policy.inForce, { hash: policy.hash, generation: 1 });
    const other = Policy.parse(scope + text(10));
    assert.ok(other.limit('everyone').tryAcquire(3));
    other.reload(scope + text(50, 5));
    assert.deepEqual(other.inForce, { hash: other.hash, generation: 2 });
    assert.deepEqual(policy.inForce, other.inForce);
    assert.deepEqual([everyone.quota.count, everyone.stats().admitted], [50, 2]);
    assert.equal(policy.breaker('payment').config.cooldownMs, 5_000);
    const watch = policy.watch({ intervalMs: 10 });
    const about = () => said.filter((it) => it.includes('another process has put the policy')).length;
    await until(() => about() === 1);
    await sleep(50);
    put(path, scope + text(50, 5));
    await until(() => policy.generation === 1);
    watch.cancel();
    assert.equal(about(), 1);
    assert.deepEqual(policy.inForce, { hash: policy.hash, generation: 2 }, 'the same policy is put once');
  });
});

const BOUND = `
version = 1
[breakers]
payment = { consecutive_failures = 1, retry = { attempts = 4, base = "1ms", max_delay = "1ms", budget = {} } }
plain = {}
[shedders]
main = { signals = { gauge = { backlog = [10, 20], told = [1, 2] } } }
[gates.orders]
use = { shedder = "main" }
priority = { "POST /orders" = "critical", "* /reports/*" = "sheddable" }
`;

describe('figures', () => {
  it('are those of all that a policy made', () => {
    const policy = Policy.parse(TABLE.before, { clock: new ManualClock() });
    assert.ok(policy.limit('everyone').tryAcquire());
    for (const made of [policy.gate('orders'), policy.queue('orders'), policy.retry('payment')]) assert.ok(made);
    policy.reload(TABLE.before.replace('"10/s"', '"11/s"'));
    assert.throws(() => policy.reload(''), PolicyError);
    const lines = policy.metrics().split('\n');
    for (const line of [
      'tidegate_decisions_total{scope="process",kind="token_bucket",name="everyone",decision="admitted"} 1',
      'tidegate_queue_depth{scope="process",queue="orders"} 0',
      'tidegate_retry_deposits_total{scope="process",name="payment:retries"} 0',
      'tidegate_breaker_state{scope="process",name="payment",state="closed"} 1',
      `tidegate_policy_info{scope="process",hash="${policy.hash}"} 1`,
      'tidegate_policy_reloads_total{scope="process",result="ok"} 1',
      'tidegate_policy_reloads_total{scope="process",result="failed"} 1',
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.ok(policy.metrics('openmetrics').endsWith('# EOF\n'));
    assert.throws(() => policy.metrics('text'), /format/);
    // As they are at each scrape, beside what is added.
    const metrics = new Metrics({ policy });
    metrics.add(new TokenBucket({ rate: '1/s' }), { name: 'own' });
    const before = metrics.render();
    policy.reload(`${TABLE.before}[limits.late]\nrate = '1/s'\n`);
    assert.ok(!before.includes('name="late"') && policy.limit('late') !== undefined);
    const now = metrics.render().split('\n');
    for (const line of [
      'tidegate_decisions_total{scope="process",kind="token_bucket",name="late",decision="admitted"} 0',
      'tidegate_decisions_total{scope="process",kind="token_bucket",name="own",decision="admitted"} 0',
      'tidegate_policy_reloads_total{scope="process",result="ok"} 2',
    ]) {
      assert.ok(now.includes(line), line);
    }
    assert.throws(() => new Metrics({ policy: 'orders.toml' }), { name: 'TypeError' });
    // Of an arena whoever made them.
    const shared = `scope = "process:figures-${process.pid}"\n${text(10)}`;
    const [one, other] = [Policy.parse(shared), Policy.parse(shared)];
    assert.equal(one.limit('everyone').quota.count, 10);
    const page = other.metrics();
    assert.ok(page.includes('kind="token_bucket",name="everyone",decision="admitted"} 0'));
    assert.ok(page.includes(`tidegate_policy_info{scope="${one.scope}",hash="${one.hash}"} 1`));
  });
});

describe('bind', () => {
  it('gives functions before objects are made', async () => {
    const clock = new ManualClock();
    let policy = Policy.parse(BOUND, { clock });
    let asked = 0;
    const retryOn = () => ((asked += 1), true);
    policy.bind('payment', { failureResult: (result) => result === 'bad', retryOn });
    policy.bind('main', { backlog: () => 15 });
    await policy.breaker('payment').call(async () => 'bad');
    assert.equal(policy.breaker('payment').state, 'open');
    const main = policy.shedder('main');
    clock.advance(1_000);
    main.sample();
    assert.equal(main.pressure, 0.5, 'the gauge was read');
    main.tell('told', 5);
    clock.advance(250);
    main.sample();
    assert.equal(main.pressure, 1);
    // In real time.
    policy = Policy.parse(BOUND);
    policy.bind('payment', { retryOn });
    for (const made of [policy.breaker('payment'), policy.shedder('main')]) assert.ok(made);
    const retry = policy.retry('payment');
    assert.equal(policy.retry('payment'), retry);
    await assert.rejects(retry.call(async () => Promise.reject(new Error('down'))), /down/);
    assert.ok(asked >= 1 && asked <= 4);
    const error = (message) => ({ name: 'RangeError', message });
    assert.throws(() => policy.bind('payment', { slow: () => true }), error(/slow: 'payment' is made already/));
    assert.throws(() => policy.bind('payment', { retryOn }), error(/retryOn: 'payment' is made already/));
    assert.throws(() => policy.bind('plain', { retryOn }), error(/no option 'retryOn'; it takes failureOn/));
    assert.throws(() => policy.bind('main', { lag: () => 1 }), error(/no option 'lag'; it takes backlog, told/));
    assert.throws(() => policy.bind('paymet', {}), error(/'paymet' is none of \[breakers\] or \[shedders\]/));
    assert.throws(() => Policy.parse(BOUND).bind('main', { backlog: 5 }), { name: 'TypeError' });
    assert.throws(() => policy.retry('plain'), error(/has no retry/));
  });
});

describe('a gate before a server', () => {
  it('goes by the keys and priorities of the file as it is now', async (t) => {
    const own = (key, priority) => `
version = 1
[limits]
client = { rate = "1/hour", key = "header:${key}" }
[shedders]
main = { signals = { gauge = { told = [1, 2] } } }
[gates.orders]
use = { limits = ["client"], shedder = "main" }
priority = { "GET /orders" = "${priority}" }
`;
    const policy = Policy.parse(own('x-key', 'critical'));
    const gate = policy.gate('orders');
    const asked = [];
    const { admit: ask } = gate;
    t.mock.method(gate, 'admit', (request) => (asked.push(request.priority), ask.call(gate, request)));
    const guard = admit(gate);
    const server = createServer((request, response) => guard(request, response, () => response.end()));
    t.after(() => (server.close(), server.closeAllConnections()));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const get = async (path, key) => {
      const headers = { 'x-key': key, 'x-other': 'same' };
      return (await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers })).status;
    };
    assert.deepEqual([await get('/orders', 'a'), await get('/', 'b'), await get('/', 'a')], [200, 200, 429]);
    const { changes } = policy.reload(own('x-other', 'high'));
    assert.deepEqual(changes.map(({ path }) => path), ['limits.client.key', 'gates.orders.priority']);
    assert.deepEqual([await get('/orders', 'a'), await get('/', 'c')], [200, 429]);
    assert.deepEqual(asked, ['critical', undefined, undefined, 'high', undefined]);
  });
});

describe('a policy beside another process’s', () => {
  const allOf = (scope, n, calls = 20, more = '') => `
version = 1
scope = "${scope}"
[limits]
login = { rate = "${n}/min" }
client = { rate = "${n}/min", key = "user", fastest = "600/min" }
line = { rate = "${n}/min", key = "user", algorithm = "leaky_bucket", fastest = "600/min" }
seen = { rate = "${n}/min", key = "user", algorithm = "sliding_window", fastest = "600/min" }
[concurrency]
database = { limit = ${n}, max_limit = 8, partitions = { live = 0.${n}, batch = 0.${10 - n} } }
[breakers]
payment = { cooldown = "${n}s", window_calls = ${calls}${more} }
`;
  const seenOf = (policy) => [
    ...['login', 'client', 'line', 'seen'].map((name) => policy.limit(name).quota),
    policy.concurrency('database').limit,
    policy.concurrency('database').shares,
    policy.breaker('payment').config,
  ];

  it('is in force again when its file, which stayed, is reloaded', () => {
    const scope = `process:rolled-back-${process.pid}`;
    const old = Policy.parse(allOf(scope, 2));
    const before = seenOf(old);
    const other = Policy.parse(allOf(scope, 7, 20, ', consecutive_failures = 5'));
    assert.deepEqual(seenOf(other), seenOf(old));
    assert.notDeepEqual(seenOf(old), before);
    assert.deepEqual(old.reload(allOf(scope, 2)).changes, []);
    assert.deepEqual(seenOf(old), before);
    assert.equal(old.inForce.hash, old.hash);
  });

  it('leaves what the other put in force where its reload is refused', () => {
    const scope = `process:undone-${process.pid}`;
    const one = Policy.parse(allOf(scope, 5));
    seenOf(one);
    const other = Policy.parse(allOf(scope, 2, 20, ', consecutive_failures = 5'));
    const before = seenOf(other);
    assert.throws(() => one.reload(allOf(scope, 7, 60_000)), PolicyError);
    assert.deepEqual(seenOf(one), before);
    assert.equal(one.inForce.hash, other.hash);
  });
});
