// What README and the pages show: compiled with these tests, and run here.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';

const load = createRequire(join(process.cwd(), 'package.json'));
const samples = join(process.cwd(), 'src/samples');
const named = (end: string) => readdirSync(samples).filter((name) => name.endsWith(end));

/** Runs a CommonJS sample and gives the values of `names`. */
function run(file: string, ...names: string[]): any[] {
  const code = readFileSync(join(samples, file), 'utf8');
  return new Function('require', `${code}\nreturn [${names.join(', ')}];`)(load);
}

describe('the samples', () => {
  for (const name of named('.ts')) {
    it(`${name} loads`, () => import(`./samples/${name.replace(/\.ts$/, '.js')}`));
  }

  it('show a test that does not wait', async () => {
    const source = named('.ts').find((name) =>
      readFileSync(join(samples, name), 'utf8').includes('export async function test'),
    );
    const sample = await import(`./samples/${source?.replace(/\.ts$/, '.js')}`);
    assert.deepEqual(await sample.test(), [200, 200, 429, 200]);
  });

  it('run so many at once', async () => {
    const { chart, page, thumbnail } = await import('./samples/concurrency-0.js');
    assert.deepEqual([await chart(), await page(), thumbnail()], ['drawn', 'drawn', 'drawn']);
    assert.deepEqual(await Promise.all([chart(), page(), chart(), page()]), Array(4).fill('drawn'));
  });

  it('lend what is unused, and call it back', async () => {
    const { exportOne, kept, page } = await import('./samples/concurrency-2.js');
    assert.deepEqual([await page(), exportOne(), kept()], ['drawn', 'done', 0]);
  });

  it('of a bucket, a breaker, a queue and a clock do what they say', async () => {
    const { admit } = await import('./samples/rate-limiting-0.js');
    assert.deepEqual(
      Array.from({ length: 100 }, () => admit('ann')),
      Array(100).fill(undefined),
    );
    assert.ok((admit('ann') ?? Infinity) <= 600);
    assert.equal(admit('ben', true), undefined);
    const { checkout } = await import('./samples/circuit-breaker-0.js');
    for (let i = 0; i < 5; i += 1) assert.equal(await checkout({ bank: 'down' }), 'failed');
    assert.equal(await checkout({}), 'again in 30 s');
    const { bank, opened } = await import('./samples/circuit-breaker-1.js');
    const down = () => {
      throw new Error('down');
    };
    for (let i = 0; i < 5; i += 1) await assert.rejects(async () => bank.call(down));
    bank.reset();
    while (opened.length === 0) await setTimeout(10);
    assert.deepEqual(opened, [0]);
    const { fetchFrom } = await import('./samples/circuit-breaker-2.js');
    assert.equal(await fetchFrom('db.internal'), 'from db.internal');
    const { accept } = await import('./samples/queue-0.js');
    assert.equal(Array.from({ length: 801 }, (_, id) => accept({ id: `${id}` })).indexOf(503), 800);
    const { aTokenComesBack } = await import('./samples/clocks-0.js');
    assert.deepEqual(aTokenComesBack(), [true, false, true]);
  });

  it('of clients do what they say', async (t) => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.headers['idempotency-key']}`);
      response.writeHead(asked.length % 3 === 0 ? 200 : 503).end('5 EUR');
    });
    t.after(() => (server.close(), server.closeAllConnections()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { order, prices } = await import('./samples/clients-0.js');
    assert.equal(await prices(url), '5 EUR');
    assert.equal(await order(url, 'order-1'), 200);
    assert.deepEqual(asked, [...Array(3).fill('GET undefined'), ...Array(3).fill('POST order-1')]);
    const { balance, bank, query } = await import('./samples/clients-1.js');
    assert.equal(await (await balance(url)).body.text(), '5 EUR');
    assert.equal((await bank.get(url)).data, '5 EUR');
    assert.deepEqual(await query(), { rows: 1, aborted: false });
    assert.equal(asked.length, 12);
  });

  it('of a gate answer before each framework', async (t) => {
    const samples = [1, 2, 3, 4].map((number) => import(`./samples/gate-${number}.js`));
    const [express, fastify, nest, koa] = await Promise.all(samples);
    const listen = async (server: any) => {
      t.after(() => (server.close(), server.closeAllConnections?.()));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    };
    const ask = async (port: number, path: string, method = 'GET') => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { 'x-api-key': 'ann' } });
      // Of the limits that are slow to fill.
      const fields = answer.headers.get('ratelimit')?.replace(/;t=\d+|, "everyone";r=\d+;t=\d+/g, '') ?? null;
      return [answer.status, await answer.text(), fields];
    };
    const ours = await listen(createServer(express.app));
    assert.deepEqual(await ask(ours, '/orders', 'POST'), [201, '{"left":99}', '"client";r=99']);
    assert.deepEqual(await ask(ours, '/recommendations'), [200, '[]', '"client";r=98']);
    await fastify.app.listen({ port: 0, host: '127.0.0.1' });
    t.after(() => fastify.app.close());
    const { port } = fastify.app.server.address();
    assert.deepEqual(await ask(port, '/search'), [200, '95 left', '"client";r=95']);
    assert.deepEqual(await ask(port, '/version'), [200, '1', null]);
    const app = await NestFactory.create(nest.OrdersModule, new ExpressAdapter(), { logger: false });
    t.after(() => app.close());
    await app.listen(0, '127.0.0.1');
    const { port: nests } = app.getHttpServer().address();
    assert.deepEqual(await ask(nests, '/orders'), [200, '[]', '"client";r=99']);
    assert.deepEqual(await ask(nests, '/orders', 'POST'), [201, '{"left":98}', '"client";r=98']);
    const koas = await listen(createServer(koa.app.callback()));
    assert.deepEqual(await ask(koas, '/?urgent=1'), [200, '49 left', '"client";r=99']);
  });

  it('without a framework run from top to bottom', async (t) => {
    const tidegate = load('tidegate');
    const { BoundedQueue } = tidegate;
    // The sample serves its queue until it is closed.
    class Closing extends BoundedQueue {
      tryPush(given: unknown) {
        setImmediate(() => this.close());
        return super.tryPush(given);
      }
    }
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-test-'));
    process.env.TIDEGATE_DIR = directory;
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const [file] = named('.txt').filter((name) => name.startsWith('readme-'));
    const code = readFileSync(join(samples, file ?? ''), 'utf8');
    const ours = () => ({ ...tidegate, BoundedQueue: Closing });
    const calls = { query: async () => 1, ask: async () => [] };
    const lent = { require: ours, signal: undefined, order: {}, item: 1, user: { id: 'u1' }, ...calls };
    const AsyncFunction: any = (async () => {}).constructor;
    const made = 'return [booking.booked, permit !== null, await pay({}), shared.tryAcquire()]';
    const seen = await new AsyncFunction(...Object.keys(lent), `${code}${made}`)(...Object.values(lent));
    assert.deepEqual(seen, [true, true, undefined, true]);
  });

  it('refuse logins before and after rate-limiter-flexible', async () => {
    for (const file of ['coming-from-rate-limiter-flexible-0.txt', 'coming-from-rate-limiter-flexible-1.txt']) {
      const [login] = run(file, 'login');
      const answers = [await login('a'), await login('a'), await login('a'), await login('a'), await login('b')];
      assert.match(answers.join(), /^go on,go on,again in \d+ s,again in (599|600|601) s,go on$/, file);
    }
  });

  it('refuse by the second before and after rate-limiter-flexible', async () => {
    for (const file of ['coming-from-rate-limiter-flexible-2.txt', 'coming-from-rate-limiter-flexible-3.txt']) {
      const [may] = run(file, 'may');
      assert.deepEqual(
        [await may('a'), await may('a'), await may('a'), await may('b')],
        [true, true, false, true],
        file,
      );
    }
  });
});
