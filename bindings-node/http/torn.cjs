'use strict';
// Who has ended an answer that had not begun: its handler, or its client. Node tells both in the same way.

/** On a connection (a socket, or a session of HTTP/2): that it was ended because nothing came for too long. */
const TIMED_OUT = Symbol('tidegate.timedOut');
/** On a stream of HTTP/2: that its own side has ended it. */
const TORN = Symbol('tidegate.torn');

/** One listener on a connection, before those of Node, which end it. */
function heedTimeout(connection) {
  if (connection === undefined || connection === null || connection[TIMED_OUT] !== undefined) return;
  connection[TIMED_OUT] = false;
  connection.prependListener?.('timeout', () => (connection[TIMED_OUT] = true));
}

/**
 * Whether a call that ends a stream is the application's. Node itself calls where the client has reset the stream,
 * which is closed by then, where the connection is gone, or with the error that ended the session.
 */
function isOurs(stream, error) {
  const { session } = stream;
  if (stream.closed || stream.destroyed || !session || session[TIMED_OUT] === true) return false;
  if (session.destroyed && error) return false;
  try {
    return session.socket.destroyed === false;
  } catch {
    return false; // The session has let go of its socket.
  }
}

/** Before the handler runs: what is to be known when the answer is over. */
function heed(request, response) {
  const { stream } = response;
  if (stream === undefined) return void heedTimeout(request.socket);
  heedTimeout(stream.session);
  for (const name of ['close', 'destroy']) {
    const method = stream[name];
    stream[name] = function (...given) {
      if (isOurs(stream, name === 'destroy' ? given[0] : undefined)) stream[TORN] = true;
      return method.apply(stream, given);
    };
  }
}

/** The client has ended the connection, or the network has, or Node has because what came was too slow or malformed. */
const isGone = ({ [TIMED_OUT]: timedOut, errored, readableEnded }) =>
  timedOut === true ||
  readableEnded === true ||
  errored?.syscall !== undefined ||
  /^(HPE|ERR_HTTP)_/.test(errored?.code);

/**
 * Whether its own handler has torn the answer down: the answer (Node keeps what `destroy` was given, and the end of a
 * connection leaves null), its stream or its socket. A pipelined answer that is not the next one has no socket: what
 * ended that was another's.
 */
function isTornDown(response) {
  const { stream, socket } = response;
  if (stream !== undefined) return stream[TORN] === true;
  if ('errored' in response && response.errored !== null) return true;
  return socket?.destroyed === true && !isGone(socket);
}

module.exports = { heed, isTornDown };
