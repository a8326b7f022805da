'use strict';

const { Inject, UseFilters, applyDecorators } = require('@nestjs/common');
const { Limit } = require('../http/limit.cjs');
const { nameFrom } = require('../http/names.cjs');
const check = require('../lib/check.cjs');
const { LIMITS, SKIPS } = require('./marks.cjs');
const { LimitsNeedModule } = require('./presence.cjs');
const { getBoundedQueueToken, getBreakerToken, getConcurrencyLimiterToken, getGateToken } = require('./tokens.cjs');

/**
 * Adds to a list on the method, or on the class where the decorator stands there. `make` gets the class, the method's
 * name, and which of its own it is.
 */
function add(metadata, make) {
  return (target, property, descriptor) => {
    const on = descriptor === undefined ? target : descriptor.value;
    if (typeof on !== 'function')
      throw check.typeError('RateLimit and SkipRateLimit belong on a controller or its methods');
    const before = Reflect.getOwnMetadata(metadata, on) ?? [];
    const made =
      descriptor === undefined
        ? make(target, undefined, before.length + 1)
        : make(target.constructor, property, before.length + 1);
    Reflect.defineMetadata(metadata, [made, ...before], on);
  };
}

function RateLimit(rate, options = {}) {
  // Here, so that a mistake shows where it stands; every application makes its own, where it says.
  Limit.check(rate, options);
  const limit = (type, property, nth) => description(rate, options, type, property, nth);
  return applyDecorators(add(LIMITS, limit), UseFilters(LimitsNeedModule));
}

/** What stands over a class or a method of it; `of` gives the same for a class that inherits it. */
function description(rate, options, type, property, nth) {
  const place = property === undefined ? type.name : `${type.name}.${String(property)}`;
  return {
    ...{ rate, options, place, type, objectName: objectName(options.name, place, nth) },
    of: (heir) => description(rate, options, heir, property, nth),
  };
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
