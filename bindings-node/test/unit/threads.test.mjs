// What worker threads share, and what one that ends leaves behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { CircuitBreaker, ConcurrencyLimiter, TokenBucket } from 'tidegate';
import { fresh, ownDirectory, skip, until } from './arenas.mjs';

ownDirectory();

/** A thread that runs `code` with `tidegate` and `parentPort`. */
const thread = (code) =>
  new Worker(`const tidegate = require('tidegate'); const { parentPort } = require('node:worker_threads'); ${code}`, {
    eval: true,
  });

/** A probe that is not given back is missed for longer than any test lasts. */
const PROBES = { consecutiveFailures: 1, cooldownMs: 1, probes: 2, probeTimeoutMs: 86_400_000 };

for (const kind of ['process', 'host']) {
  describe(`worker threads in ${kind} scope`, { skip: kind === 'host' && skip }, () => {
    it('obey one limit', async () => {
      const place = `rate: '1000/hour', scope: '${kind}:${fresh()}', name: 'a'`;
      const workers = Array.from({ length: 4 }, () =>
        thread(`
          const bucket = new tidegate.TokenBucket({ ${place} });
          let admitted = 0;
          parentPort.once('message', () => {
            for (let i = 0; i < 5000; i += 1) admitted += Number(bucket.tryAcquire());
            parentPort.postMessage(admitted);
            parentPort.close();
          });
          parentPort.postMessage('ready');`),
      );
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      const answers = workers.map((worker) => once(worker, 'message'));
      workers.forEach((worker) => worker.postMessage('go'));
      const admitted = (await Promise.all(answers)).map(([count]) => count);
      assert.equal(
        admitted.reduce((a, b) => a + b),
        1000,
        admitted.join(),
      );
    });

    it('give back what they held when they end, however they do', async () => {
      const options = { limit: 3, scope: `${kind}:${fresh()}`, name: 'a' };
      const limiter = new ConcurrencyLimiter(options);
      const own = limiter.tryAcquire();
      const hold = (then) =>
        thread(`
          const limiter = new tidegate.ConcurrencyLimiter(${JSON.stringify(options)});
          globalThis.kept = [limiter.tryAcquire(), limiter.tryAcquire()];
          parentPort.postMessage(globalThis.kept.filter(Boolean).length);
          ${then}`);
      const endings = {
        terminate: () => hold('setInterval(() => {}, 1000);'),
        exit: () => hold(`parentPort.once('message', () => process.exit());`),
        throw: () => hold(`parentPort.once('message', () => { throw new Error('on purpose'); });`),
        end: () => hold(`parentPort.once('message', () => parentPort.close());`),
      };
      for (const [how, begin] of Object.entries(endings)) {
        const worker = begin();
        worker.on('error', () => {});
        const exited = once(worker, 'exit').catch(() => {});
        assert.deepEqual(await once(worker, 'message'), [2], how);
        assert.deepEqual([limiter.inUse, limiter.tryAcquire()], [3, null], how);
        const waiting = limiter.acquire({ timeoutMs: 60_000 });
        if (how === 'terminate') await worker.terminate();
        else worker.postMessage('now');
        await exited;
        (await waiting).release();
        assert.equal(limiter.inUse, 1, how);
      }
      assert.equal(own.release(), true);
    });

    it('give back their probes when they end, however they do', async () => {
      const options = { ...PROBES, scope: `${kind}:${fresh()}` };
      const breaker = new CircuitBreaker('a', options);
      const hold = (then) =>
        thread(`
          const breaker = new tidegate.CircuitBreaker('a', ${JSON.stringify(options)});
          const took = () => {
            globalThis.kept = [breaker.tryAcquire(), breaker.tryAcquire()];
            parentPort.postMessage(globalThis.kept.filter(Boolean).length);
          };
          const look = () => (breaker.retryAfterMs > 0 ? setTimeout(look, 1) : took());
          look();
          ${then}`);
      const endings = {
        terminate: () => hold('setInterval(() => {}, 1000);'),
        exit: () => hold(`parentPort.once('message', () => process.exit());`),
        throw: () => hold(`parentPort.once('message', () => { throw new Error('on purpose'); });`),
        end: () => hold(`parentPort.once('message', () => parentPort.close());`),
      };
      for (const [how, begin] of Object.entries(endings)) {
        breaker.reset();
        breaker.acquire().failure();
        const worker = begin();
        worker.on('error', () => {});
        // `once` would take an error for the end.
        const exited = new Promise((resolve) => worker.once('exit', resolve));
        assert.deepEqual(await once(worker, 'message'), [2], how);
        assert.deepEqual([breaker.state, breaker.tryAcquire()], ['half_open', null], how);
        if (how === 'terminate') await worker.terminate();
        else worker.postMessage('now');
        await exited;
        // Neutral: nobody knows what became of those calls, and the slots are free at once.
        const probes = [breaker.acquire(), breaker.acquire()];
        probes.forEach((probe) => probe.success());
        assert.equal(breaker.state, 'closed', how);
        assert.deepEqual(
          breaker.events().filter((event) => event.kind === 'probe_lost'),
          [],
          how,
        );
      }
    });

    it('give back no probe of another, and none twice', async () => {
      const options = { ...PROBES, scope: `${kind}:${fresh()}` };
      const breaker = new CircuitBreaker('a', options);
      breaker.acquire().failure();
      await until(() => breaker.retryAfterMs === 0);
      const mine = breaker.acquire();
      const worker = thread(`
        const breaker = new tidegate.CircuitBreaker('a', ${JSON.stringify(options)});
        breaker.acquire().release();
        const one = breaker.acquire();
        one.success();
        globalThis.kept = one;
        parentPort.postMessage(breaker.tryAcquire() === null);`);
      const exited = once(worker, 'exit');
      assert.deepEqual(await once(worker, 'message'), [true]);
      await exited;
      assert.deepEqual([breaker.state, breaker.tryAcquire()], ['half_open', null]);
      mine.success();
      assert.equal(breaker.state, 'closed');
    });

    it('give back to one another', async () => {
      const options = { limit: 1, scope: `${kind}:${fresh()}`, name: 'a' };
      const limiter = new ConcurrencyLimiter(options);
      const worker = thread(`
        const limiter = new tidegate.ConcurrencyLimiter(${JSON.stringify(options)});
        const permit = limiter.tryAcquire();
        parentPort.postMessage('held');
        parentPort.once('message', () => { permit.release(); parentPort.close(); });`);
      await once(worker, 'message');
      const exited = once(worker, 'exit');
      const waiting = limiter.acquire({ timeoutMs: 60_000 });
      worker.postMessage('release');
      assert.equal((await waiting).release(), true);
      await exited;
    });

    it('find what others left, as long as somebody has the arena', async () => {
      const place = { scope: `${kind}:${fresh()}`, name: 'a' };
      const keep = new TokenBucket({ rate: '2/hour', ...place });
      const [left] = await once(
        thread(`const bucket = new tidegate.TokenBucket({ rate: '2/hour', ...${JSON.stringify(place)} });
          bucket.tryAcquire(); parentPort.postMessage(bucket.check().remaining);`),
        'message',
      );
      assert.deepEqual([left, keep.tryAcquire()], [0, false]);
    });
  });
}

describe('a limiter in a named scope', () => {
  it('that is collected with its permits gives them back', async () => {
    assert.equal(typeof gc, 'function', 'run node with --expose-gc');
    const options = { limit: 2, scope: `process:${fresh()}`, name: 'a' };
    const mine = new ConcurrencyLimiter(options);
    // In a function of its own, so that no variable here keeps it.
    (() => new ConcurrencyLimiter(options).tryAcquire())();
    assert.equal(mine.inUse, 1);
    await until(async () => {
      gc();
      await turn();
      return mine.inUse === 0;
    });
  });
});
