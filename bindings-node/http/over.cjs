'use strict';
// When an answer is over: it is out, or its connection is gone.

/** On a socket: whom to call when it closes. */
const WAITING = Symbol('tidegate.waiting');

/**
 * A pipelined request's response has no socket while those before it are not out, and Node tells it nothing of the
 * connection's end then.
 */
const isQueued = (response) => response.socket === null && response.stream === undefined;

/** Whether nobody waits for the answer any more; HTTP/2's responses tell it by their stream only. */
function isOver(request, response) {
  if (response.destroyed === true || response.stream?.destroyed === true) return true;
  return isQueued(response) && request?.socket?.destroyed === true;
}

/**
 * Calls `then` once, when the answer is over, which it must not be yet.
 *
 * @returns {() => void} takes it back
 */
function whenOver(request, response, then) {
  let leave = () => {};
  const over = () => {
    leave();
    then();
  };
  const socket = isQueued(response) ? request?.socket : undefined;
  const waiting = socket && waitingOn(socket);
  leave = () => {
    response.off('close', over);
    waiting?.delete(over);
  };
  response.once('close', over);
  waiting?.add(over);
  return leave;
}

/** INTERNAL_ERROR (RFC 9113, 7). */
const HTTP2_INTERNAL_ERROR = 2;

/** Ends an answer that has begun so that it cannot pass for a whole one, as one of HTTP/2 does without an error. */
function breakOff(response, error = undefined) {
  if (response.stream === undefined) response.destroy(error);
  else response.stream.close(HTTP2_INTERNAL_ERROR);
}

/** One listener on a socket, however many requests it brings at once. */
function waitingOn(socket) {
  let waiting = socket[WAITING];
  if (waiting === undefined) {
    waiting = socket[WAITING] = new Set();
    socket.once('close', () => waiting.forEach((over) => over()));
  }
  return waiting;
}

module.exports = { breakOff, isOver, whenOver };
