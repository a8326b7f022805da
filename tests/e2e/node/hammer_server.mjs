// The shared limit behind an HTTP server.
import { createServer } from 'node:http';
import { TokenBucket } from 'tidegate';

const bucket = new TokenBucket({ rate: '400/s', burst: 800, scope: 'host:hammer', name: 'orders' });
const server = createServer((request, response) => {
  const decision = bucket.check();
  if (decision.allowed) return response.end('ok');
  response.writeHead(429, { 'retry-after': Math.max(1, Math.ceil(decision.retryAfterMs / 1000)) }).end();
});
server.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
