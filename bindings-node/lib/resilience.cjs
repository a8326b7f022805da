'use strict';
// Everything around one call, in the order in which it is right: docs/resilience.md says why.

const { isTimeUp } = require('./abort.cjs');
const { CircuitBreaker } = require('./breaker.cjs');
const { inPlaceOf, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { ConcurrencyLimiter, acquireUnless } = require('./concurrency.cjs');
const { Fallback, runFallback } = require('./fallback.cjs');
const { isDeadline } = require('./deadline.cjs');
const { reportCall } = require('./outcome.cjs');
const { REFUSES, RetryPolicy } = require('./retry.cjs');
const { shown } = require('./show.cjs');
const { ClientThrottle, stepsOf } = require('./throttle.cjs');
const { Timeout, endOfCaller, limitOf, timed, withSignal } = require('./timeout.cjs');

/** Where a generator is to be guarded. */
const ADVICE = 'Guard the part that does the work';
/** From the outside in. */
const PARTS = {
  fallback: Fallback,
  totalTimeout: Timeout,
  retry: RetryPolicy,
  breaker: CircuitBreaker,
  throttle: ClientThrottle,
  concurrency: ConcurrencyLimiter,
  attemptTimeout: Timeout,
};

/** The caller gave up with this, and not because its time was over, which is a failure. */
function isAbandoned(caller, error) {
  const end = endOfCaller(caller);
  return end !== undefined && end.reason === error && !isTimeUp(error);
}

/** What one's predicate throws does not keep it from the other. */
function bothHear(throttle, permit, how, end) {
  try {
    throttle?.[how](end);
  } finally {
    permit?.[how](end);
  }
}

let verify;

class Resilience {
  #parts = {};
  #total;
  /** The parts of a call of the throttle. */
  #throttle;
  #attempt = { limitMs: Infinity, clock: undefined };
  /** Throws what would come of a wait that ends while the circuit is still open. */
  #refuses = (waitMs) => {
    const { breaker } = this.#parts;
    if (breaker === undefined || breaker.state === 'half_open' || breaker.retryAfterMs <= waitMs) return false;
    // It may have closed meanwhile.
    breaker.acquire().release();
    return false;
  };

  static {
    verify = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#parts in self)) throw check.detached('Resilience', method);
    };
  }

  constructor(options) {
    const parts = check.options(options, 'new Resilience', Object.keys(PARTS));
    for (const [name, Part] of Object.entries(PARTS)) {
      const part = parts[name];
      if (part === undefined) continue;
      if (!(part instanceof Part)) throw check.typeError(`${name} must be a ${Part.name}, got ${check.show(part)}`);
      this.#parts[name] = part;
    }
    const { totalTimeout, throttle, attemptTimeout } = this.#parts;
    if (throttle !== undefined) this.#throttle = stepsOf(throttle);
    if (totalTimeout !== undefined) {
      if (totalTimeout.totalMs === undefined) throw check.valueError('totalTimeout must be a Timeout with totalMs');
      this.#total = limitOf(totalTimeout, 'totalMs');
      this.#attempt = limitOf(totalTimeout, 'attemptMs');
    }
    if (attemptTimeout !== undefined) this.#attempt = limitOf(attemptTimeout, 'totalMs', 'attemptMs');
  }

  call(fn, options = undefined) {
    let signal;
    let args = [];
    try {
      verify(this, 'call');
      verifyCallee(fn, ADVICE);
      if (options !== undefined) ({ signal, args } = given(options));
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#run(fn, undefined, args, signal, withSignal(fn, args));
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
    // The whole is a call as well, which its attempts end with.
    return timed((whole) => this.#retried(call, whole), this.#total.limitMs, this.#total.clock, signal);
  }

  /** @param caller a signal, or the call that this is a part of */
  #retried(call, caller) {
    const { retry } = this.#parts;
    if (retry === undefined) return this.#attempted(call, caller);
    // Of a call around it a retry knows by itself.
    const options = caller instanceof AbortSignal ? { signal: caller } : {};
    options[REFUSES] = this.#refuses;
    return retry.call(() => this.#attempted(call, caller), options);
  }

  /** One attempt: one call of the breaker, and of the throttle. */
  async #attempted(call, caller) {
    const { breaker, concurrency } = this.#parts;
    const throttle = this.#throttle;
    const { limitMs, clock } = this.#attempt;
    const permit = breaker?.acquire();
    let hasBegun = false;
    let value;
    try {
      throttle?.admit();
      if (concurrency === undefined) {
        hasBegun = true;
        value = await timed(call, limitMs, clock, caller);
      } else {
        const end = endOfCaller(caller);
        if (end !== undefined) throw end.reason;
        const place = await acquireUnless(concurrency, undefined, () => (isDeadline(caller) ? caller.signal : caller));
        hasBegun = true;
        // Kept for as long as the function runs, which may be longer than anybody waits for it.
        value = await timed(call, limitMs, clock, caller, (isWell, error) => reportCall(place, isWell, error));
      }
    } catch (error) {
      // A call that waited in vain for its turn, or was throttled, says nothing of the dependency.
      if (!hasBegun || isAbandoned(caller, error)) permit?.release();
      else bothHear(throttle, permit, 'error', error);
      throw error;
    }
    bothHear(throttle, permit, 'result', value);
    return value;
  }

  static {
    shown(this, (it) => it.#parts);
  }
}

function given(options) {
  const { signal, args = [] } = check.options(options, 'call', ['signal', 'args']);
  check.signal(signal, 'call');
  if (!Array.isArray(args)) throw check.typeError(`call: args must be an array, got ${check.show(args)}`);
  return { signal, args };
}

module.exports = { Resilience };
