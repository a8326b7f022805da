'use strict';
// A Store for express-rate-limit: `rateLimit({ windowMs, limit, store: new TidegateStore() })`.

const { RateLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { checkScope } = require('../lib/scope.cjs');

/** The most hits that a window counts; 2^20 - 1 is "that many or more". */
const MOST = 2 ** 20 - 1;

class TidegateStore {
  #limiter;
  #options;

  constructor(options = {}) {
    const given = check.options(options, 'new TidegateStore', ['maxKeys', 'scope', 'name', 'clock']);
    const { maxKeys = 100_000, scope, name, clock } = given;
    this.#options = { maxKeys: check.whole(maxKeys, 'maxKeys', 1), scope, name, clock };
    // Counts are this process's own: express-rate-limit uses it to find a request that is counted twice.
    this.localKeys = scope === undefined || scope === 'process';
    // In an arena a window is chosen once.
    if (this.localKeys) this.init({ windowMs: 60_000 });
    else checkScope(scope);
  }

  /** express-rate-limit calls it with its options, once for each middleware that the store is given to. */
  init({ windowMs }) {
    this.#limiter = new RateLimiter({ ...this.#options, algorithm: 'fixed_window', rate: MOST, perMs: windowMs });
    this.windowMs = windowMs;
  }

  get(key) {
    const { limit, remaining, resetAfterMs } = this.#limiter.peek(key);
    return remaining === limit ? undefined : { totalHits: limit - remaining, resetTime: new Date(Date.now() + resetAfterMs) };
  }

  increment(key) {
    const { count, resetAfterMs } = this.#limiter.hit(key);
    return { totalHits: count, resetTime: new Date(Date.now() + resetAfterMs) };
  }

  decrement(key) {
    this.#limiter.refund(key);
  }

  resetKey(key) {
    this.#limiter.reset(key);
  }

  resetAll() {
    this.#limiter.resetAll();
  }
}

module.exports = { TidegateStore };
