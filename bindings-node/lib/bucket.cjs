'use strict';

const { addon, words, numbers, bits } = require('./native.cjs');
const { throwIfAborted } = require('./abort.cjs');
const check = require('./check.cjs');
const { sleep } = require('./clock.cjs');
const { RateLimitedError } = require('./errors.cjs');
const { QUOTA, SWITCHES, count, decision, readQuota, warmUpOptions, writeMode, writeQuota, writeWarmUp } =
  require('./quota.cjs');
const { measured } = require('./measured.cjs');
const { PLACE, create } = require('./scope.cjs');
const { SETTINGS } = require('./settings.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');

const { bucket } = addon;
const { tryAcquire } = bucket;
/** Where the settings stand among the numbers; src/bucket.rs has the same list. */
const AT = { mode: 3, warmUp: 5 };

/** Says which object the next operation means. */
let select;
let placeOf;
let homeOf;
let refuses;
let refusalOf;

class TokenBucket {
  /** Its place in the addon's table. */
  #id;
  #home;

  static {
    const has = (value) => value !== null && typeof value === 'object' && #id in value;
    select = (self, method) => {
      if (!has(self)) throw check.detached('TokenBucket', method);
      words[0] = self.#id;
    };
    placeOf = (value) => (has(value) ? value.#id : undefined);
    homeOf = (self) => self.#home;
    refuses = (self) => {
      select(self, 'check');
      bucket.refuses();
      return words[1] === 1;
    };
    refusalOf = (self, n, waitMs, { timeoutMs = NaN, name = self.#home.name }) => {
      select(self, 'acquire');
      words[1] = n;
      numbers[0] = waitMs;
      numbers[1] = timeoutMs;
      return bucket.refused(undefined, name);
    };
  }

  constructor(options) {
    const given = check.options(options, 'new TokenBucket', [...QUOTA, ...SWITCHES, ...PLACE, 'clock']);
    const warmUp = warmUpOptions(given.warmUp);
    writeMode(given, AT.mode);
    writeWarmUp(warmUp, AT.warmUp);
    this.#home = create(bucket.create, this, given, writeQuota(SETTINGS.bucket, given));
    this.#id = this.#home.id;
  }

  tryAcquire(n = 1) {
    select(this, 'tryAcquire');
    words[1] = count(n);
    tryAcquire();
    return words[1] === 1;
  }

  check(n = 1) {
    select(this, 'check');
    words[1] = count(n);
    bucket.check();
    return decision();
  }

  peek() {
    select(this, 'peek');
    bucket.peek();
    return decision();
  }

  reserve(n = 1, options = {}) {
    const { maxWaitMs } = check.options(options, 'reserve', ['maxWaitMs']);
    return book(this, n, check.patience(maxWaitMs, 'maxWaitMs'));
  }

  async acquire(n = 1, options = undefined) {
    const { timeoutMs, signal } = check.waiting(options, 'acquire');
    throwIfAborted(signal);
    const reservation = book(this, n, timeoutMs);
    if (!reservation.booked) {
      const { retryAfterMs } = reservation;
      throw new RateLimitedError(refusalOf(this, n, retryAfterMs, { timeoutMs }), retryAfterMs);
    }
    if (reservation.waitMs === 0) return;
    try {
      await sleep(reservation.waitMs, this.#home.clock, signal);
    } catch (reason) {
      reservation.cancel();
      throw reason;
    }
  }

  refund(n = 1) {
    select(this, 'refund');
    words[1] = count(n);
    bucket.refund();
  }

  penalize(waitMs) {
    select(this, 'penalize');
    numbers[0] = check.span(waitMs, 'waitMs');
    bucket.penalize();
  }

  reset() {
    select(this, 'reset');
    bucket.reset();
  }

  setQuota(quota) {
    const given = check.options(quota, 'setQuota', QUOTA);
    select(this, 'setQuota');
    bucket.setQuota(undefined, writeQuota(SETTINGS.bucket, given));
  }

  get quota() {
    select(this, 'quota');
    bucket.quota();
    return readQuota();
  }

  stats() {
    select(this, 'stats');
    bucket.stats();
    return counted.bucket(numbers);
  }
}

shown(TokenBucket, (bucket) => ({
  name: homeOf(bucket).name,
  quota: bucket.quota,
  remaining: bucket.peek().remaining,
  stats: bucket.stats(),
}));

class Reservation {
  #bucket;
  #ticket;

  constructor(owner, ticket, waitMs, retryAfterMs) {
    this.#bucket = owner;
    this.#ticket = ticket;
    this.booked = ticket !== undefined;
    this.waitMs = waitMs;
    this.retryAfterMs = retryAfterMs;
  }

  cancel() {
    if (this.#ticket === undefined) return false;
    select(this.#bucket, 'cancel');
    bits.set(this.#ticket);
    bucket.cancel();
    return words[1] === 1;
  }
}

function book(owner, n, maxWaitMs) {
  select(owner, 'reserve');
  words[1] = count(n);
  numbers[0] = maxWaitMs === Infinity ? NaN : maxWaitMs;
  bucket.reserve();
  return words[1] === 1
    ? new Reservation(owner, bits.slice(), numbers[0], 0)
    : new Reservation(owner, undefined, 0, numbers[0]);
}

shown(Reservation, ({ booked, waitMs, retryAfterMs }) => ({ booked, waitMs, retryAfterMs }));

measured(TokenBucket, 'bucket', (self) => select(self, 'add'));

module.exports = {
  Reservation,
  TokenBucket,
  bucketHome: (self) => homeOf(self),
  bucketPlace: (value) => placeOf(value),
  bucketRefusal: (...given) => refusalOf(...given),
  bucketRefuses: (self) => refuses(self),
};
