// How a concurrency limiter with partitions plays its vectors: one that follows what calls report has a clock to set.
import { ConcurrencyLimiter } from 'tidegate';
import { CONCURRENCY } from './concurrency_vectors.mjs';

const { release } = CONCURRENCY.concurrency_limiter.ops;

export const PARTITIONED = {
  partitioned_limiter: {
    make: ({ limit, partitions, priority }, clock) =>
      ConcurrencyLimiter.adaptive({
        minLimit: limit,
        initialLimit: limit,
        maxLimit: limit,
        partitions: Object.fromEntries(partitions),
        priority,
        clock,
      }),
    ops: {
      try_acquire(limiter, { as, partition }, names) {
        const permit = limiter.tryAcquire({ partition: partition ?? undefined });
        if (permit !== null) names.set(as, permit);
        return { permit: permit !== null };
      },
      release,
      partition(limiter, { partition }) {
        const { guaranteed, inUse, calledBack, admitted, denied } = limiter.partitionStats()[partition];
        return { guaranteed, in_use: inUse, called_back: calledBack, admitted, denied };
      },
    },
  },
};
