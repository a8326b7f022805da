// Several applications under one limit: what two Nest processes do with a host scope, here two applications of one
// process.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, after, describe, it } from 'node:test';
import { Controller, Get, Inject, Injectable } from '@nestjs/common';
import { type CircuitBreaker, type ConcurrencyLimiter, HostScope } from 'tidegate';
import {
  InjectBreaker,
  InjectConcurrencyLimiter,
  RateLimit,
  TidegateModule,
  type TidegateOptions,
  TidegateRegistry,
  getConcurrencyLimiterToken,
} from 'tidegate/nest';
import { ADAPTERS, type Adapter, start } from './app.js';
import { requester, statuses } from './request.js';

/** From here on it is another process that declares: what this one has declared, it may declare otherwise. */
const here = createRequire(join(process.cwd(), 'package.json'));
const { forget: elsewhere } = here(join(dirname(here.resolve('tidegate')), 'http/claims.cjs'));

const skip = process.platform !== 'linux' && 'host scope needs Linux';
const directory = mkdtempSync(join(tmpdir(), 'tidegate-test-'));
process.env.TIDEGATE_DIR = directory;
after(() => rmSync(directory, { recursive: true, force: true }));

let count = 0;
const fresh = () => `nest-${process.pid}-${(count += 1)}` as const;

@Injectable()
class Database {
  constructor(
    @InjectConcurrencyLimiter('database') readonly limiter: ConcurrencyLimiter,
    @InjectBreaker('payment') readonly payment: CircuitBreaker,
  ) {}
}

@Controller('orders')
class OrdersController {
  constructor(@Inject(Database) private readonly database: Database) {}

  @Get()
  all() {
    return 'all';
  }

  @Get('login')
  @RateLimit('2/hour')
  login() {
    return 'in';
  }

  @Get('search')
  @RateLimit('2/hour')
  search() {
    return 'found';
  }

  @Get('query')
  query() {
    return this.database.limiter.run(() => 'row');
  }

  @Get('pay')
  pay() {
    return this.database.payment.call(() => 'paid');
  }
}

/** What lists of things have in common. */
abstract class Lists {
  @Get()
  @RateLimit('2/hour')
  list() {
    return this.constructor.name;
  }
}

@Controller('books')
class BooksController extends Lists {}

