// hammer.py, in Node: node hammer.mjs SECONDS FILE
import { writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { TokenBucket } from 'tidegate';

const [seconds, path] = [Number(process.argv[2]), process.argv[3]];
const bucket = new TokenBucket({ rate: '400/s', burst: 800, scope: 'host:hammer', name: 'orders' });
console.log('ready');
await once(process.stdin, 'data');
const times = [];
const now = () => process.hrtime.bigint();
const end = now() + BigInt(Math.round(seconds * 1e9));
while (now() < end) {
  const before = now();
  if (bucket.tryAcquire()) times.push(before, now());
  await sleep(2);
}
writeFileSync(path, new Uint8Array(BigUint64Array.from(times).buffer));
console.log('done');
process.exit();
