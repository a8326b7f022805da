'use strict';

const { Catch, Inject } = require('@nestjs/common');
const { breakOff } = require('../http/over.cjs');
const { CONTENT_TYPE } = require('../http/problem.cjs');
const { refusalFor } = require('./call.cjs');
const { REFUSALS, RateLimitException, RefusedException, RefusedGroup } = require('./exception.cjs');
const { tellWhen } = require('./refusals.cjs');
const { TidegateRegistry } = require('./registry.cjs');

/**
 * Answers tidegate's refusals: 429 for limits, 503 (or `overloadStatus`) for the others; 504 for timeouts. Mistakes are
 * Nest's to answer and log.
 */
class TidegateExceptionFilter {
  #registry;

  constructor(registry) {
    this.#registry = registry;
  }

  catch(error, host) {
    const exception = this.#registry.httpException(error);
    const type = host.getType();
    if (type === 'http') return answer(exception, host);
    if (type === 'rpc')
      return base('@nestjs/microservices', 'BaseRpcExceptionFilter').catch(refusalFor(type, exception), host);
    if (type === 'ws')
      return base('@nestjs/websockets', 'BaseWsExceptionFilter').catch(refusalFor(type, exception), host);
    return exception;
  }
}
Catch(RateLimitException, RefusedException, RefusedGroup, ...REFUSALS)(TidegateExceptionFilter);
Inject(TidegateRegistry)(TidegateExceptionFilter, undefined, 0);

const base = (name, kind) => new (require(name)[kind])();

function answer(exception, host) {
  const response = host.switchToHttp().getResponse();
  const raw = response.raw ?? response;
  if (raw.headersSent) {
    // Too late for a status: cut the answer off, so that it cannot pass for a whole one. One that has ended is whole.
    if (!raw.writableEnded) breakOff(raw, exception);
    return;
  }
  tellWhen(host, exception);
  response.header('Content-Type', CONTENT_TYPE);
  response.status(exception.getStatus()).send(JSON.stringify(exception.getResponse()));
}

module.exports = { TidegateExceptionFilter };
