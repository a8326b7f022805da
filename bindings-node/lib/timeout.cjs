'use strict';
// A call that ends in time, for whoever waits for it: by a signal of its own, which its function may obey.

const { onAbort, throwIfAborted } = require('./abort.cjs');
const { inPlaceOf, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { alarm, selectClock } = require('./clock.cjs');
const { callAround, clockOf, runCall } = require('./deadline.cjs');
const { TimeoutExceededError } = require('./errors.cjs');
const { isPromise } = require('./promise.cjs');
const { shown } = require('./show.cjs');

/** Where a generator is to be timed. */
const ADVICE = 'Put the timeout around the part that waits';

/**
 * Calls `fn` with a signal of this call. Settles as `fn` does, at the latest after `limitMs` or at the deadline around
 * it, or when the caller's signal aborts, whatever `fn` does with its own.
 *
 * @param limitMs Infinity for none of its own
 * @param signal the caller's; without one that of the call around it
 * @param left called once `fn` itself has ended, which may be later
 */
function timed(fn, limitMs, clock, signal, left = () => {}) {
  const around = callAround();
  const caller = signal ?? around.signal;
  return new Promise((resolve, reject) => {
    const aroundMs = around.deadline?.remainingMs ?? Infinity;
    const isOwn = limitMs <= aroundMs;
    const [leftMs, on] = isOwn ? [limitMs, clock] : [aroundMs, clockOf(around.deadline)];
    const controller = new AbortController();
    let stopTimer = () => {};
    let stay = stopTimer;
    const settle = (how, value) => {
      stopTimer();
      stay();
      how(value);
    };
    /** `fn` itself has ended, in time or not. */
    const finish = (how, value) => {
      settle(how, value);
      left();
    };
    /** Whoever waits is told first: what `fn` makes of the signal then counts for nothing. */
    const end = (reason) => {
      settle(reject, reason);
      controller.abort(reason);
    };
    try {
      throwIfAborted(caller);
      if (aroundMs === 0) throw new TimeoutExceededError('call timed out: its deadline had passed before it began');
      stay = onAbort(caller, () => end(caller.reason));
      // The signal of the call around ends this one with it.
      const isSignalled = !isOwn && around.isSignalled && caller === around.signal;
      if (!isSignalled) stopTimer = alarm(leftMs, on, () => end(new TimeoutExceededError(said(isOwn, limitMs))));
      const result = runCall(leftMs, on, controller, () => fn(controller.signal));
      if (!isPromise(result)) return finish(resolve, result);
      // Taken whatever becomes of the call: a rejection that comes too late is nobody's.
      return void Promise.resolve(result).then(
        (value) => finish(resolve, value),
        (error) => finish(reject, error),
      );
    } catch (error) {
      return finish(reject, error);
    }
  });
}

const said = (isOwn, limitMs) =>
  isOwn ? `call timed out after ${limitMs} ms` : 'call timed out: its deadline has passed';

let verify;
let limitOf;

class Timeout {
  #totalMs;
  #attemptMs;
  #limitMs;
  #clock;

  static {
    verify = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#totalMs in self)) throw check.detached('Timeout', method);
    };
    /** The shortest of these of its times, and the clock that measures it. */
    limitOf = (self, ...names) => {
      const limits = names.map((name) => self[name] ?? Infinity);
      return { limitMs: Math.min(...limits), clock: self.#clock };
    };
  }

  constructor(options) {
    const { totalMs, attemptMs, clock } = check.options(options, 'new Timeout', ['totalMs', 'attemptMs', 'clock']);
    if (totalMs === undefined && attemptMs === undefined) {
      throw check.valueError('new Timeout takes totalMs, attemptMs or both, and got neither');
    }
    if (totalMs !== undefined) this.#totalMs = check.limit(totalMs, 'totalMs');
    if (attemptMs !== undefined) this.#attemptMs = check.limit(attemptMs, 'attemptMs');
    selectClock(clock);
    this.#clock = clock;
    this.#limitMs = Math.min(totalMs ?? Infinity, attemptMs ?? Infinity);
  }

  get totalMs() {
    verify(this, 'totalMs');
    return this.#totalMs;
  }

  get attemptMs() {
    verify(this, 'attemptMs');
    return this.#attemptMs;
  }

  async call(fn, options = undefined) {
    verify(this, 'call');
    verifyCallee(fn, ADVICE);
    return this.#run(fn, options === undefined ? undefined : signalOf(options));
  }

  wrap(fn) {
    verify(this, 'wrap');
    verifyCallee(fn, ADVICE);
    const self = this;
    return inPlaceOf(fn, async function (...args) {
      return self.#run(() => fn.apply(this, args), undefined);
    });
  }

  #run(fn, signal) {
    return timed(fn, this.#limitMs, this.#clock, signal);
  }
}

const signalOf = (options) => check.signal(check.options(options, 'call', ['signal']).signal, 'call');

shown(Timeout, ({ totalMs, attemptMs }) => ({ totalMs, attemptMs }));

module.exports = { Timeout, limitOf: (...given) => limitOf(...given), timed };
