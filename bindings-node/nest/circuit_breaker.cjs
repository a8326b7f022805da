'use strict';
// A method under a breaker of the application, and what stands in for it.

const { types } = require('node:util');
const { Inject } = require('@nestjs/common');
const { Observable, catchError, defer, finalize, from, isObservable, of, tap } = require('rxjs');
const { outcomeOf } = require('../lib/breaker.cjs');
const { inPlaceOf, verifyCallee } = require('../lib/callee.cjs');
const check = require('../lib/check.cjs');
const { TidegateError } = require('../lib/errors.cjs');
const { members } = require('../lib/group.cjs');
const { complain, isPromise, thrownAfter } = require('../lib/promise.cjs');
const { isHandler } = require('./nests.cjs');
const { refusedUnbegun } = require('./refusals.cjs');
const { getBreakerToken } = require('./tokens.cjs');

const ADVICE = 'Put the decorator on the method that calls the dependency';

/** By instance, what Nest has injected. */
const injected = new WeakMap();

/**
 * Has Nest inject the breaker called `name` into each instance of the class: so it is the application's own, also where
 * several run in one process or a test overrides it. Kept beside the instance, which shows and serialises as before.
 */
function injectInto(target, name) {
  const key = `tidegate:breaker:${name}`;
  if (!(key in target)) {
    Object.defineProperty(target, key, {
      set(breaker) {
        const breakers = injected.get(this) ?? new Map();
        injected.set(this, breakers.set(name, breaker));
      },
    });
  }
  Inject(getBreakerToken(name))(target, key);
}

function breakerOf(instance, name, place) {
  const breaker = injected.get(instance)?.get(name);
  if (breaker !== undefined) return breaker;
  throw check.typeError(
    `@CircuitBreaker on ${place}: this object has no breaker '${name}'; Nest injects it into what it makes itself ` +
      '(providers, controllers), and TidegateModule must be imported',
  );
}

/** Whether the dependency failed, or one of ours refused; not a caller who went away, nor what counts as no failure. */
const isFailure = (breaker, error) =>
  members(error).every((one) => one instanceof TidegateError) ||
  ['failure', 'unreached'].includes(outcomeOf(breaker, error));

function fallbackOf(fallback, target, place) {
  if (fallback === undefined || typeof fallback === 'function') return fallback;
  if (typeof fallback !== 'string') {
    throw check.typeError(`fallback must be a function or a method's name, got ${check.show(fallback)}`);
  }
  if (typeof target[fallback] !== 'function') {
    throw check.valueError(`@CircuitBreaker on ${place}: fallback '${fallback}' is no method of the class`);
  }
  return function (...args) {
    return this[fallback](...args);
  };
}

/** What the method gives when `error` ended it. What the fallback itself throws has that as its cause. */
function standIn(breaker, error, fallback, instance, args) {
  if (fallback === undefined || !isFailure(breaker, error)) throw error;
  const failed = (thrown) => {
    throw thrownAfter(error, thrown);
  };
  let value;
  try {
    value = fallback.call(instance, error, ...args);
  } catch (thrown) {
    failed(thrown);
  }
  return isPromise(value) ? Promise.resolve(value).then(undefined, failed) : value;
}

/** Reports an error; what a predicate throws takes its place. */
function reported(permit, error, instead) {
  let ended = error;
  try {
    permit.error(error);
  } catch (thrown) {
    ended = thrown;
  }
  return instead(ended);
}

async function settled(permit, promise, instead) {
  let value;
  try {
    value = await promise;
    permit.result(value);
  } catch (error) {
    return reported(permit, error, instead);
  }
  return value;
}

const toObservable = (value) => (isObservable(value) || isPromise(value) ? from(value) : of(value));

/**
 * An Observable does its work when it is subscribed to, each time; then it is a call. Whoever has a value and wants no
 * more (`firstValueFrom`) was answered. Its result is the last value.
 */
function observed(breaker, source, instead) {
  return defer(() => {
    const permit = breaker.acquire();
    const values = [];
    return source.pipe(
      tap({
        next: (value) => (values[0] = value),
        error: (error) => permit.error(error),
        complete: () => (values.length > 0 ? permit.result(values[0]) : permit.success()),
      }),
      finalize(() => {
        if (values.length === 0) return permit.release();
        try {
          permit.result(values[0]);
        } catch (thrown) {
          // Who has the value is told nothing more, and what is thrown here ends whatever unsubscribed.
          complain('a predicate of a breaker failed', thrown);
        }
      }),
    );
  }).pipe(catchError((error) => toObservable(instead(error))));
}

function CircuitBreaker(name, options = {}) {
  getBreakerToken(name);
  const { fallback } = check.options(options, '@CircuitBreaker', ['fallback']);
  return (target, property, descriptor) => {
    const method = descriptor?.value;
    if (typeof method !== 'function' || typeof target !== 'object') {
      throw check.typeError('CircuitBreaker belongs on a method that instances have');
    }
    verifyCallee(method, ADVICE);
    const place = `${target.constructor.name}.${String(property)}`;
    const stand = fallbackOf(fallback, target, place);
    injectInto(target, name);
    /** Whether what stands in has to be one as well: by what the compiler says, or by what there was before. */
    let isLazy = Reflect.getMetadata('design:returntype', target, property) === Observable;

    /** Where it is a route, the request's limits are to charge nothing for it. */
    const refused = (error) => isHandler(wrapped) && refusedUnbegun(error);

    async function runAsync(...args) {
      const breaker = breakerOf(this, name, place);
      let hasBegun = false;
      try {
        return await breaker.call(async () => {
          hasBegun = true;
          return method.apply(this, args);
        });
      } catch (error) {
        if (!hasBegun) refused(error);
        return standIn(breaker, error, stand, this, args);
      }
    }

    function run(...args) {
      const breaker = breakerOf(this, name, place);
      const instead = (error) => standIn(breaker, error, stand, this, args);
      let permit;
      try {
        permit = breaker.acquire();
      } catch (error) {
        refused(error);
        return isLazy ? defer(() => toObservable(instead(error))) : instead(error);
      }
      let result;
      try {
        result = method.apply(this, args);
        isLazy = isObservable(result);
        if (isLazy) permit.release();
        else if (!isPromise(result)) permit.result(result);
      } catch (error) {
        // A report that was made stands.
        return reported(permit, error, instead);
      }
      if (isLazy) return observed(breaker, result, instead);
      return isPromise(result) ? settled(permit, result, instead) : result;
    }

    const wrapped = inPlaceOf(method, types.isAsyncFunction(method) ? runAsync : run);
    // What other decorators left on it: routes, guards, limits.
    for (const key of Reflect.getMetadataKeys(method)) {
      Reflect.defineMetadata(key, Reflect.getMetadata(key, method), wrapped);
    }
    descriptor.value = wrapped;
  };
}

module.exports = { CircuitBreaker };
