'use strict';
// What the plain middlewares share: their options, and the answer to a refused request.

const check = require('../lib/check.cjs');
const { Gate, OPTIONS: GATE, gateOptions } = require('./gate.cjs');
const { Limit, MEETING } = require('./limit.cjs');
const { limitsFrom } = require('./options.cjs');
const { Plan } = require('./plan.cjs');
const { CONTENT_TYPE, problemOf } = require('./problem.cjs');
const { source } = require('./source.cjs');

const SINGLE = ['rate', ...MEETING, ...source.OPTIONS];
const OPTIONS = ['limits', 'onRefused', ...GATE];

/** `'5/minute'`, the settings of one limit, or `{ limits }`; beside them those of the gate. */
function readOptions(given, where) {
  const options =
    typeof given === 'string' || typeof given === 'number' || typeof given?.check === 'function' ? { rate: given } : given;
  const [gate, rest] = gateOptions(check.options(options, where, [...OPTIONS, ...SINGLE]));
  const { limits, onRefused, rate, ...single } = rest;
  if (onRefused !== undefined) check.callable(onRefused, 'onRefused');
  if (limits !== undefined && (rate !== undefined || Object.keys(single).length > 0)) {
    throw check.valueError(`${where} takes either limits or the settings of one limit (rate, …), not both`);
  }
  return { gate, onRefused, limits: limits === undefined ? limitsOfOne(rate, single) : limitsFrom(limits) };
}

const limitsOfOne = (rate, single) => (rate === undefined ? [] : Limit.all(rate, single));

/** Answers a refusal with 429 (a deny list's with 403) and a problem body. */
function refuse(exchange, refusal) {
  const problem = problemOf(refusal);
  const response = exchange.rawResponse;
  response.statusCode = problem.status;
  response.setHeader('Content-Type', CONTENT_TYPE);
  response.end(JSON.stringify(problem));
}

module.exports = { Gate, Plan, readOptions, refuse };
