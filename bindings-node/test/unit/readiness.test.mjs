import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { LoadShedder, ManualClock, Readiness } from 'tidegate';

const { spreadOf } = createRequire(import.meta.url)('../../lib/readiness.cjs');

describe('Readiness', () => {
  it('is lost only after lasting pressure, and comes back at once', () => {
    const clock = new ManualClock(1_000_000_000_000n);
    const source = { pressure: 1 };
    const ready = new Readiness(source, { clock });
    spreadOf(ready, 0);
    for (const ms of [0, 2000, 2900]) {
      clock.advance(ms);
      assert.equal(ready.isReady, true);
    }
    source.pressure = 0.99;
    assert.equal(ready.isReady, true);
    source.pressure = 1;
    assert.equal(ready.isReady, true);
    clock.advance(4900);
    assert.equal(ready.isReady, true);
    clock.advance(100);
    assert.deepEqual([ready.isReady, JSON.stringify(ready)], [false, '{"afterMs":5000,"isReady":false}']);
    source.pressure = 0.5;
    assert.equal(ready.isReady, true);
    source.pressure = 1;
    assert.equal(ready.isReady, true);
    // A clock that steps back begins it anew.
    clock.setNs(0n);
    assert.equal(ready.isReady, true);
    clock.advance(5000);
    assert.equal(ready.isReady, false);
    source.pressure = 0;
    ready.stop();
    assert.equal(ready.isReady, false);
  });

  it('has a shedder that nobody else asks sample', () => {
    const clock = new ManualClock();
    let backlog = 100;
    const signals = [{ kind: 'gauge', read: () => backlog, start: 0, full: 10 }];
    const ready = new Readiness(new LoadShedder({ signals, clock }), { clock, afterMs: 2000 });
    spreadOf(ready, 0);
    const asked = (times) => Array.from({ length: times }, () => (clock.advance(300), ready.isReady)).at(-1);
    assert.deepEqual([asked(4), asked(10)], [true, false]);
    backlog = 0;
    assert.equal(asked(4), true);
  });

  it('does not end for a whole fleet at once', () => {
    const clock = new ManualClock();
    const fleet = Array.from({ length: 11 }, (_, index) => {
      const one = new Readiness(() => 1, { clock });
      spreadOf(one, index / 10);
      return one;
    });
    const gone = (ms) => {
      clock.advance(ms);
      return fleet.filter(({ isReady }) => !isReady).length;
    };
    assert.deepEqual([gone(0), gone(4999), gone(1), gone(1250), gone(1250)], [0, 0, 1, 6, 11]);
  });

  it('counts as ready where its source fails', async () => {
    const warned = once(process, 'warning');
    const sources = [() => NaN, () => '1', () => undefined, { get pressure() { throw new Error('gone'); } }];
    for (const source of sources) assert.equal(new Readiness(source, { afterMs: 0 }).isReady, true);
    assert.match((await warned)[0].message, /the source of a Readiness failed/);
  });

  it('answers over HTTP', async () => {
    const source = { pressure: 0 };
    const ready = new Readiness(source, { afterMs: 0 });
    const server = createServer(ready.handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}/readyz`;
    const first = await fetch(url);
    assert.deepEqual([first.status, await first.json()], [200, { ready: true }]);
    source.pressure = 1;
    const second = await fetch(url);
    assert.deepEqual([second.status, await second.json()], [503, { ready: false }]);
    assert.equal(second.headers.get('cache-control'), 'no-store');
    assert.equal((await fetch(url, { method: 'HEAD' })).status, 503);
    server.close();
    server.closeAllConnections();
  });

  it('refuses wrong arguments', () => {
    for (const source of [undefined, null, 5, {}]) {
      assert.throws(() => new Readiness(source), { code: 'ERR_INVALID_ARG_TYPE', message: /^source must be/ });
    }
    assert.throws(() => new Readiness(() => 1, { afterMs: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new Readiness(() => 1, { after: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  });
});

describe('docs/overload.md', () => {
  it('has an example that runs', async () => {
    const page = readFileSync(new URL('../../../docs/overload.md', import.meta.url), 'utf8');
    const [, code] = /```js\n([^]*?)```/.exec(page);
    const entry = (path) => JSON.stringify(new URL(`../../${path}index.mjs`, import.meta.url).href);
    const source = code.replace("'tidegate'", entry('')).replace("'tidegate/express'", entry('express/'));
    const { pages, rest, serve } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
    const server = createServer(serve).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const get = async (path) => {
      const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`);
      return [answer.status, await answer.text(), answer.headers.get('retry-after')];
    };
    assert.deepEqual(await get('/list'), [200, 'fresh', null]);
    pages.set('/list', 'older');
    const permits = Array.from({ length: 200 }, () => rest.tryAcquire());
    assert.deepEqual(await get('/list'), [200, 'older', null]);
    assert.deepEqual(await get('/other'), [503, 'try again later', '1']);
    assert.deepEqual(await get('/readyz'), [200, '{"ready":true}', null]);
    for (const permit of permits) permit.release();
    assert.deepEqual(await get('/other'), [200, 'fresh', null]);
    server.close();
    server.closeAllConnections();
  });
});
