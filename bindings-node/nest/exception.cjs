'use strict';

const { HttpException } = require('@nestjs/common');
const { RateLimitedError } = require('../index.cjs');
const { problemOf } = require('../http/problem.cjs');

/** The guard's refusal. An HttpException, so that it is a 429 even where nobody installed our filter. */
class RateLimitException extends HttpException {
  constructor(refusal) {
    const problem = problemOf(refusal);
    const names = refusal.policies.map((name) => `'${name}'`).join(', ') || 'a deny list';
    super(problem, problem.status, { cause: new RateLimitedError(`refused by ${names}`, refusal.retryAfterMs) });
    this.retryAfterMs = refusal.retryAfterMs;
    this.retryAfter = refusal.retryAfter;
  }
}

module.exports = { RateLimitException };
