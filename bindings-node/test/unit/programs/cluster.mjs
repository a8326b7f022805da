// cluster.mjs SCOPE: four workers behind one port, one limit. Prints the port; tells at SIGTERM how many each worker
// has served.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { TokenBucket } from 'tidegate';

const WORKERS = 4;

if (cluster.isPrimary) {
  const workers = Array.from({ length: WORKERS }, () => cluster.fork());
  const served = {};
  let listening = 0;
  for (const worker of workers) worker.on('message', () => (served[worker.id] = (served[worker.id] ?? 0) + 1));
  cluster.on('listening', (_worker, { port }) => {
    listening += 1;
    if (listening === WORKERS) process.send({ port });
  });
  process.on('message', () => process.send({ served }));
  process.on('disconnect', () => process.exit());
} else {
  const bucket = new TokenBucket({ rate: '100/hour', scope: process.argv[2], name: 'everyone' });
  createServer((_request, response) => {
    response.statusCode = bucket.tryAcquire() ? 200 : 429;
    process.send('served', () => response.end());
  }).listen(0);
}
