// Real HTTP against real applications on both adapters.
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { Controller, type ExecutionContext, Get, Injectable, Module, Req, UseGuards } from '@nestjs/common';
import { BoundedQueue, CircuitBreaker, type Decision, ManualClock, QueueFullError, TokenBucket } from 'tidegate';
import {
  InjectBreaker,
  type KeyedLimit,
  RateLimit,
  type TidegateAsyncOptions,
  TidegateGuard,
  TidegateModule,
  type TidegateOptions,
  type TidegateOptionsFactory,
  TidegateRegistry,
  getBoundedQueueToken,
  getBreakerToken,
} from 'tidegate/nest';
import { ADAPTERS, type Adapter, Payments, start } from './app.js';

const options = (): TidegateOptions => ({
  breakers: { payment: { consecutiveFailures: 2, cooldownMs: 5000 } },
  queues: { orders: { capacity: 2, highWatermark: 1, retryAfterMs: 2500 } },
});

type Imports = Parameters<typeof start>[1];

/** Runs an application for one test. */
async function serve(t: TestContext, adapter: Adapter, imports: Imports, ...rest: [any?, any?]) {
  const { app, url } = await start(adapter, imports, ...rest);
  t.after(() => app.close());
  const request = async (path: string, method = 'GET', headers = {}) => {
    const response = await fetch(url + path, { method, headers });
    const text = await response.text();
    const get = (name: string) => response.headers.get(name);
    return { status: response.status, text, get, json: () => JSON.parse(text) };
  };
  return { app, request };
}

function assertRefusal(
  answer: Awaited<ReturnType<Awaited<ReturnType<typeof serve>>['request']>>,
  status: number,
  retryAfter: string,
  kind: string,
) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.get('retry-after'), retryAfter);
  assert.match(answer.get('content-type') ?? '', /^application\/problem\+json/);
  const problem = answer.json();
  assert.equal(problem.status, status);
  assert.equal(problem.type, `https://iana.org/assignments/http-problem-types#${kind}`);
  assert.equal(typeof problem.title, 'string');
}

/** Per key, on buckets of a stopped clock: what a keyed limit of one's own looks like. */
class PerKey implements KeyedLimit {
  readonly keyed = true;
  readonly seen: string[] = [];
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #clock = new ManualClock();

