// A cost that no request could ever pay is a mistake of the application: a 500, and not a refusal.
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { LimitSet, RateLimiter, TokenBucket } from 'tidegate';
import { requester } from './request.js';
import { SERVERS } from './servers.js';

const cost = () => 10;
const tiers = { pro: '4/hour' };
const tier = () => 'pro';
type Switch = { enabled?: boolean; dryRun?: boolean };

/** A limit of every kind, none of which admits ten at once. */
const LIMITS: Record<string, (off: Switch) => any> = {
  rate: (off) => ({ rate: '3/hour', cost, ...off }),
  'rate per key': (off) => ({ rate: '3/hour', key: 'ip', cost, ...off }),
  tier: (off) => ({ rate: '3/hour', key: 'ip', tiers, tier, cost, ...off }),
  'rate function': (off) => ({ rate: () => '3/hour', cost, ...off }),
  'rate function with a fixed cost': (off) => ({ rate: () => '3/hour', cost: 10, ...off }),
  'several rates': (off) => ({ rate: '99/hour;3/day', cost, ...off }),
  TokenBucket: (off) => ({ rate: new TokenBucket({ rate: '3/hour', ...off }), cost }),
  RateLimiter: (off) => ({ rate: new RateLimiter({ rate: '3/hour', ...off }), key: 'ip', cost }),
  LimitSet: (off) => ({
    rate: new LimitSet({
      wide: new TokenBucket({ rate: '99/hour' }),
      narrow: new RateLimiter({ rate: '3/hour', ...off }),
    }),
    cost,
  }),
};

for (const [framework, serve] of Object.entries(SERVERS)) {
  describe(`a cost above the burst over ${framework}`, () => {
    const ask = async (t: TestContext, options: any) => requester(`http://127.0.0.1:${await serve(t, [options])}`)('/');

    for (const [what, limit] of Object.entries(LIMITS)) {
      it(`of a ${what} is a mistake, unless the limit refuses nothing`, async (t) => {
        assert.equal((await ask(t, limit({}))).status, 500);
        for (const off of [{ dryRun: true }, { enabled: false }]) {
          assert.equal((await ask(t, limit(off))).status, 200, JSON.stringify(off));
        }
        process.env.TIDEGATE_DISABLED = '1';
        try {
          assert.equal((await ask(t, limit({}))).status, 200, 'TIDEGATE_DISABLED');
        } finally {
          delete process.env.TIDEGATE_DISABLED;
        }
      });
    }

    it('is one of the limit that refuses, beside one that does not', async (t) => {
      const off = new RateLimiter({ rate: '3/hour', enabled: false });
      const on = new TokenBucket({ rate: '5/hour' });
      assert.equal((await ask(t, { rate: new LimitSet({ off, on }), cost })).status, 500);
      assert.equal(on.peek().remaining, 5);
    });
  });
}
