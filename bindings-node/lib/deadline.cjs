'use strict';
// Until when a call must have ended: known to all that it calls, told to the servers that it asks.

const { AsyncLocalStorage } = require('node:async_hooks');
const { verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { field } = require('./classify.cjs');
const { alarm, nowMs, selectClock } = require('./clock.cjs');
const { TimeoutExceededError } = require('./errors.cjs');
const { shown } = require('./show.cjs');

/**
 * What is under way: its deadline, and the call that `Timeout` guards. The two are one where that ends at its deadline;
 * `own` is what `Deadline.run` was given.
 */
const ambient = new AsyncLocalStorage();
const NONE = { deadline: undefined, call: undefined, own: undefined };

/** What goes on when a call has ended well (a timer, a pool that it was first to need) is no part of it any more. */
function callAround() {
  const here = ambient.getStore() ?? NONE;
  if (here.call === undefined || !isOver(here.call)) return here;
  return here.own === undefined ? NONE : { deadline: here.own, call: undefined, own: here.own };
}

const GRPC = 'grpc-timeout';
const MILLISECONDS = 'x-request-timeout-ms';
const GRPC_UNITS = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** What the way to a server takes of the time it is told. */
const TOLD = 0.95;
/** No header asks for more: digits that no number holds are Infinity. */
const LONGEST_MS = 1e13;
/** What a header can ask for unless the application says more: a client must not have timers stand for ever. */
const MOST_MS = 3_600_000;

/** The milliseconds that a header says; undefined: nonsense. */
function said(name, text) {
  if (name === GRPC) {
    const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
    return unit === undefined ? undefined : Number(count) * GRPC_UNITS[unit];
  }
  return /^\d+(\.\d+)?$/.test(text) ? Math.min(Number(text), LONGEST_MS) : undefined;
}

function headerName(value, name) {
  if (check.text(value, name) === '') throw check.valueError(`${name} must be the name of a header, got ''`);
  return value.toLowerCase();
}

/** Where a generator is to have a deadline. */
const ADVICE = 'Run the part that iterates it';

/** Makes one; nobody else does. */
const OWN = Symbol('own');
let verify;
let isDeadline;
let clockOf;
let endCall;
let follow;
let endOf;
let leaveCall;
let isOver;

class Deadline {
  #clock;
  #dueMs;
  /** Of a call that `Timeout` guards, which ends before its time too. */
  #isCall;
  /** Of `signal`: made for who asks, because it costs as much as the rest of a call. */
  #controller;
  /** What ended the call: `{ reason }`. */
  #end;
  /** What to do then. */
  #followers;
  /** The function of the call has ended, in time. */
  #isOver = false;

  static {
    isDeadline = (value) => value !== null && typeof value === 'object' && #dueMs in value;
    verify = (self, method) => {
      if (!isDeadline(self)) throw check.detached('Deadline', method);
    };
    clockOf = (self) => self.#clock;
    endOf = (self) => self.#end;
    isOver = (self) => self.#isOver;
    leaveCall = (self) => {
      self.#isOver = self.#end === undefined;
    };
    endCall = (self, reason) => {
      self.#end = { reason };
      self.#followers?.forEach((then) => then(reason));
      self.#controller?.abort(reason);
    };
    follow = (self, then) => {
      self.#followers ??= new Set();
      self.#followers.add(then);
      return () => self.#followers.delete(then);
    };
  }

  constructor(own, afterMs, clock, isCall = false) {
    if (own !== OWN) throw check.typeError('a Deadline is made by Deadline.after(ms) or Deadline.fromHeaders(headers)');
    this.#clock = clock;
    this.#dueMs = nowMs(clock) + afterMs;
    this.#isCall = isCall;
  }

  static after(ms, options = {}) {
    const { clock } = check.options(options, 'Deadline.after', ['clock']);
    const leftMs = check.patience(ms ?? null, 'ms');
    selectClock(clock);
    return new Deadline(OWN, leftMs, clock);
  }

  static fromHeaders(headers, options = {}) {
    const given = check.options(options, 'Deadline.fromHeaders', ['names', 'maxMs', 'clock']);
    const { names = [GRPC, MILLISECONDS], maxMs = MOST_MS, clock } = given;
    if (headers === null || typeof headers !== 'object') {
      throw check.typeError(`headers must be those of a request, got ${check.show(headers)}`);
    }
    const known = [names].flat().map((name) => headerName(name, 'names'));
    const mostMs = check.patience(maxMs, 'maxMs');
    selectClock(clock);
    const waits = known.map((name) => said(name, field(headers, name)?.trim() ?? '')).filter((ms) => ms !== undefined);
    return waits.length === 0 ? undefined : new Deadline(OWN, Math.min(...waits, mostMs), clock);
  }

  static detached(fn, ...args) {
    verifyCallee(fn, ADVICE);
    return ambient.run(NONE, fn, ...args);
  }

  static get current() {
    return callAround().deadline;
  }

  get remainingMs() {
    verify(this, 'remainingMs');
    return Math.max(0, this.#dueMs - nowMs(this.#clock));
  }

  get expired() {
    return this.remainingMs === 0;
  }

  get signal() {
    verify(this, 'signal');
    const isNew = this.#controller === undefined;
    this.#controller ??= new AbortController();
    if (this.#isCall) {
      if (isNew && this.#end !== undefined) this.#controller.abort(this.#end.reason);
    } else {
      const end = () => this.#controller.abort(new TimeoutExceededError('deadline has passed'));
      const leftMs = this.remainingMs;
      if (leftMs === 0) end();
      // Nobody waits for it who has nothing else to wait for.
      else if (isNew) alarm(leftMs, this.#clock, end, false);
    }
    return this.#controller.signal;
  }

  run(fn, ...args) {
    verify(this, 'run');
    verifyCallee(fn, ADVICE);
    const { deadline, call } = callAround();
    return ambient.run({ deadline: earlier(this, deadline), call, own: this }, fn, ...args);
  }

  headers(name = MILLISECONDS) {
    verify(this, 'headers');
    const key = headerName(name, 'name');
    const ms = Math.floor(this.remainingMs * TOLD);
    if (ms === Infinity) return {};
    if (key !== GRPC) return { [name]: String(ms) };
    return { [name]: ms < 1e8 ? `${ms}m` : `${Math.min(Math.floor(ms / 1000), 99_999_999)}S` };
  }
}

/** For what goes on in a call when that has ended, late or by its caller. */
function throwIfEnded(call) {
  const end = call === undefined ? undefined : endOf(call);
  if (end !== undefined) throw end.reason;
}

/** A call ends no later than the one that makes it. */
function earlier(deadline, around) {
  return around !== undefined && around.remainingMs < deadline.remainingMs ? around : deadline;
}

/** A call that has `leftMs` on this clock. */
const beginCall = (leftMs, clock) => new Deadline(OWN, leftMs, clock, true);
/** Runs `fn(call)` in it. */
const runCall = (call, fn) => ambient.run({ deadline: call, call, own: undefined }, fn, call);

shown(Deadline, ({ remainingMs, expired }) => ({ remainingMs, expired }));

module.exports = {
  Deadline,
  beginCall,
  callAround,
  clockOf: (...given) => clockOf(...given),
  endCall: (...given) => endCall(...given),
  endOf: (...given) => endOf(...given),
  follow: (...given) => follow(...given),
  isDeadline: (...given) => isDeadline(...given),
  leaveCall: (...given) => leaveCall(...given),
  runCall,
  throwIfEnded,
};
