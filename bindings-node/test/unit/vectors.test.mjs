// The shared vectors: what every binding must answer (tests/vectors/README.md). What cannot be played is skipped with
// the reason, never passed.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { BoundedQueue, CircuitBreaker, CircuitOpenError, ManualClock, TokenBucket } from 'tidegate';
import { ADAPTIVE } from './adaptive_vectors.mjs';
import { CONCURRENCY } from './concurrency_vectors.mjs';
import { gateVectors } from './gate_vectors.mjs';
import { PARTITIONED } from './partitioned_vectors.mjs';
import { RETRY } from './retry_vectors.mjs';
import { REGISTRY } from './registry_vectors.mjs';
import { KEYED } from './keyed_vectors.mjs';

const DIRECTORY = new URL('../../../tests/vectors/', import.meta.url);

/** An argument: nanoseconds as text → ms; null → undefined. */
const ms = (ns) => (ns === null || ns === undefined ? undefined : Number(ns) / 1e6);
/** An expected value, as this binding gives it. */
const expectedMs = (ns) => (ns === null ? null : ns === 'never' ? Infinity : Number(ns) / 1e6);

/** A decision of a vector, in our names. */
const asDecision = ({ retry_after_ns, reset_after_ns, delay_ns, ...rest }) => ({
  ...rest,
  retryAfterMs: expectedMs(retry_after_ns),
  resetAfterMs: expectedMs(reset_after_ns),
  // A token bucket never delays, and its vectors say nothing of it.
  delayMs: expectedMs(delay_ns ?? '0'),
});

/** What opened a circuit, as the vectors tell it. */
const trip = (it) => it && { calls: it.calls, failed: it.failed, slow: it.slow };

/** A permit by that name, or the refusal as the vectors tell it. */
function acquired(names, as, acquire) {
  try {
    names.set(as, acquire());
    return { permit: true };
  } catch (error) {
    assert.ok(error instanceof CircuitOpenError);
    const { retryAfterMs, ramping } = error;
    return { permit: false, retryAfterMs, trip: trip(error.trip), ...(ramping && { ramping }) };
  }
}

const quota = ({ count, period_ns, burst }) => ({ rate: count, perMs: ms(period_ns), burst });

const breakerSettings = (config) => ({
  windowCalls: config.window_calls,
  windowDurationMs: ms(config.window_duration_ns),
  failureRateThreshold: config.failure_rate_threshold,
  slowCallDurationMs: ms(config.slow_call_duration_ns),
  slowCallRateThreshold: config.slow_call_rate_threshold,
  consecutiveFailures: config.consecutive_failures ?? undefined,
  minCalls: config.min_calls,
  cooldownMs: ms(config.cooldown_ns),
  cooldownBackoff: config.cooldown_backoff,
  maxCooldownMs: ms(config.max_cooldown_ns),
  probes: config.probes,
  probeTimeoutMs: ms(config.probe_timeout_ns),
  probeFailureRateThreshold: config.probe_failure_rate_threshold,
  probesAtOnce: config.probes_at_once,
  healthyAfterMs: ms(config.healthy_after_ns),
  rampMs: ms(config.ramp_ns),
  rampFrom: config.ramp_from,
});

const queueRules = (rules) =>
  rules && {
    discipline: rules.discipline,
    targetMs: ms(rules.target_ns),
    intervalMs: ms(rules.interval_ns),
    lanes: rules.lanes,
    maxAgeMs: ms(rules.max_age_ns),
  };

/** What a push answered, with the item that had to go. */
function offered(queue, dropped, pushed) {
  const [oldest] = dropped.splice(0);
  if (oldest !== undefined) assert.equal(oldest.reason, 'oldest');
  return { result: pushed ? 'ok' : queue.isClosed ? 'closed' : 'full', dropped: oldest?.item ?? null };
}

