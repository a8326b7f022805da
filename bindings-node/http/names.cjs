'use strict';
// Names of objects in a named scope that are made of other names: a route's, or one rate's of several.

const { createHash } = require('node:crypto');

/** The longest name, and what none may hold. */
const LONGEST = 63;
const FORBIDDEN = /[^A-Za-z0-9._:/-]+/g;

/** `text` as a name, the same in every process. A text that cannot be one ends in a hash of itself. */
function nameFrom(text) {
  const plain = text.replace(FORBIDDEN, '-').replace(/^[.-]+/, '');
  if (plain === text && text.length <= LONGEST) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return `${plain.slice(0, LONGEST - hash.length - 1)}-${hash}`.replace(/^-/, '');
}

module.exports = { nameFrom };
