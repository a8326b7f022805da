'use strict';
// What the decorators left on methods and classes.

const LIMITS = 'tidegate:limits';
const SKIPS = 'tidegate:skips';
const GATE = 'tidegate:gate';

/** Of a method or class; a class inherits. */
const limitsOn = (target) => Reflect.getMetadata(LIMITS, target) ?? [];
const skipsOn = (target) => Reflect.getMetadata(SKIPS, target) ?? [];

/** What @Gate says of a method, else of its class. */
const gateOn = (handler, controller = undefined) =>
  Reflect.getMetadata(GATE, handler) ?? (controller === undefined ? undefined : Reflect.getMetadata(GATE, controller));

const isMarked = (target) => limitsOn(target).length > 0 || gateOn(target) !== undefined;

/** Our decorators on a method or class, as their author reads them. */
function* saidOn(target) {
  for (const { place } of limitsOn(target)) yield `@RateLimit on ${place}`;
  const gate = gateOn(target);
  if (gate !== undefined) yield `@Gate on ${gate.place}`;
}

/** The methods of a class, those that it inherits too. */
function* methodsOf({ prototype }) {
  const seen = new Set(['constructor']);
  for (let type = prototype; type !== null && type !== Object.prototype; type = Object.getPrototypeOf(type)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(type))) {
      if (seen.has(name)) continue;
      seen.add(name);
      if (typeof value === 'function') yield value;
    }
  }
}

/** Those of them under which limits or a gate stand, of their own or of the class. */
function* limitedMethods(metatype) {
  const isLimited = isMarked(metatype);
  for (const method of methodsOf(metatype)) if (isLimited || isMarked(method)) yield method;
}

/** The classes whose methods Nest calls: controllers, and providers, of which some are resolvers and gateways. */
function* classesOf({ controllers, providers }) {
  for (const { metatype } of [...controllers.values(), ...providers.values()]) {
    if (typeof metatype?.prototype === 'object' && metatype.prototype !== null) yield metatype;
  }
}

module.exports = {
  GATE,
  LIMITS,
  SKIPS,
  classesOf,
  gateOn,
  isMarked,
  limitedMethods,
  limitsOn,
  methodsOf,
  saidOn,
  skipsOn,
};
