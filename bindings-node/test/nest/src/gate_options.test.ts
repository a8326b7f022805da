// The page about gates says which options are taken where: each mark is tried.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Controller, Get } from '@nestjs/common';
import Fastify from 'fastify';
import { ConcurrencyLimiter, Gate as TheGate, LoadShedder, RateLimiter } from 'tidegate';
import { admit, rateLimit } from 'tidegate/express';
import { admit as admitFastify } from 'tidegate/fastify';
import { admit as admitKoa } from 'tidegate/koa';
import { Gate, RateLimit, TidegateModule, TidegateRegistry } from 'tidegate/nest';
import './alone.js';
import { start } from './app.js';
import { requester, statuses } from './request.js';

const page = readFileSync(join(process.cwd(), '../../../docs/gate.md'), 'utf8');
const part = page.slice(page.indexOf('### Before a web framework in Node'), page.indexOf('#### Express'));
/** The rows of the table whose first head is `head`. */
function rows(head: string) {
  const table = part.slice(part.indexOf(`| ${head} |`)).split('\n\n')[0]!.split('\n');
  return [table[0]!, ...table.slice(2)].map((row) => row.split('|').slice(1, -1).map((cell) => cell.trim()));
}
const namesIn = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!);

const gate = new TheGate('orders', {
  limits: { client: new RateLimiter({ rate: '9/min' }) },
  concurrency: { database: new ConcurrencyLimiter({ limit: 2, partitions: { live: 0.5 } }) },
  shedder: { main: new LoadShedder({ signals: [{ kind: 'gauge', name: 'load', start: 0, full: 1 }] }) },
});
const VALUES: Record<string, unknown> = {
  ...{ key: 'ip', priority: 'high', cost: 2, dependencies: [], partition: 'live', deadline: false, user: () => 'ann' },
  ...{ client: {}, headers: true, legacyHeaders: true, jitter: 0.1, exempt: [], onRefused: () => 'no' },
  ...{ overloadStatus: 529, hook: 'preHandler' },
};

async function fastify(options: object, own: object | undefined) {
  const app = Fastify();
  try {
    app.register(admitFastify, { gate, ...options } as any);
    app.get('/', { config: { tidegate: { gate: own } } } as any, async () => 'ok');
    await app.ready();
  } finally {
    await app.close();
  }
}
/** Who takes options, by the heads of the table. */
const TAKERS: Record<string, ((options: object) => unknown)[]> = {
  '`admit`': [(options) => admit(gate, options), (options) => admitKoa(gate, options)],
  'Fastify: plugin': [(options) => fastify(options, undefined)],
  'its routes': [(options) => fastify({}, options)],
  'Nest: module': [(options) => new (TidegateRegistry as any)({ gates: { orders: gate }, ...options })],
  '`gates`': [(options) => new (TidegateRegistry as any)({ gates: { orders: { gate, ...options } } })],
  '`@Gate`': [(options) => Gate('orders', options)(class {})],
};

describe('docs/gate.md', () => {
  const [heads, ...options] = rows('option');
  const places = heads!.slice(3);

  it('tells of all takers and options', () => {
    assert.deepEqual(places, Object.keys(TAKERS));
    assert.deepEqual(options.flatMap(([names]) => namesIn(names!)).sort(), Object.keys(VALUES).sort());
  });

  for (const [names, , , ...marks] of options) {
    for (const name of namesIn(names!)) {
      for (const [at, place] of places.entries()) {
        const isTaken = marks[at] === '✓';
        it(`says whether ${place} ${isTaken ? 'takes' : 'lacks'} ${name}`, async () => {
          for (const take of TAKERS[place]!) {
            const trying = async () => take({ [name]: VALUES[name] });
            if (isTaken) await trying();
            else await assert.rejects(trying, new RegExp(`has no option '${name}'`));
          }
        });
      }
    }
  }

  it("tells of the lists of Nest's module", async (t) => {
    class Root {
      get() {
        return 'ok';
      }
    }
    const on = Object.getOwnPropertyDescriptor(Root.prototype, 'get')!;
    Get()(Root.prototype, 'get', on);
    Gate('orders')(Root.prototype, 'get', on);
    RateLimit('1/hour')(Root.prototype, 'get', on);
    Controller()(Root);
    for (const [lists, seen] of [
      [{}, [200, 429, 429]],
      [{ deny: ['127.0.0.1'] }, [403, 403, 403]],
      // Two of the gate.
      [{ allow: ['127.0.0.1'] }, [200, 200, 429]],
    ] as const) {
      const client = new RateLimiter({ rate: '2/hour' });
      const gates = { orders: new TheGate('orders', { limits: { client } }) };
      const { app, url } = await start('express', [TidegateModule.forRoot({ gates, ...lists } as any)], [Root], []);
      t.after(() => app.close());
      assert.deepEqual(await statuses(requester(url), '/', 3), seen);
    }
  });

  it('tells what only plain limits take', async () => {
    const told = rows('of a plain limit').slice(1).flatMap(([names]) => namesIn(names!));
    let message = '';
    try {
      rateLimit({ none: 1 } as any);
    } catch (error) {
      ({ message } = error as Error);
    }
    const all = message.replace(/^.*it takes /, '').split(', ');
    assert.ok(all.length > 20, message);
    const settings = ['perMs', 'warmUp', 'onConflict', 'clock', 'fastest', 'queue', 'hugePages'];
    const others = all.filter((name) => !(name in VALUES) && !settings.includes(name));
    assert.deepEqual(others.filter((name) => !told.includes(name)), []);
    for (const name of told.filter((one) => all.includes(one))) {
      const trying = async () => admit(gate, { [name]: undefined } as any);
      await assert.rejects(trying, new RegExp(`has no option '${name}'`), name);
    }
  });
});
