'use strict';
// Work off what is submitted, by so many workers, with retries, a dead letter and an end in order.

const { AsyncLocalStorage } = require('node:async_hooks');
const { writeSync } = require('node:fs');
const { throwIfAborted } = require('./abort.cjs');
const { takesNothing, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { after, alarm, turn } = require('./clock.cjs');
const { Deadline } = require('./deadline.cjs');
const { discard, discardError } = require('./discard.cjs');
const { QueueClosedError, TimeoutExceededError, isUnmade } = require('./errors.cjs');
const { Job, Jobs } = require('./jobs.cjs');
const { complain, isPromise } = require('./promise.cjs');
const { RetryPolicy, stepsOf } = require('./retry.cjs');
const { shown } = require('./show.cjs');
const { timed } = require('./timeout.cjs');

const OPTIONS = ['workers', 'capacity', 'retry', 'deadLetter', 'timeoutMs', 'retryAfterMs'];
/** Where a generator is to be worked. */
const ADVICE = 'Work off the part that iterates it';
/** ms more that a close has for the dead letters of what it cuts. */
const GRACE_MS = 1000;
/** So many items all workers take before the loop comes round: promises alone let nothing else run. */
const AT_A_TIME = 64;

/** Whose workers this runs in. */
const inside = new AsyncLocalStorage();

/** Processors with items, for the end of the program. */
const busy = new Set();
let isHeard = false;

/** Nobody works off what is left: that is said, and not waited for. */
function sayLeft() {
  for (const { jobs } of busy) {
    const { waiting, active, retrying } = jobs.stats();
    const left = `${waiting + active + retrying} items in a Processor (${waiting} waiting, ${active} active)`;
    writeSync(2, `tidegate: the program ends with ${left}; close it before\n`);
  }
}

const isTimeout = (error) => error instanceof TimeoutExceededError && !isUnmade(error);

let verify;

class Processor {
  #handler;
  #passes;
  #deadLetter;
  #retry;
  #limitMs;
  #jobs;
  /** Aborts what runs at the end of the time for a close. */
  #stop = new AbortController();
  #cuts = new Set();
  /** Runs a function where the processor was made: what surrounds a submit is not the item's. */
  #here;
  #entry;

  static {
    verify = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#jobs in self)) throw check.detached('Processor', method);
    };
  }

  constructor(handler, options = {}) {
    check.callable(handler, 'handler');
    verifyCallee(handler, ADVICE);
    const given = check.options(options, 'new Processor', OPTIONS);
    const { workers = 10, capacity = 5000, retry, deadLetter, timeoutMs, retryAfterMs } = given;
    check.whole(workers, 'workers', 1, 10_000);
    if (retry !== undefined) {
      if (!(retry instanceof RetryPolicy)) {
        throw check.typeError(`retry must be a RetryPolicy, got ${check.show(retry)}`);
      }
      this.#retry = stepsOf(retry);
    }
    if (deadLetter !== undefined) {
      check.callable(deadLetter, 'deadLetter');
      verifyCallee(deadLetter, ADVICE);
    }
    this.#limitMs = timeoutMs === undefined ? Infinity : check.limit(timeoutMs, 'timeoutMs');
    if (retryAfterMs !== undefined) check.span(retryAfterMs, 'retryAfterMs');
    this.#jobs = new Jobs(workers, capacity, retryAfterMs);
    this.#handler = handler;
    // The signal is made for who may look at it.
    this.#passes = handler.length !== 1 && !takesNothing(handler);
    this.#deadLetter = deadLetter;
    const around = inside.getStore() ?? [];
    this.#here = inside.run([...around, this], () => Deadline.detached(() => AsyncLocalStorage.snapshot()));
    this.#entry = { jobs: this.#jobs };
  }

  trySubmit(item) {
    verify(this, 'trySubmit');
    return this.#jobs.tryRoom() ? this.#put(item) : undefined;
  }

  async submit(item, options = undefined) {
    verify(this, 'submit');
    const waiting = check.waiting(options, 'submit');
    throwIfAborted(waiting.signal);
    if (!this.#jobs.tryRoom(true)) await this.#jobs.waitRoom(waiting);
    return this.#put(item);
  }

  #put(item) {
    const job = new Job(this.#jobs, item);
    const { isIdle } = this.#jobs;
    if (this.#jobs.accept(job)) this.#start(job);
    if (isIdle) this.#isBusy();
    return job;
  }

  #isBusy() {
    if (!isHeard) process.on('exit', sayLeft);
    isHeard = true;
    busy.add(this.#entry);
    this.#jobs.watch(() => busy.delete(this.#entry));
  }

  #start(job) {
    // Not within the submit: its caller is told first.
    queueMicrotask(() => this.#here(() => this.#live(job)));
  }

  /** Lets begin what waits and can. */
  #fill() {
    for (let job = this.#jobs.fill(); job !== undefined; job = this.#jobs.fill()) this.#start(job);
  }

  async #live(first) {
    const most = Math.max(1, Math.floor(AT_A_TIME / this.#jobs.workers));
    let count = 0;
    for (let job = first; job !== undefined; job = this.#jobs.next()) {
      await this.#work(job);
      count += 1;
      if (count % most === 0) await turn();
    }
  }

  /** Makes an attempt, and what follows from it. Never throws. */
  async #work(job) {
    const retry = this.#retry;
    let end;
    if (job.isLast) {
      end = { error: job.last };
    } else {
      job.attempts += 1;
      try {
        const isFirst = job.attempts === 1;
        if (isFirst && retry !== undefined) job.start = retry.begin();
        const attempt = () =>
          this.#inTime((call) => (this.#passes ? this.#handler(job.item, call.signal) : this.#handler(job.item)));
        const result = await (retry === undefined ? attempt() : retry.attempt(isFirst, attempt));
        const failed = retry?.failed(result);
        if (failed === undefined) return this.#end(job, 'done', result);
        end = { result, failed };
      } catch (error) {
        if (this.#limitMs !== Infinity && isTimeout(error)) this.#jobs.timedOut();
        end = { error, failed: undefined };
      }
      const next = this.#after(job, end);
      if (next !== undefined && this.#jobs.retry(job)) return this.#rest(job, end, next);
    }
    if (end.failed !== undefined) return this.#end(job, 'done', end.result);
    return this.#bury(job, end.error);
  }

  /** Until the next attempt; it holds no worker meanwhile. */
  #rest(job, end, [waitMs, previous]) {
    const isError = end.failed === undefined;
    if (isError) discardError(end.error);
    else discard(end.result);
    job.previous = previous;
    // Of a result that was to be tried again there is none.
    job.last = isError ? end.error : new QueueClosedError('processor was closed before another attempt');
    job.stopTimer = alarm(waitMs, this.#retry.clock, () => {
      this.#jobs.due(job);
      this.#fill();
    });
  }

  /** The wait before another attempt; undefined: none. What the policy throws is the item's error. */
  #after(job, end) {
    if (this.#retry === undefined || this.#stop.signal.aborted) return undefined;
    try {
      return this.#retry.after(end, job.attempts, job.previous, job.start);
    } catch (error) {
      end.error = error;
      end.failed = undefined;
      return undefined;
    }
  }

  /** Settles as `fn` does, or at the timeout, or at the end of a close, whatever `fn` does then. */
  #inTime(fn) {
    return this.#limitMs === Infinity ? this.#untilCut(fn) : this.#timed(fn);
  }

  #timed(fn) {
    let isLate = false;
    let hasLeft = false;
    const left = () => {
      hasLeft = true;
      if (isLate) this.#jobs.stuck(-1);
    };
    const { signal } = this.#stop;
    const settled = timed(fn, this.#limitMs, undefined, signal.aborted ? undefined : signal, left);
    return settled.catch((error) => {
      if (!hasLeft) {
        isLate = true;
        this.#jobs.stuck(1);
      }
      throw error;
    });
  }

  #untilCut(fn) {
    return new Promise((resolve, reject) => {
      let isLate = false;
      const cut = () => {
        isLate = true;
        this.#jobs.stuck(1);
        reject(this.#stop.signal.reason);
      };
      const settle = (how, value) => {
        this.#cuts.delete(cut);
        if (isLate) this.#jobs.stuck(-1);
        how(value);
      };
      // What begins after that has its own end.
      if (!this.#stop.signal.aborted) this.#cuts.add(cut);
      let result;
      try {
        result = fn(this.#stop);
      } catch (error) {
        settle(reject, error);
        return;
      }
      if (!isPromise(result)) settle(resolve, result);
      else {
        Promise.resolve(result).then(
          (value) => settle(resolve, value),
          (error) => settle(reject, error),
        );
      }
    });
  }

  /** Ends all that runs, in time or not. */
  #cut() {
    this.#stop.abort(new TimeoutExceededError('processor was closed before its handler returned'));
    for (const cut of this.#cuts) cut();
    this.#cuts.clear();
  }

  async #bury(job, error) {
    const letter = this.#deadLetter;
    if (letter === undefined) {
      this.#end(job, 'failed', error);
      return;
    }
    try {
      await this.#inTime(() => letter(job.item, error, job.attempts));
    } catch (thrown) {
      complain('deadLetter of a Processor failed; its item counts as failed', thrown);
      this.#end(job, 'failed', error);
      return;
    }
    this.#end(job, 'dead', error);
  }

  #end(job, end, value) {
    this.#jobs.finish(job, end);
    job.end(end === 'done' ? 'resolve' : 'reject', value);
  }

  async close(options = {}) {
    verify(this, 'close');
    const { drain = true, timeoutMs } = check.options(options, 'close', ['drain', 'timeoutMs']);
    if (drain !== true && drain !== 'give_back') {
      throw check.valueError(`close: drain must be true or 'give_back', got ${check.show(drain)}`);
    }
    const patienceMs = check.patience(timeoutMs, 'timeoutMs');
    this.#jobs.close();
    const given = drain === true ? [] : this.#giveBack();
    // For itself it would wait for ever.
    if ((inside.getStore() ?? []).includes(this)) return given;
    if (await this.#isIdleIn(patienceMs)) return given;
    given.push(...this.#giveBack());
    this.#cut();
    if (!(await this.#isIdleIn(GRACE_MS))) {
      complain('Processor', new Error('it is closed, and its dead letters have not ended in time'));
    }
    return given;
  }

  #giveBack() {
    const back = this.#jobs.takeBack();
    for (const job of back) job.drop();
    this.#fill();
    return back.map(({ item }) => item);
  }

  #isIdleIn(patienceMs) {
    return new Promise((resolve) => {
      const cancel = after(patienceMs, () => resolve(this.#jobs.isIdle));
      this.#jobs.watch(() => {
        cancel();
        resolve(true);
      });
    });
  }

  stats() {
    verify(this, 'stats');
    return this.#jobs.stats();
  }

  get depth() {
    verify(this, 'depth');
    return this.#jobs.depth;
  }

  get isAccepting() {
    verify(this, 'isAccepting');
    return this.#jobs.isAccepting;
  }

  get isClosed() {
    verify(this, 'isClosed');
    return this.#jobs.isClosed;
  }

  get retryAfterMs() {
    verify(this, 'retryAfterMs');
    return this.#jobs.retryAfterMs;
  }

  get workers() {
    verify(this, 'workers');
    return this.#jobs.workers;
  }

  get capacity() {
    verify(this, 'capacity');
    return this.#jobs.capacity;
  }

  static {
    shown(this, (it) => ({
      workers: it.workers,
      capacity: it.capacity,
      isClosed: it.isClosed,
      ...it.stats(),
    }));
    if (Symbol.asyncDispose !== undefined) {
      Object.defineProperty(this.prototype, Symbol.asyncDispose, {
        async value() {
          await this.close();
        },
        writable: true,
        configurable: true,
      });
    }
  }
}

module.exports = { Processor };
