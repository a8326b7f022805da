'use strict';
// How a refusal that is no guard's reaches the caller, whatever filters an application has.

const { Inject, Injectable } = require('@nestjs/common');
const { catchError, throwError } = require('rxjs');
const { exchangeOf, refusalFor } = require('./call.cjs');
const { RateLimitException, RefusedException } = require('./exception.cjs');
const { TidegateRegistry } = require('./registry.cjs');

const isOurs = (error) => error instanceof RefusedException || error instanceof RateLimitException;

/** Refusals of a circuit over a route, of which nothing has run. */
const unbegun = new WeakSet();

/** `error` refuses a route that has not begun. */
const refusedUnbegun = (error) => void unbegun.add(error);

/** Gives back what a call was charged of which nothing has run. */
function giveBack(registry, error, context) {
  if (typeof error !== 'object' || error === null || !unbegun.delete(error)) return;
  const exchange = exchangeOf(registry.limiter, context);
  if (exchange !== undefined) registry.limiter.giveBack(exchange);
}

/** Retry-After, unless the answer has begun. */
function tellWhen(host, { retryAfter }) {
  const response = host.switchToHttp().getResponse();
  if (retryAfter === undefined || (response?.raw ?? response)?.headersSent !== false) return;
  response.header('Retry-After', String(retryAfter));
}

/** `error` as the caller of a guarded call is to get it: a refusal as an HttpException, with Retry-After set. */
function translated(registry, error, context) {
  giveBack(registry, error, context);
  const exception = registry.httpException(error);
  if (!isOurs(exception)) return error;
  const type = context.getType();
  if (type === 'http') tellWhen(context, exception);
  return refusalFor(type, exception);
}

/**
 * Makes HttpExceptions of the refusals that leave a handler, and sets Retry-After, before any filter sees them: a
 * catch-all of the application comes before ours. For routes of HTTP it is none where their filters do that: an
 * interceptor costs each request half of what Nest does.
 */
class TidegateInterceptor {
  #registry;

  constructor(registry) {
    this.#registry = registry;
  }

  intercept(context, next) {
    return next.handle().pipe(catchError((error) => throwError(() => translated(this.#registry, error, context))));
  }
}
Injectable()(TidegateInterceptor);
Inject(TidegateRegistry)(TidegateInterceptor, undefined, 0);

/** Nest leaves out what has no such function when it makes a route. */
function standAside(interceptor) {
  if (interceptor.intercept !== TidegateInterceptor.prototype.intercept) return;
  Object.defineProperty(interceptor, 'intercept', { value: undefined, configurable: true });
}

/** For all that is made later. */
function standIn(interceptor) {
  if (Object.hasOwn(interceptor, 'intercept') && interceptor.intercept === undefined) delete interceptor.intercept;
}

module.exports = {
  TidegateInterceptor,
  giveBack,
  isOurs,
  refusedUnbegun,
  standAside,
  standIn,
  tellWhen,
  translated,
};
