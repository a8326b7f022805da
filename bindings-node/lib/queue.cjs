'use strict';

const { addon, words, numbers } = require('./native.cjs');
const { throwIfAborted } = require('./abort.cjs');
const check = require('./check.cjs');
const { shown } = require('./show.cjs');
const { selectClock } = require('./clock.cjs');
const { QueueClosedError, QueueEmptyError, QueueFullError, refusalOf } = require('./errors.cjs');
const { complain, isPromise } = require('./promise.cjs');
const { Ring } = require('./ring.cjs');
const { SETTINGS, choice, number } = require('./settings.cjs');
const { join } = require('./waiters.cjs');

const { queue } = addon;
/** What an operation came to, by src/queue.rs. */
const OK = 0;
const OK_DROPPED_OLDEST = 1;
const CLOSED = 3;

const OPTIONS = ['capacity', 'highWatermark', 'lowWatermark', 'onFull', 'onDrop', 'sojourn', 'retryAfterMs', 'clock'];
const FIELDS = SETTINGS.queue;

let select;

class BoundedQueue {
  /** Its place in the addon's table. */
  #id;
  /** The items, in the order in which the core accepted them. */
  #items = new Ring();
  /** Waiting pushes and pops, longest first. A pop waits only while there is no item. */
  #pushers = new Set();
  #poppers = new Set();
  #onDrop;
  #retryAfterMs;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('BoundedQueue', method);
      words[0] = self.#id;
    };
  }

  constructor(options) {
    const given = check.options(options, 'new BoundedQueue', OPTIONS);
    const { capacity, highWatermark, lowWatermark, sojourn = FIELDS.sojourn.default } = given;
    const { onDrop, retryAfterMs = 1000, clock } = given;
    const onFull = choice(FIELDS.on_full, given.onFull);
    check.bool(sojourn, 'sojourn');
    if (onDrop !== undefined) check.callable(onDrop, 'onDrop');
    numbers[0] = number(FIELDS.capacity, capacity);
    numbers[1] = number(FIELDS.high_watermark, highWatermark);
    numbers[2] = number(FIELDS.low_watermark, lowWatermark);
    numbers[3] = FIELDS.on_full.texts.indexOf(onFull);
    numbers[4] = Number(sojourn);
    this.#retryAfterMs = check.span(retryAfterMs, 'retryAfterMs');
    this.#onDrop = onDrop;
    selectClock(clock);
    queue.create(this);
    this.#id = words[0];
  }

  tryPush(item) {
    return this.#offer(item, 'tryPush') <= OK_DROPPED_OLDEST;
  }

  async push(item, options = undefined) {
    select(this, 'push');
    const waiting = check.waiting(options, 'push');
    throwIfAborted(waiting.signal);
    const outcome = this.#offer(item, 'push', queue.lookPush);
    if (outcome <= OK_DROPPED_OLDEST) return;
    if (outcome === CLOSED) throw refusalOf(this, new QueueClosedError());
    await join(this.#pushers, { item }, waiting, (pusher) => this.#lastLook(pusher));
  }

  tryPop() {
    if (!this.#take('tryPop')) return undefined;
    return this.#deliver();
  }

  tryPopTimed() {
    if (!this.#take('tryPopTimed')) return undefined;
    const sojournMs = numbers[0];
    return { item: this.#deliver(), sojournMs };
  }

  async pop(options = undefined) {
    select(this, 'pop');
    const waiting = check.waiting(options, 'pop');
    throwIfAborted(waiting.signal);
    if (this.#take('pop')) return this.#deliver();
    if (words[1] === CLOSED) throw new QueueClosedError();
    return join(this.#poppers, {}, waiting, () => new QueueEmptyError());
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      let item;
      try {
        item = await this.pop();
      } catch (error) {
        if (error instanceof QueueClosedError) return;
        throw error;
      }
      yield item;
    }
  }

  close() {
    select(this, 'close');
    queue.close();
    this.#dismiss();
  }

  drain() {
    select(this, 'drain');
    queue.drain();
    this.#dismiss();
    return Array.from({ length: this.#items.length }, () => this.#items.shift());
  }

  get isAccepting() {
    select(this, 'isAccepting');
    queue.isAccepting();
    return words[1] === 1;
  }

  get isClosed() {
    select(this, 'isClosed');
    queue.isClosed();
    return words[1] === 1;
  }

  get depth() {
    select(this, 'depth');
    queue.depth();
    return numbers[0];
  }

  get retryAfterMs() {
    select(this, 'retryAfterMs');
    return this.#retryAfterMs;
  }

  stats() {
    select(this, 'stats');
    queue.stats();
    return {
      depth: numbers[0],
      accepting: words[1] === 1,
      pushed: numbers[1],
      popped: numbers[2],
      rejected: numbers[3],
      dropped: numbers[4],
    };
  }

  /** At the end of a push's patience: the look that counts its rejection. */
  #lastLook(pusher) {
    this.#pushers.delete(pusher);
    if (this.#offer(pusher.item, 'push') > OK_DROPPED_OLDEST) {
      select(this, 'push');
      return refusalOf(this, new QueueFullError(queue.refused(), this.#retryAfterMs));
    }
    pusher.grant();
    return undefined;
  }

  /**
   * Asks the core to accept `item`; puts it where a pop finds it, or hands it to the pop that waits for it. A push that
   * waits only looks: the core counts a rejection for each `tryPush` that finds no room.
   */
  #offer(item, method, ask = queue.tryPush) {
    select(this, method);
    if (item === undefined) {
      throw check.typeError('undefined cannot be an item: it is what tryPop() answers when there is none');
    }
    ask();
    const outcome = words[1];
    if (outcome > OK_DROPPED_OLDEST) return outcome;
    this.#items.push(item);
    if (outcome === OK_DROPPED_OLDEST) {
      const oldest = this.#items.shift();
      this.#dropped(oldest);
    } else if (this.#poppers.size > 0) {
      const [popper] = this.#poppers;
      if (this.#take(method)) popper.grant(this.#items.shift());
    }
    return outcome;
  }

  /** What onDrop throws is for the pusher, whose item is in all the same; what it rejects with nobody waits for. */
  #dropped(item) {
    const answer = this.#onDrop?.(item);
    if (isPromise(answer)) answer.then(undefined, (error) => complain('onDrop failed', error));
  }

  /** Asks the core to give an item up. */
  #take(method) {
    select(this, method);
    queue.tryPop();
    return words[1] === OK;
  }

  /** The item that the core gave up; the room goes to those who wait for it. */
  #deliver() {
    const item = this.#items.shift();
    for (const pusher of this.#pushers) {
      select(this, 'pop');
      queue.lookPush();
      if (words[1] > OK_DROPPED_OLDEST) break;
      this.#items.push(pusher.item);
      pusher.grant();
    }
    return item;
  }

  /** Tells all who wait that the queue is closed (a pop waits only while it is empty). */
  #dismiss() {
    for (const { refuse } of this.#poppers) refuse(new QueueClosedError());
    for (const { refuse } of this.#pushers) {
      // The core counts what it refuses, and these it has only let look.
      select(this, 'close');
      queue.tryPush();
      refuse(refusalOf(this, new QueueClosedError()));
    }
  }
}

shown(BoundedQueue, (items) => ({ isClosed: items.isClosed, ...items.stats() }));

module.exports = { BoundedQueue };
