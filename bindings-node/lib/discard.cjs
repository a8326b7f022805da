'use strict';
// Answers that nobody gets, since another attempt follows: what is not read holds its connection.

const { abandon } = require('./promise.cjs');

/** On what brings a way of its own along. */
const DISCARD = Symbol('tidegate.discard');

/** A body up to so long is read, so that its connection can be used again; for a longer one a new one is cheaper. */
const MOST_BYTES = 64 * 1024;
const MOST_MS = 1000;

/** Calls `end` once the time for reading what nobody wants is over. @returns {() => void} takes it back */
function soon(end) {
  const timer = setTimeout(end, MOST_MS).unref();
  return () => clearTimeout(timer);
}

async function drainWeb(body) {
  const reader = body.getReader();
  const cancel = () => reader.cancel().catch(() => {});
  const done = soon(cancel);
  try {
    for (let left = MOST_BYTES; ;) {
      const chunk = await reader.read();
      if (chunk.done) return;
      left -= chunk.value.byteLength;
      if (left < 0) return void cancel();
    }
  } finally {
    done();
  }
}

function drainNode(body) {
  const done = soon(() => body.destroy());
  let left = MOST_BYTES;
  body.on('error', () => {});
  body.on('close', done);
  body.on('data', (chunk) => {
    left -= chunk.length;
    if (left < 0) body.destroy();
  });
}

/** Never throws: what is no answer, or is read already, is left alone. */
function discard(answer) {
  try {
    if (typeof answer?.[DISCARD] === 'function') return answer[DISCARD]();
    const { body } = answer;
    if (typeof body?.getReader === 'function') abandon([drainWeb(body)]);
    // Of undici's request().
    else if (typeof body?.dump === 'function') abandon([body.dump()]);
  } catch {
    // As above.
  }
}

/** Of what was thrown only what says so itself: the application may still want the rest. */
function discardError(error) {
  try {
    error?.[DISCARD]?.();
  } catch {
    // As above.
  }
}

module.exports = { DISCARD, MOST_BYTES, discard, discardError, drainNode, drainWeb, soon };
