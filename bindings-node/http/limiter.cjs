'use strict';
// Decides a request: whom it is charged to, all its limits or none, what the client is told, what comes back later.

const check = require('../lib/check.cjs');
const { sleep } = require('../lib/clock.cjs');
const { decideEach } = require('../lib/limit_set.cjs');
const { Charge, giveBackAll, nameApart } = require('./charge.cjs');
const { Clients } = require('./client.cjs');
const { Exchange } = require('./exchange.cjs');
const { Presenter } = require('./presenter.cjs');
const { abandon, asError, isPromise } = require('../lib/promise.cjs');
const { retryAfterSeconds } = require('./problem.cjs');
const { refundLater } = require('./refund.cjs');

const OPTIONS = ['headers', 'legacyHeaders', 'jitter', 'client', 'allow', 'deny'];

/** Of the refusal of an overload: the error that it stands for. */
let errorOf;

/**
 * Why a request is refused. `policies` are the names of the limits that refused it; none where a deny list or an
 * overload did. Where a gate did, `kind` and `deniedBy` are its admission's.
 */
class Refusal {
  #message;
  #isTold;
  #error;

  /**
   * @param message who refused what, or what makes that text once somebody reads it
   * @param isTold whether the client may read it: not where no headers tell it the quota
   * @param error of an overload: the error that it stands for, or what makes it
   */
  constructor(
    policies,
    retryAfterMs,
    retryAfter,
    message,
    { overloaded = false, isTold = false, error, kind, deniedBy } = {},
  ) {
    this.#message = message;
    this.#isTold = isTold;
    this.#error = error;
    this.kind = kind;
    this.deniedBy = deniedBy;
    this.policies = policies;
    /** ms until the same request could pass, `Infinity` for never. */
    this.retryAfterMs = retryAfterMs;
    /** Whole seconds for Retry-After; undefined where waiting does not help. */
    this.retryAfter = retryAfter;
    /** Whether too many requests are under way. */
    this.overloaded = overloaded;
  }

  /** Who refused what, by which quota: 'limiter "client" (100/min) refused 1 token'. */
  get message() {
    return typeof this.#message === 'string' ? this.#message : (this.#message = this.#message());
  }

  static {
    errorOf = (self) => {
      if (typeof self.#error === 'function') self.#error = self.#error();
      return self.#error;
    };
  }

  /** The same for the problem body; undefined where it is the service's own business. */
  get detail() {
    return this.#isTold ? this.message : undefined;
  }
}

/** The refusal of a request for which there is no room. It was not served, so it is not charged. */
function overload(exchange, error, retryAfterMs = error.retryAfterMs) {
  exchange.uncharge();
  const retryAfter = retryAfterSeconds(retryAfterMs);
  exchange.setHeader('Retry-After', String(retryAfter));
  return new Refusal([], retryAfterMs, retryAfter, error.message, { overloaded: true, error });
}

class HttpLimiter {
  #clients;
  #presenter;

  constructor(options = {}) {
    this.#clients = new Clients(options);
    this.#presenter = new Presenter(options);
  }

