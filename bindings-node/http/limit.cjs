'use strict';

const { LimitSet, RateLimiter, TokenBucket } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { homeOf, refusalText, refuses } = require('../lib/limit_set.cjs');
const { checkScope } = require('../lib/scope.cjs');
const { Charge } = require('./charge.cjs');
const { DECLARED_BY } = require('./claims.cjs');
const { Exchange } = require('./exchange.cjs');
const { clientIp, keyFunction } = require('./keys.cjs');
const { abandon, askEach, isPromise, whenReady } = require('../lib/promise.cjs');
const { nameFrom } = require('./names.cjs');
const { ratesOf } = require('./rates.cjs');
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

/** The time in which a whole burst comes back; a limit of the application's own may have no quota. */
const windowOf = (quota) => (quota === undefined ? undefined : (quota.burst * quota.periodMs) / quota.count);

function policyText(item, limit, windowMs) {
  return `${item};q=${limit}${windowMs === undefined ? '' : `;w=${Math.max(1, Math.ceil(windowMs / 1000))}`}`;
}

/** One limit of a route or of the application: what it asks, with which cost and key, and how it presents itself. */
class Limit {
  #item;
  #policyLimit = NaN;
  #policyWindow;
  #policy;
  #tiers;
  /** Whether too much is refused: not where it is switched off, or a dry run. */
  #refuses;
  /** Whether the cost is a function's, and is checked at each request. */
  #isChecked;

  /**
   * @param rate '5/minute', or a limit that exists: `check(n)`, or `check(key, n)` where it says `keyed: true`
   * @param options also `objectName`, its name in a named scope where that is not the limit's own, and `policyName`,
   *   what clients are told where that is not
   */
  constructor(rate, options = {}) {
    const { name = 'default', objectName = options.name, policyName = name, ...rest } = options;
    const { key, cost = 1, tier, skip, refundOn, ...making } = rest;
    this.#item = quoted(name);
    if (policyName !== name) this.#item = quoted(policyName);
    /** What replaces it and leaves it out in a route. */
    this.name = name;
    this.policyName = policyName;
    /** What an application has declared; a rate function's limits are all of one origin. */
    this.origin = this;
    const made = source(rate, making, objectName, key !== undefined, options.name);
    this.source = made.source;
    this.#tiers = made.tiers;
    this.keyed = this.source.keyed === true;
    this.native = this.source instanceof TokenBucket || this.source instanceof RateLimiter;
    /** The clock on which a leaky bucket's delay passes. */
    this.clock = this.native ? homeOf(this.source).clock : undefined;
    if (key !== undefined && !this.keyed) {
      throw check.valueError(
        'key: the limit that was passed in is one for everybody; a key needs one per key (a RateLimiter)',
      );
    }
    this.key = key === undefined ? undefined : keyFunction(key);
    this.#refuses = !this.native || refuses(this.source);
    this.#isChecked = typeof cost === 'function';
    this.cost = this.#isChecked ? cost : this.#wholeCost(cost);
    this.skip = skip === undefined ? undefined : check.callable(skip, 'skip');
    this.refundOn = refundOn === undefined ? undefined : check.callable(refundOn, 'refundOn');
    if (refundOn !== undefined) this.checkRefund('refundOn');
    this.tier = this.#tierFunction(tier);
  }

  /**
   * All limits that one description means: a LimitSet is several. `place`: where one is made that says nothing of it.
   */
  static all(rate, options = {}, place = {}) {
    check.options(options, 'RateLimit', [...MEETING, ...source.OPTIONS]);
    if (isRate(rate) || typeof rate === 'function') {
      const settings = { ...place, ...options };
      const objectName = place.objectName ?? place[DECLARED_BY]?.nameOf?.(settings);
      if (objectName !== undefined) settings.objectName = objectName;
      if (typeof rate === 'function') return [new ChosenLimit(rate, settings)];
      return ratesOf(rate, settings).map(([one, each]) => new Limit(one, each));
    }
    if (!(rate instanceof LimitSet)) return [new Limit(rate, options)];
    const { name, key = {}, ...rest } = options;
    if (name !== undefined)
      throw check.valueError('name: the members of a LimitSet have names already; leave name out');
    const keys = check.options(key, 'key', rate.names);
    return Object.entries(rate.members).map(
      ([member, limit]) => new Limit(limit, { ...rest, name: member, key: keys[member] }),
    );
  }

