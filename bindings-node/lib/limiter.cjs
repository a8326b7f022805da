'use strict';

const { addon, words, numbers } = require('./native.cjs');
const check = require('./check.cjs');
const { asKey } = require('./key.cjs');
const { measured } = require('./measured.cjs');
const {
  QUOTA,
  SWITCHES,
  count,
  decision,
  quotaOptions,
  readQuota,
  warmUpOptions,
  writeMode,
  writeQuota,
  writeWarmUp,
} = require('./quota.cjs');
const { PLACE, create } = require('./scope.cjs');
const { NAMES, SETTINGS, choice, number, whole, wrong } = require('./settings.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');
const { waitFor } = require('./wait.cjs');

const { limiter } = addon;
const { tryAcquire, check: checkKey } = limiter;

const FIELDS = SETTINGS.limiter;
const ALGORITHMS = FIELDS.algorithm.texts;
const OPTIONS = [
  ...QUOTA,
  'algorithm',
  'maxKeys',
  'fastest',
  'queue',
  'block',
  ...SWITCHES,
  'hugePages',
  ...PLACE,
  'clock',
];
const BLOCK = ['after', 'withinMs', 'durationMs', 'growth', 'maxMs'];

/** Where the settings stand among the numbers; src/limiter.rs has the same list. */
const AT = { fastest: 3, algorithm: 6, maxKeys: 7, block: 8, warmUp: 13, mode: 15, hugePages: 17, hasFastest: 18 };
/** Stands for "no tier" where a tier's place is asked. */
const NO_TIER = 0xffff_ffff;

let select;
let placeOf;
let homeOf;
let refuses;
let refusalOf;
let tierPlace;

/** `queue` of a leaky bucket is its burst less the one that acts at once; a window's limit is all there is. */
function withBurst({ queue, ...quota }, algorithm) {
  if (algorithm === 'leaky_bucket') {
    if (quota.burst !== undefined) {
      throw check.valueError(
        'burst: a leaky_bucket has a queue instead: queue: 9 lets nine wait behind the one that acts',
      );
    }
    return queue === undefined ? quota : { ...quota, burst: whole(FIELDS.queue, queue) + 1 };
  }
  if (queue !== undefined) throw check.valueError(`queue: only a leaky_bucket has one, not a ${algorithm}`);
  if (quota.burst !== undefined && NAMES.windows.includes(algorithm)) {
    throw check.valueError(`burst: a ${algorithm} has none, its limit is the count in the rate; leave burst out`);
  }
  return quota;
}

function writeBlock(given) {
  if (given === undefined) {
    numbers[AT.block] = NaN;
    return;
  }
  const { after, withinMs, durationMs, growth = FIELDS.block_growth.default, maxMs } = given;
  const values = [after, withinMs, durationMs, growth, maxMs];
  const { block_after, block_within, block_duration, block_growth, block_max } = FIELDS;
  const fields = [block_after, block_within, block_duration, block_growth, block_max];
  fields.forEach((field, index) => {
    if (values[index] === undefined && field !== block_max) throw wrong(field, undefined);
    numbers[AT.block + index] = number(field, values[index]);
  });
}

/** A quota of its own for some keys or calls of one RateLimiter: `limiter.tier(quota)`. */
class Tier {
  #place;
  #owner;
  #quota;