  exchange(request, response, context, identity, peer) {
    return new Exchange(this.#clients, request, response, context, identity, peer);
  }

  /** Whether a trusted proxy's word counts, which stands in a request's headers. */
  get readsHeaders() {
    return this.#clients.readsHeaders;
  }

  /** The client of a request, as the key `ip` has it. */
  clientKey(request, peer) {
    return this.#clients.key(request, peer);
  }

  /**
   * An error of any function of the application is thrown, or the promise rejects with it: then nothing is charged.
   *
   * @returns {Refusal | undefined | Promise<Refusal | undefined>} `undefined`: admitted; the promise only where a key,
   *   cost, tier, rate or skip function gives one, or a leaky bucket paces
   */
  admit(plan, exchange) {
    const before = exchange.charged;
    // Another guard, or the middleware in front of it, has decided these for the same request.
    const limits =
      before === undefined
        ? plan.limits
        : plan.limits.filter((limit) => !before.some((charge) => charge.limit.origin === limit));
    const asked = [];
    try {
      let pending = false;
      for (const limit of limits) {
        const charge = limit.ask(exchange);
        asked.push(charge);
        pending ||= isPromise(charge);
      }
      if (!pending) return this.#decide(plan, charged(asked), before, exchange);
    } catch (error) {
      // Those that were asked before the one that threw may still reject.
      abandon(asked);
      throw asError(error);
    }
    return Promise.all(asked)
      .then((charges) => this.#decide(plan, charged(charges), before, exchange))
      .catch((error) => {
        throw asError(error);
      });
  }

  /** A request that is not served after all: what it was charged comes back, and the client is told so. */
  giveBack(exchange) {
    const { charged } = exchange;
    if (charged === undefined) return;
    exchange.uncharge();
    charged.forEach((charge) => charge.lookAgain());
    this.#presenter.present(charged, [], exchange);
  }

  /** All or nothing, with what was charged `before` by another middleware or guard of the same request. */
  #decide(plan, charges, before, exchange) {
    const listed = this.#clients.verdict(exchange, charges);
    if (listed === 'deny') {
      exchange.uncharge();
      return new Refusal([], Infinity, undefined, 'a deny list refused the client');
    }
    if (listed === 'allow' || charges.length === 0) return undefined;
    const denied = this.#charge(plan, charges);
    try {
      for (const { limit, cost, tier, decision } of denied) {
        // A fixed cost that setQuota has left above the burst.
        if (decision.retryAfterMs === Infinity && limit.native) limit.checkPossible(cost, tier);
      }
      const all = before === undefined ? charges : [...before, ...charges];
      if (all.length > 1) nameApart(all);
      if (denied.length > 0) {
        exchange.uncharge();
        before?.forEach((charge) => charge.lookAgain());
        const retryAfter = this.#presenter.present(all, denied, exchange);
        const by = longest(denied);
        const policies = denied.map(({ policyName }) => policyName);
        const isTold = this.#presenter.tellsQuotas;
        return new Refusal(policies, by.decision.retryAfterMs, retryAfter, () => by.refusal, { isTold });
      }
      this.#presenter.present(all, denied, exchange);
      exchange.charged = all;
      refundLater(charges, exchange);
    } catch (error) {
      giveBackAll(charges);
      throw error;
    }
    let delayMs = 0;
    let clock;
    for (const { decision, limit } of charges) {
      if (decision.delayMs > delayMs) (({ delayMs } = decision), ({ clock } = limit));
    }
    return delayMs === 0 ? undefined : sleep(delayMs, clock).then(() => undefined);
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
    charges.forEach((charge, index) => charge.decided(each[index], deniedBy === -1));
    return deniedBy === -1 ? [] : [charges[deniedBy]];
  }
}

/**
 * What the limits of a plan have asked for: one that is skipped asks for nothing, one with a rate function perhaps for
 * several.
 */
const charged = (asked) => (asked.every((one) => one instanceof Charge) ? asked : asked.flat().filter(Boolean));

/** For limits that no LimitSet can hold: a thread's JavaScript lets nothing come between taking and giving back. */
function chargeOneByOne(charges) {
  try {
    const denied = charges.filter((charge) => !charge.take().allowed);
    if (denied.length > 0) giveBackAll(charges);
    return denied;
  } catch (error) {
    giveBackAll(charges);
    throw error;
  }
}

const longest = (denied) => denied.reduce((a, b) => (b.decision.retryAfterMs > a.decision.retryAfterMs ? b : a));

/** Its own part of an options object, and the rest. */
function limiterOptions(options) {
  const own = {};
  const rest = {};
  for (const [name, value] of Object.entries(options)) (OPTIONS.includes(name) ? own : rest)[name] = value;
  if (own.headers !== undefined) check.bool(own.headers, 'headers');
  if (own.legacyHeaders !== undefined) check.bool(own.legacyHeaders, 'legacyHeaders');
  return [own, rest];
}

module.exports = { HttpLimiter, OPTIONS, Refusal, errorOf: (refusal) => errorOf(refusal), limiterOptions, overload };
