import type { Metrics } from '..';

/** What a `Registry` of prom-client is known by. */
export interface MetricRegistry {
  registerMetric(metric: never): void;
}

/**
 * Tells a registry of prom-client what `metrics` reads, at each scrape. Objects may be added later.
 *
 * @param registry one of prom-client, also its default `register`
 * @throws TypeError for what is none; prom-client's own Error where it knows the names already
 */
export function register(registry: MetricRegistry, metrics: Metrics): void;
