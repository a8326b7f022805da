'use strict';
// What the decorators left on methods and classes.

const LIMITS = 'tidegate:limits';
const SKIPS = 'tidegate:skips';

/** Of a method or class; a class inherits. */
const limitsOn = (target) => Reflect.getMetadata(LIMITS, target) ?? [];
const skipsOn = (target) => Reflect.getMetadata(SKIPS, target) ?? [];

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

/** Those of them under which limits of their own or of the class stand. */
function* limitedMethods(metatype) {
  const isLimited = limitsOn(metatype).length > 0;
  for (const method of methodsOf(metatype)) if (isLimited || limitsOn(method).length > 0) yield method;
}

/** The classes whose methods Nest calls: controllers, and providers, of which some are resolvers and gateways. */
function* classesOf({ controllers, providers }) {
  for (const { metatype } of [...controllers.values(), ...providers.values()]) {
    if (typeof metatype?.prototype === 'object' && metatype.prototype !== null) yield metatype;
  }
}

module.exports = { LIMITS, SKIPS, classesOf, limitedMethods, limitsOn, methodsOf, skipsOn };
