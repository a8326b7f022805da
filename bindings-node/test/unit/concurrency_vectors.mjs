// How the concurrency limiter plays its vectors: in memory of its own, and in an arena.
import { ConcurrencyLimiter } from 'tidegate';
import { fresh } from './arenas.mjs';

const settings = ({ limit, max_limit, enabled, dry_run }) => ({ limit, maxLimit: max_limit, enabled, dryRun: dry_run });

const file = 'concurrency_limiter';
const ops = {
  try_acquire(limiter, { as }, names) {
    const permit = limiter.tryAcquire();
    if (permit !== null) names.set(as, permit);
    return { permit: permit !== null };
  },
  release: (_limiter, { permit }, names) => ({ released: names.get(permit).release() }),
  set_limit: (limiter, { limit }) => limiter.setLimit(limit) ?? {},
  in_use: (limiter) => ({ in_use: limiter.inUse }),
  stats(limiter) {
    const { limit, inUse, admitted, denied, wouldDeny } = limiter.stats();
    return { limit, in_use: inUse, admitted, denied, would_deny: wouldDeny };
  },
};

export const CONCURRENCY = {
  concurrency_limiter: { file, ops, make: (config) => new ConcurrencyLimiter(settings(config)) },
  'concurrency_limiter in an arena': {
    file,
    ops,
    make: (config) => new ConcurrencyLimiter({ ...settings(config), scope: `process:${fresh()}`, name: 'vector' }),
  },
};
