'use strict';
// A gate before requests: what of a request it is asked with, what the client is told, and the end of what is held.

const { Deadline, Gate, RateLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { sleep } = require('../lib/clock.cjs');
const { verifyPartition } = require('../lib/concurrency.cjs');
const { modeOf, errorOfAdmission, verifyDependencies } = require('../lib/gate.cjs');
const { keyOf } = require('../lib/key.cjs');
const { askEach, isPromise } = require('../lib/promise.cjs');
const { priorityOf } = require('../lib/shed.cjs');
const { nameApart } = require('./charge.cjs');
const { hold } = require('./held.cjs');
const { writtenKey } = require('./keys.cjs');
const { Limit } = require('./limit.cjs');
const { Refusal } = require('./limiter.cjs');
const { isOver } = require('./over.cjs');
const { retryAfterSeconds } = require('./problem.cjs');
const { perRequest } = require('./routes.cjs');

/** What a request is asked for with, which a route may say otherwise. */
const ASKING = ['key', 'priority', 'cost', 'deadline', 'dependencies', 'partition', 'user'];
const MOST_TOKENS = 0xffff_ffff;

/** The limits of the gate, each with the key that it is asked with. */
function limitsOf(gate, key, written) {
  const members = Object.entries(gate.limits?.members ?? {});
  const keyed = members.filter(([, limit]) => limit instanceof RateLimiter).map(([name]) => name);
  let keys = {};
  if (key !== undefined) {
    if (keyed.length === 0) throw check.valueError(`key: no limit of the gate '${gate.name}' is one per key`);
    const isByName = typeof key === 'object' && key !== null;
    keys = isByName ? check.options(key, 'key', keyed) : Object.fromEntries(keyed.map((name) => [name, key]));
  }
  return members.map(([name, limit]) => {
    const own = written[name] === undefined ? undefined : writtenKey(written[name]);
    return new Limit(limit, { name, key: keys[name] ?? own });
  });
}

/** Reads a cost that is known now. */
function fixedCost(limits) {
  const most = Math.min(MOST_TOKENS, ...limits.map(({ source }) => source.quota.burst));
  return (cost, name) => check.whole(cost, `${name} (at most the burst, or no request could pass)`, 1, most);
}

/** What gives the deadline of a request: its headers, unless it is said otherwise. */
function deadlineOf(given) {
  if (typeof given === 'function') return ({ request, context }) => given(request, context);
  if (given === false) return () => undefined;
  if (given !== true && (given === null || typeof given !== 'object')) {
    const allowed = 'true, false, { names, maxMs } or a function of the request';
    throw check.typeError(`deadline must be ${allowed}, got ${check.show(given)}`);
  }
  const options = given === true ? {} : check.options(given, 'deadline', ['names', 'maxMs']);
  Deadline.fromHeaders({}, options);
  return ({ rawRequest, isHeard }) => (isHeard ? Deadline.fromHeaders(rawRequest.headers, options) : undefined);
}

/** Reads the name of a partition that is known now. */
function partitionOf(gate) {
  return (given) => {
    if (given === undefined) return undefined;
    if (gate.concurrency === undefined) {
      throw check.valueError('partition: it is one of a concurrency limiter; give the gate one');
    }
    verifyPartition(gate.concurrency, given);
    return given;
  };
}

class GateEntrance {
  #gate;
  #presenter;
  #given;
  #limits;
  /** Of what is asked: functions of the exchange. */
  #asks;
  #isCostChecked;
  #mode;
  /** What the file of the gate's policy said when the asks were made. */
  #told;
  #shedder;

  /**
   * @param given what requests are asked with, of ASKING
   * @param presenter who tells clients of the gate's limits
   */
  constructor(gate, given, presenter) {
    if (!(gate instanceof Gate)) throw check.typeError(`gate must be a Gate, got ${check.show(gate)}`);
    this.#gate = gate;
    this.#presenter = presenter;
    this.#given = given;
    if (given.user !== undefined) {
      if (gate.shedder === undefined)
        throw check.valueError('user: it is whose level a shedder asks; give the gate one');
      check.callable(given.user, 'user');
    }
    this.#mode = modeOf(gate);
    this.#read(this.#mode.told);
    this.#shedder = gate.shedder;
    this.#shedder?.watch();
  }

  /** @param told what the file of the gate's policy says, where nothing else was said */
  #read(told) {
    const gate = this.#gate;
    const { key, priority, cost = 1, deadline = true, dependencies = [], partition, user } = this.#given;
    this.#limits = limitsOf(gate, key, told.keys);
    const verified = (names) => (verifyDependencies(gate, names), names);
    const worth = priority === undefined ? (told.priority ?? 'normal') : priority;
    this.#asks = [
      perRequest(worth, 'priority', (value) => (priorityOf(value), value)),
      perRequest(cost, 'cost', fixedCost(this.#limits)),
      perRequest(dependencies, 'dependencies', verified),
      deadlineOf(deadline),
      perRequest(partition, 'partition', partitionOf(gate)),
      ({ request, context }) => user?.(request, context),
      ...this.#limits.map((limit) => (exchange) => limit.ask(exchange)),
    ];
    this.#isCostChecked = typeof cost === 'function';
    this.#told = told;
  }

  /** The same gate, asked as a route says; what it does not say is as here. */
  with(own) {
    return new GateEntrance(this.#gate, { ...this.#given, ...own }, this.#presenter);
  }

  /**
   * An error of any function of the application is thrown, or the promise rejects with it: then nothing is taken.
   *
   * @returns {Refusal | undefined | Promise<Refusal | undefined>} `undefined`: admitted; a promise only where a
   *   function gives one, or a leaky bucket paces
   */
  enter(exchange) {
    if (exchange.isAdmittedBy(this.#gate)) return undefined;
    const { told } = this.#mode;
    if (told !== this.#told) this.#read(told);
    const asked = askEach(this.#asks, (ask) => ask(exchange));
    return asked.some(isPromise)
      ? Promise.all(asked).then((known) => this.#decide(exchange, known))
      : this.#decide(exchange, asked);
  }

  close() {}

  #decide(exchange, [priority, asked, dependencies, deadline, partition, user, ...charges]) {
    const { rawRequest, rawResponse } = exchange;
    // Whoever has gone while a function was asked would hold what nobody gives back.
    if (exchange.isHeard && isOver(rawRequest, rawResponse)) return gone(exchange);
    const cost = this.#isCostChecked ? this.#costOf(asked) : (asked ?? 1);
    const request = this.#request(exchange, priority, cost, dependencies, deadline, user, charges);
    if (partition !== undefined && partition !== null) request.partition = partition;
    const admission = this.#gate.admit(request);
    if (!admission.allowed) return this.#refuse(exchange, admission, cost, charges);
    try {
      // A WebSocket may be open for hours, and when other calls end nobody hears.
      if (exchange.isHeard && rawRequest.upgrade !== true) {
        hold(rawRequest, rawResponse, (outcome) => admission.finish(outcome));
      } else admission.finish('cancelled');
      this.#tell(exchange, admission, charges, exchange.charged);
      exchange.admittedBy(admission);
    } catch (error) {
      admission.finish('cancelled');
      throw error;
    }
    if (admission.delayMs === 0) return undefined;
    return sleep(admission.delayMs, this.#limits[0].clock).then(() => undefined);
  }

  #costOf(given) {
    check.whole(given, 'what a cost function returns');
    for (const limit of this.#limits) limit.checkPossible(given);
    return given;
  }

  #request(exchange, priority, cost, dependencies, deadline, user, charges) {
    const request = { priority: priority ?? undefined, cost };
    for (const { limit, key } of charges) if (limit.keyed) (request.keys ??= {})[limit.name] = key;
    if (dependencies !== undefined && dependencies !== null) request.dependencies = dependencies;
    if (deadline !== undefined && deadline !== null)
      request[typeof deadline === 'number' ? 'deadlineMs' : 'deadline'] = deadline;
    if (this.#mode.hasList) request.address = exchange.address;
    if (this.#shedder !== undefined) {
      const isNobody = user === undefined || user === null || user === '';
      request.level = this.#shedder.levelOf((isNobody ? exchange.clientKey : keyOf(user, 'user')) ?? '');
    }
    return request;
  }

  /**
   * Tells the client of the limits, where they were asked; a dry run tells nobody.
   *
   * @param before what the request was charged by others
   * @returns the whole seconds of Retry-After where one of them refused
   */
  #tell(exchange, { allowed, kind, deniedBy, limit, retryAfterMs }, charges, before) {
    if (limit === 0 || this.#mode.isDryRun) return undefined;
    const denied = [];
    for (const charge of charges) {
      const { source, keyed, name } = charge.limit;
      const isDenied = !allowed && kind === 'limit' && deniedBy === name;
      const now = keyed ? source.peek(charge.key) : source.peek();
      charge.decided({ ...now, allowed: !isDenied, retryAfterMs: isDenied ? retryAfterMs : 0 }, false);
      if (isDenied) denied.push(charge);
    }
    const all = before === undefined ? charges : [...before, ...charges];
    if (all.length > 1) nameApart(all);
    if (allowed) exchange.charged = all;
    return this.#presenter.present(all, denied, exchange);
  }

  #refuse(exchange, admission, cost, charges) {
    const { kind, deniedBy, retryAfterMs } = admission;
    const { charged: before } = exchange;
    exchange.uncharge();
    before?.forEach((charge) => charge.lookAgain());
    let retryAfter = this.#tell(exchange, admission, charges, before);
    if (retryAfter === undefined && kind !== 'access' && (kind !== 'deadline' || retryAfterMs > 0)) {
      retryAfter = retryAfterSeconds(retryAfterMs);
      exchange.setHeader('Retry-After', String(retryAfter));
    }
    let error;
    const errorOf = () => (error ??= errorOfAdmission(this.#gate, admission, cost));
    return new Refusal(kind === 'limit' ? [deniedBy] : [], retryAfterMs, retryAfter, () => errorOf().message, {
      overloaded: !['limit', 'access'].includes(kind),
      isTold: this.#presenter.tellsQuotas,
      error: errorOf,
      kind,
      deniedBy,
    });
  }
}

/** For nobody: the client hung up before the gate could be asked. */
function gone(exchange) {
  exchange.uncharge();
  return new Refusal([], Infinity, undefined, 'the client has gone', { overloaded: true, kind: 'deadline' });
}

module.exports = { ASKING, GateEntrance };
