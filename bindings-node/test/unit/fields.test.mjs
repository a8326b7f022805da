// The fields and bodies that Nest, Express and Fastify send, against the vectors that every binding plays.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { Limit } = require('../../http/limit.cjs');
const { Presenter } = require('../../http/presenter.cjs');
const { limited, overloaded, problemOf, timedOut } = require('../../http/problem.cjs');

const vectors = JSON.parse(
  readFileSync(new URL('../../../tests/vectors/ratelimit_fields.json', import.meta.url), 'utf8'),
);
const ms = (ns) => (ns === 'never' ? Infinity : Number(ns) / 1e6);

/** A limit of one's own that answers as the vector says. */
function charge(name, { decision, window_ns }) {
  const answer = {
    allowed: decision.allowed,
    limit: decision.limit,
    remaining: decision.remaining,
    retryAfterMs: ms(decision.retry_after_ns),
    resetAfterMs: ms(decision.reset_after_ns),
    delayMs: 0,
  };
  const quota = window_ns === null ? undefined : { count: 1, periodMs: ms(window_ns), burst: 1 };
  return { limit: new Limit({ check: () => answer, quota }, { name }), decision: answer, tier: undefined };
}

function told(name, question) {
  const asked = charge(name, question);
  const fields = {};
  const exchange = { setHeader: (field, value) => (fields[field] = value) };
  new Presenter({}).present([asked], asked.decision.allowed ? [] : [asked], exchange);
  return [fields['RateLimit-Policy'], fields.RateLimit, fields['Retry-After'] ?? null];
}

describe('vectors: ratelimit_fields', () => {
  for (const { name, config, asks, error } of vectors.cases) {
    const units = config.unit !== undefined && 'this binding has no units of cost';
    it(name, { skip: units }, () => {
      if (error !== undefined) {
        assert.throws(
          () => new Limit('1/s', { name: config.name }),
          (thrown) => thrown.message.startsWith(error),
        );
        return;
      }
      for (const question of asks.filter(({ partition_key }) => partition_key === undefined)) {
        assert.deepEqual(told(config.name, question), [question.policy, question.limit, question.retry_after]);
      }
    });
  }

  const bodies = {
    429: (violated) => limited(violated),
    403: () => problemOf({ policies: [] }),
    504: () => timedOut(),
  };
  for (const { type, status, violated, body } of vectors.problems) {
    const skip = type === 'abnormal_usage_detected' && 'this binding does not send it';
    it(`problem ${type} ${status}`, { skip }, () => {
      const problem = (bodies[status] ?? (() => overloaded(status)))(violated);
      if (violated.length === 0) delete problem['violated-policies'];
      assert.equal(JSON.stringify(problem), body);
    });
  }
});
