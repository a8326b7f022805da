// What processes of a machine share: clusters, children as PM2 starts them, and what a killed one leaves.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, renameSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ConcurrencyLimiter, HostScope, RateLimiter, TokenBucket } from 'tidegate';
import { rateLimit } from 'tidegate/express';
import { fresh, ownDirectory, program, skip, start, until } from './arenas.mjs';

const directory = ownDirectory();

describe('host scope', { skip }, () => {
  it('is one limit for a cluster behind one port', async () => {
    const primary = fork(program('cluster'), [`host:${fresh()}`]);
    const [{ port }] = await once(primary, 'message');
    const statuses = { 200: 0, 429: 0 };
    const ask = async () => {
      const { status } = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      statuses[status] += 1;
    };
    for (let round = 0; round < 20; round += 1) await Promise.all(Array.from({ length: 10 }, ask));
    primary.send('tell');
    const [{ served }] = await once(primary, 'message');
    primary.disconnect();
    await once(primary, 'exit');
    assert.deepEqual(statuses, { 200: 100, 429: 100 });
    assert.equal(Object.keys(served).length, 4, `each worker had some: ${JSON.stringify(served)}`);
    assert.ok(
      Object.values(served).every((count) => count < 100),
      'and none had all',
    );
  });

  it('is one limit for processes that are started one by one', async () => {
    const scope = `host:${fresh()}`;
    const take = `
      kept.bucket ??= new tidegate.TokenBucket({ rate: '1000/hour', scope: '${scope}', name: 'everyone' });
      kept.users ??= new tidegate.RateLimiter({ rate: '10/hour', maxKeys: 100, scope: '${scope}', name: 'users' });
      let [admitted, ann] = [0, 0];
      for (let i = 0; i < 800; i += 1) admitted += Number(kept.bucket.tryAcquire());
      for (let i = 0; i < 8; i += 1) ann += Number(kept.users.tryAcquire('ann'));
      return [admitted, ann];`;
    const apps = await Promise.all([start(), start()]);
    const [one, other] = await Promise.all(apps.map((app) => app.run(take)));
    assert.deepEqual([one[0] + other[0], one[1] + other[1]], [1000, 10]);
    await apps[0].stop();
    const restarted = await start();
    assert.deepEqual(await restarted.run(take), [0, 0], 'a restart brings nothing back');
    assert.equal(new RateLimiter({ rate: '10/hour', maxKeys: 100, scope, name: 'users' }).tryAcquire('bob'), true);
    await Promise.all([restarted.stop(), apps[1].stop()]);
  });

  it('opens a circuit for all, and closes it for all', async () => {
    const scope = `host:${fresh()}`;
    const options = `{ consecutiveFailures: 2, scope: '${scope}' }`;
    const make = `kept.breaker ??= new tidegate.CircuitBreaker('payment', ${options});`;
    const [one, other] = await Promise.all([start(), start()]);
    await one.run(`${make} kept.breaker.acquire().failure();`);
    await other.run(`${make} kept.breaker.acquire().failure();`);
    assert.equal(await one.run(`${make} return kept.breaker.state`), 'open');
    await other.run('kept.breaker.reset();');
    assert.equal(await one.run('return kept.breaker.state'), 'closed');
    await Promise.all([one.stop(), other.stop()]);
  });

  it('takes back the permits of a process that is killed', async () => {
    const options = { limit: 4, scope: `host:${fresh()}`, name: 'database' };
    const mine = new ConcurrencyLimiter(options);
    const holder = await start();
    const held = await holder.run(`
      kept.limiter = new tidegate.ConcurrencyLimiter(${JSON.stringify(options)});
      kept.permits = [1, 2, 3].map(() => kept.limiter.tryAcquire());
      return kept.permits.filter(Boolean).length`);
    assert.equal(held, 3);
    const own = mine.tryAcquire();
    assert.deepEqual([mine.inUse, mine.tryAcquire()], [4, null]);
    const waiting = Promise.all([mine.acquire({ timeoutMs: 60_000 }), mine.acquire({ timeoutMs: 60_000 })]);
    await holder.stop('SIGKILL');
    await waiting;
    assert.deepEqual([mine.stats().reclaimed, mine.inUse], [3, 3]);
    assert.equal(own.release(), true, 'mine were not taken');
  });

  it('wakes a wait when another process gives back', async () => {
    const options = { limit: 1, scope: `host:${fresh()}`, name: 'a' };
    const mine = new ConcurrencyLimiter(options);
    const other = await start();
    await other.run(
      `kept.limiter = new tidegate.ConcurrencyLimiter(${JSON.stringify(options)});
       kept.permit = kept.limiter.tryAcquire();`,
    );
    const waiting = mine.acquire({ timeoutMs: 60_000 });
    assert.equal(await other.run('return kept.permit.release()'), true);
    assert.equal((await waiting).release(), true);
    await other.stop();
  });

  it('is where a HostScope says', async () => {
    const scope = new HostScope(fresh(), { path: directory, capacity: 2 ** 20 });
    const place = { scope, name: 'a' };
    const first = new TokenBucket({ rate: '2/hour', ...place });
    first.tryAcquire();
    const other = await start();
    const answers = await other.run(`
      const scope = new tidegate.HostScope('${scope.name}', { path: '${directory}' });
      const bucket = new tidegate.TokenBucket({ rate: '2/hour', scope, name: 'a' });
      return [bucket.tryAcquire(), bucket.tryAcquire()]`);
    assert.deepEqual(answers, [true, false]);
    await other.stop();
    assert.throws(
      () =>
        new TokenBucket({
          rate: '2/hour',
          scope: new HostScope(scope.name, { path: directory, capacity: 2 ** 21 }),
          name: 'a',
        }),
      {
        name: 'RangeError',
        message: /2097152|capacity/,
      },
    );
    assert.ok(readdirSync(directory).some((file) => file.startsWith(scope.name)));
  });

  it("follows a deploy to a slower or faster rate of a route, beside the old version's workers", async () => {
    const other = await start();
    const warnings = [];
    const warned = (warning) => warnings.push(warning.message);
    process.on('warning', warned);
    const rates = ['5/minute', '20/hour', '300/hour', '10/minute'];
    for (const [old, rate] of rates.flatMap((old) => rates.map((rate) => [old, rate]))) {
      if (old === rate) continue;
      const scope = `host:${fresh()}`;
      const drain = (key) => `
        const place = { scope: '${scope}', name: 'login', onConflict: 'keep' };
        kept.limiter = new tidegate.RateLimiter({ rate: '${old}', ...place });
        return Array.from({ length: 1000 }, () => kept.limiter.tryAcquire('${key}')).filter(Boolean).length;`;
      assert.equal(await other.run(drain('127.0.0.1')), parseInt(old, 10));
      const server = createServer();
      const limit = rateLimit({ rate, key: 'ip', scope, name: 'login' });
      server.on('request', (request, response) => limit(request, response, () => response.end('here')));
      await once(server.listen(0, '127.0.0.1'), 'listening');
      let admitted = 0;
      for (let i = 0; i < 6; i += 1) {
        const { status } = await fetch(`http://127.0.0.1:${server.address().port}/`);
        admitted += Number(status === 200);
      }
      // All was used, of the new rate as well, but for what comes back while this runs.
      assert.ok(admitted <= 2, `${old} to ${rate}: ${admitted}`);
      assert.ok((await other.run(drain('127.0.0.1'))) <= 2);
      assert.equal(await other.run(drain('127.0.0.9')), parseInt(rate, 10));
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await until(() => warnings.length === rates.length * (rates.length - 1));
    process.off('warning', warned);
    await other.stop();
  });

  it('takes of a slower rate what it can hold, and says what to do about one that it cannot have', async () => {
    const other = await start();
    const scope = `host:${fresh()}`;
    const declare = (name, options) =>
      other.run(`
        const options = ${JSON.stringify({ scope, name, onConflict: 'apply', ...options })};
        return new tidegate.RateLimiter(options).quota.burst`);
    await declare('login', { rate: '10/s' });
    const warned = once(process, 'warning');
    rateLimit({ rate: '1000/day', key: 'ip', scope, name: 'login' });
    const burst = await declare('login', { rate: '1000/day' });
    assert.ok(burst >= 10 && burst < 1000, `${burst}`);
    assert.match((await warned)[0].message, new RegExp(`with a burst of ${burst}:`));
    await assert.rejects(declare('login', { rate: '1/day' }), /rate: 1\/day .*another name.*`tidegate rm .* login`/);
    // What was declared as `fastest` it can have.
    for (const name of ['slow', 'quick']) await declare(name, { rate: '10/s', fastest: '1/day' });
    rateLimit({ rate: '1/day', fastest: '1/day', key: 'ip', scope, name: 'slow' });
    rateLimit({ rate: '100/s', fastest: '1/day', key: 'ip', scope, name: 'quick' });
    assert.equal(await declare('slow', { rate: '1/day', fastest: '1/day' }), 1);
    assert.equal(await declare('quick', { rate: '100/s', fastest: '1/day' }), 100);
    await other.stop();
  });

  it('says once that another version of it is in use', async () => {
    const name = fresh();
    const make = `kept.bucket = new tidegate.TokenBucket({ rate: '1/s', scope: 'host:${name}', name: 'a' });`;
    const old = await start();
    await old.run(make);
    const file = readdirSync(directory).find((entry) => entry.startsWith(name));
    renameSync(join(directory, file), join(directory, file.replace(/\.v\d+\./, '.v999.')));
    const next = await start();
    await next.run(`${make} ${make}
      const { Worker } = process.getBuiltinModule('node:worker_threads');
      const code = "const tidegate = require('tidegate'); const kept = {};" + ${JSON.stringify(make)};
      return new Promise((resolve) => new Worker(code, { eval: true }).once('exit', resolve));`);
    await until(() => next.stderr().includes('999'));
    assert.equal(next.stderr().match(/TidegateWarning/g).length, 1, next.stderr());
    await Promise.all([old.stop(), next.stop()]);
  });
});
