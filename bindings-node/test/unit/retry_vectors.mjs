// Retries, retry budgets and client throttles, for vectors.test.mjs.
import { createRequire } from 'node:module';
import { ClientThrottle, LoadShedder, RetryBudget, RetryPolicy } from '../../index.mjs';

const require = createRequire(import.meta.url);
const { delayOf, nextOf } = require('../../lib/retry.cjs');
const { checkWith } = require('../../lib/shed.cjs');
const { acquireWith } = require('../../lib/throttle.cjs');

const ms = (ns) => (ns === null ? undefined : Number(ns) / 1e6);

export const RETRY = {
  retry_policy: {
    make(config) {
      const policy = new RetryPolicy({
        attempts: config.attempts,
        baseMs: ms(config.base_ns),
        factor: config.factor,
        maxDelayMs: ms(config.max_delay_ns),
        jitter: config.jitter,
        deadlineMs: ms(config.deadline_ns),
        maxRetryAfterMs: ms(config.max_retry_after_ns),
      });
      return { policy, attempts: config.attempts, previous: 0 };
    },
    ops: {
      delay(it, { n, draw }) {
        const [delayMs, previous] = delayOf(it.policy, n, it.previous, draw);
        it.previous = previous;
        return { delayMs };
      },
      failed(it, { attempts, draw, retry_after_ns: told, elapsed_ns: elapsed }) {
        const next = nextOf(it.policy, attempts, it.previous, Math.min(ms(told) ?? 0, 1e13), ms(elapsed), draw);
        if (next === undefined) return { gave_up: attempts >= it.attempts ? 'attempts' : 'deadline' };
        const [waitMs, previous] = next;
        it.previous = previous;
        return { waitMs };
      },
    },
  },
  retry_budget: {
    make: (config, clock) =>
      new RetryBudget({
        ratio: config.ratio,
        minPerSecond: config.min_per_second,
        ttlMs: ms(config.ttl_ns),
        enabled: config.enabled,
        dryRun: config.dry_run,
        clock,
      }),
    ops: {
      deposit: (budget) => budget.deposit() ?? {},
      try_withdraw: (budget) => ({ ok: budget.tryWithdraw() }),
      balance: (budget) => ({ balance: budget.balance }),
      retry_after: (budget) => ({ retryAfterMs: budget.retryAfterMs }),
      stats(budget) {
        const { deposited, withdrawn, denied, wouldDeny } = budget.stats();
        return { deposited, withdrawn, denied, would_deny: wouldDeny };
      },
    },
  },
  load_shedder: {
    make: (config, clock) =>
      new LoadShedder({
        signals: config.signals.map((signal) => ({ kind: 'gauge', ...signal })),
        rise: config.rise,
        fall: config.fall,
        minAdmit: config.min_admit,
        criticalAt: config.critical_at,
        criticalAfterMs: ms(config.critical_after_ns),
        coolOffMs: ms(config.cool_off_ns),
        intervalMs: ms(config.interval_ns),
        enabled: config.enabled,
        dryRun: config.dry_run,
        clock,
      }),
    ops: {
      admit: (shedder, { priority, level, draw }) => ({
        ok: checkWith(shedder, 'admit', priority, level, draw).allowed,
      }),
      check(shedder, { priority, level, draw }) {
        const { signal, ...shed } = checkWith(shedder, 'check', priority, level, draw);
        // The runner takes it for a decision of a limit.
        return { ...shed, signal: signal ?? null, resetAfterMs: NaN, delayMs: 0 };
      },
      tell: (shedder, { signal, value }) => shedder.tell(signal, value) ?? {},
      sample: (shedder) => shedder.sample() ?? {},
      pressure: (shedder) => ({ pressure: shedder.pressure }),
      stats(shedder) {
        const { admitted, shed, wouldShed } = shedder.stats();
        return { admitted, shed: Object.values(shed), would_shed: wouldShed };
      },
    },
  },
  client_throttle: {
    make: (config, clock) =>
      new ClientThrottle({
        k: config.k,
        windowMs: ms(config.window_ns),
        minCalls: config.min_calls,
        maxRejection: config.max_rejection,
        forcePassMs: ms(config.force_pass_ns),
        enabled: config.enabled,
        dryRun: config.dry_run,
        clock,
      }),
    ops: {
      try_acquire: (throttle, { draw }) => ({ ok: acquireWith(throttle, draw) }),
      report: (throttle, { accepted }) => (accepted ? throttle.accepted() : throttle.refused()) ?? {},
      probability: (throttle) => ({ probability: throttle.probability }),
      retry_after: (throttle) => ({ retryAfterMs: throttle.retryAfterMs }),
      stats(throttle) {
        const { accepted, refused, rejected, wouldReject, forced, windowRequests, windowAccepts } = throttle.stats();
        const [window_requests, window_accepts] = [windowRequests, windowAccepts];
        return { accepted, refused, rejected, would_reject: wouldReject, forced, window_requests, window_accepts };
      },
    },
  },
};
