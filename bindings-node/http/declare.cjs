'use strict';

const { ArenaError } = require('../index.cjs');

/** Whose settings they are from then on. A breaker reads its thresholds when it is opened. */
const EVERYBODY = 'for everybody from now on';
const HOLD = {
  limit: EVERYBODY,
  'concurrency limiter': EVERYBODY,
  'circuit breaker': 'here and in whatever starts from now on',
};

/**
 * Makes an object that an application's options declare (`what`: a limit, a circuit breaker) where they say.
 *
 * A deploy that changes a rate or a threshold must start: where nothing is said of a conflict, the new settings hold
 * for everybody, and the log says so once. What has no name cannot be found by anybody else, so that TIDEGATE_SCOPE
 * leaves it to this process.
 */
function declare(make, options, what = 'limit') {
  const { scope, name, onConflict } = options;
  const placed = scope === undefined && name === undefined ? { ...options, scope: 'process' } : options;
  if (onConflict !== undefined) return make(placed);
  try {
    return make(placed);
  } catch (error) {
    if (!(error instanceof ArenaError) || error.kind !== 'settings') throw error;
    const made = make({ ...placed, onConflict: 'apply' });
    process.emitWarning(
      `the ${what} '${name}' of ${describe(scope)} had other settings; those of this process hold ${HOLD[what]} ` +
        `(onConflict: 'error' or 'keep' if that is not wanted)`,
      { type: 'TidegateWarning', detail: error.message },
    );
    return made;
  }
}

const describe = (scope) => (typeof scope === 'string' ? scope : (scope?.name ?? process.env.TIDEGATE_SCOPE));

module.exports = { declare };
