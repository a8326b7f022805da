'use strict';
// Guards that refuse what there is no room for.

const check = require('../lib/check.cjs');
const { whenReady } = require('../lib/promise.cjs');
const { LoadShedder } = require('../lib/shed.cjs');
const { backlogOf } = require('../http/backlog.cjs');
const { entranceOf } = require('../http/concurrency.cjs');
const { exemption } = require('../http/exempt.cjs');
const { HttpLimiter, errorOf } = require('../http/limiter.cjs');
const { enter } = require('../http/middleware.cjs');
const { sheddingOf } = require('../http/shedding.cjs');
const { exchangeOf, isExempt, refusalFor } = require('./call.cjs');
const { httpException } = require('./exception.cjs');

const OPTIONS = ['shedder', 'priority', 'user', 'backlog', 'concurrency', 'partition', 'exempt'];
const STATUS = 503;

function overloadGuard(options) {
  const given = check.options(options, 'overloadGuard', OPTIONS);
  const { shedder, priority, user, backlog, concurrency, partition, exempt } = given;
  if (shedder === undefined && backlog === undefined && concurrency === undefined) {
    throw check.valueError('overloadGuard needs a shedder, a backlog or concurrency');
  }
  const before = (inner) => sheddingOf({ shedder, priority, user }, backlogOf(backlog, inner));
  const forHttp = before(entranceOf(concurrency, partition, {}));
  // When the others end, a guard does not hear.
  const forOthers = before(undefined);
  const [limiter, exempted] = [new HttpLimiter(), exemption(exempt)];
  return {
    canActivate(context) {
      const exchange = exchangeOf(limiter, context);
      // A kind of call of which nothing is known.
      if (exchange === undefined || isExempt(exempted, context, exchange)) return true;
      const entrance = context.getType() === 'http' ? forHttp : forOthers;
      if (entrance === undefined) return true;
      return whenReady(enter(entrance, exchange), (refusal) => {
        if (refusal === undefined) return true;
        throw refusalFor(context.getType(), httpException(errorOf(refusal), STATUS));
      });
    },
  };
}

function sheddingGuard(shedder, priority = 'normal', options = undefined) {
  if (!(shedder instanceof LoadShedder)) {
    throw check.typeError(`shedder must be a LoadShedder, got ${check.show(shedder)}`);
  }
  const { user, exempt } = check.options(options ?? {}, 'sheddingGuard', ['user', 'exempt']);
  return overloadGuard({ shedder, priority, user, exempt });
}

module.exports = { overloadGuard, sheddingGuard };
