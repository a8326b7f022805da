'use strict';
// What a client is told: RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10), X-RateLimit-*,
// Retry-After.

const check = require('../lib/check.cjs');
const { retryAfterSeconds } = require('./problem.cjs');

class Presenter {
  #headers;
  #legacy;
  #jitter;

  constructor({ headers = true, legacyHeaders = false, jitter = 0 }) {
    this.#headers = headers;
    this.#legacy = legacyHeaders;
    this.#jitter = check.fraction(jitter, 'jitter');
  }

  /** Whether clients are told of quotas. */
  get tellsQuotas() {
    return this.#headers;
  }

  /**
   * Writes the fields of all limits that were asked.
   * @returns the whole seconds of Retry-After where some denied, else undefined
   */
  present(charges, denied, exchange) {
    const refused = denied.length > 0;
    if (!refused && !this.#headers && !this.#legacy) return undefined;
    // One draw for all times of an answer, so that they keep their order.
    const draw = this.#jitter === 0 ? 0 : Math.random();
    const told = charges.map(({ decision }) => this.#tell(decision, draw));
    if (this.#headers) {
      let policy = '';
      let state = '';
      charges.forEach((charge, index) => {
        const comma = index === 0 ? '' : ', ';
        policy += comma + charge.limit.policy(charge);
        state += comma + charge.limit.state(told[index], charge.called);
      });
      exchange.setHeader('RateLimit-Policy', policy);
      exchange.setHeader('RateLimit', state);
    }
    if (this.#legacy) {
      // Old clients know one limit: that which is nearest to its end.
      const { limit, remaining, reset } = told.reduce((a, b) => (b.rank < a.rank ? b : a));
      exchange.setHeader('X-RateLimit-Limit', String(limit));
      exchange.setHeader('X-RateLimit-Remaining', String(remaining));
      exchange.setHeader('X-RateLimit-Reset', String(reset));
    }
    if (!refused) return undefined;
    const retryAfter = Math.max(...told.map((one) => one.retryAfter));
    exchange.setHeader('Retry-After', String(retryAfter));
    return retryAfter;
  }

  #tell(decision, draw) {
    const { allowed, limit, remaining } = decision;
    const retryAfter = allowed ? 0 : retryAfterSeconds(decision.retryAfterMs);
    const reset = allowed ? resetSeconds(decision.resetAfterMs) : Math.ceil(decision.resetAfterMs / 1000);
    // The draft wants Retry-After never earlier than a reset that is told.
    const longer = (seconds) => this.#longer(seconds, draw);
    const rank = allowed ? remaining : -1;
    return {
      limit,
      remaining,
      reset: longer(allowed ? reset : Math.min(reset, retryAfter)),
      retryAfter: longer(retryAfter),
      rank,
    };
  }

  #longer(seconds, draw) {
    const most = Math.ceil(seconds * this.#jitter);
    return most === 0 ? seconds : seconds + Math.floor(draw * (most + 1));
  }
}

/**
 * As the core tells it with an admission: rounded up, but for less than the millisecond by which a window's ticks make
 * it late.
 */
function resetSeconds(ms) {
  return ms > 0 ? Math.max(1, Math.ceil((ms - 0.999999) / 1000)) : 0;
}

module.exports = { Presenter };
