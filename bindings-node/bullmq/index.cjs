'use strict';
// Workers of BullMQ that take as many jobs as can be done. It is not imported: a worker is known by its methods.

const { setTimeout: sleep } = require('node:timers/promises');
const check = require('../lib/check.cjs');
const { ConcurrencyLimiter } = require('../lib/concurrency.cjs');
const { CircuitOpenError, ConcurrencyLimitError } = require('../lib/errors.cjs');
const { reportCall } = require('../lib/outcome.cjs');
const { Switch } = require('../lib/pausing.cjs');
const { complain } = require('../lib/promise.cjs');
const { retryAfterMs } = require('../lib/retryable.cjs');

const PAUSE = ['minPauseMs', 'pauseAt', 'resumeAt'];
const OPTIONS = ['limiter', 'pauseWhen', 'queue', 'maxRetryAfterMs', ...PAUSE];
/** So often the source and the limit are looked at, besides at each job. */
const LOOK_MS = 50;
/** What was fetched ahead is not lost by a pause; it costs a command to Redis. */
const LEAST_PAUSE_MS = 500;
/** A server that asks for more is asked again nevertheless. */
const MOST_RETRY_AFTER_MS = 300_000;

/** `value`, which must have the methods. */
function having(value, methods, name, what) {
  for (const method of methods) {
    if (typeof value?.[method] === 'function') continue;
    throw check.typeError(`${name} must be ${what}, got ${check.show(value)} without ${method}()`);
  }
  return value;
}

/** The worker has ended before a job had its permit. */
class EndedError extends Error {}

class Pacing {
  #limiter;
  #queue;
  #maxRetryAfterMs;
  #switch;
  #worker;
  #timer;
  /** Its jobs under way, which hold a permit or wait for one. */
  #own = 0;
  /** Whether the user has paused, and whether the worker was paused for the source. */
  #isHeld = false;
  #isOurs = false;
  #isEnded = false;
  /** For those who wait for a permit when the worker ends: it waits for its jobs. */
  #ending = new AbortController();

