'use strict';
// A cap on the requests under way: each holds a permit until its answer is out or its connection is gone.

const { ConcurrencyLimitError, ConcurrencyLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { acquireUnless } = require('../lib/concurrency.cjs');
const { Refusal } = require('./gate.cjs');
const { declare } = require('./declare.cjs');
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

/** Whether nobody waits for the answer any more; HTTP/2's responses tell it by their stream only. */
const isOver = ({ destroyed, stream }) => destroyed === true || stream?.destroyed === true;

/**
 * Waits as long as the limiter does, and no longer than the connection lasts. What is admitted holds a permit until its
 * answer is out: a request whose client has gone by then is refused like one that waited in vain, because it would be
 * served without one.
 *
 * @returns {Promise<Refusal | undefined>} `undefined`: admitted
 */
async function enter(limiter, exchange) {
  const response = exchange.rawResponse;
  let leave;
  let permit;
  try {
    if (isOver(response)) throw new ConcurrencyLimitError();
    permit = await acquireUnless(limiter, () => {
      const gone = new AbortController();
      leave = () => gone.abort(new ConcurrencyLimitError());
      response.once('close', leave);
      return gone.signal;
    });
    if (isOver(response)) throw new ConcurrencyLimitError();
    response.once('close', () => permit.release());
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
    if (leave !== undefined) response.off('close', leave);
  }
}

module.exports = { concurrencyOf, enter, isOver };
