'use strict';
// Middleware for Express and everything that calls (request, response, next): Connect, Polka, Node's own http.

const check = require('../lib/check.cjs');
const { clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { Gate, Plan, admit, readOptions, refuse } = require('../http/middleware.cjs');
const { whenReady } = require('../http/promise.cjs');

function rateLimit(options) {
  const { gate: settings, limits, concurrency, onRefused } = readOptions(options, 'rateLimit');
  if (limits.length === 0 && concurrency === undefined) {
    throw check.valueError("rateLimit needs a rate such as '100/minute', or limits, or concurrency");
  }
  const gate = new Gate(settings);
  const plan = new Plan(limits);

  function decided(refusal, exchange, next) {
    if (refusal === undefined) return next();
    if (onRefused !== undefined) return onRefused(exchange.request, exchange.response, next, refusal);
    return refuse(exchange, refusal);
  }

  return function tidegate(request, response, next) {
    // A refused preflight looks like a broken site.
    if (request.method === 'OPTIONS') return void next();
    const exchange = gate.exchange(request, response, response);
    try {
      const outcome = whenReady(admit(gate, plan, exchange, concurrency), (refusal) => decided(refusal, exchange, next));
      if (typeof outcome?.catch === 'function') outcome.catch(next);
    } catch (error) {
      next(error);
    }
    return undefined;
  };
}

module.exports = { clientIp, firstOf, header, rateLimit, route, user };
