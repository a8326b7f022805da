// How long a client is told to wait that finds no room: by the rate, unless that is given.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { BoundedQueue, ConcurrencyLimiter, ManualClock, Processor, overloadRetryAfterMs } from '../../index.mjs';

const { Outflow } = createRequire(import.meta.url)('../../lib/outflow.cjs');
const within = (ms, least, most) => assert.ok(ms >= least && ms <= most && ms % 1000 === 0, `${ms}`);

describe('the wait of who finds no room', () => {
  it('is what every binding tells', () => {
    const file = new URL('../../../tests/vectors/overload_waits.json', import.meta.url);
    for (const { asks } of JSON.parse(readFileSync(file, 'utf8')).cases) {
      for (const ask of asks) {
        const depth = Math.min(Number(ask.depth), Number.MAX_SAFE_INTEGER);
        const told = overloadRetryAfterMs(depth, Number(ask.done), Number(ask.window_ns) / 1e6, ask.draw);
        assert.equal(told, ask.retry_after * 1000, JSON.stringify(ask));
      }
    }
  });

  it('names what cannot be', () => {
    for (const [given, name] of [
      [[-1, 1, 1, 0], 'depth'],
      [[1, 1.5, 1, 0], 'done'],
      [[1, 1, NaN, 0], 'windowMs'],
      [[1, 1, 1, 1], 'draw'],
      [[1, 1, 1, '0'], 'draw'],
    ]) {
      assert.throws(() => overloadRetryAfterMs(...given), { message: new RegExp(`^${name} must be `) });
    }
  });

  it('is that of the last ten seconds', () => {
    const outflow = new Outflow();
    assert.equal(outflow.retryAfterMs(50, 0, 0), 1000, 'not known yet');
    for (let second = 1; second <= 20; second += 1) {
      within(outflow.retryAfterMs(50, second * 5, second * 1e3), 1e4, 12e3);
    }
    // From here on nothing is done.
    for (let second = 21; second <= 31; second += 1) outflow.retryAfterMs(50, 100, second * 1e3);
    within(outflow.retryAfterMs(50, 100, 32e3), 6e4, 72e3);
    assert.equal(outflow.retryAfterMs(50, 900, 3600e3), 1000, 'an hour tells nothing of now');
    assert.equal(outflow.retryAfterMs(50, 900, 3000e3), 1000, 'the clock stepped back');
    within(outflow.retryAfterMs(50, 950, 3010e3), 1e4, 12e3);
  });

  it('is told by a queue', async () => {
    const clock = new ManualClock();
    const queue = new BoundedQueue({ capacity: 40, highWatermark: 1, clock });
    const told = async () => {
      while (queue.tryPush(1));
      return queue.push(1, { timeoutMs: 0 }).then(assert.fail, (error) => error.retryAfterMs);
    };
    assert.equal(await told(), 1000, 'not known yet');
    for (let second = 0; second < 10; second += 1) {
      clock.advance(1000);
      queue.tryPop();
      queue.tryPop();
      within(await told(), 2e4, 24e3);
    }
    clock.advance(11_000);
    within(await told(), 6e4, 72e3);
    assert.equal(new BoundedQueue({ capacity: 1, retryAfterMs: 250 }).retryAfterMs, 250);
  });

  it('is told by a limiter', async () => {
    const clock = new ManualClock();
    const limiter = ConcurrencyLimiter.adaptive({ initialLimit: 10, clock });
    const held = Array.from({ length: 10 }, () => limiter.tryAcquire());
    const told = () => limiter.acquire().then(assert.fail, (error) => error.retryAfterMs);
    assert.equal(await told(), 1000, 'not known yet');
    clock.advance(4000);
    for (const at of [0, 1]) {
      held[at].release();
      held[at] = limiter.tryAcquire();
    }
    within(await told(), 2e4, 24e3);
  });

  it('is told by a processor, at first as not known', async () => {
    const open = Promise.withResolvers?.() ?? {};
    open.promise ??= new Promise((resolve) => (open.resolve = resolve));
    const processor = new Processor(() => open.promise, { workers: 1, capacity: 1 });
    await processor.submit(1);
    await processor.submit(2);
    const error = await processor.submit(3, { timeoutMs: 0 }).then(assert.fail, (one) => one);
    assert.equal(error.retryAfterMs, 1000);
    assert.equal(processor.retryAfterMs, 1000);
    open.resolve();
    await processor.close();
  });
});
