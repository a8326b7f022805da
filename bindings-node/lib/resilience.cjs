'use strict';
// Everything around one call, in the order in which it is right: docs/resilience.md says why.

const { CircuitBreaker } = require('./breaker.cjs');
const { inPlaceOf, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { ConcurrencyLimiter } = require('./concurrency.cjs');
const { Fallback, runFallback } = require('./fallback.cjs');
const { RetryPolicy } = require('./retry.cjs');
const { shown } = require('./show.cjs');
const { Timeout, limitOf, timed } = require('./timeout.cjs');

/** Where a generator is to be guarded. */
const ADVICE = 'Guard the part that does the work';
/** From the outside in. */
const PARTS = {
  fallback: Fallback,
  totalTimeout: Timeout,
  retry: RetryPolicy,
  breaker: CircuitBreaker,
  concurrency: ConcurrencyLimiter,
  attemptTimeout: Timeout,
};

/** The caller gave up with this, or the call ran out of time, which is a failure. */
const isAbandoned = (signal, error) =>
  signal?.aborted === true && signal.reason === error && error?.name !== 'TimeoutError';

let verify;

class Resilience {
  #parts = {};
  #total;
  #attempt = { limitMs: Infinity, clock: undefined };

  static {
    verify = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#parts in self)) throw check.detached('Resilience', method);
    };
  }

  constructor(options) {
    const given = check.options(options, 'new Resilience', Object.keys(PARTS));
    for (const [name, Part] of Object.entries(PARTS)) {
      const part = given[name];
      if (part === undefined) continue;
      if (!(part instanceof Part)) throw check.typeError(`${name} must be a ${Part.name}, got ${check.show(part)}`);
      this.#parts[name] = part;
    }
    const { totalTimeout, attemptTimeout } = this.#parts;
    if (totalTimeout !== undefined) {
      if (totalTimeout.totalMs === undefined) throw check.valueError('totalTimeout must be a Timeout with totalMs');
      this.#total = limitOf(totalTimeout, 'totalMs');
      this.#attempt = limitOf(totalTimeout, 'attemptMs');
    }
    if (attemptTimeout !== undefined) this.#attempt = limitOf(attemptTimeout, 'totalMs', 'attemptMs');
  }

  async call(fn, options = {}) {
    verify(this, 'call');
    verifyCallee(fn, ADVICE);
    const { signal, args = [] } = check.options(options, 'call', ['signal', 'args']);
    check.signal(signal, 'call');
    if (!Array.isArray(args)) throw check.typeError(`call: args must be an array, got ${check.show(args)}`);
    return this.#run(fn, undefined, args, signal, (own) => fn(own, ...args));
  }

  wrap(fn) {
    verify(this, 'wrap');
    verifyCallee(fn, ADVICE);
    const self = this;
    return inPlaceOf(fn, async function (...args) {
      return self.#run(fn, this, args, undefined, () => fn.apply(this, args));
    });
  }

  #run(fn, receiver, args, signal, call) {
    const { fallback } = this.#parts;
    if (fallback === undefined) return this.#inTime(call, signal);
    const primary = () => this.#inTime(call, signal);
    // From the queue it is made when its caller has long been told.
    const later = () => this.#inTime(call, undefined);
    return runFallback(fallback, fn, receiver, args, primary, signal, later);
  }

  #inTime(call, signal) {
    if (this.#total === undefined) return this.#retried(call, signal);
    return timed((own) => this.#retried(call, own), this.#total.limitMs, this.#total.clock, signal);
  }

  #retried(call, signal) {
    const { retry } = this.#parts;
    if (retry === undefined) return this.#attempted(call, signal);
    return retry.call(() => this.#attempted(call, signal), signal === undefined ? undefined : { signal });
  }

  /** One attempt: one call of the breaker. */
  async #attempted(call, signal) {
    const { breaker } = this.#parts;
    if (breaker === undefined) return this.#limited(call, signal);
    const permit = breaker.acquire();
    let hasBegun = false;
    let value;
    try {
      value = await this.#limited(
        (own) => {
          hasBegun = true;
          return call(own);
        },
        signal,
      );
    } catch (error) {
      // A call that waited in vain for its turn says nothing of the dependency.
      if (!hasBegun || isAbandoned(signal, error)) permit.release();
      else permit.error(error);
      throw error;
    }
    permit.result(value);
    return value;
  }

  async #limited(call, signal) {
    const { limitMs, clock } = this.#attempt;
    const { concurrency } = this.#parts;
    if (concurrency === undefined) return timed(call, limitMs, clock, signal);
    const permit = await concurrency.acquire(signal === undefined ? undefined : { signal });
    // Kept for as long as the function runs, which may be longer than anybody waits for it.
    return timed(call, limitMs, clock, signal, () => permit.release());
  }

  static {
    shown(this, (it) => it.#parts);
  }
}

module.exports = { Resilience };
