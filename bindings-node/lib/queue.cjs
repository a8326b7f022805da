'use strict';

const { addon, bigints, words, numbers } = require('./native.cjs');
const { throwIfAborted } = require('./abort.cjs');
const check = require('./check.cjs');
const { measured } = require('./measured.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');
const { nowMs, selectClock } = require('./clock.cjs');
const { QueueClosedError, QueueEmptyError, QueueFullError, refusalOf } = require('./errors.cjs');
const { complain, isPromise } = require('./promise.cjs');
const { Outflow } = require('./outflow.cjs');
const { Places } = require('./places.cjs');
const { SETTINGS, choice, number } = require('./settings.cjs');
const { join } = require('./waiters.cjs');

const { queue } = addon;
/** What an operation came to, by src/queue.rs. */
const OK = 0;
const OK_DROPPED_OLDEST = 1;
const CLOSED = 3;
const DROPPED = 5;
/** In the word of the lane: the first opaque word is a deadline. */
const HAS_DEADLINE = 2 ** 31;
/** What a look brought was dropped. */
const GONE = Symbol('dropped');
/** By their numbers. */
const REASONS = ['oldest', 'age', 'codel', 'deadline', 'closed'];

const OPTIONS = [
  ...['capacity', 'highWatermark', 'lowWatermark', 'onFull', 'onDrop', 'sojourn', 'retryAfterMs', 'clock'],
  ...['discipline', 'targetMs', 'intervalMs', 'lanes', 'maxAgeMs'],
];
const PUSH_OPTIONS = ['lane', 'deadlineMs'];
const FIELDS = SETTINGS.queue;
/** Of a push without options: the most urgent lane, no deadline. */
const ANYHOW = { lane: 0, due: undefined };

let select;

