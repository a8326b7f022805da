'use strict';

const { LimitSet } = require('../index.cjs');
const { homeOf } = require('../lib/limit_set.cjs');

/** The most members of a LimitSet. */
const MEMBERS = 16;

/** The limits of a route, in the order in which a client is told of them. */
class Plan {
  /** Of a concurrency limit that is one for all routes: where this one's requests belong, if it says so. */
  partition = undefined;

  /** @param entrance what stands behind them, of one route or of all */
  constructor(limits, entrance = undefined) {
    this.limits = limits;
    this.entrance = entrance;
    if (limits.length > 1) for (const limit of limits) limit.checkRefund?.('limits');
    const natives = limits.every(({ native }) => native);
    const homes = natives ? limits.map(({ source }) => homeOf(source)) : [];
    /** All of them as one decision, where they can be that. */
    this.set =
      limits.length > 1 && limits.length <= MEMBERS && new Set(homes.map(({ domain }) => domain)).size === 1
        ? new LimitSet(Object.fromEntries(limits.map(({ source }, index) => [`limit ${index}`, source])))
        : undefined;
  }
}

module.exports = { Plan };
