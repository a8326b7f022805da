// The border: collection, panics, threads.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import * as esm from 'tidegate';

const require = createRequire(import.meta.url);
const { addon, numbers } = require('../../lib/native.cjs');
const { BoundedQueue, CircuitBreaker, LimitSet, RateLimiter, TokenBucket } = esm;

const alive = () => {
  addon.probe.alive();
  return numbers[0];
};

describe('the border', () => {
  it('has one class identity for import and require', () => {
    const cjs = require('tidegate');
    assert.deepEqual(
      Object.keys(esm)
        .filter((key) => key in cjs)
        .sort(),
      Object.keys(cjs).sort(),
    );
    for (const key of Object.keys(cjs)) assert.equal(esm[key], cjs[key]);
  });

  it('gives native objects back when their instances are collected', async () => {
    assert.equal(typeof gc, 'function', 'run node with --expose-gc');
    const before = alive();
    const keep = new TokenBucket({ rate: '1/hour' });
    for (let i = 0; i < 20_000; i += 1) {
      new TokenBucket({ rate: '100/s' }).tryAcquire();
      if (i % 10 === 0) new CircuitBreaker('b').acquire();
      if (i % 10 === 0) {
        const limiter = new RateLimiter({ rate: '100/s', maxKeys: 100 });
        new LimitSet({ limiter }).check({ limiter: 'k' });
        limiter.check('k', 1, limiter.tier('50/s'));
      }
      if (i % 10 === 0) new BoundedQueue({ capacity: 100 }).tryPush(i);
    }
    // Finalizers run in turns of the event loop after a collection; how soon is the engine's business.
    const deadline = performance.now() + 60_000;
    while (alive() > before + 1 && performance.now() < deadline) {
      gc();
      await turn();
    }
    assert.equal(alive(), before + 1);
    assert.equal(keep.tryAcquire(), true);
  });

  it('keeps the native object while anything can still reach it', async () => {
    const permit = new CircuitBreaker('gone', { consecutiveFailures: 1 }).acquire();
    const reservation = new TokenBucket({ rate: '1/s' }).reserve();
    for (let i = 0; i < 5; i += 1) {
      gc();
      await turn();
    }
    permit.failure();
    assert.equal(reservation.cancel(), false);
  });

  it('turns a panic into an Error and goes on', () => {
    assert.throws(() => addon.probe.panic(), { name: 'Error', code: 'ERR_TIDEGATE_INTERNAL', message: /asked to/ });
    assert.equal(new TokenBucket({ rate: '1/s' }).tryAcquire(), true);
  });

  it('answers an impossible place with an Error', () => {
    const { words } = require('../../lib/native.cjs');
    words[0] = 0xffff_ffff;
    assert.throws(() => addon.bucket.tryAcquire(), { code: 'ERR_TIDEGATE_INTERNAL' });
  });

  it('runs in worker threads, each with objects of its own', async () => {
    const main = new TokenBucket({ rate: '1/hour' });
    const results = await Promise.all(
      Array.from({ length: 4 }, () => {
        const worker = new Worker(
          `const { parentPort } = require('node:worker_threads');
           const { TokenBucket, CircuitBreaker, BoundedQueue } = require('tidegate');
           const bucket = new TokenBucket({ rate: '1000/hour' });
           let admitted = 0;
           for (let i = 0; i < 5000; i += 1) admitted += bucket.tryAcquire() ? 1 : 0;
           const queue = new BoundedQueue({ capacity: 10 });
           new CircuitBreaker('w').call(async () => {
             await queue.push(admitted);
             parentPort.postMessage(await queue.pop());
           });`,
          { eval: true },
        );
        return new Promise((resolve, reject) => {
          let message;
          worker.on('message', (value) => (message = value)).on('error', reject);
          worker.on('exit', (code) => resolve([code, message]));
        });
      }),
    );
    for (const result of results) assert.deepEqual(result, [0, 1000]);
    assert.equal(main.tryAcquire(), true);
  });

  it('survives a worker that is ended in the middle', async () => {
    for (let i = 0; i < 5; i += 1) {
      const worker = new Worker(
        `const { TokenBucket } = require('tidegate');
         const kept = [];
         require('node:worker_threads').parentPort.postMessage('started');
         for (;;) { kept.push(new TokenBucket({ rate: '1/s' })); kept[kept.length - 1].check(); }`,
        { eval: true },
      );
      await new Promise((resolve) => worker.once('message', resolve));
      assert.equal(await worker.terminate(), 1);
    }
    assert.equal(new TokenBucket({ rate: '1/s' }).tryAcquire(), true);
  });
});
