'use strict';
// A Store for express-rate-limit: `rateLimit({ windowMs, limit, store: new TidegateStore() })`.

const { RateLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { follow } = require('../lib/clock.cjs');
const { keyOf } = require('../lib/key.cjs');
const { checkPlace } = require('../lib/scope.cjs');
const { SETTINGS, whole } = require('../lib/settings.cjs');

/** What keyGenerator gave: the number of a user is as good a key as its text. */
const asKey = (key) => keyOf(key, 'what keyGenerator returns');

/** The most hits that a window counts: 2^20 - 1, or 100,000 a millisecond, is "that many or more". */
const mostIn = (windowMs) => Math.max(1, Math.min(2 ** 20 - 1, Math.floor(windowMs * 100_000)));

/**
 * A window of the table never ends early: it ends on the second tick after its time at the latest, and a tick is less
 * than 2^-15 of it. On a clock that tests move it ends in time instead, or `advance(windowMs)` would not end it.
 */
const inTime = (windowMs) => windowMs * (1 - 2 ** -14);

class TidegateStore {
  #limiter;
  /** The table's window. */
  #perMs;
  /** How much later than it should a window of this table ends, at most; below zero: earlier. */
  #lateMs = 0;
  #options;

  constructor(options = {}) {
    const given = check.options(options, 'new TidegateStore', ['maxKeys', 'scope', 'name', 'clock']);
    const { maxKeys = 100_000, scope, name, clock } = given;
    this.#options = { maxKeys: whole(SETTINGS.limiter.max_keys, maxKeys), scope, name, clock };
    // Counts are this process's own: express-rate-limit uses it to find a request that is counted twice.
    this.localKeys = scope === undefined || scope === 'process';
    // In an arena a window is chosen once.
    if (this.localKeys) this.init({ windowMs: 60_000 });
    else checkPlace(scope, clock);
  }

  /** express-rate-limit calls it with its options, once for each middleware that the store is given to. */
  init({ windowMs }) {
    check.period(windowMs, 'windowMs');
    const perMs = this.#options.clock === undefined ? windowMs : inTime(windowMs);
    this.#limiter = new RateLimiter({ ...this.#options, algorithm: 'fixed_window', rate: mostIn(perMs), perMs });
    this.windowMs = windowMs;
    this.#perMs = perMs;
    this.#lateMs = perMs - windowMs;
  }

  get(key) {
    const { count, resetAfterMs } = this.#hit(key, 0);
    // A key that was taken back to zero keeps its window; an unknown one would begin a whole one.
    if (count === 0 && resetAfterMs >= this.#perMs) return undefined;
    return { totalHits: count, resetTime: this.#resetTime(resetAfterMs) };
  }

  increment(key) {
    const { count, resetAfterMs } = this.#hit(key, 1);
    if (count === 1) this.#lateMs = Math.max(this.#lateMs, resetAfterMs - this.windowMs);
    return { totalHits: count, resetTime: this.#resetTime(count === 1 ? Infinity : resetAfterMs) };
  }

  decrement(key) {
    follow(this.#options.clock);
    this.#limiter.refund(asKey(key));
  }

  resetKey(key) {
    follow(this.#options.clock);
    this.#limiter.reset(asKey(key));
  }

  resetAll() {
    follow(this.#options.clock);
    this.#limiter.resetAll();
  }

  /** The end of the service: what only this process knows is forgotten; what others share stays. */
  shutdown() {
    if (this.localKeys) this.resetAll();
  }

  #hit(key, n) {
    follow(this.#options.clock);
    return this.#limiter.hit(asKey(key), n);
  }

  /** Never beyond the window that was asked for. */
  #resetTime(resetAfterMs) {
    const left = Math.min(this.windowMs, resetAfterMs - this.#lateMs);
    return new Date(Date.now() + Math.max(0, left));
  }
}

module.exports = { TidegateStore };
