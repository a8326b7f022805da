'use strict';

const check = require('../lib/check.cjs');

/** Injection token of the options. */
const TIDEGATE_OPTIONS = Symbol('tidegate:options');

/**
 * Names that somebody has asked for. Nest reads a module's providers when the application starts, after all classes
 * were defined; so also breakers and queues whose settings come from a factory have their provider by then.
 */
const asked = { breakers: new Set(), queues: new Set(), concurrency: new Set(), gates: new Set() };

function ask(kind, name) {
  if (typeof name !== 'string' || name === '') {
    throw check.typeError(`the name must be a text that is not empty, got ${check.show(name)}`);
  }
  asked[kind].add(name);
  return `tidegate:${kind}:${name}`;
}

const getBreakerToken = (name) => ask('breakers', name);
const getBoundedQueueToken = (name) => ask('queues', name);
const getGateToken = (name) => ask('gates', name);
const getConcurrencyLimiterToken = (name) => ask('concurrency', name);

module.exports = {
  TIDEGATE_OPTIONS,
  asked,
  getBoundedQueueToken,
  getBreakerToken,
  getConcurrencyLimiterToken,
  getGateToken,
};
