// Gates for the shared vectors: what makes the object, and what each operation does.
import { BoundedQueue, CircuitBreaker, ConcurrencyLimiter, Gate, RateLimiter } from 'tidegate';
import { KEYED } from './keyed_vectors.mjs';
import { PARTITIONED } from './partitioned_vectors.mjs';
import { RETRY } from './retry_vectors.mjs';

const ms = (ns) => (ns === null || ns === undefined ? undefined : Number(ns) / 1e6);

/** A key as the vectors spell it. */
const key = (it) => (typeof it === 'string' ? it : Buffer.from(it.hex, 'hex'));

function make(config, clock, breakerSettings) {
  const limits = config.limits === null ? undefined : KEYED.limit_set.make(config.limits, clock);
  const shedder = config.shedder === null ? undefined : RETRY.load_shedder.make(config.shedder, clock);
  const queue =
    config.queue === null ? undefined : new BoundedQueue({ capacity: config.queue, highWatermark: 1, clock });
  let concurrency = config.concurrency === null ? undefined : new ConcurrencyLimiter({ limit: config.concurrency });
  if (config.partitions !== undefined) {
    const shares = { limit: config.concurrency, partitions: config.partitions, priority: [] };
    concurrency = PARTITIONED.partitioned_limiter.make(shares, clock);
  }
  const breakers = Object.fromEntries(
    config.dependencies.map(({ name, breaker }) => [
      name,
      new CircuitBreaker(name, { ...breakerSettings(breaker), clock }),
    ]),
  );
  const gate = new Gate('orders', {
    limits: limits?.set,
    shedder: shedder && { main: shedder },
    queue: queue && { jobs: queue },
    concurrency: concurrency && { database: concurrency },
    dependencies: breakers,
    access: config.access ?? undefined,
    refundOn: config.refund_on,
    enabled: config.enabled,
    dryRun: config.dry_run,
  });
  return { gate, limits, shedder, queue, concurrency, breakers, held: new Map(), permits: new Map() };
}

const orNull = (value) => value ?? null;

export const gateVectors = (breakerSettings) => ({
  gate: {
    make: (config, clock) => make(config, clock, breakerSettings),
    ops: {
      admit({ gate, limits, held }, { as, keys, deadline_ns, address, ...rest }) {
        const asked = Object.fromEntries(Object.entries(keys).map(([name, it]) => [name, key(it)]));
        const told = gate.admit({
          keys: limits && asked,
          address: address ?? undefined,
          deadlineMs: ms(deadline_ns),
          ...rest,
        });
        if (told.allowed) held.set(as, told);
        const { allowed, retryAfterMs, limit, remaining, pressure } = told;
        const [deniedBy, kind, status] = [told.deniedBy, told.kind, told.status].map(orNull);
        // The runner takes it for a decision of a limit.
        const others = { resetAfterMs: NaN, delayMs: 0 };
        return { allowed, denied_by: deniedBy, kind, status, retryAfterMs, limit, remaining, pressure, ...others };
      },
      finish: ({ held }, { admission, outcome }) => ({ finished: held.get(admission).finish(outcome) }),
      enter({ breakers, permits }, { dependency, as }) {
        const permit = breakers[dependency].tryAcquire();
        if (permit !== null) permits.set(as, permit);
        return { permit: permit !== null };
      },
      report({ permits }, { permit, failed }) {
        if (failed) permits.get(permit).failure();
        else permits.get(permit).success();
        return {};
      },
      force_open: ({ breakers }, { dependency }) => breakers[dependency].forceOpen() ?? {},
      push({ queue }) {
        queue.tryPush(0);
        return {};
      },
      pop({ queue }) {
        queue.tryPop();
        return {};
      },
      tell: ({ shedder }, { signal, value }) => shedder.tell(signal, value) ?? {},
      set_limit: ({ concurrency }, { limit }) => concurrency.setLimit(limit) ?? {},
      look({ limits, queue, concurrency, breakers }, { keys }) {
        const peek = (name, limit) => (limit instanceof RateLimiter ? limit.peek(key(keys[name])) : limit.peek());
        const left = ([name, limit]) => [name, peek(name, limit).remaining];
        return {
          left: Object.fromEntries(Object.entries(limits?.limits ?? {}).map(left)),
          in_use: orNull(concurrency?.inUse),
          depth: orNull(queue?.depth),
          circuits: Object.fromEntries(Object.entries(breakers).map(([name, it]) => [name, it.state])),
        };
      },
      stats({ gate }) {
        const { admitted, denied, wouldDeny } = gate.stats();
        return { admitted, denied, would_deny: wouldDeny };
      },
    },
  },
});
