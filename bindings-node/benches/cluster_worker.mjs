// The worker of rate-limiter-flexible's cluster mode: calls as often as it is told.
import { RateLimiterCluster } from 'rate-limiter-flexible';

const limiter = new RateLimiterCluster({ keyPrefix: 'bench', points: Number.MAX_SAFE_INTEGER, duration: 3600, timeoutMs: 60_000 });
await limiter.consume('key');
process.on('message', async ({ calls }) => {
  if (calls === undefined) return;
  for (let i = 0; i < calls; i += 1) await limiter.consume('key');
  process.send('done');
});
process.send('ready');
