'use strict';
// Who listens to which breaker's events. They are read from its ring, off the decision path.

const { AsyncResource } = require('node:async_hooks');
const { complain, isPromise } = require('./promise.cjs');

/** How often rings are read while somebody listens: an event is heard at most so much later. */
const EVERY_MS = 50;

/**
 * By breaker, which they do not keep alive: a listener that nobody can hear any more goes with it. Listeners belong to
 * the breaker; what stands here knows it weakly.
 */
const heard = new WeakMap();
const watched = new Set();
let timer;
/** In no request's context: a timer made in one would keep it. */
const outside = AsyncResource.bind((make) => make());

/** Listeners of one breaker, by kind, in the order in which they came. */
class Listeners {
  /** The first event that nobody has been told of. */
  next;
  #byKind = new Map();

  constructor(next) {
    this.next = next;
  }

  get isEmpty() {
    return this.#byKind.size === 0;
  }

  add(kind, listener, isOnce) {
    const entries = this.#byKind.get(kind) ?? [];
    // Whatever else happens in that place reaches its listener: a request's log context, for one.
    const call = AsyncResource.bind(listener);
    this.#byKind.set(kind, [...entries, { listener, call, isOnce }]);
  }

  /** Of several that are the same function, the one that came last. */
  remove(kind, listener) {
    const entries = this.#byKind.get(kind) ?? [];
    const at = entries.findLastIndex((entry) => entry.listener === listener);
    if (at >= 0) this.#keep(kind, entries.toSpliced(at, 1));
  }

  /** Who comes or goes meanwhile does not change who is told of this one. */
  tell(event) {
    for (const entry of this.#byKind.get(event.kind) ?? []) {
      const entries = this.#byKind.get(event.kind) ?? [];
      if (!entries.includes(entry)) continue;
      if (entry.isOnce) this.#keep(event.kind, entries.toSpliced(entries.indexOf(entry), 1));
      tellOne(entry.call, event);
    }
  }

  #keep(kind, entries) {
    if (entries.length === 0) this.#byKind.delete(kind);
    else this.#byKind.set(kind, entries);
  }
}

/** What a listener throws changes nothing but the log. */
function tellOne(call, event) {
  const failed = (error) => complain(`a listener of '${event.kind}' failed`, error);
  try {
    const answer = call(event);
    if (isPromise(answer)) Promise.resolve(answer).then(undefined, failed);
  } catch (error) {
    failed(error);
  }
}

function poll() {
  for (const ref of watched) {
    const breaker = ref.deref();
    const listeners = breaker === undefined ? undefined : heard.get(breaker);
    if (listeners === undefined) {
      watched.delete(ref);
      continue;
    }
    for (const event of breaker.events(listeners.next)) {
      listeners.next = event.seq + 1;
      listeners.tell(event);
    }
    settle(breaker, listeners, ref);
  }
  rest();
}

/** One timer for all breakers, which keeps no process alive and stands only while somebody listens. */
function rest() {
  if (watched.size > 0) timer ??= outside(() => setInterval(poll, EVERY_MS).unref());
  else if (timer !== undefined) timer = clearInterval(timer);
}

function settle(breaker, listeners, ref = undefined) {
  if (!listeners.isEmpty) return;
  heard.delete(breaker);
  for (const one of ref === undefined ? watched : [ref]) if (one.deref() === breaker) watched.delete(one);
}

function listen(breaker, kind, listener, isOnce) {
  let listeners = heard.get(breaker);
  if (listeners === undefined) {
    // What was before is not told.
    heard.set(breaker, (listeners = new Listeners((breaker.events().at(-1)?.seq ?? -1) + 1)));
    watched.add(new WeakRef(breaker));
    rest();
  }
  listeners.add(kind, listener, isOnce);
}

function unlisten(breaker, kind, listener) {
  const listeners = heard.get(breaker);
  if (listeners === undefined) return;
  listeners.remove(kind, listener);
  settle(breaker, listeners);
  rest();
}

module.exports = { listen, unlisten };
