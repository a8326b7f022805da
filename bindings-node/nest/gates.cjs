'use strict';
// @Gate on a controller or its methods, and what the gate has said, for handlers.

const { UseFilters, applyDecorators, createParamDecorator } = require('@nestjs/common');
const { Exchange } = require('../http/exchange.cjs');
const { ASKING } = require('../http/gate.cjs');
const check = require('../lib/check.cjs');
const { identityOf } = require('./call.cjs');
const { GATE } = require('./marks.cjs');
const { LimitsNeedModule } = require('./presence.cjs');
const { getGateToken } = require('./tokens.cjs');

function Gate(name, options = {}) {
  getGateToken(name);
  const own = check.options(options, '@Gate', ASKING);
  const mark = (target, property, descriptor) => {
    const on = descriptor === undefined ? target : descriptor.value;
    if (typeof on !== 'function') throw check.typeError('Gate belongs on a controller or its methods');
    const place = descriptor === undefined ? target.name : `${target.constructor.name}.${String(property)}`;
    if (Reflect.hasOwnMetadata(GATE, on))
      throw check.valueError(`@Gate stands twice on ${place}: a route has one gate`);
    Reflect.defineMetadata(GATE, { name, own, place }, on);
  };
  return applyDecorators(mark, UseFilters(LimitsNeedModule));
}

const Admitted = createParamDecorator((_data, context) => Exchange.admissionOf(identityOf(context)));

module.exports = { Admitted, Gate };
