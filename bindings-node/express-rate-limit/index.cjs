'use strict';
// A Store for express-rate-limit: `rateLimit({ windowMs, limit, store: new TidegateStore() })`.

const { RateLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { Ends, follow } = require('../lib/clock.cjs');
const { keyOf } = require('../lib/key.cjs');
const { limiterPlace } = require('../lib/limiter.cjs');
const { addon, numbers, words } = require('../lib/native.cjs');
const { checkPlace } = require('../lib/scope.cjs');
const { SETTINGS, whole } = require('../lib/settings.cjs');

/** What keyGenerator gave: the number of a user is as good a key as its text. */
const asKey = (key) => (typeof key === 'string' ? key : keyOf(key, 'what keyGenerator returns'));

const { hit } = addon.limiter;

/** The most hits that a window counts: 2^20 - 1, or 100,000 a millisecond, is "that many or more". */
const mostIn = (windowMs) => Math.max(1, Math.min(2 ** 20 - 1, Math.floor(windowMs * 100_000)));

/** A key of the table as one of a Map. */
const inMap = (key) => (typeof key === 'string' ? key : `\0${Buffer.from(key).toString('latin1')}`);

/** Dates of late, by their milliseconds: a client's window has one end, and to make its Date costs as much as a Map. */
const DATES = 1024;
const dates = new Array(DATES).fill(new Date(0));
function dateAt(ms) {
  const time = Math.trunc(ms);
  const slot = time & (DATES - 1);
  const kept = dates[slot];
  // Whoever has one may set it.
  return kept.getTime() === time ? kept : (dates[slot] = new Date(time));
}

/** For how long a date stands for the time of day, counted on by the limiter's clock: to ask costs a tenth of a hit. */
const READ_MS = 50;
const isBuiltIn = (fn) => /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(fn));
/** Undefined where somebody else's date was there before: that may stand still or leap, so it is asked each time. */
const dateNow = isBuiltIn(Date.now) ? Date.now : undefined;

class TidegateStore {
  #limiter;
  /** The limiter's place in the addon's table: `increment` calls it without an object between. */
  #place;
  /** How much later than it should a window of this table ends, at most: it ends on a tick, and never early. */
  #lateMs = 0;
  /** On a clock that tests move: when each key's window ends, which is in time there. */
  #ends;
  #options;
  /** The date that was read last, and what the limiter's clock said then. */
  #readDate = 0;
  #readAt = Infinity;

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
    const window = { algorithm: 'fixed_window', rate: mostIn(windowMs), perMs: windowMs };
    this.#limiter = new RateLimiter({ ...this.#options, ...window });
    this.#place = limiterPlace(this.#limiter);
    this.windowMs = windowMs;
    this.#lateMs = 0;
    const { clock } = this.#options;
    this.#ends = clock === undefined ? undefined : new Ends(clock);
  }

  get(key) {
    const known = this.#look(key);
    const { count, resetAfterMs } = this.#limiter.hit(known, 0);
    // A key that was taken back to zero keeps its window; an unknown one has none.
    if (resetAfterMs === 0) return undefined;
    return { totalHits: count, resetTime: this.#resetTime(known, resetAfterMs) };
  }

  increment(key) {
    const known = this.#ends === undefined ? asKey(key) : this.#look(key);
    const { windowMs } = this;
    words[0] = this.#place;
    words[1] = 1;
    hit(known);
    const totalHits = numbers[0];
    const resetAfterMs = numbers[1];
    const atMs = numbers[2];
    let left = resetAfterMs - this.#lateMs;
    if (totalHits === 1 && resetAfterMs >= windowMs) {
      // It begins.
      if (left > windowMs) this.#lateMs = resetAfterMs - windowMs;
      left = windowMs;
      this.#ends?.set(inMap(known), windowMs);
    }
    if (this.#ends !== undefined) return { totalHits, resetTime: this.#resetTime(known, resetAfterMs) };
    // Never beyond the window that was asked for, nor before now.
    return { totalHits, resetTime: dateAt(this.#dateOf(atMs) + (left > windowMs ? windowMs : left > 0 ? left : 0)) };
  }

  /** The time of day at a reading of the limiter's clock, which is now. */
  #dateOf(atMs) {
    // Whoever replaces the date, as fake timers do, is asked; one that is set is believed once it is read again.
    if (Date.now !== dateNow) return Date.now();
    const since = atMs - this.#readAt;
    if (since >= 0 && since < READ_MS) return this.#readDate + since;
    this.#readAt = atMs;
    return (this.#readDate = Date.now());
  }

  decrement(key) {
    this.#limiter.refund(this.#look(key));
  }

  resetKey(key) {
    const known = this.#look(key);
    this.#ends?.delete(inMap(known));
    this.#limiter.reset(known);
  }

  resetAll() {
    follow(this.#options.clock);
    this.#ends?.clear();
    this.#limiter.resetAll();
  }

  /** The end of the service: what only this process knows is forgotten; what others share stays. */
  shutdown() {
    if (this.localKeys) this.resetAll();
  }

  /** The key as the table has it; its window is over when its time is. */
  #look(key) {
    const known = asKey(key);
    follow(this.#options.clock);
    if (this.#ends?.passed(inMap(known))) this.#limiter.reset(known);
    return known;
  }

  /** Never beyond the window that was asked for. */
  #resetTime(known, resetAfterMs) {
    const left = this.#ends?.left(inMap(known)) ?? Math.min(this.windowMs, resetAfterMs - this.#lateMs);
    return new Date(Date.now() + Math.max(0, left));
  }
}

module.exports = { TidegateStore };
