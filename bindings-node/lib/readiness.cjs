'use strict';
// `/readyz`: whether a load balancer should send requests here.

const { tell } = require('./answer.cjs');
const check = require('./check.cjs');
const { nowMs, selectClock } = require('./clock.cjs');
const { complain } = require('./promise.cjs');
const { pressureReader } = require('./shed.cjs');
const { shown } = require('./show.cjs');

/** Each process waits up to this part of `afterMs` longer, drawn once. */
const SPREAD = 0.5;

let verify;
let spreadOf;

class Readiness {
  #look;
  #clock;
  #afterMs;
  #longerMs;
  #sinceMs;
  #isStopped = false;

  static {
    verify = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#look in self)) throw check.detached('Readiness', method);
    };
    /** For tests, which give the draw. */
    spreadOf = (self, draw) => {
      self.#longerMs = self.#afterMs * (1 + SPREAD * draw);
    };
  }

  constructor(source, options = {}) {
    const { afterMs = 5000, clock } = check.options(options, 'new Readiness', ['afterMs', 'clock']);
    const hasPressure = source !== null && typeof source === 'object' && 'pressure' in source;
    if (!hasPressure && typeof source !== 'function') {
      throw check.typeError(`source must be an object with a pressure, or a function, got ${check.show(source)}`);
    }
    this.#look = hasPressure ? pressureReader(source) : source;
    this.#afterMs = check.span(afterMs, 'afterMs');
    selectClock(clock);
    this.#clock = clock;
    spreadOf(this, Math.random());
    this.handler = this.handler.bind(this);
  }

  /** Whoever reads it looks at the source. */
  get isReady() {
    verify(this, 'isReady');
    if (this.#isStopped) return false;
    if (!this.#isFull()) {
      this.#sinceMs = undefined;
      return true;
    }
    const now = nowMs(this.#clock);
    if (this.#sinceMs === undefined || now < this.#sinceMs) this.#sinceMs = now;
    return now - this.#sinceMs < this.#longerMs;
  }

  #isFull() {
    try {
      const pressure = this.#look();
      if (typeof pressure !== 'number' || Number.isNaN(pressure)) {
        throw check.typeError(`source must give a pressure from 0 to 1, got ${check.show(pressure)}`);
      }
      return pressure >= 1;
    } catch (error) {
      complain('the source of a Readiness failed; the service counts as ready', error);
      return false;
    }
  }

  stop() {
    verify(this, 'stop');
    this.#isStopped = true;
  }

  handler(request, response) {
    const ready = this.isReady;
    tell(request, response, ready ? 200 : 503, 'application/json', JSON.stringify({ ready }));
  }

  static {
    shown(this, (it) => ({ afterMs: it.#afterMs, isReady: it.isReady }));
  }
}

module.exports = { Readiness, spreadOf: (...given) => spreadOf(...given) };
