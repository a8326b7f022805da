'use strict';
// A ThrottlerStorage for @nestjs/throttler: `ThrottlerModule.forRoot({ throttlers, storage: new
// TidegateThrottlerStorage() })`.

const { RateLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { Ends, follow } = require('../lib/clock.cjs');
const { SETTINGS, whole } = require('../lib/settings.cjs');

/** The most hits that a log holds; above it a sliding window counts, and above that a fixed one. */
const LOG = 4096;
const WINDOW = 2 ** 18 - 1;
const MOST = 2 ** 20 - 1;
/** No limit is faster than 100,000 a millisecond. */
const mostIn = (ms) => Math.max(1, Math.min(MOST, Math.floor(ms * 100_000)));
/**
 * Tables of a kind that one storage makes: one for each ttl and limit, and for each block duration, that it is asked
 * for.
 */
const TABLES = 64;

const seconds = (ms) => Math.ceil(ms / 1000);

function algorithmFor(limit) {
  if (limit <= LOG) return 'sliding_log';
  return limit <= WINDOW ? 'sliding_window' : 'fixed_window';
}

/** A limit: its text too, as a setting from the environment is one. */
function hitsOf(limit) {
  const hits = typeof limit === 'string' && limit.trim() !== '' ? Number(limit) : limit;
  if (typeof hits === 'number' && !Number.isNaN(hits)) return Math.floor(hits);
  throw check.typeError(`limit must be a number of hits, got ${check.show(limit)}`);
}

const refused = (limit, timeToExpire, waitMs) => ({
  totalHits: limit + 1,
  timeToExpire,
  isBlocked: true,
  timeToBlockExpire: seconds(waitMs),
});

class TidegateThrottlerStorage {
  #options;
  #name;
  #tables = new Map();
  /** A record per key that lives for a ttl from its first hit: what is left of it is `timeToExpire`. */
  #records = new Map();
  /** A window of one per key: while it is taken the key is blocked. */
  #blocking = new Map();
  #ends;

  constructor(options = {}) {
    const known = ['maxKeys', 'scope', 'name', 'clock'];
    const {
      maxKeys = 10_000,
      scope,
      name = 'throttler',
      clock,
    } = check.options(options, 'new TidegateThrottlerStorage', known);
    this.#name = check.text(name, 'name');
    this.#options = { maxKeys: whole(SETTINGS.limiter.max_keys, maxKeys), scope, clock };
    this.#ends = clock === undefined ? undefined : new Ends(clock);
    // A mistake in the options shows here, not at the first request.
    this.#record(60_000);
  }

  async increment(key, ttl, limit, blockDuration, throttlerName) {
    follow(this.#options.clock);
    const own = `${throttlerName}\0${key}`;
    const hits = hitsOf(limit);
    check.period(ttl, 'ttl');
    if (blockDuration > 0) check.period(blockDuration, 'blockDuration');
    const record = this.#hit(own, ttl);
    // The table's windows end on its ticks, and never early.
    const timeToExpire = seconds(Math.min(ttl, record.resetAfterMs));
    if (hits === Infinity) return { totalHits: record.count, timeToExpire, isBlocked: false, timeToBlockExpire: 0 };
    if (hits < 1) {
      return {
        totalHits: 1,
        timeToExpire,
        isBlocked: true,
        timeToBlockExpire: seconds(blockDuration > 0 ? blockDuration : ttl),
      };
    }
    const blocks = blockDuration > 0 ? this.#blocks(blockDuration) : undefined;
    const blocked = blocks?.peek(own);
    if (blocked?.allowed === false) return refused(hits, timeToExpire, Math.min(blockDuration, blocked.retryAfterMs));
    const table = this.#table(ttl, hits);
    const decision = table.check(own);
    if (decision.allowed) {
      return { totalHits: hits - decision.remaining, timeToExpire, isBlocked: false, timeToBlockExpire: 0 };
    }
    if (blocks === undefined) return refused(hits, timeToExpire, Math.min(ttl, decision.retryAfterMs));
    // The block begins; when it ends the key is as new.
    blocks.check(own);
    table.reset(own);
    return refused(hits, timeToExpire, blockDuration);
  }

  /** Forgets all hits and blocks. */
  resetAll() {
    this.#ends?.clear();
    for (const tables of [this.#tables, this.#records, this.#blocking]) {
      for (const limiter of tables.values()) limiter.resetAll();
    }
  }

  /** On a clock that tests move a record ends in time. */
  #hit(own, ttl) {
    const records = this.#record(ttl);
    const name = `${ttl}\0${own}`;
    if (this.#ends?.passed(name)) records.reset(own);
    const record = records.hit(own);
    if (record.count === 1) this.#ends?.set(name, ttl);
    return record;
  }

  #record(ttl) {
    return this.#made(this.#records, `records/${ttl}`, () => ({
      algorithm: 'fixed_window',
      rate: mostIn(ttl),
      perMs: ttl,
    }));
  }

  #blocks(duration) {
    return this.#made(this.#blocking, `blocks/${duration}`, () => ({
      algorithm: 'fixed_window',
      rate: 1,
      perMs: duration,
    }));
  }

  #table(ttl, limit) {
    return this.#made(this.#tables, `limits/${ttl}/${limit}`, () => {
      if (limit > MOST) {
        throw check.rangeError(`limit must be at most ${MOST}, got ${limit}: for no limit at all give Infinity`);
      }
      return { algorithm: algorithmFor(limit), rate: limit, perMs: ttl };
    });
  }

  #made(tables, name, settings) {
    let limiter = tables.get(name);
    if (limiter === undefined) {
      if (tables.size >= TABLES) {
        throw check.rangeError(
          `this storage has been asked for more than ${TABLES} different limits: let limit, ttl and blockDuration ` +
            'take few values',
        );
      }
      tables.set(name, (limiter = new RateLimiter({ ...settings(), ...this.#options, name: `${this.#name}/${name}` })));
    }
    return limiter;
  }
}

module.exports = { TidegateThrottlerStorage };
