'use strict';
// A cap on the requests under way: each holds a permit until its answer is out or its connection is gone.

const { ConcurrencyLimitError, ConcurrencyLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { acquireUnless } = require('../lib/concurrency.cjs');
const { Refusal } = require('./gate.cjs');
const { declare } = require('./declare.cjs');
const { isOver, whenOver } = require('./over.cjs');
const { retryAfterSeconds } = require('./problem.cjs');

/** The option `concurrency`: a limiter, or the settings of one. */
function concurrencyOf(value, place) {
  if (value === undefined || value instanceof ConcurrencyLimiter) return value;
  if (value === null || typeof value !== 'object') {
    const allowed = 'a ConcurrencyLimiter or its settings ({ limit: 50 })';
    throw check.typeError(`concurrency must be ${allowed}, got ${check.show(value)}`);
  }
  return declare((options) => new ConcurrencyLimiter(options), { ...place, ...value }, 'concurrency limiter');
}

/**
 * Waits as long as the limiter does, and no longer than the connection lasts. What is admitted holds a permit until its
 * answer is out: a request whose client has gone by then is refused like one that waited in vain, because it would be
 * served without one.
 *
 * @returns {Promise<Refusal | undefined>} `undefined`: admitted
 */
async function enter(limiter, exchange) {
  const { rawRequest: request, rawResponse: response } = exchange;
  let stay;
  let permit;
  try {
    if (isOver(request, response)) throw new ConcurrencyLimitError();
    permit = await acquireUnless(limiter, () => {
      const gone = new AbortController();
      stay = whenOver(request, response, () => gone.abort(new ConcurrencyLimitError()));
      return gone.signal;
    });
    if (isOver(request, response)) throw new ConcurrencyLimitError();
    whenOver(request, response, () => permit.release());
    return undefined;
  } catch (error) {
    permit?.release();
    // It was not served, so it is not charged.
    exchange.uncharge();
    if (!(error instanceof ConcurrencyLimitError)) throw error;
    const retryAfter = retryAfterSeconds(error.retryAfterMs);
    exchange.setHeader('Retry-After', String(retryAfter));
    return new Refusal([], error.retryAfterMs, retryAfter, error.message, { overloaded: true });
  } finally {
    stay?.();
  }
}

module.exports = { concurrencyOf, enter };
