'use strict';

const { Inject, UseFilters, applyDecorators } = require('@nestjs/common');
const { Limit } = require('../http/limit.cjs');
const { nameFrom } = require('../http/names.cjs');
const check = require('../lib/check.cjs');
const { LIMITS, SKIPS } = require('./marks.cjs');
const { LimitsNeedModule } = require('./presence.cjs');
const { getBoundedQueueToken, getBreakerToken, getConcurrencyLimiterToken, getGateToken } = require('./tokens.cjs');

/**
 * Adds to a list on the method, or on the class where the decorator stands there. `make` gets the place, and which of
 * its own it is.
 */
function add(metadata, make) {
  return (target, property, descriptor) => {
    const on = descriptor === undefined ? target : descriptor.value;
    if (typeof on !== 'function')
      throw check.typeError('RateLimit and SkipRateLimit belong on a controller or its methods');
    const before = Reflect.getOwnMetadata(metadata, on) ?? [];
    const place = descriptor === undefined ? target.name : `${target.constructor.name}.${String(property)}`;
    Reflect.defineMetadata(metadata, [make(place, before.length + 1), ...before], on);
  };
}

function RateLimit(rate, options = {}) {
  // Here, so that a mistake shows where it stands; every application makes its own, where it says.
  Limit.check(rate, options);
  const limit = (place, nth) => ({ rate, options, place, objectName: objectName(options.name, place, nth) });
  return applyDecorators(add(LIMITS, limit), UseFilters(LimitsNeedModule));
}

/**
 * A route's limit is an object of its own, also where a limit of the module or of another route has the same name: in a
 * named scope these would be one.
 */
function objectName(name, place, nth) {
  return nameFrom(name === undefined ? place + (nth === 1 ? '' : `/${nth}`) : `${name}/${place}`);
}

function SkipRateLimit(name = undefined) {
  if (name !== undefined && typeof name !== 'string') {
    throw check.typeError(`name must be the name of a limit, or left out for all of them, got ${check.show(name)}`);
  }
  return add(SKIPS, () => name);
}

const InjectBreaker = (name) => Inject(getBreakerToken(name));
const InjectConcurrencyLimiter = (name) => Inject(getConcurrencyLimiterToken(name));
const InjectGate = (name) => Inject(getGateToken(name));
const InjectBoundedQueue = (name) => Inject(getBoundedQueueToken(name));

module.exports = {
  InjectBoundedQueue,
  InjectBreaker,
  InjectConcurrencyLimiter,
  InjectGate,
  RateLimit,
  SkipRateLimit,
};
