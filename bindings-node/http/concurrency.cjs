'use strict';
// A cap on the requests under way: each holds a permit until its answer is out, or its connection is gone and its
// handler has ended.

const { ConcurrencyLimitError, ConcurrencyLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { acquireUnless, verifyPartition } = require('../lib/concurrency.cjs');
const { reportAnswer, reportStatus } = require('../lib/outcome.cjs');
const { isPromise } = require('../lib/promise.cjs');
const { overload } = require('./gate.cjs');
const { declare } = require('./declare.cjs');
const { isOver, whenOver } = require('./over.cjs');
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
function ended(permit, response) {
  if (response.headersSent || response.writableEnded === true) return void reportAnswer(permit, response);
  if (isTornDown(response)) return void permit.ignore();
  const spoken = [...methodsOf(response)]
    .filter(([object, name]) => typeof object[name] === 'function')
    .map(([object, name]) => ({ object, name, method: object[name], isOwn: Object.hasOwn(object, name) }));
  const over = (report) => {
    clearTimeout(timer);
    response.off('pipe', piped);
    for (const { object, name, method, isOwn } of spoken) {
      if (isOwn) object[name] = method;
      else delete object[name];
    }
    report();
  };
  // What is piped into it is its answer, of which nothing may come any more.
  const piped = () => over(() => reportStatus(permit, response.statusCode));
  const timer = setTimeout(() => over(() => permit.ignore()), alone.mostMs).unref();
  response.once('pipe', piped);
  for (const { object, name } of spoken) {
    object[name] = (...given) => {
      over(() => {
        if (GIVEN_UP.includes(name)) permit.ignore();
        else reportStatus(permit, statusIn(name, given[0]) ?? response.statusCode);
      });
      return object[name](...given);
    };
  }
}

/** Of what begins an answer: the status that it is given. */
function statusIn(name, given) {
  if (name === 'writeHead') return Number(given);
  return name.startsWith('respond') ? given?.[':status'] : undefined;
}

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
      heed(request, response);
      whenOver(request, response, () => ended(permit, response));
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

module.exports = { alone, entranceOf };