  static {
    tierPlace = (tier, owner) => {
      if (tier === null || typeof tier !== 'object' || !(#place in tier)) {
        throw check.typeError(`tier must come from limiter.tier({ rate, burst }), got ${check.show(tier)}`);
      }
      if (tier.#owner !== owner) throw check.valueError('tier: it belongs to another RateLimiter; each makes its own');
      return tier.#place;
    };
  }

  get quota() {
    return this.#quota;
  }

  constructor(owner, quota) {
    select(owner, 'tier');
    const given = withBurst(quotaOptions(quota, 'tier'), owner.algorithm);
    select(owner, 'tier');
    limiter.tier(this, writeQuota(SETTINGS.limiter, given));
    this.#place = words[0];
    this.#owner = owner;
    this.#quota = quota;
  }
}

class RateLimiter {
  /** Its place in the addon's table. */
  #id;
  #home;
  #algorithm;

  static {
    const has = (value) => value !== null && typeof value === 'object' && #id in value;
    select = (self, method) => {
      if (!has(self)) throw check.detached('RateLimiter', method);
      words[0] = self.#id;
    };
    placeOf = (value) => (has(value) ? value.#id : undefined);
    homeOf = (self) => self.#home;
    refuses = (self) => {
      select(self, 'check');
      limiter.refuses();
      return words[1] === 1;
    };
    refusalOf = (self, n, waitMs, { timeoutMs = NaN, tier, name = self.#home.name }) => {
      select(self, 'acquire');
      words[1] = n;
      words[2] = tier === undefined ? NO_TIER : tierPlace(tier, self);
      numbers[0] = waitMs;
      numbers[1] = timeoutMs;
      return limiter.refused(undefined, name);
    };
  }

  constructor(options) {
    const given = check.options(options, 'new RateLimiter', OPTIONS);
    const { maxKeys, hugePages = FIELDS.huge_pages.default } = given;
    const algorithm = choice(FIELDS.algorithm, given.algorithm);
    // Everything that may run the caller's code (getters) comes before the block is written.
    const quota = withBurst(given, algorithm);
    const fastest =
      given.fastest === undefined ? undefined : withBurst(quotaOptions(given.fastest, 'fastest'), algorithm);
    const block = given.block === undefined ? undefined : check.options(given.block, 'block', BLOCK);
    const warmUp = warmUpOptions(given.warmUp);

    numbers[AT.algorithm] = ALGORITHMS.indexOf(algorithm);
    numbers[AT.maxKeys] = number(FIELDS.max_keys, maxKeys);
    numbers[AT.hugePages] = Number(check.bool(hugePages, 'hugePages'));
    numbers[AT.hasFastest] = Number(fastest !== undefined);
    writeBlock(block);
    writeWarmUp(warmUp, AT.warmUp);
    writeMode(given, AT.mode);
    const fastestText = fastest && writeQuota({ ...FIELDS, rate: FIELDS.fastest }, fastest, AT.fastest);
    this.#home = create(limiter.create, this, given, writeQuota(SETTINGS.limiter, quota), fastestText);
    this.#id = this.#home.id;
    this.#algorithm = algorithm;
  }

  tryAcquire(key, n = 1, tier = undefined) {
    const bytes = typeof key === 'string' ? key : asKey(key);
    select(this, 'tryAcquire');
    words[1] = count(n);
    words[2] = tier === undefined ? NO_TIER : tierPlace(tier, this);
    tryAcquire(bytes);
    return words[1] === 1;
  }

  check(key, n = 1, tier = undefined) {
    const bytes = asKey(key);
    select(this, 'check');
    words[1] = count(n);
    words[2] = tier === undefined ? NO_TIER : tierPlace(tier, this);
    checkKey(bytes);
    return decision();
  }

  peek(key, tier = undefined) {
    const bytes = asKey(key);
    select(this, 'peek');
    words[2] = tier === undefined ? NO_TIER : tierPlace(tier, this);
    limiter.peek(bytes);
    return decision();
  }

  async acquire(key, n = 1, options = undefined) {
    const { tier, ...rest } =
      options === undefined ? {} : check.options(options, 'acquire', ['timeoutMs', 'signal', 'tier']);
    const waiting = check.waiting(rest, 'acquire');
    return waitFor(
      () => this.check(key, n, tier),
      () => this.refund(key, n, tier),
      this.#home.clock,
      waiting,
      (waitMs) => refusalOf(this, n, waitMs, { timeoutMs: waiting.timeoutMs, tier }),
    );
  }

  refund(key, n = 1, tier = undefined) {
    const bytes = asKey(key);
    select(this, 'refund');
    words[1] = count(n);
    words[2] = tier === undefined ? NO_TIER : tierPlace(tier, this);
    limiter.refund(bytes);
  }

  penalize(key, waitMs) {
    const bytes = asKey(key);
    select(this, 'penalize');
    numbers[0] = check.span(waitMs, 'waitMs');
    limiter.penalize(bytes);
    return words[1] === 1;
  }

  reset(key) {
    const bytes = asKey(key);
    select(this, 'reset');
    limiter.reset(bytes);
  }

  resetAll() {
    select(this, 'resetAll');
    limiter.resetAll();
  }

  hit(key, n = 1) {
    const bytes = asKey(key);
    select(this, 'hit');
    words[1] = count(n);
    limiter.hit(bytes);
    return { count: numbers[0], resetAfterMs: numbers[1] };
  }

  tier(quota) {
    select(this, 'tier');
    return new Tier(this, quota);
  }

  setQuota(quota) {
    select(this, 'setQuota');
    const given = withBurst(quotaOptions(quota, 'setQuota'), this.#algorithm);
    const rate = writeQuota(SETTINGS.limiter, given);
    select(this, 'setQuota');
    limiter.setQuota(undefined, rate);
  }

  get quota() {
    select(this, 'quota');
    limiter.quota();
    return readQuota();
  }

  get algorithm() {
    select(this, 'algorithm');
    return this.#algorithm;
  }

  get size() {
    select(this, 'size');
    limiter.size();
    return numbers[0];
  }

  /** Its decisions take a key; a TokenBucket's do not. */
  get keyed() {
    select(this, 'keyed');
    return true;
  }

  stats() {
    select(this, 'stats');
    limiter.stats();
    return counted.limiter(numbers);
  }
}

shown(Tier, (tier) => ({ quota: tier.quota }));
shown(RateLimiter, (limiter) => ({
  name: homeOf(limiter).name,
  algorithm: limiter.algorithm,
  quota: limiter.quota,
  size: limiter.size,
  stats: limiter.stats(),
}));

measured(RateLimiter, 'limiter', (self) => select(self, 'add'));

module.exports = {
  ALGORITHMS,
  RateLimiter,
  Tier,
  limiterHome: (self) => homeOf(self),
  limiterPlace: (value) => placeOf(value),
  limiterRefusal: (...given) => refusalOf(...given),
  limiterRefuses: (self) => refuses(self),
};
