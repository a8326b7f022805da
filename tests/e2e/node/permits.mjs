// permits.py, in Node: node permits.mjs SECONDS TASKS
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConcurrencyLimiter } from 'tidegate';

const HELD_MS = 10;
const [seconds, tasks] = [Number(process.argv[2]), Number(process.argv[3])];
const limiter = new ConcurrencyLimiter({ limit: 4, maxWaitMs: Infinity, scope: 'host:permits', name: 'places' });
console.log('ready');
await once(process.stdin, 'data');
const end = performance.now() + seconds * 1e3;
let permits = 0;
let longestMs = 0;
const task = async () => {
  for (let asked; (asked = performance.now()) < end; ) {
    await limiter.run(async () => {
      const now = performance.now();
      longestMs = Math.max(longestMs, now - asked);
      if (now >= end) return;
      permits += 1;
      await sleep(HELD_MS);
    });
  }
};
await Promise.all(Array.from({ length: tasks }, task));
console.log('done', permits, longestMs / 1e3);
process.exit();
