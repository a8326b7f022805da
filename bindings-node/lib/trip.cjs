'use strict';

/** The calls by which the circuit opened, as `trip` in src/breaker.rs wrote them from `at` on; null: there is none. */
function tripAt(from, at) {
  if (from[at] === 0) return null;
  const [calls, failed, slow] = [from[at + 1], from[at + 2], from[at + 3]];
  const of = (part) => (calls === 0 ? 0 : part / calls);
  return { calls, failed, slow, failureRate: of(failed), slowCallRate: of(slow) };
}

module.exports = { tripAt };
