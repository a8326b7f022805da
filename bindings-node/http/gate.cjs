'use strict';
// Decides a request: whom it is charged to, all its limits or none, what the client is told, what comes back later.

const check = require('../lib/check.cjs');
const { sleep } = require('../lib/clock.cjs');
const { decideEach } = require('../lib/limit_set.cjs');
const { Clients } = require('./client.cjs');
const { Exchange } = require('./exchange.cjs');
const { Presenter } = require('./presenter.cjs');
const { isPromise, whenReady } = require('./promise.cjs');
const { refundLater } = require('./refund.cjs');

const OPTIONS = ['headers', 'legacyHeaders', 'jitter', 'client', 'allow', 'deny'];

/** Why a request is refused. `policies` are the names of the limits that refused it; none where a deny list or an overload did. */
class Refusal {
  constructor(policies, retryAfterMs, retryAfter, overloaded = false) {
    this.policies = policies;
    /** ms until the same request could pass, `Infinity` for never. */
    this.retryAfterMs = retryAfterMs;
    /** Whole seconds for Retry-After; undefined where waiting does not help. */
    this.retryAfter = retryAfter;
    /** Whether too many requests are under way. */
    this.overloaded = overloaded;
  }
}

class Gate {
  #clients;
  #presenter;

  constructor(options = {}) {
    this.#clients = new Clients(options);
    this.#presenter = new Presenter(options);
  }

  exchange(request, response, context, identity, peer) {
    return new Exchange(this.#clients, request, response, context, identity, peer);
  }

  /** The client of a request, as the key `ip` has it. */
  clientKey(request, peer) {
    return this.#clients.key(request, peer);
  }

  /**
   * @returns {Refusal | undefined | Promise<Refusal | undefined>} `undefined`: admitted; the promise only where a key,
   *   cost, tier or skip function gives one, or a leaky bucket paces
   */
  admit(plan, exchange) {
    const before = exchange.charged;
    // Another guard, or the middleware in front of it, has decided these for the same request.
    const limits =
      before === undefined ? plan.limits : plan.limits.filter((limit) => !before.some((charge) => charge.limit === limit));
    let asked = [];
    let pending = false;
    for (const limit of limits) {
      const charge = limit.ask(exchange);
      pending ||= isPromise(charge);
      asked.push(charge);
    }
    if (pending) asked = Promise.all(asked);
    return whenReady(asked, (charges) => this.#decide(plan, charges.filter(Boolean), before, exchange));
  }

  #decide(plan, charges, before, exchange) {
    const listed = before === undefined ? this.#clients.verdict(exchange, charges) : 'limit';
    if (listed === 'deny') return new Refusal([], Infinity, undefined);
    if (listed === 'allow' || charges.length === 0) return undefined;
    const denied = this.#charge(plan, charges);
    const all = before === undefined ? charges : [...before, ...charges];
    const retryAfter = this.#presenter.present(all, denied, exchange);
    if (denied.length > 0) {
      const { retryAfterMs } = longest(denied).decision;
      return new Refusal(denied.map(({ limit }) => limit.name), retryAfterMs, retryAfter);
    }
    exchange.charged = all;
    refundLater(charges, exchange);
    let delayMs = 0;
    for (const { decision } of charges) delayMs = Math.max(delayMs, decision.delayMs ?? 0);
    return delayMs === 0 ? undefined : sleep(delayMs, plan.clock).then(() => undefined);
  }

  /** Takes all or nothing; gives the charges that were denied. */
  #charge(plan, charges) {
    const [{ cost }] = charges;
    if (charges.length === 1) {
      const [only] = charges;
      return only.take().allowed ? [] : charges;
    }
    const { set } = plan;
    const whole = charges.length === plan.limits.length;
    if (set === undefined || !whole || charges.some((charge) => charge.cost !== cost || charge.tier !== undefined)) {
      return chargeOneByOne(charges);
    }
    const keys = charges.filter(({ limit }) => limit.keyed).map(({ key }) => key);
    const { deniedBy, each } = decideEach(set, keys, cost);
    charges.forEach((charge, index) => (charge.decision = each[index]));
    return deniedBy === -1 ? [] : [charges[deniedBy]];
  }
}

/** For limits that no LimitSet can hold: a thread's JavaScript lets nothing come between taking and giving back. */
function chargeOneByOne(charges) {
  const denied = charges.filter((charge) => !charge.take().allowed);
  if (denied.length > 0) for (const charge of charges) if (charge.decision.allowed) charge.giveBack();
  return denied;
}

const longest = (denied) =>
  denied.reduce((a, b) => (b.decision.retryAfterMs > a.decision.retryAfterMs ? b : a));

/** The gate's own part of an options object, and the rest. */
function gateOptions(options) {
  const own = {};
  const rest = {};
  for (const [name, value] of Object.entries(options)) (OPTIONS.includes(name) ? own : rest)[name] = value;
  if (own.headers !== undefined) check.bool(own.headers, 'headers');
  if (own.legacyHeaders !== undefined) check.bool(own.legacyHeaders, 'legacyHeaders');
  return [own, rest];
}

module.exports = { Gate, OPTIONS, Refusal, gateOptions };
