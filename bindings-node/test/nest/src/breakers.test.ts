// @CircuitBreaker over methods, and Nest's HttpModule over the guarded adapter, on real servers.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { HttpModule, HttpService } from '@nestjs/axios';
import { Controller, Get, Inject, Injectable, NotFoundException, Param } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Observable, defer, firstValueFrom, lastValueFrom, map, throwError } from 'rxjs';
import { CircuitBreaker as Circuit, type CircuitBreakerOptions, CircuitOpenError } from 'tidegate';
import { ManualClock, RetryPolicy } from 'tidegate';
import { guardedAdapter } from 'tidegate/axios';
import { CircuitBreaker, InjectBreaker, RateLimit, TidegateModule, getBreakerToken } from 'tidegate/nest';
import { ADAPTERS, type Adapter, start } from './app.js';
import { requester } from './request.js';

/** What the bank does next. */
let bank: () => any = () => 'paid';
const down = () => {
  throw new Error('the bank is down');
};

@Injectable()
class Payments {
  readonly currency = 'EUR';

  @CircuitBreaker('payment', { fallback: 'later' })
  async pay(order: string, _cents = 1) {
    return `${await bank()} ${order} in ${this.currency}`;
  }

  later(error: Error, ...order: unknown[]) {
    return [error.constructor.name, this.currency, ...order];
  }

  @CircuitBreaker('payment', { fallback: (error: Error, order: string) => `${order}: ${error.message}` })
  quote(order: string) {
    return `${bank()} ${order}`;
  }

  @CircuitBreaker('payment')
  promise(order: string): Promise<string> {
    return Promise.resolve(order).then(() => bank());
  }

  @CircuitBreaker('payment', { fallback: () => 'from the cache' })
  watch(): Observable<string> {
    return defer(() => (bank === down ? throwError(() => new Error('the bank is down')) : Promise.resolve(bank())));
  }

  @CircuitBreaker('payment', {
    fallback: async () => {
      throw new Error('no queue');
    },
  })
  async lost() {
    return bank();
  }

  @CircuitBreaker('lenient', { fallback: () => 'stood in' })
  async find() {
    return bank();
  }
}

class Special extends Payments {
  @CircuitBreaker('lenient')
  override quote(order: string) {
    return `special ${super.quote(order)}`;
  }
}

@Controller('pay')
class PayController {
  constructor(@Inject(Payments) private readonly payments: Payments) {}

  @Get('by/:order')
  @RateLimit('100/hour', { name: 'pay' })
  @CircuitBreaker('payment')
  @RateLimit('3/hour', { name: 'narrow' })
  async byDecorator(@Param('order') order: string) {
    return `${bank()} ${order}`;
  }

  @Get('fallback')
  fallback() {
    return this.payments.pay('order');
  }
}

/** A provider made by Nest, its breakers, and what they stand on. */
async function made(t: TestContext, type: new () => Payments = Payments, more: CircuitBreakerOptions = {}) {
  bank = () => 'paid';
  const clock = new ManualClock();
  const breakers = {
    payment: { consecutiveFailures: 2, cooldownMs: 1000, clock, ...more },
    lenient: { ignore: NotFoundException, consecutiveFailures: 1 },
  };
  const app = await Test.createTestingModule({
    imports: [TidegateModule.forRoot({ breakers })],
    providers: [type],
  }).compile();
  t.after(() => app.close());
  const circuit: Circuit = app.get(getBreakerToken('payment'));
  return { app, clock, circuit, payments: app.get(type) };
}