  constructor(options) {
    const given = check.options(options, 'new Pacing', OPTIONS);
    const { limiter, pauseWhen, queue, maxRetryAfterMs = MOST_RETRY_AFTER_MS, ...pause } = given;
    if (limiter !== undefined && !(limiter instanceof ConcurrencyLimiter)) {
      throw check.typeError(`limiter must be a ConcurrencyLimiter, got ${check.show(limiter)}`);
    }
    this.#limiter = limiter;
    if (queue !== undefined) having(queue, ['rateLimit', 'getRateLimitTtl'], 'queue', 'a Queue of bullmq');
    this.#queue = queue;
    this.#maxRetryAfterMs = check.period(maxRetryAfterMs, 'maxRetryAfterMs');
    const actions = { pause: () => this.#pause(), resume: () => this.#resume() };
    this.#switch = new Switch(pauseWhen ?? (() => false), pause, 'new Pacing', actions, LEAST_PAUSE_MS);
  }

  /** The function for `new Worker`. */
  processor(handle) {
    check.callable(handle, 'handle');
    return (job, token, signal) => this.#process(() => handle(job, token, signal));
  }

  attach(worker) {
    // A queue has all but the last.
    having(worker, ['pause', 'resume', 'isPaused', 'on', 'cancelJob'], 'worker', 'a Worker of bullmq');
    if (this.#worker !== undefined) throw check.valueError('a Pacing is for one worker, and has one');
    if (this.#queue !== undefined && !(worker.opts?.limiter?.max > 0)) {
      throw check.valueError(
        'worker must have an option limiter, as { max: 1e9, duration: 1000 }: without one BullMQ ignores ' +
          'queue.rateLimit()',
      );
    }
    this.#worker = worker;
    worker.on('closing', () => this.#end());
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    this.#look();
    return worker;
  }

  get isPaused() {
    return this.#switch.paused;
  }

  get pauses() {
    return this.#switch.pauses;
  }

  /** By the user: no source resumes it. */
  pause() {
    this.#isHeld = true;
    this.#settled(this.#attached('pause').pause(true));
  }

  resume() {
    this.#isHeld = false;
    const worker = this.#attached('resume');
    if (!this.#switch.paused) this.#settled(worker.resume());
    // After the source's pause.
    else this.#isOurs = true;
  }

  #attached(method) {
    if (this.#worker === undefined) throw check.valueError(`${method}() needs a worker: call attach(worker) before`);
    return this.#worker;
  }

  #end() {
    this.#isEnded = true;
    this.#ending.abort(new EndedError());
    clearInterval(this.#timer);
    this.#switch.stop();
    this.#isOurs = false;
  }

  #look() {
    if (this.#isEnded) return;
    this.#follow();
    this.#switch.look();
  }

  /** As many jobs as it has under way, and what is free of the limit, which others may use as well. */
  #follow() {
    if (this.#limiter === undefined) return;
    const { limit, inUse } = this.#limiter.stats();
    this.#worker.concurrency = Math.max(1, this.#own + limit - inUse);
  }

  #pause() {
    // Who has paused it otherwise wants it so.
    if (this.#isOurs || this.#worker.isPaused()) return;
    this.#isOurs = true;
    // Without waiting for what is under way: that would be until it is done.
    this.#settled(this.#worker.pause(true));
  }

  #resume() {
    if (!this.#isOurs) return;
    this.#isOurs = false;
    if (!this.#isHeld) this.#settled(this.#worker.resume());
  }

  #settled(promise) {
    Promise.resolve(promise).catch((error) => complain('a worker could not be paused or resumed', error));
  }

  async #process(call) {
    this.#attached('processor');
    this.#look();
    try {
      return await (this.#limiter === undefined ? call() : this.#limited(call));
    } catch (error) {
      throw await this.#putOff(error);
    } finally {
      // Before BullMQ asks whether there is room for another.
      this.#look();
    }
  }

  async #limited(call) {
    // With the permit, at once: a look comes between at no time.
    this.#own += 1;
    let permit;
    let result;
    try {
      permit = await this.#permit();
      result = await call();
    } catch (error) {
      this.#own -= 1;
      if (permit !== undefined) reportCall(permit, false, error);
      throw error;
    }
    this.#own -= 1;
    reportCall(permit, true);
    return result;
  }

  /**
   * However long it takes: a job that was taken must not fail because another has the place. When the worker ends, it
   * goes back instead.
   */
  async #permit() {
    const { signal } = this.#ending;
    for (;;) {
      try {
        return await this.#limiter.acquire({ timeoutMs: Infinity, signal });
      } catch (error) {
        if (!(error instanceof ConcurrencyLimitError)) throw error;
      }
      await sleep(LOOK_MS);
    }
  }

  /** Where it says when to come again, the queue waits, and the job goes back unharmed. */
  async #putOff(error) {
    if (error instanceof EndedError) return this.#worker.constructor.RateLimitError();
    if (this.#queue === undefined) return error;
    let waitMs = retryAfterMs(error, this.#maxRetryAfterMs);
    // Half-open, and others probe: that takes no known time, and nothing was done.
    if (error instanceof CircuitOpenError) waitMs = Math.max(waitMs ?? 0, LOOK_MS);
    if (!(waitMs > 0)) return error;
    try {
      // A longer wait, of another job or process, stays.
      const leftMs = await this.#queue.getRateLimitTtl(this.#worker.opts.limiter.max);
      if (leftMs < waitMs) await this.#queue.rateLimit(Math.ceil(waitMs));
    } catch (failure) {
      complain('a queue could not be told to wait', failure);
      return error;
    }
    return this.#worker.constructor.RateLimitError();
  }
}

module.exports = { Pacing };