@Controller('films')
class FilmsController extends Lists {}

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  const app = async (t: TestContext, options: TidegateOptions) => {
    const { app, url } = await start(adapter, [TidegateModule.forRoot(options)], [OrdersController], [Database]);
    t.after(() => app.close());
    return { app, request: requester(url) };
  };
  const both = (t: TestContext, options: TidegateOptions) => Promise.all([app(t, options), app(t, options)]);
  const settings = { concurrency: { database: { limit: 1 } }, breakers: { payment: { consecutiveFailures: 1 } } };

  describe(`a scope on ${adapter}`, { skip }, () => {
    it('makes one of the limits, breakers and concurrency limiters of all applications', async (t) => {
      const scope = `host:${fresh()}` as const;
      const [one, other] = await both(t, { scope, limits: { everyone: '12/hour' }, ...settings });
      assert.deepEqual(await statuses(one.request, '/orders', 2), [200, 200]);
      // By decorator: each route's limit is its own, and the same in both applications.
      assert.deepEqual(await statuses(one.request, '/orders/login', 1), [200]);
      assert.deepEqual(await statuses(other.request, '/orders/login', 2), [200, 429]);
      assert.deepEqual(await statuses(other.request, '/orders/search', 1), [200]);

      const { limiter } = one.app.get(Database);
      const { limiter: same } = other.app.get(Database);
      const permit = limiter.tryAcquire();
      assert.equal(same.inUse, 1);
      const refused = await other.request('/orders/query');
      assert.deepEqual([refused.status, refused.get('retry-after')], [503, '1']);
      permit?.release();
      assert.equal((await other.request('/orders/query')).text, 'row');

      one.app.get(TidegateRegistry).breaker('payment').acquire().failure();
      assert.equal((await other.request('/orders/pay')).status, 503);
      // Of twelve eight are gone; who was refused by another limit was not charged.
      assert.deepEqual(await statuses(other.request, '/orders', 5), [200, 200, 200, 200, 429]);
      assert.equal((await one.request('/orders')).status, 429);
    });

    it('gives each controller that inherits a route its own limit', async (t) => {
      for (const scope of ['process', `host:${fresh()}`] as const) {
        const { app, url } = await start(
          adapter,
          [TidegateModule.forRoot({ scope, ...settings })],
          [BooksController, FilmsController],
          [Database],
        );
        t.after(() => app.close());
        const request = requester(url);
        assert.deepEqual(await statuses(request, '/books', 3), [200, 200, 429]);
        assert.deepEqual(await statuses(request, '/films', 3), [200, 200, 429]);
      }
    });

    it('is for each limit to say as well', async (t) => {
      const scope = new HostScope(fresh(), { path: directory });
      const limits = { shared: { rate: '3/hour', scope }, own: { rate: '2/hour' } };
      const [one, other] = await both(t, { limits, ...settings });
      assert.deepEqual(await statuses(one.request, '/orders', 3), [200, 200, 429]);
      assert.deepEqual(await statuses(other.request, '/orders', 2), [200, 429]);
    });

    it('tells what is wrong when the application starts', async (t) => {
      assert.throws(() => RateLimit('5/minute', { scope: 'hosts:a' as any }), {
        name: 'RangeError',
        code: 'ERR_INVALID_ARG_VALUE',
      });
      const wrong = { name: 'RangeError', code: 'ERR_INVALID_ARG_VALUE' };
      await assert.rejects(app(t, { ...settings, scope: 'hosts:a' as any }), wrong);
      const scope = `host:${fresh()}` as const;
      await app(t, { ...settings, scope, limits: { everyone: '5/hour' } });
      const other = { ...settings, scope, limits: { everyone: '6/hour' } };
      for (const onConflict of [undefined, 'error', 'keep', 'apply'] as const) {
        await assert.rejects(app(t, { ...other, onConflict }), {
          code: 'ERR_INVALID_ARG_VALUE',
          message: /'everyone' is the limit \{ rate: '5\/hour' \} already.* '6\/hour' \} another name/,
        });
      }
      elsewhere();
      await assert.rejects(app(t, { ...other, onConflict: 'error' }), { name: 'ArenaError', kind: 'settings' });
      await app(t, { ...other, onConflict: 'keep' });
    });

    const listening = (t: TestContext) => {
      const warnings: string[] = [];
      const listen = ({ name, message }: Error) => void (name === 'TidegateWarning' && warnings.push(message));
      process.on('warning', listen);
      t.after(() => process.off('warning', listen));
      return async () => {
        await new Promise(setImmediate);
        return warnings.map((message) => message.replace(/ of host:.*/, '')).sort();
      };
    };

    it('starts with what a deploy has changed: it holds for everybody, and the log says so once', async (t) => {
      const scope = `host:${fresh()}` as const;
      const old = await app(t, { ...settings, scope, limits: { everyone: '5/hour' } });
      const said = listening(t);
      const concurrency = { database: { limit: 2 } };
      const breakers = { payment: { consecutiveFailures: 2 } };
      const changes: TidegateOptions[] = [
        { ...settings, limits: { everyone: '3/hour' } },
        { ...settings, breakers },
        { ...settings, concurrency },
      ];
      for (const change of changes) {
        elsewhere();
        await assert.rejects(app(t, { ...change, scope, onConflict: 'error' }), {
          name: 'ArenaError',
          kind: 'settings',
        });
        elsewhere();
        await app(t, { ...change, scope, onConflict: 'keep' });
      }
      assert.match((await old.request('/orders')).get('ratelimit-policy') ?? '', /"everyone";q=5;/);
      assert.deepEqual([old.app.get(Database).limiter.limit, await said()], [1, []]);

      elsewhere();
      const next = await app(t, { scope, limits: { everyone: '3/hour' }, breakers, concurrency });
      const told = ["the circuit breaker 'payment'", "the concurrency limiter 'database'", "the limit 'everyone'"];
      assert.deepEqual(await said(), told);
      assert.match((await old.request('/orders')).get('ratelimit-policy') ?? '', /"everyone";q=3;/);
      assert.equal(old.app.get(Database).limiter.limit, 2);
      next.app.get(Database).payment.acquire().failure();
      assert.equal(old.app.get(Database).payment.state, 'closed');
      await app(t, { scope, limits: { everyone: '3/hour' }, breakers, concurrency });
      assert.deepEqual(await said(), told);
    });

    it('applies the changed rate of a route', async (t) => {
      const scope = `host:${fresh()}` as const;
      const version = async (rate: '5/hour' | '2/hour', onConflict?: 'error' | 'keep') => {
        elsewhere();
        @Controller('search')
        class SearchController {
          @Get()
          @RateLimit(rate, { name: 'search' })
          search() {
            return 'found';
          }
        }
        const { app: nest, url } = await start(
          adapter,
          [TidegateModule.forRoot({ scope, onConflict })],
          [SearchController],
          [],
        );
        t.after(() => nest.close());
        return requester(url);
      };
      const old = await version('5/hour');
      const said = listening(t);
      await assert.rejects(version('2/hour', 'error'), { name: 'ArenaError', kind: 'settings' });
      assert.deepEqual(await said(), []);
      assert.deepEqual(await statuses(await version('2/hour'), '/search', 3), [200, 200, 429]);
      assert.deepEqual(await said(), ["the limit 'search/SearchController.search'"]);
      const refused = await old('/search');
      assert.deepEqual([refused.status, refused.get('ratelimit-policy')], [429, '"search";q=2;w=3600']);
    });

    it('gives concurrency limiters by name and by token', async (t) => {
      const { app: nest } = await app(t, settings);
      const limiter = nest.get(TidegateRegistry).concurrencyLimiter('database');
      assert.equal(nest.get(getConcurrencyLimiterToken('database')), limiter);
      assert.throws(() => nest.get(TidegateRegistry).concurrencyLimiter('none'), {
        name: 'RangeError',
        message: /'database'/,
      });
    });
  });
}
