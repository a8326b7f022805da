import type { Metrics } from '..';

/** What a `Meter` of `@opentelemetry/api` is known by. */
export interface InstrumentMeter {
  createObservableCounter(name: string, options?: { description?: string }): unknown;
  createObservableGauge(name: string, options?: { description?: string }): unknown;
}

/**
 * Makes an observable counter or gauge of each family of `metrics`. Objects may be added later. Names are those of
 * Prometheus with dots (`tidegate.decisions`): there are no semantic conventions for them yet.
 *
 * @param meter whose instruments they are: `metrics.getMeter('tidegate')` of `@opentelemetry/api`
 * @throws TypeError for what is none
 */
export function instrument(meter: InstrumentMeter, metrics: Metrics): void;
