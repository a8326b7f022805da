'use strict';
// Waiting for a limit that books nothing ahead: ask, sleep as long as it says, ask again.

const { throwIfAborted } = require('./abort.cjs');
const { nowMs, sleep } = require('./clock.cjs');
const { RateLimitedError } = require('./errors.cjs');

/**
 * Resolves with the decision once `take()` has admitted and its delay is over.
 *
 * @param {() => Decision} take takes the cost, or nothing
 * @param {() => void} giveBack undoes it, for a wait that ends before its delay
 * @param clock the ManualClock, undefined for the machine's
 * @param {(waitMs: number, decision: Decision) => string} refused makes the text of the refusal
 * @throws RateLimitedError at once, with nothing taken, when the wait would exceed `timeoutMs`; the signal's reason
 */
async function waitFor(take, giveBack, clock, { timeoutMs, signal }, refused) {
  throwIfAborted(signal);
  const now = () => nowMs(clock);
  const deadline = timeoutMs === Infinity ? Infinity : now() + timeoutMs;
  for (;;) {
    const decision = take();
    const waitMs = decision.allowed ? decision.delayMs : decision.retryAfterMs;
    if (decision.allowed && waitMs === 0) return decision;
    if (waitMs === Infinity || now() + waitMs > deadline) {
      if (decision.allowed) giveBack();
      throw new RateLimitedError(refused(waitMs, decision), waitMs);
    }
    try {
      await sleep(waitMs, clock, signal);
    } catch (reason) {
      if (decision.allowed) giveBack();
      throw reason;
    }
    if (decision.allowed) return decision;
  }
}

module.exports = { waitFor };
