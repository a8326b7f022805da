'use strict';
// A request as its caller sees it, which may be several attempts.

const { Attempt } = require('./attempt.cjs');
const { isKey, isRepeatable } = require('../client/repeatable.cjs');

/** Headers come as an object, as a flat array of names and values, or as pairs. */
function fieldsOf(headers) {
  if (headers === null || headers === undefined) return [];
  if (typeof headers[Symbol.iterator] !== 'function') return Object.entries(headers);
  if (!Array.isArray(headers) || Array.isArray(headers[0])) return [...headers];
  return headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]]] : []));
}

const hasKey = (headers) =>
  fieldsOf(headers).some(([name, value]) => String(name).toLowerCase() === 'idempotency-key' && isKey(value));

/** These headers in place of the request's own. */
function withHeaders(opts, more) {
  const names = Object.keys(more);
  if (names.length === 0) return opts;
  const kept = fieldsOf(opts.headers).filter(
    ([name]) => !names.some((one) => one.toLowerCase() === String(name).toLowerCase()),
  );
  return { ...opts, headers: [...kept, ...Object.entries(more)].flat() };
}

/** The whole address, where the dispatcher is told one: a Client and a Pool have their own. */
function urlOf({ origin, path }) {
  try {
    return new URL(path ?? '/', origin);
  } catch {
    return undefined;
  }
}

class Call {
  request;
  /** What the caller's handler is given: the controller of the attempt under way, whichever that is. */
  controller;
  #dispatch;
  #opts;
  #handler;
  #life = new AbortController();
  #isStarted = false;
  /** What the handler threw at the start: `{ error }`. */
  #mistake;
  /** Whose events reach the handler. */
  #attempt;

  constructor(dispatch, opts, handler) {
    this.#dispatch = dispatch;
    this.#opts = opts;
    this.#handler = handler;
    const method = String(opts.method ?? 'GET').toUpperCase();
    this.request = {
      url: urlOf(opts),
      method,
      headers: opts.headers,
      // What has been upgraded is a connection, and no answer that could be had again.
      isRepeatable: !opts.upgrade && isRepeatable(method, opts.body, opts.idempotent, () => hasKey(opts.headers)),
      signal: this.#life.signal,
    };
    const reasonOf = () => (opts.signal?.aborted === true ? opts.signal.reason : undefined);
    this.controller = new Controller(this.#life, () => this.#attempt?.controller, reasonOf);
  }

  send(more) {
    return new Promise((resolve, reject) => {
      this.#attempt = new Attempt(this, resolve, reject);
      try {
        this.#dispatch(withHeaders(this.#opts, more), this.#attempt);
      } catch (error) {
        reject(error);
      }
    });
  }

  follow(answer, end) {
    answer.end = end;
    return answer;
  }

  /** The handler is told of one start, however many attempts there are. */
  started(context) {
    if (this.#isStarted) return;
    this.#isStarted = true;
    try {
      this.#handler.onRequestStart?.(this.controller, context);
    } catch (error) {
      this.#mistake = { error };
      throw error;
    }
  }

  /** What the handler threw before anything was sent: another attempt would not ask it again. */
  isMistake(error) {
    return this.#mistake !== undefined && this.#mistake.error === error;
  }

  upgraded(status, headers, socket) {
    this.#handler.onRequestUpgrade?.(this.controller, status, headers, socket);
  }

  head(status, headers, message) {
    this.#handler.onResponseStart?.(this.controller, status, headers, message);
  }

  data(chunk) {
    this.#handler.onResponseData?.(this.controller, chunk);
  }

  complete(trailers) {
    this.#handler.onResponseEnd?.(this.controller, trailers);
  }

  fail(error) {
    this.#handler.onResponseError?.(this.controller, error);
  }
}

/** Outlives the attempts: an abort ends the one under way, or the wait for the next. */
class Controller {
  #life;
  #current;
  /** Why the caller's own signal aborted, where it has: undici names no reason once there is a body. */
  #reasonOf;
  #paused = false;

  constructor(life, current, reasonOf) {
    this.#life = life;
    this.#current = current;
    this.#reasonOf = reasonOf;
  }

  get paused() {
    return this.#paused;
  }

  get aborted() {
    return this.#life.signal.aborted;
  }

  get reason() {
    return this.aborted ? this.#life.signal.reason : null;
  }

  get rawHeaders() {
    return this.#current()?.rawHeaders ?? null;
  }

  get rawTrailers() {
    return this.#current()?.rawTrailers ?? null;
  }

  pause() {
    this.#paused = true;
    this.#current()?.pause();
  }

  resume() {
    this.#paused = false;
    this.#current()?.resume();
  }

  abort(reason) {
    this.#life.abort(reason ?? this.#reasonOf());
    this.#current()?.abort(reason);
  }
}

module.exports = { Call };
