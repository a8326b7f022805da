'use strict';

const { Inject, Injectable } = require('@nestjs/common');
const { Exchange } = require('../http/exchange.cjs');
const check = require('../lib/check.cjs');
const { whenReady } = require('../lib/promise.cjs');
const { exchangeOf, isField, refusalFor } = require('./call.cjs');
const { RateLimitException } = require('./exception.cjs');
const { TidegateRegistry } = require('./registry.cjs');

const unknown = new Set();

/** A kind of call of which nothing is known but its name: said once where it has limits. */
function unlimited(context, { limits }) {
  const type = context.getType();
  if (limits.length > 0 && !unknown.has(type)) {
    unknown.add(type);
    process.emitWarning(`calls of the kind '${type}' are not limited: TidegateGuard knows http, graphql, rpc and ws`, {
      type: 'TidegateWarning',
    });
  }
  return true;
}

/** Refuses a call above one of its route's limits: over HTTP with 429. */
class TidegateGuard {
  #registry;

  constructor(registry) {
    this.#registry = registry;
  }

  /** Who the client is, wherever a limit wants to know: its address. */
  getTracker(request, _context) {
    return this.#registry.gate.clientKey(request);
  }

  /** Whether this call is not limited at all. */
  shouldSkip(_context) {
    return false;
  }

  canActivate(context) {
    const registry = this.#registry;
    const plan = registry.planOf(context.getClass(), context.getHandler(), isField(context));
    const exchange = exchangeOf(registry.gate, context);
    if (exchange === undefined) return unlimited(context, plan);
    if (registry.isExempt(context, exchange)) return true;
    return whenReady(
      this.shouldSkip(context),
      (skip) => check.holds(skip, 'shouldSkip') || this.#identify(plan, exchange, context),
    );
  }

  #identify(plan, exchange, context) {
    if (plan.limits.length === 0 || this.getTracker === TidegateGuard.prototype.getTracker) {
      return this.#admit(plan, exchange, context);
    }
    return whenReady(this.getTracker(exchange.request, context), (tracker) => {
      const key = Exchange.key(tracker);
      if (key !== undefined) exchange.clientKey = key;
      return this.#admit(plan, exchange, context);
    });
  }

  #admit(plan, exchange, context) {
    return whenReady(this.#registry.gate.admit(plan, exchange), (refusal) => {
      if (refusal === undefined) return true;
      throw refusalFor(context.getType(), new RateLimitException(refusal));
    });
  }
}
Injectable()(TidegateGuard);
Inject(TidegateRegistry)(TidegateGuard, undefined, 0);

module.exports = { TidegateGuard };
