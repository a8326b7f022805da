// Options of limits that would be taken for something else in silence: told where they are given. Real HTTP where it
// shows there.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import tidegate from '../../index.cjs';
import express from '../../express/index.cjs';
import expressRateLimit from '../../express-rate-limit/index.cjs';
import fastify from '../../fastify/index.cjs';

const { rateLimit } = express;
const { LoadShedder, RateLimiter } = tidegate;

/** The statuses of `n` requests, one after the other, to a server behind all of `limits`. */
async function ask(t, limits, n) {
  const server = createServer((request, response) => {
    const next = (index) => (error) => {
      if (error !== undefined) return void response.writeHead(500).end(error.message);
      if (index === limits.length) return void response.end();
      limits[index](request, response, next(index + 1));
    };
    next(0)();
  });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const seen = [];
  for (let index = 0; index < n; index += 1) {
    const { status } = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { connection: 'close' } });
    seen.push(status);
  }
  return seen;
}

describe('what only a limit per key has', () => {
  const only = {
    algorithm: 'fixed_window',
    maxKeys: 10,
    fastest: '9/second',
    queue: 2,
    block: { after: 1, withinMs: 1000, durationMs: 1000 },
    hugePages: true,
    tiers: { pro: '9/second' },
  };
  for (const [name, value] of Object.entries(only)) {
    it(`is an error without a key: ${name}`, async () => {
      const message = new RegExp(`^${name}: only a limit per key has it.*give a key`);
      const options = { rate: '1/second', [name]: value };
      assert.throws(() => rateLimit(options), { code: 'ERR_INVALID_ARG_VALUE', message });
      assert.throws(() => rateLimit({ limits: { one: options } }), { message });
      const instance = { addHook() {} };
      await assert.rejects(fastify(instance, options), { message });
    });
  }

  it('is taken with one', () => {
    const { fastest, queue, ...with_ } = only;
    rateLimit({ rate: '1/second', key: 'ip', ...with_, algorithm: undefined, fastest });
    rateLimit({ rate: '1/second', key: 'ip', algorithm: 'leaky_bucket', queue });
  });
});

describe('a limit of the application that cannot give back', () => {
  const rest = { limit: 9, remaining: 1, resetAfterMs: 1 };
  const decision = (allowed) => ({ allowed, retryAfterMs: allowed ? 0 : 1000, ...rest });
  const own = { check: () => decision(true) };
  const wrong = (what) => ({
    code: 'ERR_INVALID_ARG_TYPE',
    message: new RegExp(`^${what}: the limit '[a-z]+' of your own has no refund\\(n\\)`),
  });

  it('is an error where something may have to be given back', () => {
    assert.throws(() => rateLimit({ rate: own, refundOn: () => true }), wrong('refundOn'));
    assert.throws(() => rateLimit({ rate: own, concurrency: { limit: 1 } }), wrong('concurrency'));
    assert.throws(() => rateLimit({ rate: own, shedder: new LoadShedder() }), wrong('shedder'));
    assert.throws(() => rateLimit({ limits: { own: { rate: own }, other: '5/minute' } }), wrong('limits'));
    const keyed = { keyed: true, check: () => decision(true) };
    assert.throws(() => rateLimit({ rate: keyed, refundOn: () => true }), /has no refund\(key, n\)/);
  });

  it('works alone, and with a refund beside others', async (t) => {
    assert.deepEqual(await ask(t, [rateLimit({ rate: own })], 2), [200, 200]);
    let taken = 0;
    const giving = { check: (n) => ((taken += n), decision(true)), refund: (n) => void (taken -= n) };
    const both = rateLimit({ limits: { giving: { rate: giving }, other: '2/hour' } });
    assert.deepEqual(await ask(t, [both], 4), [200, 200, 429, 429]);
    assert.equal(taken, 2);
    // Middleware behind it takes back what it can.
    const stacked = [rateLimit({ rate: own }), rateLimit({ rate: giving }), rateLimit('1/hour')];
    assert.deepEqual(await ask(t, stacked, 3), [200, 429, 429]);
    assert.equal(taken, 3);
  });
});

it('a key that is no number names nobody, and is no key', async (t) => {
  // `Number(request.headers['x-user'])` of a client that sends none: by address, as without a key.
  const nobody = rateLimit({ rate: '2/hour', key: () => NaN });
  assert.deepEqual(await ask(t, [nobody], 3), [200, 200, 429]);
  const limiter = new RateLimiter({ rate: '2/hour' });
  for (const check of [() => limiter.check(NaN), () => new expressRateLimit.TidegateStore().increment(NaN)]) {
    assert.throws(check, { code: 'ERR_INVALID_ARG_TYPE', message: /must be a string or a Uint8Array, got NaN/ });
  }
});

it('a rate function may choose among few rates, each of which keeps what it has taken', async (t) => {
  const rates = ['2/hour', 3];
  let asked = 0;
  const chosen = rateLimit({ rate: () => rates[(asked += 1) % 2], key: 'ip' });
  const seen = await ask(t, [chosen], 200);
  // Of the first two an hour; of the other three at once and three a second.
  assert.equal(seen.filter((status, index) => index % 2 === 1 && status === 200).length, 2);
  const anew = rateLimit({ rate: () => `${(asked += 1)}/hour`, key: 'ip' });
  const statuses = await ask(t, [anew], 66);
  assert.deepEqual(statuses, [...Array(64).fill(200), 500, 500], 'a limit made for a request would admit it always');
});
