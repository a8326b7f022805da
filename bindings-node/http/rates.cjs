'use strict';

const check = require('../lib/check.cjs');
const { nameFrom } = require('./names.cjs');

/** Another limiter's way to write several. */
const COMMAS = /[^,]*\D[^,]*,\s*\d/;

/**
 * `'2/second;3/minute'` are two limits that hold together, each called by its own text where clients are told of it; in
 * a named scope the first is `name:1`, the next `name:2`.
 *
 * @returns pairs of a rate and its settings
 */
function ratesOf(rate, settings) {
  if (typeof rate === 'string' && COMMAS.test(rate)) {
    throw check.valueError(`rate: ${check.show(rate)} is not a rate; ';' joins several, as in '2/second;3/minute'`);
  }
  if (typeof rate !== 'string' || !rate.includes(';')) return [[rate, settings]];
  for (const option of ['burst', 'queue', 'fastest', 'tiers']) {
    if (settings[option] !== undefined) {
      throw check.valueError(
        `${option}: which of the rates in '${rate}' would it belong to? Give each as a limit of its own`,
      );
    }
  }
  const { objectName = settings.name } = settings;
  return rate.split(';').map((part, index) => {
    const own = part.trim();
    if (own === '') throw check.valueError(`rate: '${rate}' holds an empty one; write '2/second;3/minute'`);
    const made = objectName === undefined ? undefined : nameFrom(`${objectName}:${index + 1}`);
    return [own, { ...settings, policyName: own, objectName: made }];
  });
}

module.exports = { ratesOf };
