'use strict';
// What a processor has accepted, and where each of it is: one state for each item at any instant.

const { Line } = require('./line.cjs');
const { Outflow } = require('./outflow.cjs');
const { BoundedQueue } = require('./queue.cjs');
const { QueueClosedError, QueueEmptyError, QueueFullError } = require('./errors.cjs');

const CLOSED = 'processor is closed';

/** What `submit` gives: the item's result, and its way out before it begins. */
class Job {
  #jobs;
  #promise;
  #settle;
  /** `{ how, value }` once it has ended. */
  #end;
  attempts = 0;
  previous = 0;
  start = 0;
  /** By what it is to end, without another attempt. */
  last;
  /** Of its wait for another attempt. */
  stopTimer;

  constructor(jobs, item) {
    this.#jobs = jobs;
    this.item = item;
  }

  /** Made for who asks. A rejection that nobody takes is in the stats, and ends no process. */
  get result() {
    if (this.#promise === undefined) {
      this.#promise = new Promise((resolve, reject) => {
        this.#settle = { resolve, reject };
        if (this.#end !== undefined) this.#settle[this.#end.how](this.#end.value);
      });
      this.#promise.then(undefined, () => {});
    }
    return this.#promise;
  }

  cancel() {
    if (!this.#jobs.withdraw(this)) return false;
    this.drop();
    return true;
  }

  /** Of what is in no place any more. */
  drop() {
    this.end('reject', new DOMException('the item was taken out before it began', 'AbortError'));
  }

  end(how, value) {
    this.#end = { how, value };
    this.#settle?.[how](value);
  }
}

/**
 * The ledger. The invariant: an item that is accepted is in exactly one of the places, or counted in one end.
 *
 * Rooms are places of the capacity: a number, and while somebody waits for one also the items of a BoundedQueue, for
 * who waits does so there, in its order, with its timeout, and learns of its close. An item has a room while it waits
 * and while it waits for another attempt. An attempt that fails while there is none owes one: the next room that is
 * given back is not handed on. So there are never more than capacity + workers items.
 */
class Jobs {
  #free;
  #inLine = 0;
  #owed = 0;
  #rooms;
  #waiting = new Line();
  #active = new Set();
  #retrying = new Set();
  #counts = { done: 0, failed: 0, dead: 0, accepted: 0, withdrawn: 0, retries: 0, timedOut: 0, stuck: 0, rejected: 0 };
  #running = 0;
  #triesNoMore = false;
  #watchers = [];
  #retryAfterMs;
  #outflow = new Outflow();
  isClosed = false;

  constructor(workers, capacity, retryAfterMs) {
    this.#rooms = new BoundedQueue({ capacity, highWatermark: 1 });
    this.workers = workers;
    this.capacity = capacity;
    this.#free = capacity;
    this.#retryAfterMs = retryAfterMs;
  }

