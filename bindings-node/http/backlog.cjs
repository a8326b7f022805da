'use strict';
// A queue before a server's entrance: while it takes nothing, what would fill it is refused before it is worked on.

const check = require('../lib/check.cjs');
const { QueueClosedError, QueueFullError } = require('../lib/errors.cjs');
const { overload } = require('./limiter.cjs');

class Backlog {
  #queue;
  #inner;

  constructor(queue, inner) {
    this.#queue = queue;
    this.#inner = inner;
  }

  /** @returns {Promise<Refusal | undefined> | Refusal | undefined} `undefined`: admitted */
  enter(exchange) {
    const queue = this.#queue;
    if (queue.isAccepting) return this.#inner?.enter(exchange);
    const { retryAfterMs } = queue;
    const error =
      queue.isClosed === true
        ? Object.assign(new QueueClosedError(), { retryAfterMs })
        : new QueueFullError(undefined, retryAfterMs);
    return overload(exchange, error, retryAfterMs);
  }

  close() {
    this.#inner?.close();
  }
}

/** The option `backlog`, before the entrance of a concurrency limit. */
function backlogOf(value, inner) {
  if (value === undefined) return inner;
  const isObject = value !== null && typeof value === 'object';
  if (!isObject || !('isAccepting' in value) || !('retryAfterMs' in value)) {
    const allowed = 'a BoundedQueue, a Processor or an object with isAccepting and retryAfterMs';
    throw check.typeError(`backlog must be ${allowed}, got ${check.show(value)}`);
  }
  return new Backlog(value, inner);
}

module.exports = { backlogOf };