  /** Throws what `all` would, and leaves nothing behind in any arena. */
  static check(rate, options) {
    check.options(options, 'RateLimit', [...MEETING, ...source.OPTIONS]);
    if (options.scope !== undefined) checkScope(options.scope);
    Limit.all(rate, isRate(rate) || typeof rate === 'function' ? { ...options, scope: 'process' } : options);
  }

  /**
   * What this request is to be charged: a Charge, `undefined` where it is skipped, or a promise of either. `skip` comes
   * first: what it takes out is asked nothing else.
   */
  ask(exchange) {
    if (this.skip === undefined) return this.#charged(exchange);
    return whenReady(this.skip(exchange.request, exchange.context), (skip) =>
      check.holds(skip, 'skip') ? undefined : this.#charged(exchange),
    );
  }

  #charged(exchange) {
    const { request, context } = exchange;
    let cost;
    let key;
    let tier;
    let isPending;
    try {
      cost = typeof this.cost === 'function' ? this.cost(request, context) : this.cost;
      key = this.keyed ? this.#keyOf(exchange) : undefined;
      tier = this.tier === undefined ? undefined : this.tier(request, context);
      // A `then` of theirs may throw as well.
      isPending = isPromise(cost) || isPromise(key) || isPromise(tier);
    } catch (error) {
      abandon([cost, key, tier]);
      throw error;
    }
    if (isPending) return Promise.all([cost, key, tier]).then(([n, k, t]) => this.#charge(k, n, t, exchange));
    return this.#charge(key, cost, tier, exchange);
  }

