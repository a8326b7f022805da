'use strict';
// What the decorators left on methods and classes.

const LIMITS = 'tidegate:limits';
const SKIPS = 'tidegate:skips';

/** Of a method or class; a class inherits. */
const limitsOn = (target) => Reflect.getMetadata(LIMITS, target) ?? [];
const skipsOn = (target) => Reflect.getMetadata(SKIPS, target) ?? [];

/** Methods of the class `metatype`, inherited ones too, under which limits of their own or of the class stand. */
function* limitedMethods(metatype) {
  const isLimited = limitsOn(metatype).length > 0;
  const seen = new Set(['constructor']);
  for (let type = metatype.prototype; type !== null && type !== Object.prototype; type = Object.getPrototypeOf(type)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(type))) {
      if (seen.has(name)) continue;
      seen.add(name);
      if (typeof value === 'function' && (isLimited || limitsOn(value).length > 0)) yield value;
    }
  }
}

/** The classes whose methods Nest calls: controllers, and providers, of which some are resolvers and gateways. */
function* classesOf({ controllers, providers }) {
  for (const { metatype } of [...controllers.values(), ...providers.values()]) {
    if (typeof metatype?.prototype === 'object' && metatype.prototype !== null) yield metatype;
  }
}

module.exports = { LIMITS, SKIPS, classesOf, limitedMethods, limitsOn, skipsOn };
