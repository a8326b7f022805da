'use strict';
// Which requests may be made twice.

/** RFC 9110, 9.2.2, without TRACE. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Bodies that say the same each time they are read. */
const VALUES = new Set(['Blob', 'File', 'FormData', 'URLSearchParams']);

/** A stream, a form of the package `form-data`, or whatever is iterated: read once, it is used up. */
function isReadOnce(body) {
  if (typeof body === 'function') return true;
  if (body === null || typeof body !== 'object' || ArrayBuffer.isView(body)) return false;
  if (typeof body.pipe === 'function' || typeof body.getReader === 'function') return true;
  const tag = Object.prototype.toString.call(body).slice(8, -1);
  if (VALUES.has(tag) || tag.endsWith('ArrayBuffer')) return false;
  return Symbol.asyncIterator in body || Symbol.iterator in body;
}

/** The server can tell a repetition by it: a header without a value is none, or is not sent at all. */
const isKey = (value) =>
  value !== undefined && value !== null && value !== false && String(value).trim() !== '';

/**
 * Whether a request may be made twice: by its method, or because the caller says so, by `idempotent` or by a key that
 * the server tells repetitions by; and never where its body is used up.
 */
function isRepeatable(method, body, idempotent, hasKey) {
  if (idempotent === false || isReadOnce(body)) return false;
  return idempotent === true || IDEMPOTENT.has(method) || hasKey();
}

module.exports = { isKey, isRepeatable };
