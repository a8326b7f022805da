'use strict';
// How long a client waits that finds no room.

const { addon, numbers } = require('./native.cjs');
const check = require('./check.cjs');

/** One second more than counts, so that the oldest of a sample a second is ten seconds old. */
const OLDEST_MS = 11_000;

/** Of numbers that are right. */
function told(depth, done, windowMs, draw) {
  numbers[0] = depth;
  numbers[1] = done;
  numbers[2] = windowMs;
  numbers[3] = draw;
  addon.httpAnswer.overload();
  return numbers[0] * 1000;
}

function overloadRetryAfterMs(depth, done, windowMs, draw) {
  check.whole(depth, 'depth', 0, Number.MAX_SAFE_INTEGER);
  check.whole(done, 'done', 0, Number.MAX_SAFE_INTEGER);
  check.span(windowMs, 'windowMs');
  if (typeof draw !== 'number') throw check.typeError(`draw must be a number, got ${check.show(draw)}`);
  if (!(draw >= 0 && draw < 1)) {
    throw check.rangeError(`draw must be from 0 up to, but not including, 1, got ${draw}`);
  }
  return told(depth, done, windowMs, draw);
}

/** What has left in the last ten seconds, looked at only when somebody is refused: a sample a second. */
class Outflow {
  #samples = [];

  /** ms for who is refused at `nowMs`, with `depth` in the way and `left` gone since the beginning. */
  retryAfterMs(depth, left, nowMs = performance.now()) {
    // A clock that steps back makes nothing of what was seen.
    this.#samples = this.#samples.filter(({ at }) => at <= nowMs && nowMs - at <= OLDEST_MS);
    const samples = this.#samples;
    const [oldest = { at: nowMs, left }] = samples;
    if (samples.length === 0 || Math.floor(nowMs / 1000) > Math.floor(samples.at(-1).at / 1000)) {
      samples.push({ at: nowMs, left });
    }
    return told(depth, Math.max(0, left - oldest.left), nowMs - oldest.at, Math.random());
  }
}

module.exports = { Outflow, overloadRetryAfterMs };