  check(key: string, n: number): Decision {
    this.seen.push(key);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined)
      this.#buckets.set(key, (bucket = new TokenBucket({ rate: '2/hour', clock: this.#clock })));
    return bucket.check(n);
  }

  refund(key: string, n: number): void {
    this.#buckets.get(key)?.refund(n);
  }
}

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`on ${adapter}`, () => {
    it('admits the burst, then answers 429 with headers and a problem body', async (t) => {
      const { request } = await serve(t, adapter, [TidegateModule.forRoot(options())]);
      for (const left of [2, 1, 0]) {
        const answer = await request('/limited/three');
        assert.equal(answer.status, 200);
        assert.equal(answer.get('ratelimit-policy'), '"default";q=3;w=3600');
        assert.match(answer.get('ratelimit') ?? '', new RegExp(`^"default";r=${left};t=\\d+$`));
      }
      const refused = await request('/limited/three');
      // 1200 s a token, less the milliseconds that the test took.
      assert.match(refused.get('retry-after') ?? '', /^1(200|19\d)$/);
      assertRefusal(refused, 429, refused.get('retry-after') ?? '', 'quota-exceeded');
      assert.deepEqual(refused.json()['violated-policies'], ['default']);
      // The draft: Retry-After is never earlier than t.
      assert.equal(refused.get('ratelimit'), `"default";r=0;t=${refused.get('retry-after')}`);
    });

    it('escapes a name and tells the burst, and the time in which it comes back', async (t) => {
      const { request } = await serve(t, adapter, [TidegateModule.forRoot(options())]);
      assert.equal((await request('/limited/named')).get('ratelimit-policy'), '"say \\"hi\\"";q=4;w=7200');
    });

    it('charges several limits all or nothing', async (t) => {
      const clock = new ManualClock();
      const everyone = new TokenBucket({ rate: '100/hour', clock });
      const { request } = await serve(t, adapter, [TidegateModule.forRoot({ ...options(), limits: { everyone } })]);
      const first = await request('/limited/two');
      assert.equal(first.get('ratelimit-policy'), '"narrow";q=2;w=3600, "wide";q=50;w=3600, "everyone";q=100;w=3600');
      await request('/limited/two');
      assert.equal(everyone.peek().remaining, 98);
      for (let i = 0; i < 3; i += 1) assert.equal((await request('/limited/two')).status, 429);
      assert.equal(everyone.peek().remaining, 98);
      // The narrow limit refused first, so the wide one was never asked; the other way round it gets its token back.
      everyone.penalize(60_000);
      const refused = await request('/limited/three');
      assert.equal(refused.status, 429);
      assert.deepEqual(refused.json()['violated-policies'], ['everyone']);
      everyone.reset();
      assert.match((await request('/limited/three')).get('ratelimit') ?? '', /^"default";r=2;/);
    });

    it("shares a controller's limit between its routes, and skips by name or wholly", async (t) => {
      const { request } = await serve(t, adapter, [
        TidegateModule.forRoot({ ...options(), limits: { all: '100/hour' } }),
      ]);
      assert.deepEqual(
        await Promise.all(['a', 'b', 'a', 'b'].map(async (path) => (await request(`/class/${path}`)).status)).then(
          (s) => s.sort(),
        ),
        [200, 200, 200, 429],
      );
      const free = await request('/class/free');
      assert.equal(free.status, 200);
      assert.match(free.get('ratelimit-policy') ?? '', /^"all";q=100/);
      const open = await request('/class/open');
      assert.equal(open.status, 200);
      assert.equal(open.get('ratelimit'), null);
    });

    it("puts a limit of the same name in the place of the module's", async (t) => {
      const { request } = await serve(t, adapter, [
        TidegateModule.forRoot({ ...options(), limits: { class: '1/hour' } }),
      ]);
      assert.equal((await request('/class/a')).get('ratelimit-policy'), '"class";q=3;w=3600');
    });

    it('takes the cost from a promise', async (t) => {
      const { request } = await serve(t, adapter, [TidegateModule.forRoot(options())]);
      assert.match((await request('/limited/costly?n=4')).get('ratelimit') ?? '', /r=6;/);
      assert.equal((await request('/limited/costly?n=7')).status, 429);
      // Never possible: no time helps, so that it is the application's mistake.
      const never = await request('/limited/costly?n=11');
      assert.deepEqual([never.status, never.get('retry-after') ?? null], [500, null]);
    });

    it('lets preflights pass', async (t) => {
      const { request } = await serve(t, adapter, [TidegateModule.forRoot(options())]);
      for (let i = 0; i < 3; i += 1) assert.equal((await request('/limited/three', 'OPTIONS')).status, 204);
    });

    it('asks the tracker for the key of a keyed limit, and whether to skip', async (t) => {
      const perKey = new PerKey();
      class MyGuard extends TidegateGuard {
        override getTracker(request: { headers: Record<string, string> }) {
          return request.headers['x-user'] ?? 'nobody';
        }
        override async shouldSkip(context: ExecutionContext) {
          return context.switchToHttp().getRequest().headers['x-admin'] === 'yes';
        }
      }
      const root = TidegateModule.forRoot({ ...options(), limits: { user: perKey }, guard: MyGuard });
      const { request } = await serve(t, adapter, [root]);
      const as = async (headers: Record<string, string>) => (await request('/limited/named', 'GET', headers)).status;
      assert.deepEqual(
        [await as({ 'x-user': 'a' }), await as({ 'x-user': 'a' }), await as({ 'x-user': 'a' })],
        [200, 200, 429],
      );
      assert.equal(await as({ 'x-user': 'b' }), 200);
      assert.equal(await as({ 'x-user': 'a', 'x-admin': 'yes' }), 200);
      assert.deepEqual(perKey.seen, ['a', 'a', 'a', 'b']);
    });

    it('keys by the client address by default', async (t) => {
      const perKey = new PerKey();
      const { request } = await serve(t, adapter, [TidegateModule.forRoot({ ...options(), limits: { ip: perKey } })]);
      await request('/limited/three');
      assert.deepEqual(perKey.seen, ['127.0.0.1']);
    });

    it('answers 503 while a circuit is open', async (t) => {
      const { app, request } = await serve(t, adapter, [TidegateModule.forRoot(options())]);
      assert.equal((await request('/pay/call', 'POST')).status, 200);
      // The dependency's own failures stay what they are.
      assert.equal((await request('/pay/fail', 'POST')).status, 500);
      assert.equal((await request('/pay/fail', 'POST')).status, 500);
      assertRefusal(await request('/pay/call', 'POST'), 503, '5', 'temporary-reduced-capacity');
      const breaker = app.get<CircuitBreaker>(getBreakerToken('payment'));
      assert.equal(breaker.state, 'open');
      assert.equal(app.get(Payments).breaker, breaker);
      breaker.forceOpen();
      assertRefusal(await request('/pay/call', 'POST'), 503, '3600', 'temporary-reduced-capacity');
      breaker.reset();
      assert.deepEqual((await request('/pay/call', 'POST')).json(), { paid: true });
    });

    it('answers 503 while a queue is full or closed', async (t) => {
      const { app, request } = await serve(t, adapter, [TidegateModule.forRoot(options())]);
      assert.equal((await request('/pay/queue', 'POST')).status, 202);
      assert.equal((await request('/pay/queue', 'POST')).status, 202);
      assertRefusal(await request('/pay/queue', 'POST'), 503, '3', 'temporary-reduced-capacity');
      app.get<BoundedQueue>(getBoundedQueueToken('orders')).close();
      assertRefusal(await request('/pay/queue', 'POST'), 503, '1', 'temporary-reduced-capacity');
    });

    it('answers refusals that handlers raise, and leaves other errors alone', async (t) => {
      const { request } = await serve(t, adapter, [TidegateModule.forRoot({ ...options(), overloadStatus: 529 })]);
      assertRefusal(await request('/pay/limited'), 429, '5', 'quota-exceeded');
      assertRefusal(await request('/pay/full'), 529, '3600', 'temporary-reduced-capacity');
      assertRefusal(await request('/pay/closed'), 529, '1', 'temporary-reduced-capacity');
      assert.equal((await request('/pay/missing')).status, 404);
      assert.equal((await request('/pay/broken')).status, 500);
      assert.equal((await request('/nowhere')).status, 404);
    });

    it('cuts off an answer that has begun', async (t) => {
      const { request } = await serve(t, adapter, [TidegateModule.forRoot(options())]);
      await assert.rejects(request('/pay/late'));
      assert.equal((await request('/class/open')).status, 200);
    });

    it('leaves an answer whole that has ended', async (t) => {
      const body = 'x'.repeat(2 ** 24);
      @Controller('whole')
      class WholeController {
        @Get()
        whole(@Req() request: any) {
          request.socket._httpMessage.end(body);
          throw new QueueFullError();
        }
      }
      @Module({ controllers: [WholeController] })
      class Whole {}
      const { request } = await serve(t, adapter, [TidegateModule.forRoot(options()), Whole]);
      assert.equal((await request('/whole')).text.length, body.length);
    });

    it('can stay silent about its limits', async (t) => {
      const { request } = await serve(t, adapter, [TidegateModule.forRoot({ ...options(), headers: false })]);
      for (let i = 0; i < 3; i += 1) assert.equal((await request('/limited/three')).get('ratelimit'), null);
      const refused = await request('/limited/three');
      assert.equal(refused.status, 429);
      assert.notEqual(refused.get('retry-after'), null);
      assert.equal(refused.get('ratelimit'), null);
    });

    it('takes settings as lists too', async (t) => {
      const root = TidegateModule.forRoot({
        limits: [{ name: 'all', rate: '100/hour', burst: 150 }],
        breakers: [{ name: 'payment', cooldownMs: 5000 }],
        queues: [{ name: 'orders', capacity: 2 }],
      });
      const { app, request } = await serve(t, adapter, [root]);
      assert.equal((await request('/class/free')).get('ratelimit-policy'), '"all";q=150;w=5400');
      assert.equal(app.get(Payments).breaker, app.get(getBreakerToken('payment')));
    });

    it('guards single controllers where the global guard is off', async (t) => {
      @Controller('own')
      @UseGuards(TidegateGuard)
      class OwnController {
        @Get()
        @RateLimit('1/hour')
        one() {
          return 'one';
        }
      }
      @Controller('other')
      class OtherController {
        @Get()
        @RateLimit('1/hour')
        one() {
          return 'one';
        }
      }
      const root = TidegateModule.forRoot({ ...options(), guard: false, filter: false });
      const { request } = await serve(t, adapter, [root], [OwnController, OtherController], []);
      assert.equal((await request('/own')).status, 200);
      // Without our filter Nest's own answers: still a 429 with the headers and the problem, only its type is lost.
      const refused = await request('/own');
      assert.equal(refused.status, 429);
      assert.match(refused.get('retry-after') ?? '', /^3[56]\d\d$/);
      assert.equal(refused.json().status, 429);
      assert.deepEqual([(await request('/other')).status, (await request('/other')).status], [200, 200]);
    });

    @Injectable()
    class Settings implements TidegateOptionsFactory {
      async createTidegateOptions() {
        return options();
      }
    }
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    const sources: Record<string, TidegateAsyncOptions> = {
      useFactory: {
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: (settings: Settings) => settings.createTidegateOptions(),
      },
      useClass: { useClass: Settings },
      useExisting: { imports: [SettingsModule], useExisting: Settings },
    };
    for (const [name, source] of Object.entries(sources)) {
      it(`takes its options from ${name}`, async (t) => {
        const { app, request } = await serve(t, adapter, [TidegateModule.forRootAsync(source)]);
        assert.equal(app.get(Payments).breaker, app.get(TidegateRegistry).breaker('payment'));
        app.get(Payments).breaker.forceOpen();
        assertRefusal(await request('/pay/call', 'POST'), 503, '3600', 'temporary-reduced-capacity');
      });
    }
  });
}

