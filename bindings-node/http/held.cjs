'use strict';
// What a request holds until its answer is out, or its connection is gone and its handler has ended.

const { outcomeOfAnswer, outcomeOfStatus } = require('../lib/outcome.cjs');
const { whenOver } = require('./over.cjs');
const { heed, isTornDown } = require('./torn.cjs');

/** For so long a handler may be at work whose client has gone: it may have stopped. Tests wait less. */
const alone = { mostMs: 10_000 };

/** What a handler calls when it answers, or gives up: of the response, and of a stream of HTTP/2. */
const SPOKEN = ['writeHead', 'flushHeaders', 'write', 'end', 'destroy'];
const SPOKEN_RAW = ['respond', 'respondWithFD', 'respondWithFile', 'write', 'end', 'close', 'destroy'];
const GIVEN_UP = ['close', 'destroy'];

function* methodsOf(response) {
  for (const name of SPOKEN) yield [response, name];
  if (response.stream !== undefined) for (const name of SPOKEN_RAW) yield [response.stream, name];
}

/**
 * The answer is out, or its client has gone. A handler that has not begun to answer is still at work then: without its
 * permit others would be let in to the workers that it has, and a server that comes too late for all would never learn
 * how late.
 */
function ended(response, end) {
  if (response.headersSent || response.writableEnded === true) return void end(outcomeOfAnswer(response));
  if (isTornDown(response)) return void end('failure');
  const spoken = [...methodsOf(response)]
    .filter(([object, name]) => typeof object[name] === 'function')
    .map(([object, name]) => ({ object, name, method: object[name], isOwn: Object.hasOwn(object, name) }));
  const over = (outcome) => {
    clearTimeout(timer);
    response.off('pipe', piped);
    for (const { object, name, method, isOwn } of spoken) {
      if (isOwn) object[name] = method;
      else delete object[name];
    }
    end(outcome);
  };
  // What is piped into it is its answer, of which nothing may come any more.
  const piped = () => over(outcomeOfStatus(response.statusCode));
  const timer = setTimeout(() => over('cancelled'), alone.mostMs).unref();
  response.once('pipe', piped);
  for (const { object, name } of spoken) {
    object[name] = (...given) => {
      over(GIVEN_UP.includes(name) ? 'cancelled' : outcomeOfStatus(statusIn(name, given[0]) ?? response.statusCode));
      return object[name](...given);
    };
  }
}

/** Of what begins an answer: the status that it is given. */
function statusIn(name, given) {
  if (name === 'writeHead') return Number(given);
  return name.startsWith('respond') ? given?.[':status'] : undefined;
}

/**
 * Before the handler runs, of an answer that is not over: calls `end(outcome)` once, when the request holds nothing any
 * more. The outcome is a gate's: 'success', 'failure', 'dropped' or 'cancelled'.
 */
function hold(request, response, end) {
  heed(request, response);
  whenOver(request, response, () => ended(response, end));
}

module.exports = { alone, hold };
