// Refusals and mistakes under filters of the application's own, and what a test of an application replaces.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after, describe, it } from 'node:test';
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpException,
  Injectable,
  Module,
  NotFoundException,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, HttpAdapterHost, NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  ArenaError,
  type BoundedQueue,
  CircuitBreaker,
  CircuitOpenError,
  type ConcurrencyLimiter,
  RateLimitedError,
  TidegateError,
  Timeout,
  TimeoutExceededError,
} from 'tidegate';
import {
  InjectBoundedQueue,
  InjectBreaker,
  InjectConcurrencyLimiter,
  RateLimit,
  RateLimitException,
  TidegateGuard,
  TidegateModule,
  TidegateRegistry,
  getBreakerToken,
} from 'tidegate/nest';
import { throwError } from 'rxjs';
import { ADAPTERS, type Adapter } from './app.js';
import { requester, statuses } from './request.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-test-'));
process.env.TIDEGATE_DIR = directory;
after(() => rmSync(directory, { recursive: true, force: true }));

/** As Nest's own documentation has it. */
@Catch()
class AllExceptionsFilter implements ExceptionFilter {
  readonly seen: unknown[] = [];
  constructor(private readonly host: HttpAdapterHost) {}

  catch(exception: unknown, host: ArgumentsHost) {
    this.seen.push(exception);
    const status = exception instanceof HttpException ? exception.getStatus() : 500;
    this.host.httpAdapter.reply(host.switchToHttp().getResponse(), { status }, status);
  }
}

@Injectable()
class BreakerGuard implements CanActivate {
  constructor(@InjectBreaker('payment') private readonly payment: CircuitBreaker) {}

  canActivate() {
    return this.payment.call(async () => true);
  }
}

const foreign = new CircuitBreaker('foreign', {});

/** What each of the promises that `/group` waits for is rejected with. */
let refusals: unknown[] = [];
const group = () => refusals.map((refusal) => Promise.reject(refusal));

@Controller()
class CallsController {
  constructor(
    @InjectBreaker('payment') private readonly payment: CircuitBreaker,
    @InjectBoundedQueue('orders') private readonly orders: BoundedQueue<string>,
    @InjectConcurrencyLimiter('mail') private readonly mail: ConcurrencyLimiter,
  ) {}

  @Get('call')
  call() {
    return this.payment.call(async () => 'paid');
  }

  @Get('foreign')
  foreign() {
    return foreign.call(async () => 'paid');
  }

  @Get('caught')
  async caught() {
    try {
      return await this.payment.call(async () => 'paid');
    } catch (error) {
      assert.ok(error instanceof CircuitOpenError && error instanceof TidegateError && !(error instanceof ArenaError));
      return `${error.code} ${error.breaker} ${error.name} ${error.retryAfterMs > 0}`;
    }
  }

  @Get('queue')
  async queue() {
    await this.orders.push('order', { timeoutMs: 0 });
    return 'queued';
  }

  @Get('mail')
  mailed() {
    return this.mail.run(() => 'mailed');
  }

  @Get('guarded')
  @UseGuards(BreakerGuard)
  guarded() {
    return 'guarded';
  }

  @Get('slow')
  slow() {
    return new Timeout({ totalMs: 10 }).call(() => new Promise(() => {}));
  }

  @Get('later')
  later() {
    throw new TimeoutExceededError('later', 2500);
  }

  @Get('group')
  async group() {
    return Promise.any(group());
  }

  @UseGuards({ canActivate: async () => (await Promise.any(group()), true) })
  @Get('guarded-group')
  guardedGroup() {
    return 'guarded';
  }

  @Get('arena')
  arena() {
    throw new ArenaError('the arena is full', 'full' as any);
  }
}

const options = () => ({
  breakers: { payment: { consecutiveFailures: 1, cooldownMs: 5000 } },
  queues: { orders: { capacity: 1, highWatermark: 1, retryAfterMs: 2500 } },
  concurrency: { mail: { limit: 1 } },
});

