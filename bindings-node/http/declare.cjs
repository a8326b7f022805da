'use strict';

const { ArenaError } = require('../index.cjs');

/**
 * Makes a limit of an HTTP application where its options say.
 *
 * A deploy that changes a rate must start: where nothing is said of a conflict, the new settings hold for everybody, and
 * the log says so once. What has no name cannot be found by anybody else, so that TIDEGATE_SCOPE leaves it to this process.
 */
function declare(make, options) {
  const { scope, name, onConflict } = options;
  const placed = scope === undefined && name === undefined ? { ...options, scope: 'process' } : options;
  if (onConflict !== undefined) return make(placed);
  try {
    return make(placed);
  } catch (error) {
    if (!(error instanceof ArenaError) || error.kind !== 'settings') throw error;
    const made = make({ ...placed, onConflict: 'apply' });
    process.emitWarning(
      `the limit '${name}' of ${describe(scope)} had other settings; those of this process hold for everybody from now on ` +
        `(onConflict: 'error' or 'keep' if that is not wanted)`,
      { type: 'TidegateWarning', detail: error.message },
    );
    return made;
  }
}

const describe = (scope) => (typeof scope === 'string' ? scope : (scope?.name ?? process.env.TIDEGATE_SCOPE));

module.exports = { declare };
