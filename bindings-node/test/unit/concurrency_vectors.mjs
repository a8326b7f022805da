// How the concurrency limiter plays its vectors: in memory of its own, and in an arena.
import { setImmediate as turn } from 'node:timers/promises';
import { ConcurrencyLimiter } from 'tidegate';
import { fresh } from './arenas.mjs';

const settings = ({ limit, max_limit, enabled, dry_run, max_waiting, order }) => ({
  limit,
  maxLimit: max_limit,
  enabled,
  dryRun: dry_run,
  maxWaiting: max_waiting ?? undefined,
  order,
});

const file = 'concurrency_limiter';
const ops = {
  try_acquire(limiter, { as }, names) {
    const permit = limiter.tryAcquire();
    if (permit !== null) names.set(as, permit);
    return { permit: permit !== null };
  },
  release: (_limiter, { permit }, names) => ({ released: names.get(permit).release() }),
  set_limit: (limiter, { limit }) => limiter.setLimit(limit) ?? {},
  async wait(limiter, { as }, names) {
    const abort = new AbortController();
    const waiter = { abort, permit: null, isRefused: false };
    names.set(as, waiter);
    limiter.acquire({ timeoutMs: Infinity, signal: abort.signal }).then(
      (permit) => (waiter.permit = permit),
      () => (waiter.isRefused = true),
    );
    await turn();
    return { waits: !waiter.isRefused };
  },
  async take(_limiter, { waiter, as }, names) {
    await turn();
    const { permit } = names.get(waiter);
    names.set(as, permit);
    return { permit: permit !== null };
  },
  async give_up(_limiter, { waiter }, names) {
    names.get(waiter).abort.abort();
    await turn();
    return {};
  },
  in_use: (limiter) => ({ in_use: limiter.inUse }),
  stats(limiter) {
    const { limit, inUse, admitted, denied, wouldDeny } = limiter.stats();
    return { limit, in_use: inUse, admitted, denied, would_deny: wouldDeny };
  },
};

/** Nobody waits beyond a case: a wait looks in from time to time, and keeps the process alive. */
const end = (names) => names.forEach((waiter) => waiter?.abort?.abort());

export const CONCURRENCY = {
  concurrency_limiter: { file, ops, end, make: (config) => new ConcurrencyLimiter(settings(config)) },
  'concurrency_limiter in an arena': {
    file,
    ops,
    end,
    make: (config) => new ConcurrencyLimiter({ ...settings(config), scope: `process:${fresh()}`, name: 'vector' }),
  },
};
