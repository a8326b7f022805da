// Limits per key in a Nest application, on both adapters.
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  HttpException,
  Post,
  Query,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { LimitSet, ManualClock, RateLimiter, TokenBucket } from 'tidegate';
import {
  RateLimit,
  SkipRateLimit,
  TidegateGuard,
  TidegateModule,
  type TidegateOptions,
  firstOf,
  header,
} from 'tidegate/nest';
import { ADAPTERS, type Adapter, start } from './app.js';
import { requester, statuses } from './request.js';

/** Authentication as a guard: it believes a header, which a real one would not. */
class Auth implements CanActivate {
  canActivate(context: ExecutionContext) {
    const request = context.switchToHttp().getRequest();
    const id = request.headers['x-auth'];
    if (id !== undefined) request.user = { id, plan: request.headers['x-plan'] };
    return true;
  }
}

@Controller('free')
class FreeController {
  @Get()
  plain() {
    return 'plain';
  }

  @Get('skipped')
  @SkipRateLimit()
  skipped() {
    return 'skipped';
  }
}

/** What a decorator for tracing does: a function without a name in the method's place. */
const Traced = (): MethodDecorator => (_target, _property, descriptor: PropertyDescriptor) => {
  const method = descriptor.value;
  descriptor.value = (...given: unknown[]) => method(...given);
  for (const key of Reflect.getMetadataKeys(method)) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, method), descriptor.value);
  }
};

/** One version of a controller: all are called alike. */
function namesake(path: string) {
  @Controller(path)
  class OrdersController {
    @Get(['', 'alias'])
    list() {
      return path;
    }

    @Traced()
    @Get('a')
    a() {
      return 'a';
    }

    @Traced()
    @Get('b')
    b() {
      return 'b';
    }
  }
  return OrdersController;
}

