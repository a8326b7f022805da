'use strict';
// Refusals of an application's own guards. A guard comes before any interceptor, and a catch-all filter of the
// application before ours: so each guard translates what leaves it, or nobody would say when to come back.

const { catchError, isObservable, throwError } = require('rxjs');
const { isPromise } = require('../lib/promise.cjs');
const { TidegateGuard } = require('./guard.cjs');

const GUARDS = '__guards__';
const translating = new WeakSet();

/**
 * The guards of the application's modules: not one that Nest makes for each request, or that only `useGlobalGuards`
 * has.
 */
function* guardsOf(modules) {
  for (const { controllers, injectables, providers } of modules.values()) {
    for (const { instance, metatype } of [...injectables.values(), ...providers.values(), ...controllers.values()]) {
      yield instance;
      if (typeof metatype === 'function') yield* givenTo(metatype);
    }
  }
}

/** What `@UseGuards` has as an object, on a class and its methods. */
function* givenTo(metatype) {
  yield* Reflect.getMetadata(GUARDS, metatype) ?? [];
  for (const { value } of Object.values(Object.getOwnPropertyDescriptors(metatype.prototype ?? {}))) {
    if (typeof value === 'function') yield* Reflect.getMetadata(GUARDS, value) ?? [];
  }
}

const isForeign = (guard) =>
  guard !== null &&
  typeof guard === 'object' &&
  typeof guard.canActivate === 'function' &&
  !(guard instanceof TidegateGuard) &&
  !translating.has(guard);

/** Has each guard throw what `translate(error, context)` gives; our own tell when to come back themselves. */
function translateGuards(modules, translate) {
  for (const guard of guardsOf(modules)) if (isForeign(guard)) translateIn(guard, translate);
}

function translateIn(guard, translate) {
  const { canActivate } = guard;
  const value = function canActivateOrRefuse(context) {
    const failed = (error) => {
      throw translate(error, context);
    };
    let result;
    try {
      result = canActivate.call(this, context);
    } catch (error) {
      return failed(error);
    }
    if (isObservable(result)) return result.pipe(catchError((error) => throwError(() => translate(error, context))));
    return isPromise(result) ? Promise.resolve(result).catch(failed) : result;
  };
  // One that is frozen stays as it is.
  const descriptor = { value, writable: true, configurable: true };
  if (Reflect.defineProperty(guard, 'canActivate', descriptor)) translating.add(guard);
}

module.exports = { translateGuards };
