'use strict';

const { Inject, Injectable } = require('@nestjs/common');
const { Exchange } = require('../http/exchange.cjs');
const { enter } = require('../http/middleware.cjs');
const check = require('../lib/check.cjs');
const { whenReady } = require('../lib/promise.cjs');
const { exchangeOf, isField, refusalFor } = require('./call.cjs');
const { RateLimitException } = require('./exception.cjs');
const { TidegateRegistry } = require('./registry.cjs');

const unknown = new Set();

/** A kind of call of which nothing is known but its name: said once where it has limits. */
function unlimited(context, { limits, entrance }) {
  const type = context.getType();
  if ((limits.length > 0 || entrance !== undefined) && !unknown.has(type)) {
    unknown.add(type);
    process.emitWarning(`calls of the kind '${type}' are not limited: TidegateGuard knows http, graphql, rpc and ws`, {
      type: 'TidegateWarning',
    });
  }
  return true;
}

/** Refuses a call above one of its route's limits, over HTTP with 429, or that its gate refuses. */
class TidegateGuard {
  #registry;

  constructor(registry) {
    this.#registry = registry;
  }

  /** Who the client is, wherever a limit wants to know: its address. */
  getTracker(request, _context) {
    return this.#registry.limiter.clientKey(request);
  }

  /** Whether this call is not limited at all. */
  shouldSkip(_context) {
    return false;
  }

  canActivate(context) {
    const registry = this.#registry;
    const plan = registry.planOf(context.getClass(), context.getHandler(), isField(context));
    const exchange = exchangeOf(registry.limiter, context);
    if (exchange === undefined) return unlimited(context, plan);
    if (registry.isExempt(context, exchange)) return true;
    return whenReady(
      this.shouldSkip(context),
      (skip) => check.holds(skip, 'shouldSkip') || this.#identify(plan, exchange, context),
    );
  }

  #identify(plan, exchange, context) {
    const isAsked = plan.limits.length > 0 || plan.entrance !== undefined;
    if (!isAsked || this.getTracker === TidegateGuard.prototype.getTracker) {
      return this.#admit(plan, exchange, context);
    }
    return whenReady(this.getTracker(exchange.request, context), (tracker) => {
      const key = Exchange.key(tracker);
      if (key !== undefined) exchange.clientKey = key;
      return this.#admit(plan, exchange, context);
    });
  }

  #admit(plan, exchange, context) {
    return whenReady(this.#registry.limiter.admit(plan, exchange), (refusal) => {
      if (refusal !== undefined) throw refusalFor(context.getType(), new RateLimitException(refusal));
      return plan.entrance === undefined || this.#enter(plan.entrance, exchange, context);
    });
  }

  /** The gate comes last: it takes a permit. */
  #enter(entrance, exchange, context) {
    const type = context.getType();
    exchange.isHeard = type === 'http';
    return whenReady(enter(entrance, exchange), (refusal) => {
      if (refusal === undefined) return true;
      throw refusalFor(type, this.#registry.gateException(refusal));
    });
  }
}
Injectable()(TidegateGuard);
Inject(TidegateRegistry)(TidegateGuard, undefined, 0);

module.exports = { TidegateGuard };
