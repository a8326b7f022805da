'use strict';

const { HttpException } = require('@nestjs/common');
const { RateLimitedError } = require('../index.cjs');
const { problemOf } = require('../http/problem.cjs');

/** The guard's refusal. An HttpException, so that it is a 429 even where nobody installed our filter. */
class RateLimitException extends HttpException {
  #policies;
  #cause;

  constructor(refusal) {
    const problem = problemOf(refusal);
    super(problem, problem.status);
    this.#policies = refusal.policies;
    this.retryAfterMs = refusal.retryAfterMs;
    this.retryAfter = refusal.retryAfter;
  }

  /** Made when somebody asks: a second stack trace would cost every refusal as much as the first. */
  get cause() {
    const names = this.#policies.map((name) => `'${name}'`).join(', ') || 'a deny list';
    return (this.#cause ??= new RateLimitedError(`refused by ${names}`, this.retryAfterMs));
  }
}

module.exports = { RateLimitException };
