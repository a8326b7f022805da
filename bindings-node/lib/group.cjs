'use strict';
// Several errors in one: what `Promise.any` rejects with, and who throws what `Promise.allSettled` collected.

/** Of a group that a caller can make as long as it likes. */
const MOST_MEMBERS = 1000;

/** By its name as well: each realm has a class of its own. Node's for a host with several addresses is one too. */
const isGroup = (value) =>
  value !== null &&
  typeof value === 'object' &&
  (value instanceof AggregateError || value.name === 'AggregateError') &&
  Array.isArray(value.errors);

function collect(group) {
  const found = [];
  const seen = new Set([group]);
  // A set gives what is added while it is walked.
  for (const one of seen) {
    const length = Math.min(one.errors.length, MOST_MEMBERS);
    for (let index = 0; index < length && found.length < MOST_MEMBERS; index += 1) {
      const member = one.errors[index];
      if (!isGroup(member)) found.push(member);
      else if (seen.size < MOST_MEMBERS) seen.add(member);
    }
  }
  return found;
}

/**
 * The errors of a group and of the groups in it, in no order; undefined for what is no group, an empty one, or one that
 * cannot be read, which are judged as they are.
 */
function membersOf(error) {
  try {
    if (!isGroup(error)) return undefined;
    const members = collect(error);
    return members.length === 0 ? undefined : members;
  } catch {
    // A Proxy or a getter that throws when it is looked at.
    return undefined;
  }
}

/** As `membersOf`; of what is no group, itself alone. */
const members = (error) => membersOf(error) ?? [error];

module.exports = { members, membersOf };
