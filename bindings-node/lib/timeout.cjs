'use strict';
// A call that ends in time, for whoever waits for it: by a signal of its own, which its function may obey.

const { onAbort, throwIfAborted } = require('./abort.cjs');
const { inPlaceOf, takesNothing, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { alarm, selectClock } = require('./clock.cjs');
const deadlines = require('./deadline.cjs');
const { TimeoutExceededError, unmade } = require('./errors.cjs');
const { isPromise } = require('./promise.cjs');
const { shown } = require('./show.cjs');

const { beginCall, callAround, clockOf, endCall, endOf, follow, isDeadline, leaveCall, runCall, throwIfEnded } =
  deadlines;

/** Where a generator is to be timed. */
const ADVICE = 'Put the timeout around the part that waits';

const nothing = () => {};

/** Whether a caller, by its signal or as a call, has ended, and with what: `{ reason }`. */
function endOfCaller(caller) {
  if (caller === undefined) return undefined;
  if (isDeadline(caller)) return endOf(caller);
  return caller.aborted ? caller : undefined;
}

/**
 * Calls `fn` with a call of its own (a Deadline, whose signal it may ask for). Settles as `fn` does, at the latest
 * after `limitMs` or at the deadline around it, or when its caller ends, whatever `fn` does with the signal.
 *
 * @param limitMs Infinity for none of its own
 * @param given the caller: its signal, or the call that it is; without one the call around it
 * @param left `(isWell, error)`, called once `fn` itself has ended, which may be later
 */
function timed(fn, limitMs, clock, given, left = nothing) {
  const around = callAround();
  const caller = given ?? around.call;
  return new Promise((resolve, reject) => {
    const aroundMs = around.deadline === undefined ? Infinity : around.deadline.remainingMs;
    const isOwn = limitMs <= aroundMs;
    const [leftMs, on] = isOwn ? [limitMs, clock] : [aroundMs, clockOf(around.deadline)];
    let call;
    let stopTimer = nothing;
    let stay = nothing;
    const settle = (how, value) => {
      stopTimer();
      stay();
      how(value);
    };
    /** `fn` itself has ended, in time or not. */
    const finish = (how, value) => {
      if (call !== undefined) leaveCall(call);
      settle(how, value);
      const over = call === undefined ? undefined : endOf(call);
      left(how === resolve && over === undefined, over === undefined ? value : over.reason);
    };
    /** Whoever waits is told first: what `fn` makes of the signal then counts for nothing. */
    const end = (reason) => {
      settle(reject, reason);
      endCall(call, reason);
    };
    try {
      if (isDeadline(caller)) throwIfEnded(caller);
      else throwIfAborted(caller);
      if (aroundMs === 0) throw unmade('call timed out: its deadline had passed before it began');
      if (isDeadline(caller)) stay = follow(caller, end);
      else if (caller !== undefined) stay = onAbort(caller, () => end(caller.reason));
      // The call around ends this one with it.
      if (leftMs !== Infinity && (isOwn || caller !== around.deadline)) {
        stopTimer = alarm(leftMs, on, () => end(new TimeoutExceededError(said(isOwn, limitMs))));
      }
      call = beginCall(leftMs, on);
      const result = runCall(call, fn);
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

  call(fn, options = undefined) {
    let signal;
    try {
      verify(this, 'call');
      verifyCallee(fn, ADVICE);
      if (options !== undefined) signal = signalOf(options);
    } catch (error) {
      return Promise.reject(error);
    }
    return timed(withSignal(fn), this.#limitMs, this.#clock, signal);
  }

  wrap(fn) {
    verify(this, 'wrap');
    verifyCallee(fn, ADVICE);
    const self = this;
    return inPlaceOf(fn, async function (...args) {
      return timed(() => fn.apply(this, args), self.#limitMs, self.#clock, undefined);
    });
  }
}

/** `fn(signal, …args)` as a function of its call, which is asked for the signal only by who can see it. */
function withSignal(fn, args = []) {
  if (args.length > 0) return (call) => fn(call.signal, ...args);
  return takesNothing(fn) ? () => fn() : (call) => fn(call.signal);
}

const signalOf = (options) => check.signal(check.options(options, 'call', ['signal']).signal, 'call');

shown(Timeout, ({ totalMs, attemptMs }) => ({ totalMs, attemptMs }));

module.exports = { Timeout, endOfCaller, limitOf: (...given) => limitOf(...given), timed, withSignal };