  /** As told, or how long all that is under way takes at the rate at which items end. */
  get retryAfterMs() {
    if (this.#retryAfterMs !== undefined) return this.#retryAfterMs;
    const { done, failed, dead, withdrawn, accepted } = this.#counts;
    const ended = done + failed + dead;
    // What was withdrawn does not count as accepted any more.
    return this.#outflow.retryAfterMs(accepted - ended, ended + withdrawn);
  }

  // Rooms

  tryRoom(waits = false) {
    if (this.isClosed) throw new QueueClosedError(CLOSED);
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    if (this.#rooms.tryPop() !== undefined) return true;
    if (!waits) this.#counts.rejected += 1;
    return false;
  }

  async waitRoom(waiting) {
    this.#inLine += 1;
    try {
      await this.#rooms.pop(waiting);
    } catch (error) {
      if (error instanceof QueueClosedError) throw new QueueClosedError(CLOSED);
      if (!(error instanceof QueueEmptyError)) throw error;
      this.#counts.rejected += 1;
      throw new QueueFullError(`processor is full (${this.capacity} items wait)`, this.retryAfterMs);
    } finally {
      this.#inLine -= 1;
    }
  }

  #takeRoom() {
    if (this.#free > 0) this.#free -= 1;
    else if (this.isClosed || this.#rooms.tryPop() === undefined) this.#owed += 1;
  }

  #giveRoom() {
    if (this.#owed > 0) this.#owed -= 1;
    // Who has been granted one stays in the line until its promise has come round: one more is for whoever comes.
    else if (this.#inLine > 0 && !this.isClosed) this.#rooms.tryPush(true);
    else this.#free += 1;
  }

  // From place to place

  /** Puts in a job that has a room; true: it begins, with a worker of its own. */
  accept(job) {
    if (this.isClosed) throw new QueueClosedError(CLOSED);
    this.#counts.accepted += 1;
    if (this.#running < this.workers) {
      this.#running += 1;
      this.#begin(job);
      return true;
    }
    this.#waiting.push(job);
    return false;
  }

  /** A job that waits and could begin, with a worker of its own. */
  fill() {
    if (this.#waiting.length === 0 || this.#running >= this.workers) return undefined;
    this.#running += 1;
    return this.#begin(this.#waiting.shift());
  }

  /** A worker's next job; without one it is none any more. */
  next() {
    if (this.#waiting.length > 0) return this.#begin(this.#waiting.shift());
    this.#running -= 1;
    return undefined;
  }

  #begin(job) {
    this.#active.add(job);
    this.#giveRoom();
    return job;
  }

  withdraw(job) {
    if (job.attempts > 0 || !Line.has(job)) return false;
    this.#waiting.remove(job);
    this.#gone(1);
    this.#giveRoom();
    this.#tell();
    return true;
  }

  #gone(count) {
    this.#counts.accepted -= count;
    this.#counts.withdrawn += count;
  }

  /** Puts an active job where it waits for its next attempt; false: there is none any more. */
  retry(job) {
    if (this.#triesNoMore) return false;
    this.#active.delete(job);
    this.#takeRoom();
    this.#counts.retries += 1;
    this.#retrying.add(job);
    return true;
  }

  /** Its wait is over: to the front of the line, for it was accepted before all others. */
  due(job) {
    if (this.#retrying.delete(job)) this.#waiting.unshift(job);
  }

  /** @param end 'done', 'failed' or 'dead' */
  finish(job, end) {
    this.#active.delete(job);
    this.#counts[end] += 1;
    this.#tell();
  }

  timedOut() {
    this.#counts.timedOut += 1;
  }

  stuck(change) {
    this.#counts.stuck += change;
  }

  // The end

  close() {
    this.isClosed = true;
    this.#free = 0;
    this.#rooms.drain();
  }

  /** Takes out all that has not begun. What waits for another attempt gets none, and ends by its last error. */
  takeBack() {
    this.#triesNoMore = true;
    const back = [...this.#waiting].filter(({ attempts }) => attempts === 0);
    for (const job of back) this.#waiting.remove(job);
    this.#gone(back.length);
    for (const job of this.#retrying) {
      // Else the process would wait for it.
      job.stopTimer();
      this.#waiting.push(job);
    }
    this.#retrying.clear();
    for (const job of this.#waiting) job.isLast = true;
    this.#tell();
    return back;
  }

  /** Calls `then` once nothing is under way. */
  watch(then) {
    this.#watchers.push(then);
    this.#tell();
  }

  get isIdle() {
    return this.#waiting.length + this.#active.size + this.#retrying.size === 0;
  }

  #tell() {
    if (this.#watchers.length === 0 || !this.isIdle) return;
    for (const then of this.#watchers.splice(0)) then();
  }

  // How it stands

  get depth() {
    return this.#waiting.length + this.#retrying.size;
  }

  get isAccepting() {
    return !this.isClosed && (this.#free > 0 || this.#rooms.depth > 0);
  }

  stats() {
    const { done, failed, dead, ...more } = this.#counts;
    const [waiting, active, retrying] = [this.#waiting.length, this.#active.size, this.#retrying.size];
    return { waiting, active, retrying, done, failed, dead, ...more };
  }
}

module.exports = { Job, Jobs };
