// tests/settings.json: whatever a setting refuses, the error names it as it was written here, with its whole range.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  BoundedQueue,
  BreakerRegistry,
  CircuitBreaker,
  ClientThrottle,
  ClusterLimit,
  ConcurrencyLimiter,
  LoadShedder,
  RateLimiter,
  RetryBudget,
  RetryPolicy,
  TokenBucket,
} from '../../index.mjs';

const TABLE = JSON.parse(readFileSync(new URL('../../../tests/settings.json', import.meta.url), 'utf8'));
const CASES = TABLE.filter(({ kind }) => kind !== 'partitions');
/** Settings that this language does not have. */
const NOT_HERE = ['bucket.stripes'];

function make(object, field, name, value) {
  const Limit = object === 'bucket' ? TokenBucket : RateLimiter;
  const last = name.split('.').at(-1);
  if (object === 'retry') return new RetryPolicy({ [name]: value });
  if (object === 'retry_budget') return new RetryBudget({ [name]: value });
  if (object === 'shedder') return new LoadShedder({ [name]: value });
  if (object === 'throttle') return new ClientThrottle({ [name]: value });
  if (object === 'cluster_limit') {
    const alone = { hosts: { onUnreachable: 'local' }, fallback_for: { onUnreachable: 'local', hosts: 2 } };
    return new ClusterLimit({ rate: '2000/s', scope: 'process:settings', name: 'it', ...alone[field], [name]: value });
  }
  if (object === 'queue') return new BoundedQueue({ capacity: 10, [name]: value });
  if (object === 'adaptive') return ConcurrencyLimiter.adaptive({ [name]: value });
  if (object === 'concurrency') return new ConcurrencyLimiter({ limit: 4, [name]: value });
  if (object === 'registry') return new BreakerRegistry({ [name]: value });
  if (object === 'breaker') return new CircuitBreaker('it', { [name]: value });
  if (field === 'rate') return new Limit({ rate: value });
  if (field === 'period') return new Limit({ rate: 5, perMs: value });
  if (name.startsWith('block.')) {
    return new Limit({ rate: '5/s', block: { after: 3, withinMs: 1, durationMs: 1, [last]: value } });
  }
  if (name.startsWith('warmUp.')) return new Limit({ rate: '5/s', warmUp: { periodMs: 1, [last]: value } });
  return new Limit({ rate: '5/s', ...(field === 'queue' ? { algorithm: 'leaky_bucket' } : {}), [name]: value });
}

for (const { object, field, kind, outside, names, ranges } of CASES) {
  const called = `${object}.${field}`;
  test(called, { skip: NOT_HERE.includes(called) && 'not a setting of Node' }, () => {
    const [name, range] = [names.node, ranges.node];
    const says = (type) => (error) =>
      error.name === type && error.message.startsWith(name) && error.message.includes(range);
    for (const value of outside) {
      const given = kind === 'span' ? value / 1e6 : value;
      assert.throws(() => make(object, field, name, given), says('RangeError'), String(value));
    }
    const wrong = ['rate', 'choice'].includes(kind) ? true : 'much';
    assert.throws(() => make(object, field, name, wrong), says('TypeError'));
  });
}

for (const { object, lists } of TABLE.filter(({ kind }) => kind === 'partitions')) {
  const make = (options) =>
    object === 'adaptive' ? ConcurrencyLimiter.adaptive(options) : new ConcurrencyLimiter({ limit: 4, ...options });
  test(`partitions of ${object}`, () => {
    for (const { partitions: pairs, priority, says } of lists) {
      const partitions = Object.fromEntries(pairs.map(([name, share]) => [name, Number(share)]));
      // No object has a name twice.
      if (Object.keys(partitions).length < pairs.length) continue;
      if (says === null) {
        assert.deepEqual(Object.keys(make({ partitions, priority }).partitionStats()), Object.keys(partitions));
      } else {
        assert.throws(() => make({ partitions, priority }), { name: 'RangeError', message: says });
      }
    }
  });
}
