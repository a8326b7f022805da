'use strict';
// What the end of a call says of a concurrency limit that learns: the call was done, was dropped, or says nothing.

const { answerOf, isCancelled, isTimeout, ownStatus } = require('./classify.cjs');
const { ArenaError, isRefusal, isUnmade } = require('./errors.cjs');
const { members } = require('./group.cjs');

/** Later, and too late: what a server answers that had no room, or no time. */
const isDroppedStatus = (status) => status === 503 || status === 504;

/** A refusal, a timeout, or the answer of one. A mistake, of the arena's as well, is none, nor what was not made. */
function isDropped(error) {
  if (isUnmade(error)) return false;
  if (isRefusal(error)) return !(error instanceof ArenaError);
  // Nest may keep the status to itself.
  const own = ownStatus(error);
  if (!Number.isNaN(own)) return isDroppedStatus(own);
  const answer = answerOf(error);
  if (answer !== undefined && answer.status >= 400) return isDroppedStatus(answer.status);
  // Also where the head of an answer had come.
  return isTimeout(error);
}

/** Reports a call that returned, or threw. */
function reportCall(permit, isWell, error = undefined) {
  if (isWell) permit.success();
  else if (members(error).some(isDropped)) permit.dropped();
  else permit.ignore();
}

/** What an answer that is over says to a gate. Where it is not out, its client is gone. */
function outcomeOfAnswer(response) {
  const isOut = response.writableFinished ?? response.stream?.writableFinished;
  // Who answers by a stream of HTTP/2 tells only that which status it is.
  return isOut ? outcomeOfStatus(response.stream?.sentHeaders?.[':status'] ?? response.statusCode) : 'cancelled';
}

/**
 * What an answer's status says to a gate. Errors of the server that are no drops, and a limit on this one client (429),
 * say nothing of how long a call takes.
 */
function outcomeOfStatus(status) {
  if (isDroppedStatus(status)) return 'dropped';
  return status >= 500 || status === 429 ? 'failure' : 'success';
}

/** Reports to a concurrency limit what a gate would hear. */
function reportOutcome(permit, outcome) {
  if (outcome === 'success') permit.success();
  else if (outcome === 'dropped') permit.dropped();
  else permit.ignore();
}

/** The first of them that one of a group says is what the group says. */
const WORST = ['dropped', 'failure', 'cancelled', 'success'];

/**
 * What a call that threw says to a gate. An answer to the program's own client is judged by its status, as where it
 * goes out over HTTP: a breaker, too, holds it against nobody.
 */
function outcomeOf(error) {
  const outcomes = members(error).map(outcomeOfOne);
  return WORST.find((outcome) => outcomes.includes(outcome));
}

function outcomeOfOne(error) {
  if (isDropped(error)) return 'dropped';
  if (isCancelled(error)) return 'cancelled';
  const own = ownStatus(error);
  return Number.isNaN(own) ? 'failure' : outcomeOfStatus(own);
}

module.exports = { outcomeOf, outcomeOfAnswer, outcomeOfStatus, reportCall, reportOutcome };
