// @nestjs/throttler with our storage: each step beside the library's own storage, on the same clock and over HTTP.
import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { Controller, Get } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { SkipThrottle, Throttle, ThrottlerGuard, ThrottlerModule, ThrottlerStorageService } from '@nestjs/throttler';
import { ManualClock } from 'tidegate';
import { TidegateThrottlerStorage } from 'tidegate/throttler';
import { ADAPTERS, type Adapter, start } from './app.js';
import { requester, statuses } from './request.js';

/** A call and how long it comes after the one before. */
type Step = [afterMs: number, key: string, ttl: number, limit: number, blockDuration: number];
const times = (count: number, step: Step): Step[] => Array.from({ length: count }, () => step);

const SCRIPTS: Record<string, Step[]> = {
  'counts hits up to the limit and blocks above it': times(8, [0, 'a', 60_000, 5, 60_000]),
  'counts each key by itself': [...times(3, [0, 'a', 60_000, 2, 60_000]), ...times(3, [0, 'b', 60_000, 2, 60_000])],
  'lets a hit expire after its ttl': [
    ...times(2, [400, 'a', 1000, 2, 0]),
    [700, 'a', 1000, 2, 0],
    [100, 'a', 1000, 2, 0],
    [2000, 'a', 1000, 2, 0],
  ],
  'begins anew when the block ends': [
    ...times(4, [0, 'a', 1000, 2, 5000]),
    [4000, 'a', 1000, 2, 5000],
    [1010, 'a', 1000, 2, 5000],
    [10, 'a', 1000, 2, 5000],
  ],
  'blocks for less than its ttl': [
    ...times(3, [0, 'a', 60_000, 2, 5000]),
    [4000, 'a', 60_000, 2, 5000],
    [1010, 'a', 60_000, 2, 5000],
    ...times(2, [10, 'a', 60_000, 2, 5000]),
  ],
  'is not blocked for longer by going on': [
    ...times(3, [0, 'a', 1000, 2, 3000]),
    ...times(5, [500, 'a', 1000, 2, 3000]),
    [600, 'a', 1000, 2, 3000],
  ],
  'tells how long a record lives': [
    [0, 'a', 10_000, 5, 10_000],
    [4000, 'a', 10_000, 5, 10_000],
    [5000, 'a', 10_000, 5, 10_000],
    [2000, 'a', 10_000, 5, 10_000],
  ],
  'lets hits go one by one without a block': [
    [0, 'a', 1000, 2, 0],
    [500, 'a', 1000, 2, 0],
    [300, 'a', 1000, 2, 0],
    [250, 'a', 1000, 2, 0],
    [10, 'a', 1000, 2, 0],
  ],
  'counts large limits': times(7, [0, 'a', 60_000, 5000, 60_000]),
};

describe('TidegateThrottlerStorage', () => {
  it('is one for all that share a scope', async () => {
    const scope = `process:throttler-${process.pid}` as const;
    const [one, other] = [new TidegateThrottlerStorage({ scope }), new TidegateThrottlerStorage({ scope })];
    const hits = async (storage: TidegateThrottlerStorage) =>
      (await storage.increment('a', 60_000, 2, 60_000, 'default')).isBlocked;
    assert.deepEqual(
      [await hits(one), await hits(other), await hits(one), await hits(other)],
      [false, false, true, true],
    );
    assert.equal(await hits(new TidegateThrottlerStorage({ scope, name: 'another' })), false);
  });

  for (const [what, steps] of Object.entries(SCRIPTS)) {
    it(what, async (t) => {
      mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
      t.after(() => mock.timers.reset());
      const clock = new ManualClock(1_000_000_000n);
      const theirs = new ThrottlerStorageService();
      t.after(() => theirs.onApplicationShutdown());
      const ours = new TidegateThrottlerStorage({ clock });
      for (const [index, [afterMs, ...call]] of steps.entries()) {
        mock.timers.tick(afterMs);
        clock.advance(afterMs);
        const expected = await theirs.increment(...call, 'default');
        const answer = await ours.increment(...call, 'default');
        const where = `call ${index}: ${JSON.stringify(call)}`;
        assert.equal(answer.isBlocked, expected.isBlocked, where);
        // During a block theirs counts down to zero, as hits that were counted before it expire.
        if (expected.isBlocked) assert.ok(answer.totalHits > call[2], where);
        else assert.equal(answer.totalHits, expected.totalHits, where);
        assert.ok(
          Math.abs(answer.timeToExpire - expected.timeToExpire) <= 1,
          `${where}: ${answer.timeToExpire} for ${expected.timeToExpire}`,
        );
        // Without a block theirs tells the age of the clock.
        const wait = expected.isBlocked ? expected.timeToBlockExpire : 0;
        assert.ok(Math.abs(answer.timeToBlockExpire - wait) <= 1, `${where}: ${answer.timeToBlockExpire} for ${wait}`);
      }
    });
  }

  it('keeps throttlers apart, and forgets when told to', async () => {
    const storage = new TidegateThrottlerStorage();
    const hit = async (name: string) => (await storage.increment('k', 60_000, 2, 60_000, name)).totalHits;
    assert.deepEqual([await hit('short'), await hit('short'), await hit('long')], [1, 2, 1]);
    storage.resetAll();
    assert.equal(await hit('short'), 1);
  });

  it('admits nobody where the limit is zero', async () => {
    const answer = await new TidegateThrottlerStorage().increment('k', 60_000, 0, 60_000, 'default');
    assert.deepEqual([answer.isBlocked, answer.timeToBlockExpire], [true, 60]);
  });

  it('shows at once where an option is wrong', async () => {
    assert.throws(() => new TidegateThrottlerStorage({ maxKeys: 0 }), { name: 'RangeError', message: /maxKeys/ });
    await assert.rejects(new TidegateThrottlerStorage().increment('k', 1000, 2 ** 20, 0, 'x'), {
      name: 'RangeError',
      message: /give Infinity/,
    });
  });

  for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
    it(`works under ThrottlerGuard on ${adapter}`, async (t) => {
      @Controller()
      class ThrottledController {
        @Get('common')
        common() {
          return 1;
        }
        @Get('own')
        @Throttle({ default: { limit: 1, ttl: 60_000, blockDuration: 5000 } })
        own() {
          return 1;
        }
        @Get('free')
        @SkipThrottle()
        free() {
          return 1;
        }
      }
      const storage = new TidegateThrottlerStorage();
      const throttlers = [{ name: 'default', ttl: 60_000, limit: 3 }];
      const module = ThrottlerModule.forRoot({ throttlers, storage });
      const { app, url } = await start(
        adapter,
        [module],
        [ThrottledController],
        [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
      );
      t.after(() => app.close());
      const request = requester(url);
      const first = await request('/common');
      const headers = ['limit', 'remaining', 'reset'].map((name) => first.get(`x-ratelimit-${name}`));
      assert.deepEqual([first.status, ...headers], [200, '3', '2', '60']);
      assert.deepEqual(await statuses(request, '/common', 3), [200, 200, 429]);
      assert.match((await request('/common')).get('retry-after') ?? '', /^(60|59|58)$/);
      assert.deepEqual(await statuses(request, '/own', 2), [200, 429]);
      assert.match((await request('/own')).get('retry-after') ?? '', /^[3-5]$/);
      assert.deepEqual(await statuses(request, '/free', 9), Array(9).fill(200));
    });
  }
});
