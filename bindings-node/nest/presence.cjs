'use strict';
// @RateLimit and @Gate where nothing would limit: in an application that does not import TidegateModule.

const { Catch, Inject, Injectable, Optional } = require('@nestjs/common');
const { ModulesContainer } = require('@nestjs/core');
const check = require('../lib/check.cjs');
const { classesOf, limitedMethods, saidOn } = require('./marks.cjs');
const { TidegateRegistry } = require('./registry.cjs');

class Nothing {
  static [Symbol.hasInstance]() {
    return false;
  }
}

/**
 * Stands where @RateLimit and @Gate do, as a filter of nothing: Nest makes it when the application starts, whatever
 * calls it is for, and a request never meets it.
 */
class LimitsNeedModule {
  constructor(registry, modules) {
    if (registry !== undefined) return;
    const [first, ...others] = placesIn(modules);
    const more = others.length > 0 ? ` and ${others.length} more` : '';
    throw check.valueError(
      `${first ?? '@RateLimit on a method'}${more}: this application does not import TidegateModule, so nothing ` +
        'would be limited; add TidegateModule.forRoot() to the imports of its root module, or of the testing module',
    );
  }

  catch(error) {
    throw error;
  }
}
Injectable()(LimitsNeedModule);
Catch(Nothing)(LimitsNeedModule);
Optional()(LimitsNeedModule, undefined, 0);
Inject(TidegateRegistry)(LimitsNeedModule, undefined, 0);
Inject(ModulesContainer)(LimitsNeedModule, undefined, 1);

/** Where our decorators stand in the application. */
function placesIn(modules) {
  const places = new Set();
  for (const module of modules.values()) {
    for (const metatype of classesOf(module)) {
      for (const method of limitedMethods(metatype)) {
        for (const place of [...saidOn(method), ...saidOn(metatype)]) places.add(place);
      }
    }
  }
  return places;
}

module.exports = { LimitsNeedModule };
