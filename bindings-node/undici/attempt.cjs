'use strict';
// One attempt: resolves at the headers, and holds what follows until it is known who gets it.

const { MOST_BYTES, soon } = require('../lib/discard.cjs');

class Attempt {
  controller;
  status;
  headers;
  /** Whom to tell what becomes of the body; undefined: nobody. */
  end;
  #call;
  #resolve;
  #reject;
  #message;
  #isAnswered = false;
  /** What came before it was known who gets it, in order. */
  #held = [];
  #isDelivered = false;
  /** Bytes that are still read although nobody gets them; undefined: somebody does. */
  #left;
  #done = () => {};

  constructor(call, resolve, reject) {
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart(controller, context) {
    this.controller = controller;
    this.#call.started(context);
  }

  onRequestUpgrade(controller, status, headers, socket) {
    this.controller = controller;
    this.status = status;
    this.headers = headers;
    this.#isAnswered = this.#isDelivered = true;
    this.#resolve(this);
    this.#call.upgraded(status, headers, socket);
  }

  onResponseStart(controller, status, headers, message) {
    if (status < 200) return this.#call.head(status, headers, message);
    this.status = status;
    this.headers = headers;
    this.#message = message;
    this.#isAnswered = true;
    controller.pause();
    this.#resolve(this);
  }

  onResponseData(_controller, chunk) {
    this.#came('data', chunk);
  }

  onResponseEnd(_controller, trailers) {
    this.#came('end', trailers);
  }

  onResponseError(_controller, error) {
    if (this.#isAnswered) this.#came('error', error);
    else this.#reject(error);
  }

  #came(what, value) {
    if (this.#isDelivered) this.#delivered(what, value);
    else if (this.#left !== undefined) this.#discarded(what, value);
    else this.#held.push([what, value]);
  }

  #delivered(what, value) {
    if (what === 'data') return this.#call.data(value);
    if (what === 'end') {
      this.end?.ended();
      return this.#call.complete(value);
    }
    let error = value;
    try {
      this.end?.failed(error);
    } catch (thrown) {
      // By a predicate.
      error = thrown;
    }
    this.#call.fail(error);
  }

  #discarded(what, value) {
    if (what === 'data') {
      this.#left -= value.length;
      if (this.#left < 0) this.controller.abort();
      return;
    }
    this.#done();
    if (what === 'end') this.end?.ended();
    else this.end?.abandoned();
  }

  /**
   * The caller gets it. Never throws: what its handler throws ends the request, as with undici itself, and says nothing
   * of the dependency.
   */
  deliver() {
    // Upgraded: the connection is the caller's from here on.
    if (this.#isDelivered) return this.end?.ended();
    this.#isDelivered = true;
    try {
      this.#call.head(this.status, this.headers, this.#message);
      this.#replay();
    } catch (error) {
      return this.#giveUp(error);
    }
    if (!this.#call.controller.paused) this.controller.resume();
  }

  #giveUp(error) {
    this.#held = [];
    this.#isDelivered = false;
    // What may still come is nobody's.
    this.#left = MOST_BYTES;
    this.end?.abandoned();
    this.controller.abort(error);
    this.#call.fail(error);
  }

  /** Nobody gets it. As undici's own bodies have it. */
  get body() {
    return { dump: async () => this.#dump() };
  }

  #dump() {
    this.#left = MOST_BYTES;
    this.#done = soon(() => this.controller.abort());
    this.#replay();
    this.controller.resume();
  }

  #replay() {
    const held = this.#held;
    this.#held = [];
    for (const [what, value] of held) this.#came(what, value);
  }
}

module.exports = { Attempt };
