'use strict';

const check = require('../lib/check.cjs');
const { OverloadedError } = require('../lib/errors.cjs');
const { whenReady } = require('../lib/promise.cjs');
const { LoadShedder, priorityOf } = require('../lib/shed.cjs');
const { Gate } = require('../http/gate.cjs');
const { sheddingOf } = require('../http/shedding.cjs');
const { exchangeOf, refusalFor } = require('./call.cjs');
const { httpException } = require('./exception.cjs');

/**
 * A guard for `@UseGuards(sheddingGuard(shedder, 'high'))`, on a controller, a route or all of them: what it refuses
 * is a 503 with Retry-After.
 */
function sheddingGuard(shedder, priority = 'normal', options = undefined) {
  if (!(shedder instanceof LoadShedder)) {
    throw check.typeError(`shedder must be a LoadShedder, got ${check.show(shedder)}`);
  }
  if (typeof priority !== 'function') priorityOf(priority);
  const { user } = check.options(options ?? {}, 'sheddingGuard', ['user']);
  const gate = new Gate();
  const shedding = sheddingOf({ shedder, priority, user });
  return {
    canActivate(context) {
      const exchange = exchangeOf(gate, context);
      // A kind of call of which nothing is known; and a refused preflight looks like a broken site.
      if (exchange === undefined || exchange.request?.method === 'OPTIONS') return true;
      return whenReady(shedding.enter(exchange), (refusal) => {
        if (refusal === undefined) return true;
        const error = new OverloadedError(refusal.message, refusal.retryAfterMs);
        throw refusalFor(context.getType(), httpException(error, 503));
      });
    },
  };
}

module.exports = { sheddingGuard };
