'use strict';
// A cap on the requests under way: each holds a permit until it has ended (held.cjs).

const { ConcurrencyLimitError, ConcurrencyLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { acquireUnless, verifyPartition } = require('../lib/concurrency.cjs');
const { reportOutcome } = require('../lib/outcome.cjs');
const { isPromise } = require('../lib/promise.cjs');
const { overload } = require('./limiter.cjs');
const { declare } = require('./declare.cjs');
const { hold } = require('./held.cjs');
const { isOver, whenOver } = require('./over.cjs');

/** The requests of one server that ask for a permit of a limiter, which others may have as well. */
class Entrance {
  #limiter;
  /** Of routes that say none of their own: a partition's name, or a function of the request that gives one. */
  #partition;
  /** What refuses those who wait. */
  #waiting = new Set();
  #isClosed = false;

  constructor(limiter, partition) {
    this.#limiter = limiter;
    this.verify(partition);
    this.#partition = partition;
  }

  /** Throws for what is neither one of the limiter's partitions nor a function. */
  verify(partition) {
    if (typeof partition !== 'function') verifyPartition(this.#limiter, partition);
  }

  /**
   * Waits as long as the limiter does, and no longer than the connection lasts and the server is open. What is admitted
   * holds a permit until its answer is out: a request whose client has gone by then is refused like one that waited in
   * vain, because it would be served without one.
   *
   * @returns {Promise<Refusal | undefined>} `undefined`: admitted
   */
  async enter(exchange) {
    const { rawRequest: request, rawResponse: response } = exchange;
    // A WebSocket may be open for hours. Node says so only where the server hands it over, whatever the headers ask.
    if (request.upgrade === true) return undefined;
    let permit;
    try {
      let partition = exchange.partition ?? this.#partition;
      if (typeof partition === 'function') {
        partition = partition(exchange.request);
        if (isPromise(partition)) partition = await partition;
      }
      if (isOver(request, response)) throw new ConcurrencyLimitError();
      permit = await this.#acquire(request, response, partition ?? undefined);
      if (permit === null || isOver(request, response)) throw new ConcurrencyLimitError();
      hold(request, response, (outcome) => reportOutcome(permit, outcome));
      return undefined;
    } catch (error) {
      permit?.release();
      if (!(error instanceof ConcurrencyLimitError)) throw error;
      // A server that ends waits for idle connections as well. HTTP/2 has no such field.
      if (this.#isClosed && request.httpVersionMajor < 2) exchange.setHeader('Connection', 'close');
      return overload(exchange, error);
    }
  }

  /** The server ends, and would wait for its requests: those in line are refused, and who would wait from now on. */
  close() {
    this.#isClosed = true;
    this.#waiting.forEach((leave) => leave());
  }

  /** A permit or null, or a promise of one where there is a wait. */
  #acquire(request, response, partition) {
    if (this.#isClosed) return this.#limiter.tryAcquire({ partition });
    let end = () => {};
    const permit = acquireUnless(this.#limiter, partition, () => {
      const gone = new AbortController();
      const leave = () => gone.abort(new ConcurrencyLimitError());
      const stay = whenOver(request, response, leave);
      this.#waiting.add(leave);
      end = () => {
        stay();
        this.#waiting.delete(leave);
      };
      return gone.signal;
    });
    return isPromise(permit) ? permit.finally(() => end()) : permit;
  }
}

/** The options `concurrency`, a limiter or the settings of one, and `partition`. */
function entranceOf(value, partition, place) {
  if (value === undefined) {
    if (partition === undefined) return undefined;
    throw check.valueError('partition: it is one of a concurrency limiter; give concurrency as well');
  }
  if (value instanceof ConcurrencyLimiter) return new Entrance(value, partition);
  if (value === null || typeof value !== 'object') {
    const allowed = 'a ConcurrencyLimiter or its settings ({ limit: 50 })';
    throw check.typeError(`concurrency must be ${allowed}, got ${check.show(value)}`);
  }
  const make = (options) => new ConcurrencyLimiter(options);
  return new Entrance(declare(make, { ...place, ...value }, 'concurrency limiter'), partition);
}

module.exports = { entranceOf };
