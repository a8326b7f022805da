'use strict';

const { addon, words, numbers, each } = require('./native.cjs');
const { TokenBucket, bucketHome, bucketPlace, bucketRefusal, bucketRefuses } = require('./bucket.cjs');
const check = require('./check.cjs');
const { asKey } = require('./key.cjs');
const { RateLimiter, limiterHome, limiterPlace, limiterRefusal, limiterRefuses } = require('./limiter.cjs');
const { count, decision } = require('./quota.cjs');
const { shown } = require('./show.cjs');
const { waitFor } = require('./wait.cjs');

const { limitSet } = addon;
/** The most members, and the numbers of a decision in the block (src/io.rs). */
const MEMBERS = 16;
const DECISION = 6;
/** Stands for no member where it is asked which one denied (src/limit_set.rs). */
const NOBODY = 0xffff_ffff;

let select;
let eachOf;
let keysOf;

/** `{ user, ip, everyone }` → entries, checked. */
function membersOf(members) {
  if (members === null || typeof members !== 'object') {
    throw check.typeError(`new LimitSet takes an object of limits by name, got ${check.show(members)}`);
  }
  const entries = Object.entries(members);
  if (entries.length === 0 || entries.length > MEMBERS) {
    throw check.rangeError(`new LimitSet takes 1 to ${MEMBERS} limits, got ${entries.length}`);
  }
  for (const [name, limit] of entries) {
    if (name === '' || name === 'n') throw check.valueError(`a limit cannot be called '${name}': give it another name`);
    if (!(limit instanceof TokenBucket || limit instanceof RateLimiter)) {
      throw check.typeError(`limit '${name}' must be a TokenBucket or a RateLimiter, got ${check.show(limit)}`);
    }
  }
  return entries;
}

/** A key that is no text. */
function otherKey(key, name) {
  if (key === undefined) throw check.typeError(`keys: the key of '${name}' is missing`);
  return asKey(key, `the key of '${name}'`);
}

/** Where a limit lives; its `clock` is a ManualClock, undefined for any other. */
const homeOf = (limit) => (limit instanceof RateLimiter ? limiterHome(limit) : bucketHome(limit));

/** Whether it refuses what is too much: it is neither switched off (`enabled`, TIDEGATE_DISABLED) nor a dry run. */
const refuses = (limit) => (limit instanceof RateLimiter ? limiterRefuses(limit) : bucketRefuses(limit));

/**
 * Who refused how much, by which quota, as RateLimitedError says it: 'limiter "orders" (100/s) refused 1 token'.
 *
 * @param options `{ timeoutMs, tier, name }`, each where it is not the limit's own
 */
const refusalText = (limit, n, waitMs, options) =>
  limit instanceof RateLimiter ? limiterRefusal(limit, n, waitMs, options) : bucketRefusal(limit, n, waitMs, options);

class LimitSet {
  /** Its place in the addon's table. */
  #id;
  #names;
  #members;
  /** Names of the members that take a key, in order. */
  #keyed;
  #clock;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('LimitSet', method);
      words[0] = self.#id;
    };
    keysOf = (self, keys) => self.#keysOf(keys);
    eachOf = (self, keys, n) => {
      select(self, 'check');
      words[1] = count(n);
      limitSet.checkEach(...keys);
      const decisions = self.#names.map((_, index) => {
        const at = index * DECISION;
        return {
          allowed: each[at] === 1,
          limit: each[at + 1],
          remaining: each[at + 2],
          retryAfterMs: each[at + 3],
          resetAfterMs: each[at + 4],
          delayMs: each[at + 5],
        };
      });
      return { deniedBy: words[2] === NOBODY ? -1 : words[2], each: decisions };
    };
  }

  constructor(members) {
    const entries = membersOf(members);
    const names = entries.map(([name]) => name);
    entries.forEach(([, limit], index) => {
      const place = bucketPlace(limit);
      each[index * DECISION] = place ?? limiterPlace(limit);
      each[index * DECISION + 1] = Number(place === undefined);
    });
    limitSet.create(this, ...names);
    this.#id = words[0];
    this.#names = names;
    this.#members = Object.fromEntries(entries);
    this.#keyed = entries.filter(([, limit]) => limit instanceof RateLimiter).map(([name]) => name);
    this.#clock = homeOf(entries[0][1]).clock;
  }

  get names() {
    select(this, 'names');
    return [...this.#names];
  }

  get members() {
    select(this, 'members');
    return { ...this.#members };
  }

  check(keys = undefined, n = 1) {
    this.#run('check', limitSet.check, keys, n);
    return this.#verdict();
  }

  tryAcquire(keys = undefined, n = 1) {
    this.#run('tryAcquire', limitSet.check, keys, n);
    return decision().allowed;
  }

  peek(keys = undefined, n = 1) {
    this.#run('peek', limitSet.peek, keys, n);
    return this.#verdict();
  }

  refund(keys = undefined, n = 1) {
    this.#run('refund', limitSet.refund, keys, n);
  }

  async acquire(keys = undefined, n = 1, options = undefined) {
    const waiting = check.waiting(options, 'acquire');
    return waitFor(
      () => this.check(keys, n),
      () => this.refund(keys, n),
      this.#clock,
      waiting,
      (waitMs, { deniedBy }) => {
        select(this, 'acquire');
        words[1] = n;
        words[2] = deniedBy === undefined ? NOBODY : this.#names.indexOf(deniedBy);
        numbers[0] = waitMs;
        numbers[1] = waiting.timeoutMs;
        return limitSet.refused();
      },
    );
  }

  /** Reads all keys before it writes to the block: a getter runs the caller's code. */
  #run(method, operation, keys, n) {
    select(this, method);
    const values = this.#keysOf(keys);
    select(this, method);
    words[1] = count(n);
    if (values.length === 1) operation(values[0]);
    else operation(...values);
  }

  #keysOf(keys) {
    if (keys === null || (keys !== undefined && typeof keys !== 'object')) {
      throw check.typeError(
        `keys must be an object of keys by limit (${this.#keyed.join(', ')}), got ${check.show(keys)}`,
      );
    }
    let given = 0;
    for (const _name in keys) given += 1;
    const keyed = this.#keyed;
    const values = new Array(keyed.length);
    for (let index = 0; index < keyed.length; index += 1) {
      const key = keys?.[keyed[index]];
      if (typeof key !== 'string') values[index] = otherKey(key, keyed[index]);
      else values[index] = key;
    }
    if (given !== values.length) {
      const extra = Object.keys(keys).find((name) => !this.#keyed.includes(name));
      const why = this.#names.includes(extra)
        ? `'${extra}' is one for everybody and takes no key`
        : `there is no limit '${extra}'`;
      throw check.valueError(`keys: ${why}; keys are for ${this.#keyed.join(', ') || 'none'}`);
    }
    return values;
  }

  #verdict() {
    return { ...decision(), deniedBy: words[2] === NOBODY ? undefined : this.#names[words[2]] };
  }
}

/**
 * Decides for keys in the order of the keyed members: the place of the member that denied or -1, and each one's
 * decision.
 */
const decideEach = (set, keys, n) => eachOf(set, keys, n);

shown(LimitSet, (set) => ({ members: set.members }));

module.exports = {
  /** The keys of the keyed members, in order. */
  setKeys: (set, keys) => keysOf(set, keys),
  setPlace: (it) => {
    select(it, 'limits');
    return words[0];
  },
  LimitSet,
  decideEach,
  homeOf,
  refusalText,
  refuses,
};