const clock = () => new ManualClock();

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  const serve = async (
    t: TestContext,
    options: Parameters<typeof TidegateModule.forRoot>[0],
    controllers: any[] = [FreeController],
    providers: any[] = [],
  ) => {
    const { app, url } = await start(adapter, [TidegateModule.forRoot(options)], controllers, providers);
    t.after(() => app.close());
    return requester(url);
  };

  describe(`limits per key on ${adapter}`, () => {
    it('know a route, whatever its controller and method are called', async (t) => {
      const controllers = ['v1', 'v2'].map((path) => namesake(path));
      const request = await serve(t, { limits: { each: { rate: '1/hour', key: 'route' } } }, controllers);
      const paths = ['/v1', '/v1/alias', '/v1/a', '/v1/b', '/v2', '/v2/alias', '/v2/a', '/v2/b'];
      const seen: number[] = [];
      for (const path of paths) seen.push((await request(path)).status);
      // Two paths of one method are one route.
      assert.deepEqual(seen, [200, 429, 200, 200, 200, 429, 200, 200]);
    });

    it('know a client by its address', async (t) => {
      const request = await serve(t, { limits: { client: { rate: '2/hour', key: 'ip' } } });
      assert.deepEqual(await statuses(request, '/free', 3), [200, 200, 429]);
      assert.deepEqual(await statuses(request, '/free/skipped', 2), [200, 200]);
      // Nobody's word but the socket's: a forwarding header changes nothing.
      assert.equal((await request('/free', 'GET', { 'x-forwarded-for': '203.0.113.9' })).status, 429);
    });

    it('know a client behind a trusted proxy', async (t) => {
      const request = await serve(t, {
        limits: { client: { rate: '1/hour', key: 'ip' } },
        client: { trusted: ['loopback'] },
      });
      const from = (forwarded: string) =>
        statuses(request, '/free', 1, 'GET', { 'x-forwarded-for': forwarded }).then(([one]) => one);
      assert.deepEqual(
        [await from('203.0.113.9'), await from('203.0.113.9'), await from('203.0.113.10')],
        [200, 429, 200],
      );
      // What the client wrote stands to the left of what the proxy saw.
      assert.equal(await from('198.51.100.1, 203.0.113.9'), 429);
      assert.equal(await from('::ffff:203.0.113.9'), 429);
      assert.deepEqual(
        [await from('2001:db8::1'), await from('2001:db8::2'), await from('2001:db8:0:1::2')],
        [200, 429, 200],
      );
      // Thousands of entries, and rubbish: an answer, and no key of another.
      const long = Array.from({ length: 500 }, () => '203.0.113.77').join(',');
      assert.equal(await from(`${long}, nonsense`), 200);
    });

    it('know a user, where authentication has run before', async (t) => {
      const limits = { user: { rate: '2/hour', key: 'user' } } as const;
      const providers = [
        { provide: APP_GUARD, useClass: Auth },
        { provide: APP_GUARD, useExisting: TidegateGuard },
      ];
      const request = await serve(t, { limits, guard: false }, [FreeController], providers);
      const as = (user: string) => statuses(request, '/free', 3, 'GET', { 'x-auth': user });
      assert.deepEqual(
        [await as('ann'), await as('ben')],
        [
          [200, 200, 429],
          [200, 200, 429],
        ],
      );
      // Nobody in particular: by address, which no user can be called.
      assert.deepEqual(await statuses(request, '/free', 3), [200, 200, 429]);
      assert.deepEqual(await as('127.0.0.1'), [200, 200, 429]);
    });

    it('take keys from headers and functions, sync and async', async (t) => {
      @Controller('keys')
      class KeysController {
        @Get('header')
        @RateLimit('1/hour', { key: 'header:x-api-key' })
        header() {
          return 1;
        }
        @Get('async')
        @RateLimit('1/hour', { key: async (request: any) => request.query.who })
        async() {
          return 1;
        }
        @Get('first')
        @RateLimit('1/hour', { key: firstOf(async (request: any) => request.query.who, header('x-api-key'), 'ip') })
        first() {
          return 1;
        }
        @Get('number')
        @RateLimit('1/hour', { key: (request: any) => Number(request.query.who) })
        number() {
          return 1;
        }
        @Get('wrong')
        @RateLimit('1/hour', { key: () => ({}) as any })
        wrong() {
          return 1;
        }
      }
      const request = await serve(t, {}, [KeysController]);
      const key = (value: string) => statuses(request, '/keys/header', 2, 'GET', { 'x-api-key': value });
      assert.deepEqual(
        [await key('a'), await key('b')],
        [
          [200, 429],
          [200, 429],
        ],
      );
      assert.deepEqual(await statuses(request, '/keys/header', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/keys/async?who=a', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/keys/async?who=b', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/keys/first?who=a', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/keys/first', 2, 'GET', { 'x-api-key': 'a' }), [429, 429]);
      assert.deepEqual(await statuses(request, '/keys/first', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/keys/number?who=7', 2), [200, 429]);
      assert.deepEqual(await statuses(request, '/keys/wrong', 1), [500]);
    });

    it('cannot break the answer by what a key says', async (t) => {
      const request = await serve(t, { limits: { key: { rate: '1/hour', key: (request: any) => request.query.key } } });
      const keys = ['\r\nX-Injected: yes', '\0', '"', 'é', 'x'.repeat(4000)].map(encodeURIComponent);
      for (const key of keys) {
        assert.deepEqual(await statuses(request, `/free?key=${key}`, 2), [200, 429], key.slice(0, 20));
        assert.equal((await request(`/free?key=${key}`)).get('x-injected'), null);
      }
    });

    it('are several, all or nothing', async (t) => {
      const user = new RateLimiter({ rate: '2/hour' });
      const everyone = new TokenBucket({ rate: '5/hour' });
      const request = await serve(t, {
        limits: [
          { name: 'user', rate: user, key: 'header:x-user' },
          { name: 'everyone', rate: everyone },
        ],
      });
      const first = await request('/free', 'GET', { 'x-user': 'ann' });
      assert.equal(first.get('ratelimit-policy'), '"user";q=2;w=3600, "everyone";q=5;w=3600');
      assert.match(first.get('ratelimit') ?? '', /^"user";r=1;t=\d+, "everyone";r=4;t=\d+$/);
      await request('/free', 'GET', { 'x-user': 'ann' });
      const refused = await request('/free', 'GET', { 'x-user': 'ann' });
      assert.deepEqual([refused.status, refused.json()['violated-policies']], [429, ['user']]);
      assert.equal(everyone.peek().remaining, 3);
      for (const who of ['ben', 'ben', 'cay'])
        assert.equal((await request('/free', 'GET', { 'x-user': who })).status, 200);
      const full = await request('/free', 'GET', { 'x-user': 'cay' });
      assert.deepEqual(full.json()['violated-policies'], ['everyone']);
      assert.equal(user.peek('cay').remaining, 1, 'the refused request cost cay nothing');
    });

    it('take a LimitSet as it is', async (t) => {
      const set = new LimitSet({
        user: new RateLimiter({ rate: '2/hour' }),
        everyone: new TokenBucket({ rate: '3/hour' }),
      });
      @Controller('set')
      class SetController {
        @Get()
        @RateLimit(set, { key: { user: 'header:x-user' } })
        get() {
          return 1;
        }
      }
      const request = await serve(t, {}, [SetController]);
      const as = (user: string, count: number) => statuses(request, '/set', count, 'GET', { 'x-user': user });
      assert.deepEqual(
        [await as('ann', 3), await as('ben', 2)],
        [
          [200, 200, 429],
          [200, 429],
        ],
      );
    });

    it('cost what a limit of their own says, and give all back when one refuses', async (t) => {
      const bytes = new TokenBucket({ rate: '100/hour' });
      const calls = new RateLimiter({ rate: '10/hour' });
      const request = await serve(t, {
        limits: {
          bytes: { rate: bytes, cost: async (request: any) => Number(request.query.size) },
          calls: { rate: calls, key: 'ip' },
        },
      });
      assert.equal((await request('/free?size=60')).status, 200);
      const refused = await request('/free?size=60');
      assert.deepEqual([refused.status, refused.json()['violated-policies']], [429, ['bytes']]);
      assert.deepEqual([bytes.peek().remaining, calls.peek('127.0.0.1').remaining], [40, 9]);
    });

    it('have tiers', async (t) => {
      const options: TidegateOptions = {
        limits: {
          plan: {
            rate: '1/hour',
            key: 'header:x-user',
            tiers: { pro: '3/hour' },
            tier: async (request: any) => request.headers['x-plan'],
          },
        },
      };
      const request = await serve(t, options);
      assert.deepEqual(await statuses(request, '/free', 2, 'GET', { 'x-user': 'ann' }), [200, 429]);
      const pro = { 'x-user': 'ben', 'x-plan': 'pro' };
      assert.equal((await request('/free', 'GET', pro)).get('ratelimit-policy'), '"plan";q=3;w=3600');
      assert.deepEqual(await statuses(request, '/free', 3, 'GET', pro), [200, 200, 429]);
      assert.equal((await request('/free', 'GET', { 'x-plan': 'gold' })).status, 500);
    });

    it('are charged once for a request, however many guards ask', async (t) => {
      @Controller('twice')
      @UseGuards(TidegateGuard)
      class TwiceController {
        @Get()
        @UseGuards(TidegateGuard)
        @RateLimit('3/hour', { key: 'ip' })
        get() {
          return 1;
        }
      }
      const everyone = new TokenBucket({ rate: '100/hour' });
      const request = await serve(t, { limits: { everyone } }, [TwiceController]);
      const first = await request('/twice');
      assert.match(first.get('ratelimit') ?? '', /^"default";r=2;t=\d+, "everyone";r=99;t=\d+$/);
      assert.deepEqual(await statuses(request, '/twice', 3), [200, 200, 429]);
      assert.equal(everyone.peek().remaining, 97);
    });

    it('give back what was not meant to count', async (t) => {
      @Controller('login')
      class LoginController {
        @Post()
        @HttpCode(200)
        @RateLimit('2/hour', { name: 'login', key: 'ip', refundOn: (status) => status < 400 })
        login(@Query('password') password: string) {
          if (password !== 'right') throw new HttpException('wrong', 401);
          return 'welcome';
        }
      }
      const request = await serve(t, {}, [LoginController]);
      const login = (password: string, count: number) =>
        statuses(request, `/login?password=${password}`, count, 'POST');
      assert.deepEqual(await login('right', 4), [200, 200, 200, 200]);
      assert.deepEqual(await login('wrong', 3), [401, 401, 429]);
      assert.deepEqual(await login('right', 1), [429]);
    });

    it('block who goes on', async (t) => {
      const manual = clock();
      const block = { after: 2, withinMs: 60_000, durationMs: 600_000 };
      const request = await serve(t, { limits: { client: { rate: '1/minute', key: 'ip', block, clock: manual } } });
      assert.deepEqual(await statuses(request, '/free', 3), [200, 429, 429]);
      const blocked = await request('/free');
      // The block, and then a bucket that refills from empty.
      assert.match(blocked.get('retry-after') ?? '', /^66[01]$/);
      manual.advance(61_000);
      assert.equal((await request('/free')).status, 429);
      manual.advance(600_000);
      assert.equal((await request('/free')).status, 200);
    });

    it('have lists of those who are always and never served', async (t) => {
      const limits = { client: { rate: '1/hour', key: 'header:x-user' } } as const;
      const from = (address: string, user = 'u') => ({ 'x-forwarded-for': address, 'x-user': user });
      const options: TidegateOptions = {
        limits,
        client: { trusted: ['loopback'] },
        allow: ['10.0.0.7', 'key:monitoring'],
        deny: ['10.0.0.0/8'],
      };
      const request = await serve(t, options);
      assert.deepEqual(await statuses(request, '/free', 3, 'GET', from('10.0.0.7')), [200, 200, 200]);
      const denied = await request('/free', 'GET', from('10.9.9.9'));
      assert.equal(denied.status, 403);
      assert.match(denied.get('content-type') ?? '', /^application\/problem\+json/);
      assert.deepEqual(
        [denied.json().title, denied.json().type, denied.get('retry-after')],
        ['Forbidden', 'about:blank', null],
      );
      assert.deepEqual(await statuses(request, '/free', 2, 'GET', from('10.9.9.9', 'monitoring')), [200, 200]);
      assert.deepEqual(await statuses(request, '/free', 2, 'GET', from('192.0.2.1')), [200, 429]);
    });

    it('can only watch', async (t) => {
      const watched = new RateLimiter({ rate: '1/hour', dryRun: true });
      const request = await serve(t, {
        limits: { a: { rate: watched, key: 'ip' }, b: { rate: '1/hour', dryRun: true } },
      });
      assert.deepEqual(await statuses(request, '/free', 3), [200, 200, 200]);
      assert.equal(watched.stats().wouldDeny, 2);
    });

    it('leave single requests out', async (t) => {
      const skip = async (request: any) => request.headers['x-health'] === 'yes';
      const request = await serve(t, { limits: { client: { rate: '1/hour', key: 'ip', skip } } });
      assert.deepEqual(await statuses(request, '/free', 2, 'GET', { 'x-health': 'yes' }), [200, 200]);
      assert.deepEqual(await statuses(request, '/free', 2), [200, 429]);
    });

    it('pace with a leaky bucket', async (t) => {
      const request = await serve(t, {
        limits: { paced: { rate: '20/s', algorithm: 'leaky_bucket', queue: 2, key: 'ip' } },
      });
      const begin = performance.now();
      const answers = await Promise.all(Array.from({ length: 8 }, () => request('/free')));
      assert.ok(performance.now() - begin >= 99, 'two waited their turn');
      assert.ok(answers.filter(({ status }) => status === 200).length >= 3);
      assert.ok(answers.some(({ status }) => status === 429));
    });

    it('say it in the old fields too, and with some jitter', async (t) => {
      const manual = clock();
      const limits = {
        wide: { rate: '100/hour', clock: manual },
        narrow: { rate: '2/hour', key: 'ip', clock: manual },
      } as const;
      const request = await serve(t, { limits, legacyHeaders: true, headers: false, jitter: 0.5 });
      const first = await request('/free');
      assert.deepEqual(
        [first.get('x-ratelimit-limit'), first.get('x-ratelimit-remaining'), first.get('ratelimit')],
        ['2', '1', null],
      );
      assert.deepEqual(await statuses(request, '/free', 2), [200, 429]);
      const told = new Set<number>();
      for (let i = 0; i < 20; i += 1) {
        const refused = await request('/free');
        const wait = Number(refused.get('retry-after'));
        assert.ok(wait >= 1800 && wait <= 2701, String(wait));
        assert.ok(Number(refused.get('x-ratelimit-reset')) <= wait);
        told.add(wait);
      }
      assert.ok(told.size > 1, 'not all clients come back at once');
    });
  });
}
