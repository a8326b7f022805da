// How the adaptive limiter plays its vectors.
import { ConcurrencyLimiter } from 'tidegate';
import { CONCURRENCY } from './concurrency_vectors.mjs';

const ms = (ns) => (ns === null ? undefined : Number(ns) / 1e6);
const { try_acquire, release } = CONCURRENCY.concurrency_limiter.ops;

export const ADAPTIVE = {
  adaptive_limiter: {
    make: (config, clock) =>
      ConcurrencyLimiter.adaptive({
        algorithm: config.algorithm,
        minLimit: config.min_limit,
        initialLimit: config.initial_limit,
        maxLimit: config.max_limit,
        tolerance: config.tolerance,
        windowMs: ms(config.window_ns),
        samples: config.samples,
        maxWindowMs: ms(config.max_window_ns),
        minSamples: config.min_samples,
        probe: config.probe,
        probeEveryMs: ms(config.probe_every_ns),
        probeFloor: config.probe_floor ?? undefined,
        maxLatencyMs: ms(config.max_latency_ns),
        baseMs: ms(config.base_ns),
        timeoutMs: ms(config.timeout_ns),
        backoffRatio: config.backoff_ratio,
        clock,
      }),
    ops: {
      try_acquire,
      release,
      report: (_limiter, { permit, outcome, latency_ns }, names) => ({
        released: names.get(permit)[outcome](ms(latency_ns)),
      }),
      limit: (limiter) => ({ limit: limiter.limit, in_use: limiter.inUse }),
    },
  },
};
