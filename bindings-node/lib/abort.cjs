'use strict';

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
    const listener = () => calls.forEach((call) => call());
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

module.exports = { onAbort };
