// Workers of BullMQ on a real Redis.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { Pacing } from '../../bullmq/index.mjs';
import { BoundedQueue, CircuitBreaker, CircuitOpenError, ConcurrencyLimiter, LoadShedder } from '../../index.mjs';
import { startRedis } from './redis.mjs';
import { until } from './until.mjs';

const redis = await startRedis();
const connection = { path: redis.path };
const LIMITER = { max: 1e9, duration: 1000 };
const values = (count) => Array.from({ length: count }, (_, index) => index);
const sorted = (numbers) => [...numbers].sort((a, b) => a - b);

describe('paced workers', { skip: redis.skip ?? false }, () => {
  const open = [];
  afterEach(async () => {
    // At once: a test that failed may have left jobs that never end.
    for (const one of open.splice(0).reverse()) await one.close(true);
  });
  after(() => redis.stop());

  async function queueOf(count, options = {}) {
    const queue = new Queue(`jobs-${randomUUID()}`, { connection });
    open.push(queue);
    await queue.addBulk(values(count).map((data) => ({ name: 'job', data, opts: options })));
    return queue;
  }

  function started(queue, pacing, handle, options = {}) {
    const worker = new Worker(queue.name, pacing.processor(handle), { connection, ...options });
    open.push(worker);
    worker.on('error', () => {});
    return pacing.attach(worker);
  }

  it('does as many jobs at once as the limit says', async () => {
    const queue = await queueOf(200);
    const limiter = new ConcurrencyLimiter({ limit: 6, maxLimit: 20 });
    const pacing = new Pacing({ limiter });
    const done = [];
    let running = 0;
    let most = 0;
    const worker = started(queue, pacing, async ({ data }) => {
      most = Math.max(most, (running += 1));
      await sleep(20);
      running -= 1;
      done.push(data);
    });
    await until(() => done.length >= 60);
    assert.equal(most, 6);
    limiter.setLimit(2);
    await until(() => running <= 2);
    most = 0;
    const before = done.length;
    await until(() => done.length >= before + 20);
    assert.deepEqual([most, worker.concurrency], [2, 2]);
    limiter.setLimit(9);
    await until(() => most === 9);
    // What others hold is not free; one job is done at any rate.
    const permits = values(9).map(() => limiter.acquire({ timeoutMs: Infinity }));
    await until(() => worker.concurrency === 1);
    for (const permit of permits) void permit.then((held) => held.release());
    await until(() => done.length === 200);
    assert.deepEqual(sorted(done), values(200));
    assert.equal(limiter.inUse, 0);
  });

  it('follows an adaptive limit', async () => {
    const queue = await queueOf(400);
    const limiter = ConcurrencyLimiter.adaptive({ algorithm: 'aimd', initialLimit: 4, minLimit: 2, maxLimit: 60 });
    const seen = new Set();
    let done = 0;
    const worker = started(queue, new Pacing({ limiter }), async () => {
      await sleep(10);
      seen.add(worker.concurrency);
      done += 1;
    });
    await until(() => done === 400);
    await until(() => worker.concurrency === limiter.limit);
    assert.ok(limiter.limit > 4 && seen.size > 1, `${limiter.limit}, ${[...seen]}`);
  });

  it('pauses at the watermark, and loses no job', async () => {
    const queue = await queueOf(300);
    const orders = new BoundedQueue({ capacity: 50 });
    const pacing = new Pacing({ limiter: new ConcurrencyLimiter({ limit: 5 }), pauseWhen: orders, minPauseMs: 10 });
    const done = [];
    let deepest = 0;
    const worker = started(queue, pacing, async ({ data }) => {
      // Those that were under way when it shut wait for room.
      await orders.push(data);
      deepest = Math.max(deepest, orders.depth);
    });
    while (done.length < 300) {
      await until(() => pacing.isPaused || orders.depth + done.length === 300);
      for (let item = orders.tryPop(); item !== undefined; item = orders.tryPop()) done.push(item);
      await until(() => !pacing.isPaused);
    }
    assert.deepEqual(sorted(done), values(300));
    assert.ok(pacing.pauses >= 5 && deepest <= 40, `${pacing.pauses} pauses, ${deepest} in the queue`);
    assert.equal(worker.isPaused(), false);
  });

  it('pauses while a breaker is open, then probes', async () => {
    const queue = await queueOf(30);
    const breaker = new CircuitBreaker(`bank-${randomUUID()}`, { consecutiveFailures: 1, cooldownMs: 300 });
    const limiter = new ConcurrencyLimiter({ limit: 5 });
    const pacing = new Pacing({ limiter, pauseWhen: breaker, queue, minPauseMs: 0 });
    let [asked, done, refused] = [0, 0, 0];
    const failed = [];
    const handle = async () => {
      asked += 1;
      if (asked === 1) throw new Error('the bank is down');
      await sleep(100);
      done += 1;
    };
    const take = () =>
      breaker.call(handle).catch((error) => {
        if (error instanceof CircuitOpenError) refused += 1;
        throw error;
      });
    const worker = started(queue, pacing, take, { limiter: LIMITER });
    worker.on('failed', (_job, error) => failed.push(error.message));
    await until(() => pacing.isPaused);
    assert.equal(worker.isPaused(), true);
    await until(() => done === 29);
    // Those that were refused, as it was open or others probed, went back.
    assert.deepEqual(failed, ['the bank is down']);
    assert.ok(refused > 0 && pacing.pauses >= 1, `${refused}, ${pacing.pauses}`);
  });

  it('waits as a 429 asks, in all processes, and counts no attempt', async () => {
    const asked = [];
    const server = createServer((_request, response) => {
      asked.push(performance.now());
      if (asked.length === 5) response.writeHead(429, { 'retry-after': '1' });
      response.end();
    }).listen(0);
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}`;
    const queue = await queueOf(20, { attempts: 1 });
    const done = [];
    const failed = [];
    const handle = async ({ data }) => {
      const response = await fetch(url);
      if (!response.ok) throw Object.assign(new Error('refused'), { response });
      await response.text();
      done.push(data);
    };
    let [toldAt, heardAt] = [0, 0];
    const told = {
      getRateLimitTtl: (most) => queue.getRateLimitTtl(most),
      async rateLimit(ms) {
        toldAt = performance.now();
        await queue.rateLimit(ms);
        heardAt = performance.now();
      },
    };
    for (const _ of values(2)) {
      const worker = started(queue, new Pacing({ queue: told }), handle, { limiter: LIMITER });
      worker.on('failed', (_job, error) => failed.push(error.message));
    }
    await until(() => done.length === 20);
    server.close();
    assert.deepEqual([sorted(done), failed], [values(20), []]);
    // The other worker may have taken a job before.
    const early = asked.filter((at) => at > heardAt && at < toldAt + 950).length;
    assert.ok(early <= 1 && asked.length === 21, `${early} of ${asked.length} came early`);
  });

  it('lets a longer wait stand, and does not wait for ever', async () => {
    const queue = await queueOf(2);
    const waits = [60_000, 1_000];
    for (const _ of values(2)) {
      const refused = async () => {
        const retryAfterMs = waits.shift();
        await until(() => waits.length === 0);
        while (retryAfterMs === 1_000 && (await queue.getRateLimitTtl(LIMITER.max)) === 0) await sleep(5);
        throw Object.assign(new Error('later'), { retryAfterMs });
      };
      const pacing = new Pacing({ queue, maxRetryAfterMs: 30_000 });
      const worker = started(queue, pacing, refused, { limiter: LIMITER });
      worker.on('error', assert.fail);
    }
    await until(() => waits.length === 0);
    while ((await queue.getWaitingCount()) < 2) await sleep(5);
    const left = await queue.getRateLimitTtl(LIMITER.max);
    assert.ok(left > 20_000 && left <= 30_000, `${left} ms`);
  });

  it('does the jobs of a process that was killed', async () => {
    const queue = await queueOf(40);
    const child = fork(new URL('programs/bullmq_worker.mjs', import.meta.url), [redis.path, queue.name]);
    const taken = [];
    child.on('message', (data) => taken.push(data));
    await until(() => taken.length === 8);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const done = [];
    const pacing = new Pacing({ limiter: new ConcurrencyLimiter({ limit: 4 }) });
    started(queue, pacing, async ({ data }) => done.push(data), { stalledInterval: 200 });
    await until(() => done.length === 40);
    assert.deepEqual(sorted(done), values(40));
  });

  it('has a shedder that nobody else asks sample', async () => {
    const queue = await queueOf(0);
    let backlog = 0;
    const shedder = new LoadShedder({ signals: [{ kind: 'gauge', read: () => backlog, start: 0, full: 10 }] });
    const pacing = new Pacing({ pauseWhen: shedder, minPauseMs: 0 });
    let done = 0;
    started(queue, pacing, async () => (done += 1));
    backlog = 100;
    for (let sent = 0; !pacing.isPaused; sent += 1) {
      assert.ok(sent < 500, 'it never paused');
      await queue.add('job', sent);
      await sleep(20);
    }
    backlog = 0;
    await until(() => !pacing.isPaused);
    const before = done;
    await queue.add('job', 'last');
    await until(() => done > before);
  });

  it('does not resume what the user has paused', async () => {
    const queue = await queueOf(1);
    const source = { pressure: 0 };
    const pacing = new Pacing({ pauseWhen: source, minPauseMs: 0 });
    let done = 0;
    const worker = started(queue, pacing, async () => (done += 1));
    await until(() => done === 1);
    pacing.pause();
    source.pressure = 1;
    await until(() => pacing.isPaused);
    source.pressure = 0;
    await until(() => !pacing.isPaused);
    assert.equal(worker.isPaused(), true);
    source.pressure = 1;
    await until(() => pacing.isPaused);
    pacing.resume();
    assert.equal(worker.isPaused(), true);
    source.pressure = 0;
    await until(() => !worker.isPaused());
    await queue.add('job', 1);
    await until(() => done === 2);
  });

  it('ends while others have all permits, and its jobs go back', async () => {
    const queue = await queueOf(5);
    const limiter = new ConcurrencyLimiter({ limit: 2 });
    const permits = values(2).map(() => limiter.tryAcquire());
    const failed = [];
    let done = 0;
    const worker = started(queue, new Pacing({ limiter }), async () => (done += 1));
    worker.on('failed', (_job, error) => failed.push(error.message));
    await until(() => limiter.stats().waiting === 1);
    // Not by force: it waits for its jobs.
    await worker.close();
    assert.deepEqual([done, failed, limiter.stats().waiting], [0, [], 0]);
    assert.deepEqual([await queue.getWaitingCount(), await queue.getActiveCount()], [5, 0]);
    for (const permit of permits) permit.release();
    started(queue, new Pacing({ limiter }), async () => (done += 1));
    await until(() => done === 5);
  });

  it('refuses what it cannot pace', async () => {
    const queue = await queueOf(0);
    const none = { name: 'TypeError' };
    assert.throws(() => new Pacing({ limiter: 3 }), { ...none, message: /limiter must be a .*, got 3/ });
    assert.throws(() => new Pacing({ queue: {} }), { ...none, message: /queue must be a Queue of bullmq/ });
    assert.throws(() => new Pacing({ pauseWhen: 3 }), { ...none, message: /source must be/ });
    assert.throws(() => new Pacing({ rate: 3 }), /new Pacing has no option 'rate'/);
    assert.throws(() => new Pacing({ maxRetryAfterMs: 0 }), /maxRetryAfterMs must be/);
    assert.throws(() => new Pacing({}).attach(queue), { ...none, message: /worker must be a Worker of bullmq/ });
    assert.throws(() => new Pacing({}).processor(3), /handle/);
    assert.throws(() => new Pacing({}).pause(), /call attach\(worker\) before/);
    const pacing = new Pacing({ queue });
    assert.throws(() => started(queue, pacing, () => {}), /worker must have an option limiter/);
    started(queue, pacing, () => {}, { limiter: LIMITER });
    assert.throws(() => started(queue, pacing, () => {}, { limiter: LIMITER }), /is for one worker, and has one/);
  });
});
