'use strict';

const { addon, words, numbers, bits } = require('./native.cjs');
const check = require('./check.cjs');
const { selectClock, sleep } = require('./clock.cjs');
const { RateLimitedError } = require('./errors.cjs');

const { bucket } = addon;
const { tryAcquire } = bucket;
const QUOTA = ['rate', 'perMs', 'burst'];

/** Writes a quota into the block, and gives back a rate that is text: the call's second argument. */
function writeQuota({ rate, perMs, burst }) {
  if (typeof rate === 'string') {
    if (perMs !== undefined) {
      throw check.valueError("perMs goes with a rate that is a number; a text such as '100/min' has its own period");
    }
  } else if (typeof rate === 'number') {
    numbers[0] = check.finite(rate, 'rate', 'a positive number of tokens');
    numbers[1] = perMs === undefined ? 1000 : check.span(perMs, 'perMs');
  } else {
    throw check.typeError(`rate must be a text such as '100/minute' or a number of tokens per perMs, got ${check.show(rate)}`);
  }
  numbers[2] = burst === undefined ? NaN : check.whole(burst, 'burst', 1);
  return rate;
}

function decision() {
  return {
    allowed: words[1] === 1,
    limit: numbers[0],
    remaining: numbers[1],
    retryAfterMs: numbers[2],
    resetAfterMs: numbers[3],
  };
}

/** Says which object the next operation means. */
let select;

class TokenBucket {
  /** Its place in the addon's table. */
  #id;
  #clock;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('TokenBucket', method);
      words[0] = self.#id;
    };
  }

  constructor(options) {
    const { clock, ...quota } = check.options(options, 'new TokenBucket', [...QUOTA, 'clock']);
    selectClock(clock);
    bucket.create(this, writeQuota(quota));
    this.#id = words[0];
    this.#clock = clock;
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
    signal?.throwIfAborted();
    const reservation = book(this, n, timeoutMs);
    if (!reservation.booked) {
      const limit = reservation.retryAfterMs === Infinity ? 'the burst' : `timeoutMs = ${timeoutMs}`;
      throw new RateLimitedError(`rate limited: ${n} tokens are beyond ${limit}`, reservation.retryAfterMs);
    }
    if (reservation.waitMs === 0) return;
    try {
      await sleep(reservation.waitMs, this.#clock, signal);
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
    bucket.setQuota(undefined, writeQuota(given));
  }

  get quota() {
    select(this, 'quota');
    bucket.quota();
    return { count: numbers[0], periodMs: numbers[1], burst: numbers[2] };
  }

  stats() {
    select(this, 'stats');
    bucket.stats();
    return { admitted: numbers[0], denied: numbers[1] };
  }
}

/** A count of tokens; the check is written out because it stands on the hot path. */
function count(n) {
  return typeof n === 'number' && n >>> 0 === n ? n : check.whole(n, 'n');
}

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

module.exports = { Reservation, TokenBucket };
