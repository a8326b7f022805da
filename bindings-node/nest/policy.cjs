'use strict';
// The option `policy`: the objects of a policy file, beside those of the options.

const { Policy } = require('../index.cjs');
const { entries } = require('../http/options.cjs');
const check = require('../lib/check.cjs');

/** Of each option that the file's sections fill: how a Policy gives one. */
const SECTIONS = { breakers: 'breaker', queues: 'queue', concurrency: 'concurrency', gates: 'gate' };

function policyOf({ policy }) {
  if (policy === undefined || policy instanceof Policy) return policy;
  throw check.typeError(`policy must be a Policy, got ${check.show(policy)}`);
}

/** The names of an option, the file's among them. */
function namesOf(options, option) {
  const own = entries(options[option], option).map(([name]) => name);
  return [...new Set([...own, ...(policyOf(options)?.names(option) ?? [])])];
}

/** The options with all objects of the file; what stands in both is that of the options. */
function withPolicy(options) {
  const policy = policyOf(options);
  if (policy === undefined) return options;
  const { policy: _policy, ...all } = options;
  for (const [option, find] of Object.entries(SECTIONS)) {
    const own = new Map(entries(options[option], option));
    const names = namesOf(options, option);
    all[option] = Object.fromEntries(names.map((name) => [name, own.has(name) ? own.get(name) : policy[find](name)]));
  }
  return all;
}

module.exports = { namesOf, withPolicy };
