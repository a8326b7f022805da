'use strict';

const { onAbort } = require('./abort.cjs');
const { after } = require('./clock.cjs');

/**
 * Joins `waiters` as an object that others `grant` or `refuse`, until one of them does, `timeoutMs` have passed or the
 * signal aborts.
 *
 * @param waiters a Set, longest wait first
 * @param own what others see on the object beside that
 * @param timedOut makes the error of a wait in vain; it gets the object, and gives `undefined` where it granted it
 * after all @param left called when it ends by time or signal, with the object and whether it was time
 */
function join(waiters, own, { timeoutMs, signal }, timedOut, left = () => {}) {
  return new Promise((resolve, reject) => {
    const leave = (how, value) => {
      waiters.delete(waiter);
      cancel();
      stay();
      how(value);
    };
    const giveUp = (error, isTimeout) => {
      leave(reject, error);
      left(waiter, isTimeout);
    };
    const waiter = { ...own, grant: (value) => leave(resolve, value), refuse: (error) => leave(reject, error) };
    const cancel = after(timeoutMs, () => {
      const error = timedOut(waiter);
      if (error !== undefined) giveUp(error, true);
    });
    const stay = onAbort(signal, () => giveUp(signal.reason, false));
    waiters.add(waiter);
  });
}

module.exports = { join };
