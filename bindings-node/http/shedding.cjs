'use strict';
// What stands before a server's entrance: a load shedder, which refuses the less important when there is too much to
// do.

const check = require('../lib/check.cjs');
const { OverloadedError } = require('../lib/errors.cjs');
const { keyOf } = require('../lib/key.cjs');
const { whenReady } = require('../lib/promise.cjs');
const { LoadShedder, priorityOf } = require('../lib/shed.cjs');
const { overload } = require('./limiter.cjs');

/** An entrance with a shedder before it. */
class Shedding {
  #shedder;
  #priority;
  #user;
  #inner;

  constructor(shedder, priority, user, inner) {
    this.#shedder = shedder;
    this.#priority = priority;
    this.#user = user;
    this.#inner = inner;
    shedder.watch();
  }

  /** @returns {Promise<Refusal | undefined> | Refusal | undefined} `undefined`: admitted */
  enter(exchange) {
    const { request } = exchange;
    const { length } = [this.#priority, this.#user].filter((it) => typeof it === 'function');
    if (length === 0) return this.#decide(exchange, this.#priority, undefined);
    const priority = typeof this.#priority === 'function' ? this.#priority(request) : this.#priority;
    return whenReady(priority, (known) =>
      whenReady(this.#user?.(request), (user) => this.#decide(exchange, known, user)),
    );
  }

  #decide(exchange, priority, user) {
    const who = user === undefined || user === null || user === '' ? exchange.clientKey : keyOf(user, 'user');
    const shed = this.#shedder.check(priority, this.#shedder.levelOf(who ?? ''));
    if (shed.allowed) return this.#inner?.enter(exchange);
    const message = `shed: ${shed.signal ?? 'load'} at ${Math.round(shed.pressure * 100)} % of its range`;
    return overload(exchange, new OverloadedError(message, shed.retryAfterMs));
  }

  close() {
    this.#inner?.close();
  }
}

/** The options `shedder`, `priority` and `user`, before a backlog's entrance. */
function sheddingOf({ shedder, priority, user }, inner) {
  if (shedder === undefined) {
    for (const [name, value] of Object.entries({ priority, user })) {
      if (value !== undefined) throw check.valueError(`${name}: it goes with a shedder; give one`);
    }
    return inner;
  }
  if (!(shedder instanceof LoadShedder)) {
    throw check.typeError(`shedder must be a LoadShedder, got ${check.show(shedder)}`);
  }
  if (user !== undefined) check.callable(user, 'user');
  if (priority !== undefined && typeof priority !== 'function') priorityOf(priority);
  return new Shedding(shedder, priority ?? 'normal', user, inner);
}

module.exports = { sheddingOf };