async function serve(
  t: TestContext,
  adapter: Adapter,
  root: any,
  controllers: any[] = [CallsController],
  catchAll = false,
  logger: any = false,
) {
  @Module({ imports: [root], controllers })
  class AppModule {}
  const app = await NestFactory.create(AppModule, ADAPTERS[adapter]() as any, { logger, abortOnError: false });
  const filter = new AllExceptionsFilter(app.get(HttpAdapterHost));
  if (catchAll) app.useGlobalFilters(filter);
  t.after(() => app.close());
  await app.listen(0, '127.0.0.1');
  return { app, filter, request: requester(`http://127.0.0.1:${app.getHttpServer().address().port}`) };
}

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`refusals on ${adapter}`, () => {
    it('are 503 with Retry-After under a catch-all filter', async (t) => {
      const { app, filter, request } = await serve(
        t,
        adapter,
        TidegateModule.forRoot(options()),
        [CallsController],
        true,
      );
      const registry = app.get(TidegateRegistry);
      registry.breaker('payment').acquire().failure();
      foreign.forceOpen();
      const told = async (path: string) => {
        const { status, get } = await request(path);
        return [status, get('retry-after')];
      };
      assert.deepEqual(await told('/call'), [503, '5']);
      assert.deepEqual(await told('/foreign'), [503, '3600']);
      assert.deepEqual(await told('/guarded'), [503, '5']);
      assert.equal((await request('/caught')).text, 'ERR_TIDEGATE_CIRCUIT_OPEN payment CircuitOpenError true');
      assert.equal((await request('/queue')).status, 200);
      assert.deepEqual(await told('/queue'), [503, '3']);
      const permit = registry.concurrencyLimiter('mail').tryAcquire();
      assert.deepEqual(await told('/mail'), [503, '1']);
      permit?.release();
      assert.equal((await request('/mail')).status, 200);
      assert.ok(filter.seen.every((error) => error instanceof HttpException && error instanceof TidegateError));
      assert.equal((await request('/arena')).status, 500);
    });

    it('of a guard say when to come back under a catch-all filter, whatever kind of guard it is', async (t) => {
      const open = new CircuitBreaker('guards', {});
      open.forceOpen();
      const ways: Record<string, () => any> = {
        sync: () => {
          throw new CircuitOpenError('bank', 4000);
        },
        async: () => open.call(async () => true),
        observable: () => throwError(() => new CircuitOpenError('bank', 4000)),
        mistake: () => {
          throw new TypeError('x');
        },
      };
      const objects = Object.entries(ways).map(([way, canActivate]) => ({ way, guard: { canActivate } }));
      @Injectable()
      class ByHeader implements CanActivate {
        canActivate(context: any) {
          return ways[context.switchToHttp().getRequest().headers['x-way']]?.() ?? true;
        }
      }
      const controllers = objects.map(({ way, guard }) => {
        @Controller(way)
        class ObjectController {
          @Get()
          @UseGuards(guard)
          get() {
            return 1;
          }
        }
        return ObjectController;
      });
      @Controller('class')
      class ClassController {
        @Get()
        @UseGuards(ByHeader)
        get() {
          return 1;
        }
      }
      const root = TidegateModule.forRoot(options());
      const { request } = await serve(t, adapter, root, [...controllers, ClassController], true);
      for (const [way, status, wait] of [
        ['sync', 503, '4'],
        ['async', 503, '3600'],
        ['observable', 503, '4'],
        ['mistake', 500, null],
      ] as const) {
        for (const answer of [await request(`/${way}`), await request('/class', 'GET', { 'x-way': way })]) {
          assert.deepEqual([answer.status, answer.get('retry-after')], [status, wait], way);
        }
      }
      assert.equal((await request('/class')).status, 200);
    });

    it('of time are 504, with Retry-After where it is known', async (t) => {
      for (const catchAll of [false, true]) {
        const root = TidegateModule.forRoot(options());
        const { filter, request } = await serve(t, adapter, root, [CallsController], catchAll);
        const [slow, later] = [await request('/slow'), await request('/later')];
        assert.deepEqual([slow.status, slow.get('retry-after')], [504, null]);
        assert.deepEqual([later.status, later.get('retry-after')], [504, '3']);
        if (!catchAll) assert.equal(slow.json().title, 'Gateway Timeout');
        for (const error of filter.seen) {
          assert.ok(error instanceof HttpException && error instanceof TimeoutExceededError);
          assert.ok(!(error instanceof RateLimitedError));
        }
        assert.equal(filter.seen.length, catchAll ? 2 : 0);
      }
    });

    it('that come several at once are the one that lasts longest, and a 500 with a mistake among them', async (t) => {
      const open = new CircuitOpenError('bank', 4000);
      const limited = new RateLimitedError('no', 9000);
      const mistakes = [new TypeError('x'), new ArenaError('full', 'full' as any), new NotFoundException()];
      for (const catchAll of [false, true]) {
        const root = TidegateModule.forRoot(options());
        const { filter, request } = await serve(t, adapter, root, [CallsController], catchAll);
        for (const [errors, status, wait] of [
          [[open, open], 503, '4'],
          [[open, limited], 429, '9'],
          [[new TimeoutExceededError(), new AggregateError([open])], 503, '4'],
          [[new TimeoutExceededError()], 504, null],
          ...mistakes.map((mistake) => [[open, mistake], 500, null]),
        ] as [Error[], number, string | null][]) {
          refusals = errors;
          const told = await request('/group');
          assert.deepEqual([told.status, told.get('retry-after')], [status, wait], String(errors));
          const guarded = await request('/guarded-group');
          assert.deepEqual([guarded.status, guarded.get('retry-after')], [status, wait], String(errors));
        }
        const refused = filter.seen.filter((error) => error instanceof TidegateError);
        assert.equal(refused.length, catchAll ? 8 : 0);
        assert.ok(refused.every((error) => error instanceof HttpException));
      }
    });

    it('name the limit and its quota', async (t) => {
      const limits = { client: { rate: '1/hour', key: 'ip' as const } };
      const root = TidegateModule.forRoot({ ...options(), limits });
      const { filter, request } = await serve(t, adapter, root, [CallsController], true);
      assert.deepEqual(await statuses(request, '/mail', 2), [200, 429]);
      const [error] = filter.seen as RateLimitException[];
      assert.ok(error instanceof RateLimitException && error.cause instanceof RateLimitedError);
      assert.match(error.message, /^limiter "client" \(1\/hour\) refused 1 token: try again in 3\d{3}(\.\d+)? s$/);
      assert.equal((error.cause as Error).message, error.message);
    });

    it('leave a mistake a 500, logged once with its text', async (t) => {
      const lines: string[] = [];
      const logger = { log() {}, warn() {}, error: (text: unknown) => lines.push(String(text)) };
      const { request } = await serve(t, adapter, TidegateModule.forRoot(options()), [CallsController], false, logger);
      assert.equal((await request('/arena')).status, 500);
      assert.deepEqual(lines.filter((line) => line.includes('the arena is full')).length, 1, lines.join('\n'));
    });

    const rubbish = 'may not come of a function that throws, rejects or returns rubbish: one 500, and the next passes';
    it(rubbish, async (t) => {
      const wrong: Record<string, any> = {
        key: { key: (request: any) => (request.query.bad ? Promise.reject(new Error('key')) : 'k') },
        thrown: {
          key: (request: any) => {
            if (request.query.bad) throw new Error('key');
            return 'k';
          },
        },
        cost: { cost: (request: any) => (request.query.bad ? 'much' : 1) },
        skip: {
          skip: (request: any) => {
            if (request.query.bad) throw new Error('skip');
            return false;
          },
        },
        truthy: { skip: (request: any) => (request.query.bad ? 'no' : undefined) },
      };
      for (const [name, own] of Object.entries(wrong)) {
        const { request } = await serve(
          t,
          adapter,
          TidegateModule.forRoot({ ...options(), limits: { one: { rate: '2/hour', ...own } } }),
        );
        assert.deepEqual(await statuses(request, '/mail?bad=1', 3), [500, 500, 500], name);
        assert.deepEqual(await statuses(request, '/mail', 3), [200, 200, 429], `${name}: nothing was charged`);
      }
      class Tracking extends TidegateGuard {
        override async getTracker(request: any): Promise<string> {
          if (request.query.bad) throw new Error('tracker');
          return request.query.who;
        }
      }
      const root = TidegateModule.forRoot({
        ...options(),
        guard: Tracking,
        limits: { one: { rate: '1/hour', key: 'ip' } },
      });
      const { request } = await serve(t, adapter, root);
      assert.deepEqual(await statuses(request, '/mail?bad=1', 2), [500, 500]);
      // The tracker is who the client is, also for the key 'ip'; nobody is the address.
      assert.deepEqual(await statuses(request, '/mail?who=a', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/mail?who=b', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/mail', 2), [200, 429]);
    });
  });

  describe(
    `route limits in a scope on ${adapter}`,
    { skip: process.platform !== 'linux' && 'host scope needs Linux' },
    () => {
      it('are objects of their own, whatever their name', async (t) => {
        @Controller()
        class StrictController {
          @Get('strict')
          @RateLimit('1/hour', { name: 'client' })
          strict() {
            return 1;
          }
          @Get('other')
          @RateLimit('2/hour', { name: 'client' })
          other() {
            return 1;
          }
          @Get('plain')
          plain() {
            return 1;
          }
        }
        for (const onConflict of ['error', 'keep', 'apply'] as const) {
          const scope = `process:route-${adapter}-${onConflict}-${process.pid}` as const;
          const root = TidegateModule.forRoot({ scope, onConflict, limits: { client: '4/hour' } });
          const { request } = await serve(t, adapter, root, [StrictController]);
          assert.deepEqual(await statuses(request, '/strict', 2), [200, 429], onConflict);
          assert.deepEqual(await statuses(request, '/other', 3), [200, 200, 429], onConflict);
          assert.deepEqual(await statuses(request, '/plain', 5), [200, 200, 200, 200, 429], onConflict);
        }
      });

      it('fail the start where two would be one', async (t) => {
        const twin = (rate: string) => {
          @Controller(rate)
          class TwinController {
            @Get()
            @RateLimit(rate)
            get() {
              return 1;
            }
          }
          return TwinController;
        };
        const scope = `process:twins-${adapter}-${process.pid}` as const;
        await assert.rejects(
          serve(t, adapter, TidegateModule.forRoot({ scope }), [twin('1/hour'), twin('2/hour')]),
          /@RateLimit on TwinController\.get.*'TwinController\.get' in the scope already.*name/,
        );
      });
    },
  );
}

