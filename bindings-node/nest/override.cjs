'use strict';
// What a test puts in the guard's place with overrideGuard.

const { Injectable, UseGuards } = require('@nestjs/common');
const { TidegateGuard } = require('./guard.cjs');

/**
 * overrideGuard replaces a guard only where it stands by @UseGuards, and not as a provider, which a global guard is.
 * Here it stands so, in the module that gives the global one.
 */
class GuardPlace {}
Injectable()(GuardPlace);
UseGuards(TidegateGuard)(GuardPlace);

/** `make()`, or what overrideGuard has put in its place; that may be made later than this. */
function guardOf(modules, make) {
  for (const { injectables, providers } of modules.values()) {
    const guard = providers.has(GuardPlace) ? injectables.get(TidegateGuard) : undefined;
    if (guard !== undefined && guard.metatype !== TidegateGuard) {
      return { canActivate: (context) => guard.instance.canActivate(context) };
    }
  }
  return make();
}

module.exports = { GuardPlace, guardOf };
