'use strict';

const { LimitSet } = require('../index.cjs');
const { limitClock } = require('../lib/limit_set.cjs');

/** The most members of a LimitSet. */
const MEMBERS = 16;

/** The limits of a route, in the order in which a client is told of them. */
class Plan {
  constructor(limits) {
    this.limits = limits;
    const natives = limits.every(({ native }) => native);
    const clocks = natives ? new Set(limits.map(({ source }) => limitClock(source))) : new Set();
    /** The clock on which a leaky bucket's delay passes. */
    this.clock = clocks.size === 1 ? [...clocks][0] : undefined;
    /** All of them as one decision, where they can be that. */
    this.set =
      limits.length > 1 && limits.length <= MEMBERS && clocks.size === 1
        ? new LimitSet(Object.fromEntries(limits.map(({ source }, index) => [`limit ${index}`, source])))
        : undefined;
  }
}

module.exports = { Plan };
