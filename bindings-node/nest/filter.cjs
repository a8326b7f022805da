'use strict';

const { Catch, Inject } = require('@nestjs/common');
const { RateLimitedError, TidegateError } = require('../index.cjs');
const { CONTENT_TYPE, limited, overloaded, retryAfterSeconds } = require('../http/problem.cjs');
const { RateLimitException } = require('./exception.cjs');
const { TidegateRegistry } = require('./registry.cjs');

/** What a closed queue, which knows no time, tells a client. */
const DEFAULT_RETRY_AFTER_MS = 1000;

/** Answers tidegate's refusals that leave a handler: 429 for limits, 503 (or `overloadStatus`) for the others. */
class TidegateExceptionFilter {
  #overloaded;
  #limited = limited(['default']);

  constructor(registry) {
    this.#overloaded = overloaded(registry.overloadStatus);
  }

  catch(error, host) {
    // Other transports have their own way to say it.
    if (host.getType() === 'graphql') return error;
    if (host.getType() !== 'http') throw error;
    const response = host.switchToHttp().getResponse();
    const raw = response.raw ?? response;
    if (raw.headersSent) {
      // Too late for a status: cut the answer off, so that it cannot pass for a whole one.
      raw.destroy(error);
      return undefined;
    }
    const problem = this.#problem(error);
    const ours = error instanceof RateLimitException;
    const wait = ours ? error.retryAfter : retryAfterSeconds(error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS);
    response.header('Content-Type', CONTENT_TYPE);
    if (wait !== undefined) response.header('Retry-After', String(wait));
    response.status(problem.status).send(JSON.stringify(problem));
    return undefined;
  }

  #problem(error) {
    if (error instanceof RateLimitException) return error.getResponse();
    return error instanceof RateLimitedError ? this.#limited : this.#overloaded;
  }
}
Catch(TidegateError, RateLimitException)(TidegateExceptionFilter);
Inject(TidegateRegistry)(TidegateExceptionFilter, undefined, 0);

module.exports = { TidegateExceptionFilter };
