'use strict';

const { LimitSet, RateLimiter, TokenBucket } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { checkScope } = require('../lib/scope.cjs');
const { Exchange } = require('./exchange.cjs');
const { clientIp, keyFunction } = require('./keys.cjs');
const { isPromise } = require('./promise.cjs');
const { isRate, source } = require('./source.cjs');

/** How a request meets the limit; what the limit itself is made from stands in source.cjs. */
const MEETING = ['name', 'key', 'cost', 'tier', 'skip', 'refundOn'];

/** `"` and `\` are escaped in a structured-field string (RFC 9651). */
function quoted(name) {
  if (typeof name !== 'string' || !/^[\x20-\x7e]{1,128}$/.test(name)) {
    throw check.typeError(
      `name must be 1 to 128 characters of printable ASCII, because it stands in a header, got ${check.show(name)}`,
    );
  }
  return `"${name.replace(/["\\]/g, '\\$&')}"`;
}

/** One limit of a request: what it is to take, of whom, and what came of it. */
class Charge {
  /** @param tier `{ tier, quota }`, undefined for the limit's own quota */
  constructor(limit, key, cost, tier) {
    this.limit = limit;
    this.key = key;
    this.cost = cost;
    this.tier = tier;
    this.decision = undefined;
  }

  take() {
    const { source, keyed } = this.limit;
    this.decision = keyed ? source.check(this.key, this.cost, this.tier?.tier) : source.check(this.cost);
    return this.decision;
  }

  giveBack() {
    const { source, keyed } = this.limit;
    if (keyed) source.refund?.(this.key, this.cost, this.tier?.tier);
    else source.refund?.(this.cost);
  }
}

/** One limit of a route or of the application: what it asks, with which cost and key, and how it presents itself. */
class Limit {
  #item;
  #policyLimit = NaN;
  #policyTier;
  #policy;
  #tiers;

  /**
   * @param rate '5/minute', or a limit that exists: `check(n)`, or `check(key, n)` where it says `keyed: true`
   * @param options also `objectName`, its name in a named scope where that is not the limit's own
   */
  constructor(rate, options = {}) {
    const { name = 'route', objectName = options.name, key, cost = 1, tier, skip, refundOn, ...making } = options;
    this.#item = quoted(name);
    this.name = name;
    const made = source(rate, making, objectName, key !== undefined);
    this.source = made.source;
    this.#tiers = made.tiers;
    this.keyed = this.source.keyed === true;
    this.native = this.source instanceof TokenBucket || this.source instanceof RateLimiter;
    if (key !== undefined && !this.keyed) {
      throw check.valueError('key: the limit that was passed in is one for everybody; a key needs one per key (a RateLimiter)');
    }
    this.key = key === undefined ? undefined : keyFunction(key);
    this.cost = typeof cost === 'function' ? cost : this.#wholeCost(cost);
    this.skip = skip === undefined ? undefined : check.callable(skip, 'skip');
    this.refundOn = refundOn === undefined ? undefined : check.callable(refundOn, 'refundOn');
    this.tier = this.#tierFunction(tier);
  }

  /** All limits that one description means: a LimitSet is several. `place`: where one is made that says nothing of it. */
  static all(rate, options = {}, place = {}) {
    check.options(options, 'RateLimit', [...MEETING, ...source.OPTIONS]);
    if (!(rate instanceof LimitSet)) return [new Limit(rate, isRate(rate) ? { ...place, ...options } : options)];
    const { name, key = {}, ...rest } = options;
    if (name !== undefined) throw check.valueError('name: the members of a LimitSet have names already; leave name out');
    const keys = check.options(key, 'key', rate.names);
    return Object.entries(rate.members).map(([member, limit]) => new Limit(limit, { ...rest, name: member, key: keys[member] }));
  }

  /** Throws what `all` would, and leaves nothing behind in any arena. */
  static check(rate, options) {
    check.options(options, 'RateLimit', [...MEETING, ...source.OPTIONS]);
    if (options.scope !== undefined) checkScope(options.scope);
    Limit.all(rate, isRate(rate) ? { ...options, scope: 'process' } : options);
  }

  /** What this request is to be charged: a Charge, `undefined` where it is skipped, or a promise of either. */
  ask(exchange) {
    const { request, context } = exchange;
    const skip = this.skip !== undefined && this.skip(request, context);
    if (skip === true) return undefined;
    const cost = typeof this.cost === 'function' ? this.cost(request, context) : this.cost;
    const key = this.keyed ? this.#keyOf(exchange) : undefined;
    const tier = this.tier === undefined ? undefined : this.tier(request, context);
    if (isPromise(skip) || isPromise(cost) || isPromise(key) || isPromise(tier)) {
      return Promise.all([skip, cost, key, tier]).then(([s, n, k, t]) => (s ? undefined : this.#charge(k, n, t, exchange)));
    }
    return skip ? undefined : this.#charge(key, cost, tier, exchange);
  }

  #keyOf(exchange) {
    if (this.key === undefined) return exchange.tracker === undefined ? exchange.clientKey : exchange.tracker();
    return this.key === clientIp ? exchange.clientKey : this.key(exchange.request, exchange.context);
  }

  #charge(key, cost, tier, exchange) {
    if (!this.keyed) return new Charge(this, undefined, cost, undefined);
    // A client without the key that is asked for is known by its address; the NUL keeps that apart from all keys of others.
    const known = typeof key === 'string' && key !== '' ? key : (Exchange.key(key) ?? `\0${exchange.clientKey}`);
    return new Charge(this, known, cost, tier === undefined || tier === null ? undefined : this.#tierNamed(tier));
  }

  #wholeCost(cost) {
    const { burst: most = 0xffff_ffff } = this.source.quota ?? {};
    return check.whole(cost, 'cost (at most the burst, or no request could pass)', 1, most);
  }

  #tierFunction(tier) {
    if (tier === undefined) return undefined;
    if (this.#tiers === undefined) throw check.valueError("tier: it names one of 'tiers', and there are none");
    return check.callable(tier, 'tier');
  }

  #tierNamed(name) {
    const tier = this.#tiers.get(name);
    if (tier === undefined) {
      throw check.valueError(`tier: no tier ${check.show(name)} (configured: ${[...this.#tiers.keys()].join(', ')})`);
    }
    return tier;
  }

  /** RateLimit-Policy: `q` tokens at once, all back within `w` seconds. Made anew when limit or tier has changed. */
  policy({ decision: { limit }, tier }) {
    if (limit !== this.#policyLimit || tier !== this.#policyTier) {
      const quota = tier === undefined ? this.source.quota : tier.quota;
      const windowMs = quota === undefined ? undefined : (quota.burst * quota.periodMs) / quota.count;
      const window = windowMs === undefined ? '' : `;w=${Math.max(1, Math.ceil(windowMs / 1000))}`;
      this.#policyLimit = limit;
      this.#policyTier = tier;
      this.#policy = `${this.#item};q=${limit}${window}`;
    }
    return this.#policy;
  }

  /** RateLimit: what remains, and the seconds until all is back. */
  state(told) {
    return `${this.#item};r=${told.remaining};t=${told.reset}`;
  }
}

module.exports = { Limit, MEETING };
