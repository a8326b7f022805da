'use strict';

const check = require('../lib/check.cjs');
const { complain, isPromise, abandon } = require('../lib/promise.cjs');

/** One limit of a request: what it is to take, of whom, and what came of it. */
class Charge {
  /** Whether its cost is taken, and not given back. */
  #taken = false;

  /** @param tier `{ tier, quota }`, undefined for the limit's own quota */
  constructor(limit, key, cost, tier) {
    this.limit = limit;
    this.key = key;
    this.cost = cost;
    this.tier = tier;
    this.decision = undefined;
    /** The policy's name, where another limit of the same request has the limit's own. */
    this.called = undefined;
  }

  get policyName() {
    return this.called ?? this.limit.policyName;
  }

  /** Who refused how much, by which quota. */
  get refusal() {
    return this.limit.refusal(this.policyName, this);
  }

  /** Takes the cost, or tells why not. */
  take() {
    const { source, keyed, native } = this.limit;
    const decision = keyed ? source.check(this.key, this.cost, this.tier?.tier) : source.check(this.cost);
    if (!native) verify(decision);
    this.decision = decision;
    this.#taken = decision.allowed;
    return decision;
  }

  /** A LimitSet has decided for all of its charges together. */
  decided(decision, taken) {
    this.decision = decision;
    this.#taken = taken;
  }

  /**
   * Gives back what is taken, once: refunds come from several sides, and a second one would be a token from nowhere.
   */
  giveBack() {
    if (!this.#taken) return;
    this.#taken = false;
    const { source, keyed } = this.limit;
    try {
      const given = keyed ? source.refund?.(this.key, this.cost, this.tier?.tier) : source.refund?.(this.cost);
      abandon([given]);
    } catch (error) {
      complain(`refund of limit '${this.limit.name}' failed`, error);
    }
  }

  /** After `giveBack`: what the client is told of it. */
  lookAgain() {
    const { source, keyed, native } = this.limit;
    if (!native) return;
    const now = keyed ? source.peek(this.key, this.tier?.tier) : source.peek();
    this.decision = { ...this.decision, remaining: now.remaining, resetAfterMs: now.resetAfterMs };
  }
}

const isCount = (value) => Number.isInteger(value) && value >= 0;
const isSpan = (value) => typeof value === 'number' && value >= 0;

/** What of an own limit's decision stands in headers, or is waited for; `delayMs` may be left out. */
const TOLD = {
  limit: isCount,
  remaining: isCount,
  retryAfterMs: isSpan,
  resetAfterMs: isSpan,
  delayMs: (value = 0) => isSpan(value) && value < Infinity,
};

/** The answer of an application's own limit. */
function verify(decision) {
  if (isPromise(decision)) abandon([decision]);
  else if (typeof decision?.allowed === 'boolean') {
    const wrong = Object.keys(TOLD).find((name) => !TOLD[name](decision[name]));
    if (wrong === undefined) return;
    throw check.typeError(`check() of a limit gave a decision whose ${wrong} is ${check.show(decision[wrong])}`);
  }
  throw check.typeError(
    `check() of a limit must return a decision ({ allowed, limit, … }), got ${check.show(decision)}`,
  );
}

const giveBackAll = (charges) => charges?.forEach((charge) => charge.giveBack());

/** Each policy of an answer has a name of its own: 'default', 'default-2', … */
function nameApart(charges) {
  const names = new Set();
  for (const charge of charges) {
    const own = charge.limit.policyName;
    let name = own;
    for (let nth = 2; names.has(name); nth += 1) name = `${own}-${nth}`;
    charge.called = name === own ? undefined : name;
    names.add(name);
  }
}

module.exports = { Charge, giveBackAll, nameApart };
