'use strict';
// What may be a key: text, which means its UTF-8 (lone surrogates U+FFFD), or bytes.

const { isUint8Array } = require('node:util/types');
const check = require('./check.cjs');

/** A key that is not a string. */
function bytes(key, name) {
  if (!isUint8Array(key)) throw check.typeError(`${name} must be a string or a Uint8Array, got ${check.show(key)}`);
  // Native code reads it: no other thread may be writing to it.
  return key.buffer instanceof SharedArrayBuffer ? new Uint8Array(key) : key;
}

/** The key in the form that the native functions take. */
const asKey = (key, name = 'key') => (typeof key === 'string' ? key : bytes(key, name));

/**
 * The same of what an application's function gave: the number of a user is as good a key as its text. NaN is what
 * `Number` makes of no number, and would be one key for all whom it names.
 */
const keyOf = (value, name) =>
  typeof value === 'bigint' || (typeof value === 'number' && !Number.isNaN(value)) ? String(value) : asKey(value, name);

module.exports = { asKey, keyOf };