class BoundedQueue {
  /** Its place in the addon's table. */
  #id;
  /** The items, at the places of which the core knows. */
  #items = new Places();
  #lanes;
  /** Waiting pushes and pops, longest first. A pop waits only while there is no item. */
  #pushers = new Set();
  #poppers = new Set();
  #capacity;
  #onDrop;
  /** Left out: by the rate. */
  #retryAfterMs;
  #outflow = new Outflow();
  #clock;
  /** Of the item that came out last. */
  #sojournMs = 0;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('BoundedQueue', method);
      words[0] = self.#id;
    };
  }

  constructor(options) {
    const given = check.options(options, 'new BoundedQueue', OPTIONS);
    const { capacity, highWatermark, lowWatermark, sojourn = FIELDS.sojourn.default } = given;
    const { onDrop, retryAfterMs, clock } = given;
    const onFull = choice(FIELDS.on_full, given.onFull);
    check.bool(sojourn, 'sojourn');
    if (onDrop !== undefined) check.callable(onDrop, 'onDrop');
    numbers[0] = number(FIELDS.capacity, capacity);
    numbers[1] = number(FIELDS.high_watermark, highWatermark);
    numbers[2] = number(FIELDS.low_watermark, lowWatermark);
    numbers[3] = FIELDS.on_full.texts.indexOf(onFull);
    numbers[4] = Number(sojourn);
    numbers[5] = FIELDS.discipline.texts.indexOf(choice(FIELDS.discipline, given.discipline));
    numbers[6] = number(FIELDS.target, given.targetMs);
    numbers[7] = number(FIELDS.interval, given.intervalMs);
    numbers[8] = number(FIELDS.lanes, given.lanes);
    numbers[9] = number(FIELDS.max_age, given.maxAgeMs);
    this.#lanes = numbers[8];
    this.#retryAfterMs = retryAfterMs === undefined ? undefined : check.span(retryAfterMs, 'retryAfterMs');
    this.#clock = clock;
    this.#onDrop = onDrop;
    selectClock(clock);
    this.#capacity = numbers[0];
    queue.create(this);
    this.#id = words[0];
  }

  tryPush(item, options = undefined) {
    if (options === undefined) return this.#offer(item, 'tryPush') <= OK_DROPPED_OLDEST;
    select(this, 'tryPush');
    const place = this.#place(check.options(options, 'tryPush', PUSH_OPTIONS));
    return this.#offer(item, 'tryPush', place, queue.tryPushIn) <= OK_DROPPED_OLDEST;
  }

  async push(item, options = undefined) {
    select(this, 'push');
    const waiting = check.waiting(options, 'push', Infinity, PUSH_OPTIONS);
    throwIfAborted(waiting.signal);
    const place = this.#place(waiting);
    const outcome = this.#offer(item, 'push', place, queue.lookPush);
    if (outcome <= OK_DROPPED_OLDEST) return;
    if (outcome === CLOSED) throw refusalOf(this, new QueueClosedError());
    await join(this.#pushers, { item, place }, waiting, (pusher) => this.#lastLook(pusher));
  }

  tryPop() {
    return this.#take('tryPop');
  }

  tryPopTimed() {
    const item = this.#take('tryPopTimed');
    return item === undefined ? undefined : { item, sojournMs: this.#sojournMs };
  }

  async pop(options = undefined) {
    select(this, 'pop');
    const waiting = check.waiting(options, 'pop');
    throwIfAborted(waiting.signal);
    const item = this.#take('pop');
    if (item !== undefined) return item;
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
    this.close();
    const items = [];
    for (;;) {
      select(this, 'drain');
      queue.drainNext();
      if (words[1] !== OK) return items;
      items.push(this.#items.take(words[2]));
    }
  }

  discard() {
    this.close();
    for (let count = 0; ; count += 1) {
      select(this, 'discard');
      queue.discardNext();
      if (words[1] !== OK) return count;
      this.#giveBack();
    }
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

  get capacity() {
    select(this, 'capacity');
    return this.#capacity;
  }

  get depth() {
    select(this, 'depth');
    queue.depth();
    return numbers[0];
  }

  get fill() {
    select(this, 'fill');
    queue.fill();
    return numbers[0];
  }

  get leastDelayMs() {
    select(this, 'leastDelayMs');
    queue.load();
    return orUndefined(numbers[0]);
  }

  get isOverloaded() {
    select(this, 'isOverloaded');
    queue.load();
    return words[1] === 1;
  }

  get retryAfterMs() {
    select(this, 'retryAfterMs');
    if (this.#retryAfterMs !== undefined) return this.#retryAfterMs;
    const { depth, popped, dropped } = this.stats();
    return this.#outflow.retryAfterMs(depth, popped + dropped, nowMs(this.#clock));
  }

  stats() {
    select(this, 'stats');
    queue.stats();
    return counted.queue(numbers);
  }

  /** At the end of a push's patience: the look that counts its rejection. */
  #lastLook(pusher) {
    this.#pushers.delete(pusher);
    if (this.#offer(pusher.item, 'push', pusher.place, queue.tryPushIn) > OK_DROPPED_OLDEST) {
      const waitMs = this.retryAfterMs;
      select(this, 'push');
      return refusalOf(this, new QueueFullError(queue.refused(), waitMs));
    }
    pusher.grant();
    return undefined;
  }

  /** Lane, and the moment until which the item is of use, counted from here; the queue is selected. */
  #place({ lane = 0, deadlineMs }) {
    if (!Number.isInteger(lane) || lane < 0 || lane >= this.#lanes) {
      const wanted = `a whole number, 0 to ${this.#lanes - 1}, for the queue has ${this.#lanes} of them`;
      if (typeof lane !== 'number') throw check.typeError(`lane must be ${wanted}, got ${check.show(lane)}`);
      throw check.rangeError(`lane must be ${wanted}, got ${lane}`);
    }
    const within = check.patience(deadlineMs, 'deadlineMs');
    if (within === Infinity) return { lane, due: undefined };
    numbers[0] = within;
    queue.due();
    return { lane, due: bigints[0] };
  }

  /**
   * Asks the core to accept `item`; puts it where a pop finds it, or hands it to the pop that waits for it. A push that
   * waits only looks: the core counts a rejection for each `tryPush` that finds no room.
   */
  #offer(item, method, place = ANYHOW, ask = queue.tryPush) {
    select(this, method);
    if (item === undefined) {
      throw check.typeError('undefined cannot be an item: it is what tryPop() answers when there is none');
    }
    const outcome = this.#ask(item, place, ask);
    if (outcome > OK_DROPPED_OLDEST) return outcome;
    if (outcome === OK_DROPPED_OLDEST) {
      // What onDrop throws is for the pusher, whose item is in all the same; what it rejects with nobody waits for.
      watch(this.#onDrop?.(this.#items.take(words[2]), REASONS[0]));
    } else {
      this.#serve(method);
    }
    return outcome;
  }

  /** One look of the selected queue at an item, which has its place if it is taken. */
  #ask(item, { lane, due }, ask) {
    words[2] = this.#items.next;
    words[3] = lane;
    if (due !== undefined) {
      words[3] += HAS_DEADLINE;
      bigints[0] = due;
    }
    ask();
    const outcome = words[1];
    if (outcome <= OK_DROPPED_OLDEST) this.#items.put(item);
    return outcome;
  }

  /** Hands what is there to the pops that wait for it. */
  #serve(method) {
    while (this.#poppers.size > 0) {
      const item = this.#step(method);
      if (item === undefined) return;
      if (item === GONE) continue;
      const [popper] = this.#poppers;
      popper.grant(item);
    }
  }

  /** The next item that the core gives up. What it drops before goes to its owner, one at a time. */
  #take(method) {
    for (;;) {
      const item = this.#step(method);
      if (item !== GONE) return item;
    }
  }

  /**
   * One answer of the core: an item, `undefined` for none, or `GONE` for one that was dropped. Only with that have the
   * application's functions run.
   */
  #step(method) {
    select(this, method);
    queue.tryPop();
    const outcome = words[1];
    if (outcome === DROPPED) {
      this.#giveBack();
      this.#admit();
      return GONE;
    }
    if (outcome !== OK) return undefined;
    this.#sojournMs = numbers[0];
    const item = this.#items.take(words[2]);
    if (this.#pushers.size > 0) this.#admit();
    return item;
  }

  /** Gives the item that the core has dropped to its owner. Whoever pops has no part in what that throws. */
  #giveBack() {
    const item = this.#items.take(words[2]);
    const reason = REASONS[words[3]];
    try {
      watch(this.#onDrop?.(item, reason));
    } catch (error) {
      complain('onDrop failed', error);
    }
  }

  /** The room goes to those who wait for it. */
  #admit() {
    for (const pusher of this.#pushers) {
      select(this, 'pop');
      if (this.#ask(pusher.item, pusher.place, queue.lookPush) > OK_DROPPED_OLDEST) break;
      pusher.grant();
    }
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

/** What a promise of onDrop's rejects with nobody waits for. */
function watch(answer) {
  if (isPromise(answer)) answer.then(undefined, (error) => complain('onDrop failed', error));
}

const orUndefined = (ms) => (Number.isNaN(ms) ? undefined : ms);

shown(BoundedQueue, (items) => ({ isClosed: items.isClosed, ...items.stats() }));

measured(BoundedQueue, 'queue', (self) => select(self, 'add'));

module.exports = {
  BoundedQueue,
  queuePlace: (it) => {
    select(it, 'queue');
    return words[0];
  },
};
