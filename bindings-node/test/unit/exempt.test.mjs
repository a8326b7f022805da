// What is never refused, over real HTTP.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { ConcurrencyLimiter } from 'tidegate';
import { rateLimit } from 'tidegate/express';

/** Behind a limiter that has no permit left; gives the statuses of requests. */
async function full(t, options = {}) {
  const concurrency = new ConcurrencyLimiter({ limit: 1 });
  const permit = concurrency.tryAcquire();
  const guard = rateLimit({ concurrency, ...options });
  const server = createServer((request, response) => guard(request, response, () => response.end()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
    permit.release();
  });
  return async (path, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { method });
    await answer.arrayBuffer();
    return [answer.status, answer.headers.get('retry-after')];
  };
}

describe('exempt', () => {
  it('is what looks after the service, and a preflight', async (t) => {
    const ask = await full(t);
    for (const path of ['/healthz', '/livez', '/readyz', '/readyz?full']) {
      assert.deepEqual(await ask(path), [200, null]);
    }
    assert.deepEqual(await ask('/', 'OPTIONS'), [200, null]);
    for (const path of ['/', '/readyz/x', '/x/readyz', '/readyz/', '/orders?/readyz']) {
      assert.deepEqual(await ask(path), [503, '1'], path);
    }
  });

  it('is what is said instead', async (t) => {
    const ask = await full(t, { exempt: ['/up'] });
    assert.deepEqual(await ask('/up'), [200, null]);
    assert.deepEqual(await ask('/readyz'), [503, '1']);
    const none = await full(t, { exempt: [] });
    assert.deepEqual(await none('/readyz'), [503, '1']);
    assert.deepEqual(await none('/', 'OPTIONS'), [200, null]);
  });

  it('names what cannot be', () => {
    for (const exempt of ['/up', [1], ['up'], ['/up/*'], ['/up?a'], {}]) {
      assert.throws(() => rateLimit({ rate: '1/s', exempt }), /^\w*Error.*: exempt/);
    }
  });
});
