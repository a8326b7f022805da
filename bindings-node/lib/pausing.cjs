'use strict';
// When reading from a broker pauses: what a source says, for a least time, as each pause costs what was fetched.

const { CircuitBreaker } = require('./breaker.cjs');
const check = require('./check.cjs');
const { ConcurrencyLimiter } = require('./concurrency.cjs');
const { complain } = require('./promise.cjs');
const { BoundedQueue } = require('./queue.cjs');
const { pressureReader } = require('./shed.cjs');

const OPTIONS = ['minPauseMs', 'pauseAt', 'resumeAt'];
/** While paused the source is asked so often. */
const LOOK_MS = 50;

function level(value, name) {
  if (typeof value !== 'number') throw check.typeError(`${name} must be a number, got ${check.show(value)}`);
  if (!(value >= 0 && value < Infinity)) throw check.rangeError(`${name} must be a number from 0, got ${value}`);
  return value;
}

/** A function that says whether to pause, given whether it is paused. */
function wishOf(source, pauseAt, resumeAt) {
  const between = (read) => (paused) => {
    const value = read();
    if (typeof value === 'boolean') return value;
    if (typeof value !== 'number' || Number.isNaN(value)) {
      throw check.typeError(`the source must give a number or true or false, got ${check.show(value)}`);
    }
    return paused ? value > resumeAt : value >= pauseAt;
  };
  // Its own watermarks are the hysteresis.
  if (source instanceof BoundedQueue) return () => !source.isAccepting;
  // Open, and the cooldown is not over: it turns half-open at a call, which comes only if reading goes on then.
  if (source instanceof CircuitBreaker) return () => source.retryAfterMs > 0;
  if (source instanceof ConcurrencyLimiter) {
    return between(() => {
      const { inUse, limit } = source.stats();
      return inUse / limit;
    });
  }
  if (typeof source === 'function') return between(source);
  if (source !== null && typeof source === 'object' && 'pressure' in source) return between(pressureReader(source));
  throw check.typeError(
    'source must be a BoundedQueue, a ConcurrencyLimiter, a CircuitBreaker, an object with `pressure` or a function ' +
      `that gives a number or true or false, got ${check.show(source)}`,
  );
}

/** Pauses and resumes by a source: `pause()` also while paused, for what is new; each look while paused by a timer. */
class Switch {
  #wish;
  #minPauseMs;
  #pause;
  #resume;
  #since = 0;
  #isFailing = false;
  #timer;
  #isOver = false;
  paused = false;
  pauses = 0;

  constructor(source, options, where, { pause, resume }, leastPauseMs = 2000) {
    const { minPauseMs = leastPauseMs, pauseAt = 1, resumeAt = 0.5 } = check.options(options, where, OPTIONS);
    this.#minPauseMs = check.span(minPauseMs, 'minPauseMs');
    level(pauseAt, 'pauseAt');
    if (level(resumeAt, 'resumeAt') > pauseAt) {
      throw check.rangeError(`resumeAt must be at most pauseAt (${pauseAt}), got ${resumeAt}`);
    }
    this.#wish = wishOf(source, pauseAt, resumeAt);
    this.#pause = pause;
    this.#resume = resume;
  }

  /** Asks the source, acts, and says whether it is paused. */
  look() {
    if (this.#isOver) return false;
    const wished = this.#wished();
    if (wished && !this.paused) {
      this.paused = true;
      this.pauses += 1;
      this.#since = performance.now();
      // The consumer's own connections keep the process alive, or nothing does.
      this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
      this.#act(this.#pause);
    } else if (this.paused && !wished && performance.now() - this.#since >= this.#minPauseMs) {
      this.#end();
      this.#act(this.#resume);
    } else if (this.paused) {
      this.#act(this.#pause);
    }
    return this.paused;
  }

  /** Its consumer ends: nothing is paused or resumed any more, whatever handlers that still run ask. */
  stop() {
    this.#isOver = true;
    this.#end();
  }

  /** Its consumer begins again. */
  start() {
    this.#isOver = false;
  }

  #end() {
    this.paused = false;
    clearInterval(this.#timer);
  }

  /** A source that fails says nothing: it must not stop all reading for ever. */
  #wished() {
    try {
      const wished = this.#wish(this.paused);
      this.#isFailing = false;
      return wished;
    } catch (error) {
      if (!this.#isFailing) complain('the source of pauseWhen failed, and counts as no pressure until it works', error);
      this.#isFailing = true;
      return false;
    }
  }

  /** A consumer that was disconnected in between has nothing to pause. */
  #act(what) {
    try {
      what();
    } catch (error) {
      if (!this.#isFailing) complain('a consumer could not be paused or resumed', error);
      this.#isFailing = true;
    }
  }
}

module.exports = { Switch };
