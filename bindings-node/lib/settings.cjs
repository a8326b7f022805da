'use strict';
// Settings as the core describes them: their names, what they must be, their defaults. Ranges are checked by the core.

const { addon } = require('./native.cjs');
const check = require('./check.cjs');

/** By object and the core's name of the setting: `{ name, wanted, range, default, texts }`. */
const SETTINGS = JSON.parse(addon.settings.describe());

/** The texts of states, events, algorithms and errors of arenas, by the core's numbers. */
const NAMES = JSON.parse(addon.settings.names());

const wrong = ({ name, wanted }, value) => check.typeError(`${name} must be ${wanted}, got ${check.show(value)}`);

/** What was given, or the default: NaN where there is none. */
function number(field, value) {
  if (value === undefined && field.default !== undefined) return field.default ?? NaN;
  if (typeof value !== 'number') throw wrong(field, value);
  if (!Number.isFinite(value)) throw check.rangeError(`${field.name}: ${value} is not within ${field.range}`);
  return value;
}

/** A whole number within its range, where the core is not asked at once. */
function whole(field, value) {
  const given = number(field, value);
  const { name, range, min, max } = field;
  if (Number.isInteger(given) && given >= min && given <= max) return given;
  throw check.rangeError(`${name}: ${given} is not within ${range}`);
}

/** Which of its texts was given. */
function choice(field, value = field.default) {
  if (typeof value !== 'string') throw wrong(field, value);
  if (!field.texts.includes(value)) throw check.valueError(`${field.name}: ${check.show(value)} is not ${field.range}`);
  return value;
}

module.exports = { NAMES, SETTINGS, choice, number, whole, wrong };
