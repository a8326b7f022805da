// victim.py's work, in Node: one process, killed from outside. node victim.mjs NUMBER FILE
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CircuitBreaker, ConcurrencyLimiter, RateLimiter, TokenBucket } from 'tidegate';

const scope = 'host:kill';
const objects = () => ({
  bucket: new TokenBucket({ rate: '2000/s', burst: 500, scope, name: 'bucket' }),
  changing: new TokenBucket({ rate: '1000/s', burst: 100, scope, name: 'changing' }),
  limiter: new RateLimiter({ rate: '50/s', burst: 10, maxKeys: 1000, scope, name: 'limiter' }),
  window: new RateLimiter({ rate: '100/s', maxKeys: 1000, algorithm: 'fixed_window', scope, name: 'window' }),
  log: new RateLimiter({ rate: '20/s', maxKeys: 100, algorithm: 'sliding_log', scope, name: 'log' }),
  breaker: new CircuitBreaker('breaker', { consecutiveFailures: 5, cooldownMs: 1, probes: 1, scope }),
  held: new ConcurrencyLimiter({ limit: 16, scope, name: 'held' }),
  passing: new ConcurrencyLimiter({ limit: 3, scope, name: 'passing' }),
});

const [number, counts] = [Number(process.argv[2]), process.argv[3]];
let mine = objects();
const kept = mine.held.tryAcquire();
const file = openSync(counts, 'r+');
const counter = new BigUint64Array(1);
const bytes = new Uint8Array(counter.buffer);
writeFileSync(counts.replace(/\.[^.]*$/, '.ready'), kept ? String(process.pid) : 'no permit');

let seed = number * 7919 + 1;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
const pick = (list) => list[Math.floor(random() * list.length)];
for (;;) {
  const step = Math.floor(random() * 8);
  if (step < 3) {
    if (mine.bucket.tryAcquire()) {
      counter[0] += 1n;
      writeSync(file, bytes, 0, 8, 0);
    }
  } else if (step === 3) {
    mine.changing.setQuota({ rate: pick(['1000/s', '500/s']), burst: pick([50, 100]) });
    mine.changing.tryAcquire(2);
  } else if (step === 4) {
    for (const each of ['limiter', 'window', 'log']) mine[each].check(`user:${Math.floor(random() * 20)}`);
  } else if (step === 5) {
    const permit = mine.breaker.tryAcquire();
    if (permit) random() < 0.7 ? permit.failure() : permit.success();
  } else if (step === 6) {
    mine.passing.tryAcquire()?.release();
  } else {
    mine = { ...objects(), held: mine.held };
  }
  await sleep(0);
}