describe('@CircuitBreaker', { timeout: 60_000 }, () => {
  it('guards methods that give values, promises and Observables', async (t) => {
    const { payments, circuit } = await made(t);
    assert.equal(await payments.pay('a'), 'paid a in EUR');
    assert.equal(payments.quote('b'), 'paid b');
    assert.equal(await payments.promise('c'), 'paid');
    const watched = payments.watch();
    assert.equal(circuit.stats().calls, 3);
    assert.equal(await firstValueFrom(watched), 'paid');
    assert.equal(await lastValueFrom(watched), 'paid');
    assert.deepEqual([circuit.stats().calls, circuit.stats().failed], [5, 0]);
    assert.deepEqual([payments.pay.name, payments.pay.length, payments.quote.name], ['pay', 1, 'quote']);
  });

  it('gives the fallback error and arguments, and never hears of it', async (t) => {
    const { payments, circuit, clock } = await made(t);
    bank = down;
    assert.deepEqual(await payments.pay('a', 5), ['Error', 'EUR', 'a', 5]);
    assert.equal(payments.quote('b'), 'b: the bank is down');
    assert.deepEqual([circuit.state, circuit.stats().lastTrip?.failed], ['open', 2]);
    // Refused: the fallback is told by what.
    assert.match((await payments.pay('c'))[0] as string, /^RefusedException$/);
    assert.match(payments.quote('d'), /^d: circuit "payment" is open/);
    assert.equal(await firstValueFrom(payments.watch()), 'from the cache');
    await assert.rejects(async () => payments.promise('e'), CircuitOpenError);
    const lost = await payments.lost().then(assert.fail, (error: any) => error);
    assert.deepEqual([lost.message, lost.cause instanceof CircuitOpenError], ['no queue', true]);
    bank = () => 'paid';
    clock.advance(1000);
    assert.equal(await payments.pay('f'), 'paid f in EUR');
    assert.equal(circuit.state, 'closed');
    bank = down;
    assert.equal(await firstValueFrom(payments.watch()), 'from the cache');
    assert.equal(circuit.stats().failed, 1);
  });

  it('stands in for failures only', async (t) => {
    const { payments, app } = await made(t);
    const lenient: Circuit = app.get(getBreakerToken('lenient'));
    for (const error of [new NotFoundException(), new DOMException('the customer left', 'AbortError')]) {
      bank = () => Promise.reject(error);
      await assert.rejects(payments.find(), (thrown) => thrown === error);
    }
    const open = new CircuitOpenError('another', 1);
    bank = () => Promise.any([Promise.reject(open), Promise.reject(open)]);
    assert.equal(await payments.find(), 'stood in');
    assert.equal(lenient.stats().calls, 0);
    bank = down;
    assert.equal(await payments.find(), 'stood in');
    assert.equal(lenient.state, 'open');
  });

  it('gives the probe of an Observable that nobody waits for back', async (t) => {
    const { payments, circuit, clock } = await made(t);
    bank = down;
    for (const order of ['a', 'b']) payments.quote(order);
    clock.advance(1000);
    bank = () => new Promise(() => {});
    const subscription = payments.watch().subscribe();
    assert.deepEqual([circuit.state, circuit.tryAcquire()], ['half_open', null]);
    subscription.unsubscribe();
    circuit.acquire().success();
    assert.equal(circuit.state, 'closed');
  });

  it('judges the last value of an Observable as it judges what a promise gives', async (t) => {
    const { payments, circuit } = await made(t, Payments, {
      failureResult(value: unknown) {
        if (value === 'broken') throw new Error('no verdict');
        return value === 'half';
      },
    });
    for (const wait of [firstValueFrom, lastValueFrom]) {
      bank = () => 'half';
      assert.equal(await wait(payments.watch()), 'half');
      assert.deepEqual([circuit.stats().calls, circuit.stats().failed], [1, 1]);
      bank = () => 'paid';
      assert.equal(await wait(payments.watch()), 'paid');
      assert.deepEqual([circuit.stats().calls, circuit.stats().failed], [2, 1]);
      circuit.reset();
    }
    bank = () => 'broken';
    assert.equal(await firstValueFrom(payments.watch()), 'broken');
    assert.deepEqual([circuit.stats().calls, circuit.stats().failed], [1, 1]);
    assert.equal(await lastValueFrom(payments.watch()), 'from the cache');
    assert.equal(circuit.state, 'open');
  });

  it('is of each application and of each class', async (t) => {
    const [one, other] = [await made(t), await made(t, Special)];
    bank = down;
    for (const order of ['a', 'b']) one.payments.quote(order);
    assert.deepEqual([one.circuit.state, other.circuit.state], ['open', 'closed']);
    bank = () => 'paid';
    assert.equal(other.payments.quote('c'), 'special paid c');
    // Nothing of it shows.
    assert.deepEqual(Object.keys(one.payments), ['currency']);
    assert.throws(() => new Payments().quote('d'), /@CircuitBreaker on Payments.quote: this object has no breaker/);
    const mine = new Circuit('mine', { consecutiveFailures: 1 });
    const overridden = await Test.createTestingModule({
      imports: [TidegateModule.forRoot({ breakers: { payment: {}, lenient: {} } })],
      providers: [Payments],
    })
      .overrideProvider(getBreakerToken('payment'))
      .useValue(mine)
      .compile();
    t.after(() => overridden.close());
    bank = down;
    overridden.get(Payments).quote('e');
    assert.equal(mine.state, 'open');
  });

  it('says where it cannot stand', () => {
    const on = (options: any, name: any = 'payment', method: any = function pay() {}) => {
      class Shop {}
      const descriptor = { value: method, writable: true, configurable: true };
      CircuitBreaker(name, options)(Shop.prototype, 'pay', descriptor);
    };
    assert.throws(() => on({ fallbacks: () => 1 }), /no option 'fallbacks'/);
    assert.throws(() => on({ fallback: 5 }), /a function or a method's name, got 5/);
    assert.throws(() => on({ fallback: 'later' }), /Shop.pay: fallback 'later' is no method/);
    assert.throws(() => on({}, ''), /must be a text/);
    assert.throws(() => on({}, 'payment', function* pay() {}), /pay is a generator/);
    assert.throws(() => on({}, 'payment', 5), /belongs on a method/);
    assert.throws(() => (CircuitBreaker('payment') as any)(class {}), /belongs on a method/);
  });

  for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
    it(`keeps what other decorators say of a route, on ${adapter}`, async (t) => {
      const breakers = { payment: { consecutiveFailures: 3 }, lenient: {} };
      const { app, url } = await start(adapter, [TidegateModule.forRoot({ breakers })], [PayController], [Payments]);
      t.after(() => app.close());
      const request = requester(url);
      bank = () => 'paid';
      const answer = await request('/pay/by/a');
      assert.deepEqual([answer.status, answer.text], [200, 'paid a']);
      bank = down;
      assert.deepEqual([(await request('/pay/by/b')).status, (await request('/pay/by/c')).status], [500, 500]);
      assert.equal((await request('/pay/by/d')).status, 429);
      assert.deepEqual((await request('/pay/fallback')).json(), ['Error', 'EUR', 'order']);
      const refused = await request('/pay/fallback');
      assert.deepEqual([refused.status, refused.json()[0]], [200, 'RefusedException']);
    });
  }
});

