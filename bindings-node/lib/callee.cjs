'use strict';
// The application's functions that are called under a guard: what may be one, and what stands in its place.

const { types } = require('node:util');
const check = require('./check.cjs');

/** What no generator inherits from. Asked first: `types.isGeneratorFunction` costs as much as a guarded call. */
const isPlain = (kind) => kind === Function.prototype || kind === ASYNC;
const ASYNC = Object.getPrototypeOf(async () => {});

/** Built in, and to be called with `new` or without. */
const CALLABLE = new Set([Array, BigInt, Boolean, Date, Function, Number, Object, RegExp, String, Symbol]);

/** Functions that have a prototype and are no classes: to look costs as much as a guarded call. */
const functions = new WeakSet();

/** Whether it can be called with `new` alone. Most functions that are guarded have no prototype. */
function isConstructor(fn) {
  if (fn.prototype === undefined || functions.has(fn)) return false;
  if (Object.getOwnPropertyDescriptor(fn, 'prototype')?.writable === false) {
    const text = Function.prototype.toString.call(fn);
    if (/^class\b/.test(text)) return true;
    const isError = fn === Error || fn.prototype instanceof Error;
    if (/\[native code\]/.test(text) && !CALLABLE.has(fn) && !isError) return true;
  }
  functions.add(fn);
  return false;
}

/** Of a function that is to be called as it is: no class. */
function verifyCalled(fn, name) {
  if (!isConstructor(fn)) return;
  const made = `new ${fn.name || 'it'}(...args)`;
  const why = `${fn.name || 'it'} is a class, which is not called but made`;
  throw check.typeError(`${name}: ${why}; give (...args) => ${made}`);
}

/** `advice`: what to do where it is a generator, as a sentence. */
function verifyCallee(fn, advice) {
  check.callable(fn, 'fn');
  verifyCalled(fn, 'fn');
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

module.exports = { inPlaceOf, takesNothing, verifyCalled, verifyCallee };
