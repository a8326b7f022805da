'use strict';
// The application's functions that are called under a guard: what may be one, and what stands in its place.

const { types } = require('node:util');
const check = require('./check.cjs');

/** What no generator inherits from. Asked first: `types.isGeneratorFunction` costs as much as a guarded call. */
const isPlain = (kind) => kind === Function.prototype || kind === ASYNC;
const ASYNC = Object.getPrototypeOf(async () => {});

/** `advice`: what to do where it is a generator, as a sentence. */
function verifyCallee(fn, advice) {
  check.callable(fn, 'fn');
  if (!isPlain(Object.getPrototypeOf(fn)) && types.isGeneratorFunction(fn)) {
    const what = fn.name || 'fn';
    throw check.typeError(`${what} is a generator: it runs while it is iterated, not when it is called. ${advice}`);
  }
  return fn;
}

/** Whether a function cannot see what it is given: an arrow function without parameters. */
const NO_PARAMETERS = /^(async\s*)?\(\)\s*=>/;
const takesNothing = (fn) => fn.length === 0 && NO_PARAMETERS.test(Function.prototype.toString.call(fn));

/** `wrapped`, which stands in the place of `fn`, with its name and length. */
function inPlaceOf(fn, wrapped) {
  for (const key of ['name', 'length']) {
    Object.defineProperty(wrapped, key, { value: fn[key], configurable: true });
  }
  return wrapped;
}

module.exports = { inPlaceOf, takesNothing, verifyCallee };
