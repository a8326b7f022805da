'use strict';

/** What callers gave as their reasons to abort. */
const reasons = new WeakSet();

/** Those that are no objects, such as `abort('gone')`: the latest, since nothing says when one is heard of no more. */
const plainReasons = new Set();
const MOST_PLAIN = 100;

/** Whether a caller's signal aborted with this, whatever it is; a timeout stays one (`AbortSignal.timeout()`). */
const isReason = (error) => reasons.has(error) || plainReasons.has(error);

/** Whether a signal aborted because a time was over; never throws, whatever the reason does when it is looked at. */
function isTimeUp(reason) {
  try {
    return reason?.name === 'TimeoutError';
  } catch {
    return false;
  }
}

/** Never throws: in a listener of a signal that would end the process. */
function note({ reason }) {
  const isObject = (typeof reason === 'object' && reason !== null) || typeof reason === 'function';
  if (isObject) {
    if (!isTimeUp(reason)) reasons.add(reason);
    return;
  }
  plainReasons.delete(reason);
  plainReasons.add(reason);
  if (plainReasons.size > MOST_PLAIN) plainReasons.delete(plainReasons.values().next().value);
}

function throwIfAborted(signal) {
  if (!signal?.aborted) return;
  note(signal);
  throw signal.reason;
}

/** By signal: whom to call, and the listener that does. */
const waits = new WeakMap();

/**
 * Calls `then` when the signal aborts, which it has not yet. One listener however many wait with the same signal: Node
 * takes more than ten for a leak.
 *
 * @returns {() => void} takes it back; with the last one goes the listener
 */
function onAbort(signal, then) {
  if (signal === undefined) return () => {};
  let wait = waits.get(signal);
  if (wait === undefined) {
    const calls = new Set();
    const listener = () => {
      note(signal);
      calls.forEach((call) => call());
    };
    waits.set(signal, (wait = { calls, listener }));
    signal.addEventListener('abort', listener);
  }
  const { calls, listener } = wait;
  calls.add(then);
  return () => {
    calls.delete(then);
    if (calls.size > 0) return;
    signal.removeEventListener('abort', listener);
    if (waits.get(signal) === wait) waits.delete(signal);
  };
}

/** As the promise, or rejected when the signal aborts first: what comes of the promise then is nobody's. */
function unlessAborted(promise, signal) {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    // By what made the promise: the signal tells nobody any more.
    promise.then(undefined, () => {});
    note(signal);
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const settle = (how, value) => {
      stay();
      how(value);
    };
    const stay = onAbort(signal, () => settle(reject, signal.reason));
    promise.then(
      (value) => settle(resolve, value),
      (error) => settle(reject, error),
    );
  });
}

module.exports = { isReason, isTimeUp, onAbort, throwIfAborted, unlessAborted };
