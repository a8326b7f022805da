// Limits, and behind them, of another middleware, plugin or guard, what refuses: a request that is not served is
// charged nothing.
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { Controller, Get, Injectable, type Type, UseFilters } from '@nestjs/common';
import { of } from 'rxjs';
import { Gate, CircuitBreaker as TheBreaker, TokenBucket } from 'tidegate';
import { CircuitBreaker, RateLimit, TidegateModule } from 'tidegate/nest';
import './alone.js';
import { ADAPTERS, type Adapter, start } from './app.js';
import { FULL } from './full.js';
import { requester } from './request.js';
import { SERVERS } from './servers.js';

const buckets = () => [9, 8, 7].map((count) => new TokenBucket({ rate: `${count}/hour` }));
const open = () => {
  const payment = new TheBreaker('payment');
  payment.forceOpen();
  return payment;
};

/** What refuses behind them: options of the last middleware, or a gate. */
const LATER: Record<string, (t: TestContext) => any> = {
  'a concurrency limit': async (t) => ({ entrance: await FULL.concurrency!(t, {}) }),
  'a backlog': async (t) => ({ entrance: await FULL.queue!(t, {}) }),
  'a shedder': async (t) => ({ entrance: await FULL.shedder!(t, {}) }),
  'a circuit of a gate': async () => {
    const gate = new Gate('orders', { dependencies: { payment: open() } });
    return { gated: { gate, asking: { dependencies: ['payment'] } } };
  },
  'a concurrency limit of a gate': async (t) => {
    const { concurrency } = await FULL.concurrency!(t, {});
    return { gated: { gate: new Gate('orders', { concurrency }) } };
  },
  'a limit of a gate': async () => {
    const everyone = new TokenBucket({ rate: '1/hour' });
    everyone.tryAcquire();
    return { gated: { gate: new Gate('orders', { limits: { everyone } }) } };
  },
  'another limit': async () => {
    const last = new TokenBucket({ rate: '1/hour' });
    last.tryAcquire();
    return { limits: [{ rate: last, name: 'last' }] };
  },
};

for (const [framework, serve] of Object.entries(SERVERS)) {
  describe(`stacked over ${framework}`, () => {
    for (const [later, make] of Object.entries(LATER)) {
      it(`limits are charged nothing where ${later} refuses`, async (t) => {
        const { entrance, gated, limits = [] } = await make(t);
        const made = buckets();
        const all = [...made.map((rate, at) => ({ rate, name: `n${at}` })), ...limits];
        const port = await serve(t, all, entrance, gated);
        const { status } = await requester(`http://127.0.0.1:${port}`)('/');
        assert.equal(status, later.includes('limit') && !later.includes('concurrency') ? 429 : 503);
        assert.deepEqual(made.map((bucket) => bucket.peek().remaining), [9, 8, 7]);
      });
    }
  });
}

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`@CircuitBreaker over a route of Nest on ${adapter}, when it is open,`, () => {
    async function serve(t: TestContext, filters: any[] = []) {
      const bucket = new TokenBucket({ rate: '9/hour' });
      let begun = 0;
      @Injectable()
      class Payments {
        @CircuitBreaker('payment')
        async pay() {}
      }
      @Controller()
      @UseFilters(...filters)
      @RateLimit(bucket, { name: 'all' })
      class OrdersController {
        constructor(private readonly payments: Payments) {}
        @Get('sync')
        @CircuitBreaker('payment')
        sync() {
          begun += 1;
        }
        @CircuitBreaker('payment')
        @Get('async')
        async async() {
          begun += 1;
        }
        @Get('replaced')
        @CircuitBreaker('payment', { fallback: () => 'from a cache' })
        async replaced() {
          begun += 1;
        }
        @Get('lazy')
        @CircuitBreaker('payment')
        lazy() {
          begun += 1;
          return of('done');
        }
        @Get('within')
        async within() {
          begun += 1;
          return this.payments.pay();
        }
      }
      const module = TidegateModule.forRoot({ breakers: { payment: open() } });
      const { app, url } = await start(adapter, [module], [OrdersController] as Type[], [Payments]);
      t.after(() => app.close());
      return { request: requester(url), left: () => bucket.peek().remaining, begun: () => begun };
    }

    for (const [filters, over] of [['ours', []], ['one of its own', [{ catch: answer }]]] as const) {
      it(`charges its limits nothing, under ${filters}`, async (t) => {
        const { request, left, begun } = await serve(t, [...over]);
        for (const path of ['/sync', '/async', '/lazy']) {
          const { status, get } = await request(path);
          assert.deepEqual([status, get('retry-after'), left(), begun()], [503, '3600', 9, 0], path);
          assert.match(get('ratelimit') ?? '', /r=9/);
        }
      });
    }

    it('charges them for what is served, or has begun', async (t) => {
      const { request, left, begun } = await serve(t);
      assert.deepEqual([(await request('/replaced')).text, left(), begun()], ['from a cache', 8, 0]);
      assert.deepEqual([(await request('/within')).status, left(), begun()], [503, 7, 1]);
    });
  });
}

function answer(exception: any, host: any) {
  host.switchToHttp().getResponse().status(exception.getStatus()).send({ caught: true });
}