const PRIMITIVES = {
  token_bucket: {
    make: (config, clock) => new TokenBucket({ ...quota(config), clock }),
    ops: {
      try_acquire: (bucket, { n }) => ({ ok: bucket.tryAcquire(n) }),
      check: (bucket, { n }) => bucket.check(n),
      peek: (bucket) => bucket.peek(),
      reserve(bucket, { n, max_wait_ns, as }, names) {
        const reservation = bucket.reserve(n, { maxWaitMs: ms(max_wait_ns) });
        if (!reservation.booked) return { booked: false, retryAfterMs: reservation.retryAfterMs };
        names.set(as, reservation);
        return { booked: true, waitMs: reservation.waitMs };
      },
      cancel: (_bucket, { ticket }, names) => ({ returned: names.get(ticket).cancel() }),
      refund: (bucket, { n }) => bucket.refund(n) ?? {},
      penalize: (bucket, { wait_ns }) => bucket.penalize(ms(wait_ns)) ?? {},
      reset: (bucket) => bucket.reset() ?? {},
      set_quota: (bucket, args) => bucket.setQuota(quota(args)) ?? {},
    },
  },
  circuit_breaker: {
    make: (config, clock) =>
      new CircuitBreaker('vector', { ...breakerSettings(config), clock }),
    ops: {
      acquire: (breaker, { as }, names) => acquired(names, as, () => breaker.acquire()),
      acquire_with: (breaker, { as, draw }, names) => acquired(names, as, () => breaker.acquireWith(draw)),
      report(_breaker, { permit, outcome, duration_ns, retry_after_ns }, names) {
        const told = retry_after_ns === undefined ? [] : [ms(retry_after_ns)];
        names.get(permit)[outcome](...(outcome === 'ignore' ? [] : [ms(duration_ns)]), ...told);
        return {};
      },
      report_retry_after(_breaker, { permit, retry_after_ns }, names) {
        names.get(permit).failure(undefined, ms(retry_after_ns));
        return {};
      },
      release: (_breaker, { permit }, names) => names.get(permit).release() ?? {},
      state: (breaker) => ({ state: breaker.state }),
      stats(breaker) {
        const { calls, failed, slow, lastTrip, ramping } = breaker.stats();
        return { calls, failed, slow, last_trip: trip(lastTrip), ...(ramping && { ramping }) };
      },
      retry_after: (breaker) => ({ retryAfterMs: breaker.retryAfterMs }),
      events: (breaker, { since }) => ({
        events: breaker.events(since).map(({ atMs, ...rest }) => {
          return { ...rest, at_ns: String(BigInt(atMs) * 1_000_000n), trip: rest.trip && trip(rest.trip) };
        }),
      }),
      // A vector gives all settings, null for none: what is left out would stay.
      set_config: (breaker, config) =>
        breaker.setConfig(
          Object.fromEntries(
            Object.entries(breakerSettings(config))
              .filter(([name]) => !name.startsWith('window'))
              .map(([name, value]) => [name, value ?? null])
              .concat(Object.entries(breakerSettings(config)).filter(([name]) => name.startsWith('window'))),
          ),
        ) ?? {},
      force_open: (breaker) => breaker.forceOpen() ?? {},
      disable: (breaker) => breaker.disable() ?? {},
      metrics_only: (breaker) => breaker.metricsOnly() ?? {},
      reset: (breaker) => breaker.reset() ?? {},
    },
  },
  bounded_queue: {
    make(config, clock) {
      const dropped = [];
      const queue = new BoundedQueue({
        capacity: config.capacity,
        highWatermark: config.high_watermark,
        lowWatermark: config.low_watermark,
        onFull: config.on_full,
        sojourn: config.sojourn,
        onDrop: (item, reason) => dropped.push({ item, reason }),
        ...queueRules(config.rules),
        clock,
      });
      return { queue, dropped, sojourn: config.sojourn };
    },
    ops: {
      try_push: ({ queue, dropped }, { item }) => offered(queue, dropped, queue.tryPush(item)),
      try_push_with({ queue, dropped }, { item, lane, deadline_ns }) {
        return offered(queue, dropped, queue.tryPush(item, { lane, deadlineMs: ms(deadline_ns) }));
      },
      try_pop({ queue, dropped, sojourn }) {
        const popped = queue.tryPopTimed();
        const drops = dropped.length > 0 ? { drops: dropped.splice(0) } : {};
        if (popped === undefined) return { result: queue.isClosed ? 'closed' : 'empty', item: null, ...drops };
        const { item, sojournMs } = popped;
        return { result: 'item', item, ...(sojourn ? { sojournMs } : {}), ...drops };
      },
      load({ queue }) {
        const { leastDelayMs = null, overloaded } = queue.stats();
        assert.deepEqual([queue.leastDelayMs ?? null, queue.isOverloaded], [leastDelayMs, overloaded]);
        return { leastDelayMs, overloaded };
      },
      counts({ queue }) {
        const { depth, pushed, popped, dropped, ...rest } = queue.stats();
        assert.equal(pushed, popped + dropped + depth);
        const { droppedOldest, droppedAge, droppedCodel, droppedDeadline, droppedClosed } = rest;
        const by = { oldest: droppedOldest, age: droppedAge, codel: droppedCodel };
        return { popped, ...by, deadline: droppedDeadline, closed: droppedClosed };
      },
      discard({ queue, dropped }) {
        assert.equal(queue.discard(), dropped.length);
        return { drops: dropped.splice(0) };
      },
      depth: ({ queue }) => ({ depth: queue.depth }),
      is_accepting: ({ queue }) => ({ accepting: queue.isAccepting }),
      close: ({ queue }) => queue.close() ?? {},
      drain: ({ queue }) => ({ items: queue.drain() }),
    },
  },
};

/** The expectation of a step in our names and units. */
function expectation(expect) {
  if ('allowed' in expect) return asDecision(expect);
  const entries = Object.entries(expect).map(([key, value]) => {
    if (!key.endsWith('_ns')) return [key, value];
    const name = key.slice(0, -3).replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    return [`${name}Ms`, expectedMs(value)];
  });
  return Object.fromEntries(entries);
}

for (const [primitive, { make, ops, file = primitive, end = () => {} }] of Object.entries({
  ...PRIMITIVES,
  ...KEYED,
  ...CONCURRENCY,
  ...ADAPTIVE,
  ...PARTITIONED,
  ...REGISTRY,
  ...RETRY,
  ...gateVectors(breakerSettings),
})) {
  if (!existsSync(new URL(`${file}.json`, DIRECTORY))) continue;
  const { version, cases } = JSON.parse(readFileSync(new URL(`${file}.json`, DIRECTORY), 'utf8'));
  assert.equal(version, 1, 'this runner plays version 1');
  describe(`vectors: ${primitive}`, () => {
    for (const { name, start_ns, config, steps } of cases) {
      const unknown = [...new Set(steps.map(({ op }) => op))].filter((op) => !(op in ops));
      const skip = unknown.length > 0 && `this binding has no ${unknown.join(', ')}`;
      it(name, { skip }, async () => {
        const clock = new ManualClock(BigInt(start_ns));
        const object = make(config, clock);
        const names = new Map();
        for (const [index, { at_ns, op, args, expect }] of steps.entries()) {
          clock.setNs(BigInt(at_ns));
          const answer = await ops[op](object, args, names);
          assert.deepEqual(answer, expectation(expect), `step ${index}: ${op} at ${at_ns} ns`);
        }
        end(names);
      });
    }
  });
}