@Controller('shop')
class ShopController {
  constructor(@Inject(HttpService) private readonly http: HttpService) {}

  @Get(':what')
  get(@Param('what') what: string) {
    return this.http.get(`/${what}`).pipe(map(({ data }) => data));
  }
}

describe("Nest's HttpModule over the guarded adapter", { timeout: 60_000 }, () => {
  for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
    it(`retries, refuses with 503 and lets go, on ${adapter}`, async (t) => {
      const asked: string[] = [];
      let left = 0;
      const known = new Set<unknown>();
      const upstream = createServer((request, response) => {
        asked.push(request.url ?? '');
        if (!known.has(request.socket)) request.socket.once('close', () => (left += 1));
        known.add(request.socket);
        if (request.url === '/hang') return;
        response.writeHead(request.url === '/flaky' && asked.length < 3 ? 503 : request.url === '/down' ? 500 : 200);
        response.end('goods');
      });
      t.after(() => (upstream.close(), upstream.closeAllConnections()));
      await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
      const baseURL = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
      const http = HttpModule.registerAsync({
        inject: [getBreakerToken('shop')],
        useFactory: (breaker: Circuit) => ({
          baseURL,
          adapter: guardedAdapter({ breaker, retry: new RetryPolicy({ baseMs: 1 }) }),
        }),
      });
      const limits = TidegateModule.forRoot({ breakers: { shop: { consecutiveFailures: 6 } } });
      const { app, url } = await start(adapter, [limits, http], [ShopController], []);
      t.after(() => app.close());
      const request = requester(url);
      assert.deepEqual([(await request('/shop/flaky')).text, asked.length], ['goods', 3]);
      assert.equal((await request('/shop/down')).status, 500);
      assert.equal((await request('/shop/down')).status, 500);
      const refused = await request('/shop/flaky');
      assert.deepEqual([refused.status, refused.json().title !== undefined, asked.length], [503, true, 9]);
      assert.equal(refused.get('retry-after'), '30');
      const circuit: Circuit = app.get(getBreakerToken('shop'));
      circuit.reset();
      const before = left;
      const subscription = app
        .get(HttpService)
        .get('/hang')
        .subscribe({ error: () => {} });
      while (asked.at(-1) !== '/hang') await new Promise((resolve) => setTimeout(resolve, 5));
      subscription.unsubscribe();
      while (left === before) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(circuit.stats().calls, 0);
    });
  }
});
