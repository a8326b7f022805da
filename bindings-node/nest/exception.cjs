'use strict';

const { HttpException } = require('@nestjs/common');
const { RateLimitedError } = require('../index.cjs');
const { limited } = require('./problem.cjs');

/** The guard's refusal. An HttpException, so that it is a 429 even where nobody installed our filter. */
class RateLimitException extends HttpException {
  constructor(policy, retryAfterMs) {
    const cause = new RateLimitedError(`rate limited by '${policy}'`, retryAfterMs);
    super(limited(policy), 429, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

module.exports = { RateLimitException };
