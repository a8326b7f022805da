'use strict';
// tidegate's figures in a registry of prom-client, which is not imported: a registry is known by its methods.

const check = require('../lib/check.cjs');
const { Collection, families } = require('../lib/metrics.cjs');

function register(registry, metrics) {
  if (registry === null || typeof registry !== 'object' || typeof registry.registerMetric !== 'function') {
    throw check.typeError(`registry must be a Registry of prom-client, got ${check.show(registry)}`);
  }
  const collection = new Collection(metrics);
  for (const { name: family, type, help } of families()) {
    const name = type === 'counter' ? `${family}_total` : family;
    registry.registerMetric({
      name,
      help,
      type,
      aggregator: 'first',
      // The registry renames counters where it writes OpenMetrics.
      get() {
        return { name: this.name, help, type, aggregator: 'first', values: collection.of(family) };
      },
      reset() {},
    });
  }
}

module.exports = { register };
