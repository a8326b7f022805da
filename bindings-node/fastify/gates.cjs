'use strict';
// How each route asks the gate: as all do, or as `gate` in its `config.tidegate` says.

const check = require('../lib/check.cjs');
const { ASKING } = require('../http/gate.cjs');
const { Plan } = require('../http/middleware.cjs');
const { wordsOf } = require('./heard.cjs');

/** Of a route that is not asked for. */
const NONE = new Plan([]);

class Gates {
  #everywhere;
  /** By what a route's config says. */
  #plans = new Map([[false, NONE]]);

  /** What all routes have. */
  use({ entrance }) {
    this.#everywhere = new Plan([], entrance);
  }

  /** A mistake shows at once. */
  declare({ config, method, url }) {
    try {
      this.of({ config });
    } catch (error) {
      error.message = `config.tidegate of ${[method].flat()} ${url}: ${error.message}`;
      throw error;
    }
  }

  of(routeOptions) {
    const { gate: own } = wordsOf(routeOptions);
    if (own === undefined) return this.#everywhere;
    const known = this.#plans.get(own);
    if (known !== undefined) return known;
    const plan = new Plan([], this.#everywhere.entrance.with(check.options(own, 'gate', ASKING)));
    this.#plans.set(own, plan);
    return plan;
  }

  complete() {}
}

module.exports = { Gates };