describe('a testing module', () => {
  const fake = { canActivate: () => true };

  @Controller()
  class LimitedController {
    constructor(@InjectBreaker('payment') readonly payment: CircuitBreaker) {}
    @Get()
    @RateLimit('1/hour')
    get() {
      return this.payment.name;
    }
  }
  const roots = {
    forRoot: () => TidegateModule.forRoot({ ...options() }),
    forRootAsync: () => TidegateModule.forRootAsync({ useFactory: async () => options() }),
    'a guard of its own': () => TidegateModule.forRoot({ ...options(), guard: class Own extends TidegateGuard {} }),
  };
  for (const [name, root] of Object.entries(roots)) {
    it(`overrides guard and providers of ${name}`, async (t) => {
      const builder = Test.createTestingModule({ imports: [root()], controllers: [LimitedController] });
      builder.overrideProvider(TidegateGuard).useValue(fake);
      builder.overrideProvider(getBreakerToken('payment')).useValue({ name: 'fake' });
      const app = (await builder.compile()).createNestApplication({ logger: false });
      t.after(() => app.close());
      await app.listen(0, '127.0.0.1');
      const request = requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
      assert.deepEqual(await statuses(request, '/', 3), [200, 200, 200]);
      assert.equal((await request('/')).text, 'fake');
      assert.deepEqual(app.get(getBreakerToken('payment')), { name: 'fake' });
    });
  }

  @Controller('guarded')
  @UseGuards(TidegateGuard)
  class GuardedController {
    @Get()
    @RateLimit('1/hour')
    get() {
      return 'got';
    }
  }
  @Injectable()
  class Fake implements CanActivate {
    constructor(readonly registry: TidegateRegistry) {}
    canActivate() {
      return this.registry.breaker('payment') !== undefined;
    }
  }
  type Over = { useValue(value: any): unknown; useClass(value: any): unknown; useFactory(value: any): unknown };
  const ways: Record<string, (over: Over) => unknown> = {
    'a value': (over) => over.useValue(fake),
    'a class': (over) => over.useClass(Fake),
    'a factory': (over) =>
      over.useFactory({ factory: (registry: TidegateRegistry) => new Fake(registry), inject: [TidegateRegistry] }),
  };
  @Module({ imports: [TidegateModule.forRoot({ ...options(), guard: false })] })
  class GuardedByHand {}
  const byHand = { provide: APP_GUARD, useExisting: TidegateGuard };
  const guarded: Record<string, [any, any[]]> = {
    ...Object.fromEntries(Object.entries(roots).map(([name, root]) => [name, [root(), []]])),
    'guard: false and APP_GUARD': [GuardedByHand, [byHand]],
    'guard: false': [GuardedByHand, []],
  };
  for (const [name, [module, providers]] of Object.entries(guarded)) {
    for (const [way, override] of Object.entries(ways)) {
      it(`replaces the global guard and that of @UseGuards by overrideGuard with ${way}: ${name}`, async (t) => {
        const controllers = [LimitedController, GuardedController];
        const builder = Test.createTestingModule({ imports: [module], controllers, providers });
        override(builder.overrideGuard(TidegateGuard) as Over);
        const app = (await builder.compile()).createNestApplication({ logger: false });
        t.after(() => app.close());
        await app.listen(0, '127.0.0.1');
        const request = requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
        assert.deepEqual(await statuses(request, '/', 3), [200, 200, 200]);
        assert.deepEqual(await statuses(request, '/guarded', 3), [200, 200, 200]);
      });
    }
  }

  it('guards once where nobody overrides', async (t) => {
    const { request } = await serve(t, 'express', GuardedByHand, [LimitedController, GuardedController]);
    assert.deepEqual(await statuses(request, '/guarded', 2), [200, 429]);
    assert.deepEqual(await statuses(request, '/', 2), [200, 200]);
  });

  it('gives what a factory has configured by its token, asked for or not', async (t) => {
    const settings = { ...options(), breakers: { payment: {}, 'nobody asks for': {} } };
    const { app } = await serve(t, 'express', TidegateModule.forRootAsync({ useFactory: () => settings }));
    for (const name of ['payment', 'nobody asks for']) {
      assert.equal(app.get(getBreakerToken(name)), app.get(TidegateRegistry).breaker(name));
    }
  });
});
