'use strict';
// What a limit of the options is made from: a rate with settings, or a limit that exists.

const { RateLimiter, TokenBucket } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { declare } = require('./declare.cjs');

/** Settings that a limit for everybody has … */
const SHARED = ['perMs', 'burst', 'enabled', 'dryRun', 'warmUp', 'scope', 'onConflict', 'clock'];
/** … and those that only a limit per key has. */
const KEYED = ['algorithm', 'maxKeys', 'fastest', 'queue', 'block', 'hugePages', 'tiers'];

const isRate = (rate) => typeof rate === 'string' || typeof rate === 'number';

/** A quota in numbers: `{ count, periodMs, burst }`. A bucket knows how to read every rate. */
function readQuota(quota) {
  const { queue, ...rest } = isRate(quota) ? { rate: quota } : quota;
  return new TokenBucket({ ...rest, scope: 'process', burst: queue === undefined ? rest.burst : queue + 1 }).quota;
}

/** What covers all of them: the fastest rate, the largest burst. */
function fastest(rate, { perMs, burst, queue, algorithm = 'token_bucket' }, tiers) {
  const read = [{ rate, perMs, burst, queue }, ...tiers.map(([, quota]) => quota)].map(readQuota);
  const { count, periodMs } = read.reduce((a, b) => (b.count / b.periodMs > a.count / a.periodMs ? b : a));
  const most = Math.max(...read.map((quota) => quota.burst));
  const quota = { rate: count, perMs: periodMs };
  if (algorithm === 'token_bucket') return { ...quota, burst: most };
  return algorithm === 'leaky_bucket' ? { ...quota, queue: most - 1 } : quota;
}

/** The parts of a rate, for whoever compares it; nothing where it is none, which is said when it is made. */
function partsOf({ rate, perMs, burst, queue }) {
  try {
    return readQuota({ rate, perMs, burst, queue });
  } catch {
    return undefined;
  }
}

/**
 * @param name the object's, where it is made in a named scope
 * @param perKey whether a key was asked for
 * @param from the limit's name, of which the object's is made where it is another
 * @returns {{ source, tiers: Map<string, { tier, quota }> | undefined }}
 */
function source(rate, settings, name, perKey, from) {
  if (!isRate(rate)) {
    if (typeof rate?.check !== 'function') {
      throw check.typeError(
        `rate must be a text such as '5/minute', a TokenBucket or a RateLimiter, got ${check.show(rate)}`,
      );
    }
    const [extra] = Object.keys(settings).filter((name) => name !== 'tiers' && settings[name] !== undefined);
    if (extra !== undefined) {
      throw check.valueError(`${extra}: the limit that was passed in has its own; leave ${extra} out`);
    }
    return { source: rate, tiers: tiersOf(rate, settings.tiers) };
  }
  const { tiers, ...making } = { ...settings, name };
  if (!perKey) {
    const [extra] = KEYED.filter((one) => settings[one] !== undefined);
    if (extra !== undefined) {
      throw check.valueError(
        `${extra}: only a limit per key has it, and without a key this is one for everybody; give a key ` +
          `('ip' for the client's address), or leave ${extra} out`,
      );
    }
    const bucket = declare((options) => new TokenBucket(options), { rate, ...making }, 'limit', {
      quota: () => partsOf({ rate, ...making }),
      from,
    });
    return { source: bucket, tiers: undefined };
  }
  const entries = Object.entries(tiers ?? {});
  if (entries.length > 0) making.fastest ??= fastest(rate, making, entries);
  const limiter = declare((options) => new RateLimiter(options), { rate, ...making }, 'limit', {
    quota: () => partsOf({ rate, ...making }),
    isKeyed: true,
    from,
  });
  return { source: limiter, tiers: tiersOf(limiter, tiers) };
}

function tiersOf(limiter, tiers) {
  if (tiers === undefined) return undefined;
  if (!(limiter instanceof RateLimiter)) throw check.valueError('tiers: only a limit per key (a RateLimiter) has them');
  if (tiers === null || typeof tiers !== 'object') {
    throw check.typeError(`tiers must be an object of quotas by name, got ${check.show(tiers)}`);
  }
  return new Map(
    Object.entries(tiers).map(([name, quota]) => [name, { tier: limiter.tier(quota), quota: readQuota(quota) }]),
  );
}

source.OPTIONS = [...SHARED, ...KEYED];

module.exports = { SHARED, isRate, source };
