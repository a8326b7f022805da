// How the vectors of keyed and combined limits are played (vectors.test.mjs).
import { LimitSet, RateLimiter, TokenBucket } from 'tidegate';

const ms = (ns) => (ns === null || ns === undefined ? undefined : Number(ns) / 1e6);

/** A quota of a vector: windows have no burst here, their limit is the count; a leaky bucket has a queue. */
function quota(algorithm, { count, period_ns, burst }) {
  if (algorithm === 'token_bucket') return { rate: count, perMs: ms(period_ns), burst };
  if (algorithm === 'leaky_bucket') return { rate: count, perMs: ms(period_ns), queue: burst - 1 };
  return { rate: burst, perMs: ms(period_ns) };
}

/** A key of a vector: text, bytes in hexadecimal, or a text many times over. */
function key(spelt) {
  if (typeof spelt === 'string') return spelt;
  return 'hex' in spelt ? Buffer.from(spelt.hex, 'hex') : spelt.repeat.repeat(spelt.times);
}

const keys = (spelt) => Object.fromEntries(Object.entries(spelt).map(([name, one]) => [name, key(one)]));
const switches = { enforce: {}, dry_run: { dryRun: true }, disabled: { enabled: false } };

function limiter(config, clock) {
  const { algorithm, max_keys, fastest, block, warm_up, mode } = config;
  return new RateLimiter({
    ...quota(algorithm, config),
    algorithm,
    maxKeys: max_keys,
    fastest: fastest === null ? undefined : quota(algorithm, fastest),
    block:
      block === null
        ? undefined
        : {
            after: block.after,
            withinMs: ms(block.within_ns),
            durationMs: ms(block.duration_ns),
            growth: block.growth,
            maxMs: ms(block.max_ns),
          },
    warmUp: warm_up === null ? undefined : { periodMs: ms(warm_up.period_ns), from: warm_up.from },
    ...switches[mode],
    clock,
  });
}

const tierOf = (limit, { tier }) => tier && limit.tier(quota(limit.algorithm, tier));

const set = (config, clock) => {
  const limits = {};
  for (const { name, limiter: keyed, bucket, same_as } of config.members) {
    if (same_as !== undefined) limits[name] = limits[same_as];
    else if (bucket !== undefined) limits[name] = new TokenBucket({ ...quota('token_bucket', bucket), clock });
    else limits[name] = limiter(keyed, clock);
  }
  return { limits, set: new LimitSet(limits) };
};
const deniedBy = ({ deniedBy, ...decision }) => ({ ...decision, denied_by: deniedBy ?? null });

export const KEYED = {
  rate_limiter: {
    make: limiter,
    ops: {
      try_acquire: (limit, args) => ({ ok: limit.tryAcquire(key(args.key), args.n, tierOf(limit, args)) }),
      check: (limit, args) => limit.check(key(args.key), args.n, tierOf(limit, args)),
      peek: (limit, args) => limit.peek(key(args.key), tierOf(limit, args)),
      refund: (limit, args) => limit.refund(key(args.key), args.n, tierOf(limit, args)) ?? {},
      penalize: (limit, args) => (limit.penalize(key(args.key), ms(args.wait_ns)), {}),
      reset: (limit, args) => limit.reset(key(args.key)) ?? {},
      reset_all: (limit) => limit.resetAll() ?? {},
      set_quota: (limit, args) => limit.setQuota(quota(limit.algorithm, args)) ?? {},
      stats(limit) {
        const { admitted, denied, wouldDeny } = limit.stats();
        return { admitted, denied, would_deny: wouldDeny };
      },
    },
  },
  limit_set: {
    make: set,
    ops: {
      check: ({ set }, args) => deniedBy(set.check(keys(args.keys), args.n)),
      peek: ({ set }, args) => deniedBy(set.peek(keys(args.keys), args.n)),
      refund: ({ set }, args) => set.refund(keys(args.keys), args.n) ?? {},
      peek_member: ({ limits }, { member, key: spelt }) =>
        limits[member].keyed ? limits[member].peek(key(spelt)) : limits[member].peek(),
      penalize_member({ limits }, { member, key: spelt, wait_ns }) {
        if (limits[member].keyed) limits[member].penalize(key(spelt), ms(wait_ns));
        else limits[member].penalize(ms(wait_ns));
        return {};
      },
    },
  },
};
