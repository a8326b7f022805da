'use strict';
// A cap on the requests under way: each holds a permit until its answer is out or its connection is gone.

const { ConcurrencyLimitError, ConcurrencyLimiter } = require('../index.cjs');
const { Refusal } = require('./gate.cjs');
const { declare } = require('./declare.cjs');
const { retryAfterSeconds } = require('./problem.cjs');

/** The option `concurrency`: a limiter, or the settings of one. */
function concurrencyOf(value, place) {
  if (value === undefined || value instanceof ConcurrencyLimiter) return value;
  return declare((options) => new ConcurrencyLimiter(options), { ...place, ...value }, 'concurrency limiter');
}

/** Waits as long as the limiter does. @returns {Promise<Refusal | undefined>} `undefined`: admitted */
async function enter(limiter, exchange) {
  const response = exchange.rawResponse;
  try {
    const permit = await limiter.acquire();
    if (response.destroyed) permit.release();
    else response.once('close', () => permit.release());
    return undefined;
  } catch (error) {
    // It was not served, so it is not charged.
    exchange.uncharge();
    if (!(error instanceof ConcurrencyLimitError)) throw error;
    const retryAfter = retryAfterSeconds(error.retryAfterMs);
    exchange.setHeader('Retry-After', String(retryAfter));
    return new Refusal([], error.retryAfterMs, retryAfter, true);
  }
}

module.exports = { concurrencyOf, enter };
