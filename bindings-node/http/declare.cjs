'use strict';

const { ArenaError } = require('../index.cjs');
const { isPrivate, leaveOut } = require('../lib/scope.cjs');
const { DECLARED_BY, claim, taken } = require('./claims.cjs');

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
 * leaves it to this process. Two declarations in this process are no deploy: see claims.cjs.
 *
 * @param told what `claim` wants to know of a limit
 */
function declare(make, options, what = 'limit', told = {}) {
  const { scope, name } = options;
  if (isPrivate(scope) || name === undefined) {
    const { [DECLARED_BY]: _, ...own } = options;
    return make(scope === undefined && name === undefined ? { ...own, scope: 'process' } : own);
  }
  const claimed = claim(what, options, told);
  try {
    const made = makeShared(make, options, what, claimed, told);
    if (!claimed.isForeign) leaveOut(scope, name);
    return made;
  } catch (error) {
    claimed.undo();
    throw error;
  }
}

function makeShared(make, { [DECLARED_BY]: _, ...options }, what, { isForeign, said }, told) {
  const { scope, name, onConflict } = options;
  if (onConflict !== undefined) return make(options);
  try {
    return make(options);
  } catch (error) {
    if (!(error instanceof ArenaError) || error.kind !== 'settings') throw error;
    if (isForeign) throw taken(options, 'an object of this process with other settings', said);
    const made = make({ ...options, onConflict: 'apply' });
    process.emitWarning(
      `the ${what} '${name}' of ${describe(scope)} had other settings; those of this process hold ${HOLD[what]} ` +
        `(onConflict: 'error' or 'keep' if that is not wanted)${less(made, told)}`,
      { type: 'TidegateWarning', detail: error.message },
    );
    return made;
  }
}

/** A limit per key may hold less than the burst that was declared. */
function less(made, { quota, isKeyed }) {
  if (!isKeyed || made.quota.burst >= quota().burst) return '';
  return `; with a burst of ${made.quota.burst}: what it was made for holds no more, another name would`;
}

const describe = (scope) => (typeof scope === 'string' ? scope : (scope?.name ?? process.env.TIDEGATE_SCOPE));

module.exports = { declare };
