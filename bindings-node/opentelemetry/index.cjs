'use strict';
// tidegate's figures as observable instruments of OpenTelemetry. It is not imported: a meter is known by its methods.

const check = require('../lib/check.cjs');
const { Collection, families } = require('../lib/metrics.cjs');

function instrument(meter, metrics) {
  if (meter === null || typeof meter !== 'object' || typeof meter.createObservableCounter !== 'function') {
    throw check.typeError(`meter must be a Meter of @opentelemetry/api, got ${check.show(meter)}`);
  }
  const collection = new Collection(metrics);
  for (const { name: family, type, help: description } of families()) {
    const name = family.replace('tidegate_', 'tidegate.');
    const options = { description };
    const made =
      type === 'counter' ? meter.createObservableCounter(name, options) : meter.createObservableGauge(name, options);
    made.addCallback((result) => {
      for (const { value, labels } of collection.of(family)) result.observe(value, labels);
    });
  }
}

module.exports = { instrument };
