'use strict';

const { Catch, Inject } = require('@nestjs/common');
const { BaseExceptionFilter } = require('@nestjs/core');
const { breakOff } = require('../http/over.cjs');
const { CONTENT_TYPE } = require('../http/problem.cjs');
const { refusalFor } = require('./call.cjs');
const { REFUSALS, RateLimitException, RefusedException, RefusedGroup } = require('./exception.cjs');
const { giveBack, tellWhen } = require('./refusals.cjs');
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
    giveBack(this.#registry, error, host);
    return tell(this.#registry.httpException(error), host, problem);
  }
}
Inject(TidegateRegistry)(TidegateExceptionFilter, undefined, 0);

/** In its place with `filter: false`: a refusal is answered as Nest answers an HttpException. */
class NestsOwnAnswers {
  #registry;
  #nest;

  /** @param nest Nest's HttpAdapterHost, which a testing module gives its adapter later */
  constructor(registry, nest) {
    this.#registry = registry;
    this.#nest = nest;
  }

  catch(error, host) {
    giveBack(this.#registry, error, host);
    const send = (exception) => new BaseExceptionFilter(this.#nest.httpAdapter).catch(exception, host);
    return tell(this.#registry.httpException(error), host, send);
  }
}
for (const filter of [TidegateExceptionFilter, NestsOwnAnswers]) {
  Catch(RateLimitException, RefusedException, RefusedGroup, ...REFUSALS)(filter);
}

const base = (name, kind) => new (require(name)[kind])();

/** @param send answers a request of HTTP that has no answer yet */
function tell(exception, host, send) {
  const type = host.getType();
  if (type === 'http') return answer(exception, host, send);
  if (type === 'rpc')
    return base('@nestjs/microservices', 'BaseRpcExceptionFilter').catch(refusalFor(type, exception), host);
  if (type === 'ws')
    return base('@nestjs/websockets', 'BaseWsExceptionFilter').catch(refusalFor(type, exception), host);
  return exception;
}

function answer(exception, host, send) {
  const response = host.switchToHttp().getResponse();
  const raw = response.raw ?? response;
  if (raw.headersSent) {
    // Too late for a status: cut the answer off, so that it cannot pass for a whole one. One that has ended is whole.
    if (!raw.writableEnded) breakOff(raw, exception);
    return;
  }
  tellWhen(host, exception);
  send(exception, response);
}

function problem(exception, response) {
  response.header('Content-Type', CONTENT_TYPE);
  response.status(exception.getStatus()).send(JSON.stringify(exception.getResponse()));
}

module.exports = { NestsOwnAnswers, TidegateExceptionFilter };
