// worker.py, in Node: node worker.mjs FILE SCOPE
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConcurrencyLimiter } from 'tidegate';

const [path, scope] = process.argv.slice(2);
const limiter = ConcurrencyLimiter.adaptive({ scope, name: 'service' });
const places = new ConcurrencyLimiter({ limit: 2, maxWaitMs: Infinity });
const [rows, now] = [[], () => process.hrtime.bigint()];

const server = createServer(async (request, response) => {
  const asked = [now(), limiter.limit];
  const permit = limiter.tryAcquire();
  if (permit === null) return response.writeHead(503).end();
  const admitted = [now(), limiter.limit];
  const place = await places.acquire();
  await sleep(100);
  place.release();
  rows.push([...asked, ...admitted, now()]);
  permit.success();
  response.end();
});
server.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on('end', () => {
  writeFileSync(path, rows.map((row) => `${row.join(' ')}\n`).join(''));
  process.exit();
});