describe('mistakes', () => {
  it('names a breaker that nobody configured', async () => {
    @Injectable()
    class Typo {
      constructor(@InjectBreaker('paymnt') readonly breaker: CircuitBreaker) {}
    }
    for (const root of [TidegateModule.forRoot(options()), TidegateModule.forRootAsync({ useFactory: options })]) {
      await assert.rejects(
        start('express', [root], [], [Typo]),
        /no circuit breaker 'paymnt'.*configured there: 'payment'/,
      );
    }
  });

  it('does not take options that are not there for none', async () => {
    const config = new Map<string, any>();
    class Empty {
      createTidegateOptions(): any {}
    }
    const sources: TidegateAsyncOptions[] = [
      { useFactory: () => config.get('rateLimits') },
      { useFactory: async () => null as any },
      { useClass: Empty },
    ];
    for (const source of sources) {
      await assert.rejects(start('express', [TidegateModule.forRootAsync(source)], [], []), {
        name: 'TypeError',
        message: /^forRootAsync: its factory must give an object of options, got (undefined|null)/,
      });
    }
    for (const nothing of [undefined, null as any]) {
      assert.throws(() => TidegateModule.forRoot(nothing), {
        name: 'TypeError',
        message: /^forRoot: options must be an object, got (undefined|null)/,
      });
    }
    for (const root of [TidegateModule.forRoot(), TidegateModule.forRootAsync({ useFactory: () => ({}) })]) {
      const { app } = await start('express', [root], [], []);
      await app.close();
    }
  });

  it('shows at once where a limit is wrong', () => {
    for (const rate of ['2/second,3/minute', '2 per second, 3 per minute']) {
      assert.throws(() => RateLimit(rate), { name: 'RangeError', message: /';' joins several/ });
    }
    assert.throws(() => RateLimit('often'), { name: 'RangeError', message: /"often" is not a rate/ });
    assert.throws(() => RateLimit('5/minute', { burst: 0 }), { name: 'RangeError' });
    assert.throws(() => RateLimit('5/minute', { cost: 6 }), { name: 'RangeError', message: /cost/ });
    assert.throws(() => RateLimit('5/minute', { name: 'é' }), { name: 'TypeError', message: /ASCII/ });
    assert.throws(() => RateLimit(new TokenBucket({ rate: 1 }), { key: 'ip' }), {
      name: 'RangeError',
      message: /one for everybody/,
    });
    assert.throws(() => RateLimit('5/minute', { coast: 1 } as any), {
      name: 'RangeError',
      message: /no option 'coast'/,
    });
    assert.throws(() => RateLimit({} as any), { name: 'TypeError' });
    assert.throws(() => TidegateModule.forRoot({ breakers: [{ name: 'a' }, { name: 'a' }] }), {
      name: 'RangeError',
      message: /'a' stands there twice/,
    });
    assert.throws(() => TidegateModule.forRootAsync({}), { name: 'RangeError', message: /exactly one of/ });
  });

  it('refuses options that do not exist when the application starts', async () => {
    const root = TidegateModule.forRoot({ breaker: {} } as any);
    await assert.rejects(start('express', [root], [], []), /no option 'breaker'/);
  });
});
