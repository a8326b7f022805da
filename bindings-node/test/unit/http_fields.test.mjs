// What a client is told, which JavaScript writes faster than a native call could: held to the vectors of every binding.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { Limit } = require('../../http/limit.cjs');
const { Presenter } = require('../../http/presenter.cjs');
const { CONTENT_TYPE, limited, overloaded, problemOf, timedOut } = require('../../http/problem.cjs');

const { cases, problems } = JSON.parse(
  readFileSync(new URL('../../../tests/vectors/ratelimit_fields.json', import.meta.url), 'utf8'),
);
const ms = (ns) => (ns === 'never' ? Infinity : Number(ns) / 1e6);

/** A limit whose quota comes back in `windowNs`, as the options of a middleware make one. */
function limitOf(name, most, windowNs) {
  const quota = windowNs === null ? undefined : { count: most, periodMs: ms(windowNs), burst: most };
  return new Limit({ check: () => assert.fail('nobody asks it'), quota }, { name });
}

/** The fields that are set for one decision. */
function told({ name }, { decision: given, window_ns: windowNs }, options = {}) {
  const { allowed, limit, remaining } = given;
  const decision = {
    allowed,
    limit,
    remaining,
    retryAfterMs: ms(given.retry_after_ns),
    resetAfterMs: ms(given.reset_after_ns),
  };
  const charge = { limit: limitOf(name, limit, windowNs), decision };
  const fields = {};
  const exchange = { setHeader: (field, value) => (fields[field] = value) };
  new Presenter(options).present([charge], allowed ? [] : [charge], exchange);
  return fields;
}

describe('ratelimit_fields', () => {
  for (const { name, config, asks, error } of cases) {
    const skip = config.unit === undefined ? false : 'this binding tells of requests only: no units, no partition keys';
    it(name, { skip }, () => {
      if (error !== undefined) {
        assert.throws(() => limitOf(config.name, 1, null), new RegExp(`^TypeError.*${error} must be`));
        return;
      }
      for (const ask of asks) {
        const retryAfter = ask.retry_after === null ? {} : { 'Retry-After': ask.retry_after };
        assert.deepEqual(told(config, ask), { 'RateLimit-Policy': ask.policy, RateLimit: ask.limit, ...retryAfter });
      }
    });
  }

  it('tells old clients the same', () => {
    const [{ config, asks }] = cases;
    const { decision } = asks[0];
    assert.deepEqual(told(config, asks[0], { headers: false, legacyHeaders: true }), {
      'X-RateLimit-Limit': String(decision.limit),
      'X-RateLimit-Remaining': String(decision.remaining),
      'X-RateLimit-Reset': '1',
    });
  });

  it('lengthens both times alike', () => {
    const { config, asks } = cases.find(({ name }) => name === 'a_refusal');
    for (let round = 0; round < 200; round += 1) {
      const { RateLimit, 'Retry-After': retryAfter } = told(config, asks[0], { jitter: 0.5 });
      assert.ok(retryAfter >= 30 && retryAfter <= 45, retryAfter);
      assert.equal(RateLimit, `"door";r=0;t=${retryAfter}`);
    }
  });
});

describe('problems', () => {
  const bodies = {
    quota_exceeded: ({ violated }) => limited(violated),
    temporary_reduced_capacity: ({ status }) => overloaded(status),
    forbidden: () => problemOf({ policies: [] }),
    timeout: () => timedOut(),
  };
  for (const problem of problems) {
    const body = bodies[problem.type];
    it(
      problem.type,
      { skip: body === undefined && 'this binding answers a blocked key as one whose quota is exceeded' },
      () => {
        assert.equal(JSON.stringify(body(problem)), problem.body);
      },
    );
  }

  it('have a type of their own', () => assert.equal(CONTENT_TYPE, 'application/problem+json'));
});