  #keyOf(exchange) {
    return this.key === undefined || this.key === clientIp
      ? exchange.clientKey
      : this.key(exchange.request, exchange.context);
  }

  #charge(key, cost, tier, exchange) {
    if (this.#isChecked) check.whole(cost, 'what a cost function returns');
    if (!this.keyed) {
      if (this.#isChecked) this.checkPossible(cost);
      return new Charge(this, undefined, cost, undefined);
    }
    // A client without the key that is asked for is known by its address; the NUL keeps that apart from all keys of
    // others.
    const known = typeof key === 'string' && key !== '' ? key : (Exchange.key(key) ?? `\0${exchange.clientKey}`);
    const own = tier === undefined || tier === null ? undefined : this.#tierNamed(tier);
    if (this.#isChecked || own !== undefined) this.checkPossible(cost, own);
    return new Charge(this, known, cost, own);
  }

  /**
   * A cost that no request could ever pay is the application's mistake, not a refusal, which would be told to wait.
   * Asked before anything is taken, by the quota of this request.
   */
  checkPossible(cost, tier) {
    if (!this.#refuses) return;
    const most = (tier ?? this.source).quota?.burst;
    if (cost > most) {
      throw check.rangeError(
        `cost: ${cost} is above the burst of limit ${check.show(this.policyName)} (${most}), ` +
          'so no such request could ever pass; lower the cost or raise the burst',
      );
    }
  }

  /** What asks several limits, or may give back later, needs that of each: else a charge would be kept in silence. */
  checkRefund(what) {
    if (typeof this.source.refund === 'function') return;
    throw check.typeError(
      `${what}: the limit ${check.show(this.policyName)} of your own has no refund(${this.keyed ? 'key, n' : 'n'}), ` +
        'so what it took of a request that is not to count would stay taken; give it one',
    );
  }

  /** Who refused how much, by which quota. `name` is what clients are told of it. */
  refusal(name, { cost, tier, decision }) {
    if (this.native) return refusalText(this.source, cost, decision.retryAfterMs, { tier: tier?.tier, name });
    return `limit ${JSON.stringify(name)} refused ${cost} token${cost === 1 ? '' : 's'}`;
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

  /**
   * RateLimit-Policy: `q` tokens at once, all back within `w` seconds. Made anew when either has changed: setQuota,
   * here or in another process, and tiers change them.
   */
  policy({ decision: { limit }, tier, called }) {
    const windowMs = windowOf(tier === undefined ? this.source.quota : tier.quota);
    if (called !== undefined) return policyText(quoted(called), limit, windowMs);
    if (limit !== this.#policyLimit || windowMs !== this.#policyWindow) {
      this.#policyLimit = limit;
      this.#policyWindow = windowMs;
      this.#policy = policyText(this.#item, limit, windowMs);
    }
    return this.#policy;
  }

  /** RateLimit: what remains, and the seconds until all is back. */
  state(told, called) {
    return `${called === undefined ? this.#item : quoted(called)};r=${told.remaining};t=${told.reset}`;
  }
}

/** The most rates that a rate function may name: each has a limit, and its memory, of its own. */
const MOST_RATES = 64;

/**
 * A limit whose rate is a function of the request: each rate that it names is a limit of its own, made when it is first
 * named.
 */
class ChosenLimit {
  #choose;
  #options;
  #skip;
  #limits = new Map();

  constructor(choose, options) {
    const { tiers, tier, fastest, skip, ...rest } = options;
    for (const [name, value] of Object.entries({ tiers, tier, fastest })) {
      if (value !== undefined)
        throw check.valueError(`${name}: a rate that is a function chooses by itself; leave ${name} out`);
    }
    if (rest.scope !== undefined && rest.scope !== 'process' && (rest.objectName ?? rest.name) === undefined) {
      throw check.valueError(`name: a limit in ${check.show(rest.scope)} needs one, by which others find it`);
    }
    // A mistake in the options shows here, not at the first request, whatever the rate may be.
    const { objectName: _objectName, burst: _burst, queue: _queue, cost, ...checked } = rest;
    Limit.check(1, typeof cost === 'function' ? { ...checked, cost } : checked);
    this.#choose = choose;
    this.#options = rest;
    // Which burst it must fit is known when a rate is named, and that is a request.
    if (cost !== undefined && typeof cost !== 'function') {
      check.whole(cost, 'cost', 1);
      this.#options.cost = () => cost;
    }
    this.#skip = skip === undefined ? undefined : check.callable(skip, 'skip');
    this.name = rest.name ?? 'default';
    this.policyName = this.name;
    this.origin = this;
    this.keyed = rest.key !== undefined;
    this.native = false;
  }

  ask(exchange) {
    if (this.#skip === undefined) return this.#chosen(exchange);
    return whenReady(this.#skip(exchange.request, exchange.context), (skip) =>
      check.holds(skip, 'skip') ? undefined : this.#chosen(exchange),
    );
  }

  #chosen(exchange) {
    return whenReady(this.#choose(exchange.request, exchange.context), (rate) => {
      const asked = askEach(this.#limitsOf(rate), (limit) => limit.ask(exchange));
      return asked.some(isPromise) ? Promise.all(asked) : asked;
    });
  }

  #limitsOf(rate) {
    if (!isRate(rate)) {
      throw check.typeError(
        `a rate function must return a text such as '5/minute' or a number, got ${check.show(rate)}`,
      );
    }
    const made = this.#limits.get(rate);
    if (made !== undefined) return made;
    if (this.#limits.size >= MOST_RATES) {
      throw check.rangeError(`a rate function may name at most ${MOST_RATES} rates: let it take few values`);
    }
    const { name, objectName = name } = this.#options;
    const own = objectName === undefined ? undefined : nameFrom(`${objectName}:${rate}`);
    const limits = ratesOf(rate, { ...this.#options, objectName: own }).map(
      ([one, settings]) => new Limit(one, settings),
    );
    for (const limit of limits) limit.origin = this;
    this.#limits.set(rate, limits);
    return limits;
  }
}

module.exports = { Limit, MEETING };
