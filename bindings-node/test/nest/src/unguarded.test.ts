// Limits over which no guard of ours stands: said when the application starts, and by nobody else.
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  Module,
  Scope,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, NestFactory, REQUEST } from '@nestjs/core';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Gate as TheGate, TokenBucket } from 'tidegate';
import { Gate, RateLimit, SkipRateLimit, TidegateGuard, TidegateModule, TidegateRegistry } from 'tidegate/nest';
import { ADAPTERS, type Adapter } from './app.js';
import { requester, statuses } from './request.js';

/** Authentication, as it stands over most applications. */
@Injectable()
class AuthGuard implements CanActivate {
  canActivate() {
    return true;
  }
}

@Injectable()
class Subclass extends TidegateGuard {}

@Injectable({ scope: Scope.REQUEST })
class OfRequest extends TidegateGuard {
  constructor(registry: TidegateRegistry, @Inject(REQUEST) readonly request: unknown) {
    super(registry);
  }
}

/** Calls ours where it wants to. */
@Injectable()
class Calling implements CanActivate {
  constructor(private readonly guard: TidegateGuard) {}
  canActivate(context: ExecutionContext) {
    return this.guard.canActivate(context);
  }
}

@Injectable()
class CallingByProperty implements CanActivate {
  @Inject(TidegateGuard) private readonly guard!: TidegateGuard;
  canActivate(context: ExecutionContext) {
    return this.guard.canActivate(context);
  }
}

@Controller('plain')
class PlainController {
  @Get()
  get() {
    return 1;
  }
}

@Controller('limited')
class LimitedController {
  @Get()
  @RateLimit('1/hour')
  one() {
    return 1;
  }
  @Get('other')
  @SkipRateLimit()
  other() {
    return 1;
  }
}

@Controller('class')
@RateLimit('1/hour', { name: 'class' })
class ClassController {
  @Get()
  @UseGuards(TidegateGuard)
  guarded() {
    return this.helper();
  }
  helper() {
    return 1;
  }
}

@Controller('open')
@RateLimit('1/hour', { name: 'open' })
class OpenController extends ClassController {
  @Get('unguarded')
  unguarded() {
    return 1;
  }
}

@Controller('gated')
class GatedController {
  @Get()
  @Gate('shop')
  get() {
    return 1;
  }
}

@Controller('guarded')
@UseGuards(TidegateGuard)
class GuardedController {
  @Get()
  @RateLimit('1/hour')
  get() {
    return 1;
  }
}

@WebSocketGateway()
@UseGuards(AuthGuard)
class AuthGateway {
  @SubscribeMessage('echo')
  @RateLimit('1/hour')
  echo() {
    return 1;
  }
}

const OFF = { guard: false };
const MODULE = { guard: false, limits: { client: '1/hour', user: { rate: '9/hour', key: 'user' } } };
const shop = () => ({ shop: new TheGate('shop', { limits: { all: new TokenBucket({ rate: '1/hour' }) } }) });

type Set = { options?: any; controllers?: any[]; providers?: any[]; global?: () => any[] };

async function start(t: TestContext, adapter: Adapter, set: Set) {
  const { options = OFF, controllers = [PlainController], providers = [], global = () => [] } = set;
  @Module({ imports: [TidegateModule.forRoot(options)], controllers, providers })
  class AppModule {}
  const app = await NestFactory.create(AppModule, ADAPTERS[adapter]() as any, { logger: false, abortOnError: false });
  app.useGlobalGuards(...global.call(app));
  t.after(() => app.close());
  await app.listen(0, '127.0.0.1');
  return requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
}

const byToken = (useClass: any) => ({ provide: APP_GUARD, useClass });
const ADVICE =
  ': no TidegateGuard stands there, so nothing is limited; put @UseGuards(TidegateGuard) on the controller or ' +
  'gateway, or, after the guards of authentication, { provide: APP_GUARD, useExisting: TidegateGuard } among the ' +
  'providers of a module (a guard that calls it without having it injected is not seen)';

/** What the start says, undefined for nothing. */
const CASES: Record<string, [said: string | undefined, set: Set]> = {
  'the limits of the module, with no guard': ["the limits of TidegateModule ('client', 'user')", { options: MODULE }],
  'the limits of the module, under others alone': [
    "the limits of TidegateModule ('client', 'user')",
    { options: MODULE, providers: [byToken(AuthGuard)] },
  ],
  "a route's limit": ['LimitedController.one', { controllers: [LimitedController] }],
  "a route's limit under others alone": [
    'LimitedController.one',
    { controllers: [LimitedController], providers: [byToken(AuthGuard)] },
  ],
  "a route's limit beside another that is guarded": [
    'LimitedController.one',
    { options: MODULE, controllers: [LimitedController, GuardedController] },
  ],
  'one of the routes of a controller': ['OpenController.unguarded', { controllers: [OpenController] }],
  "a route's gate": [
    'GatedController.get',
    { options: { guard: false, gates: shop() }, controllers: [GatedController] },
  ],
  'limits of module and routes': [
    "the limits of TidegateModule ('client', 'user') and LimitedController.one and GatedController.get",
    { options: { ...MODULE, gates: shop() }, controllers: [LimitedController, GatedController] },
  ],
  'a gateway under others alone': ['AuthGateway.echo', { options: {}, providers: [AuthGateway] }],
  'no limits': [undefined, {}],
  'a global guard of ours': [undefined, { options: { limits: MODULE.limits }, controllers: [LimitedController] }],
  'ours by APP_GUARD': [
    undefined,
    {
      options: MODULE,
      controllers: [LimitedController],
      providers: [byToken(AuthGuard), { provide: APP_GUARD, useExisting: TidegateGuard }],
    },
  ],
  'a subclass by APP_GUARD': [undefined, { options: MODULE, providers: [byToken(Subclass)] }],
  'one for each request by APP_GUARD': [
    undefined,
    { options: MODULE, controllers: [LimitedController], providers: [byToken(OfRequest)] },
  ],
  'one that calls ours by APP_GUARD': [
    undefined,
    { options: MODULE, controllers: [LimitedController], providers: [byToken(Calling)] },
  ],
  'one that calls ours, which stands in a property': [
    undefined,
    { options: MODULE, controllers: [LimitedController], providers: [byToken(CallingByProperty)] },
  ],
  'one that a factory makes': [
    undefined,
    {
      options: MODULE,
      providers: [
        { provide: APP_GUARD, inject: [TidegateGuard], useFactory: (guard: TidegateGuard) => new Calling(guard) },
      ],
    },
  ],
  'ours by useGlobalGuards': [
    undefined,
    {
      options: MODULE,
      controllers: [LimitedController],
      global(this: any) {
        return [new Calling(this.get(TidegateGuard))];
      },
    },
  ],
  'ours over one controller, and limits of the module': [
    undefined,
    { options: MODULE, controllers: [GuardedController, PlainController] },
  ],
  'ours over the routes of a class with a limit': [undefined, { controllers: [ClassController] }],
};

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`limits over which no guard of ours stands, on ${adapter}`, () => {
    for (const [name, [said, set]] of Object.entries(CASES)) {
      it(said === undefined ? `nothing is said of ${name}` : `are told: ${name}`, async (t) => {
        const heard: string[] = [];
        const listen = (warning: Error) => warning.name === 'TidegateWarning' && heard.push(warning.message);
        process.on('warning', listen);
        t.after(() => process.off('warning', listen));
        const request = await start(t, adapter, set);
        await new Promise(setImmediate);
        assert.deepEqual(heard, said === undefined ? [] : [`${said}${ADVICE}`]);
        if (set.controllers?.includes(LimitedController)) {
          const isOpen = said !== undefined;
          assert.deepEqual(await statuses(request, '/limited', 2), [200, isOpen ? 200 : 429]);
        }
      });
    }
  });
}

describe("the module's option guard", () => {
  it('takes no guard that limits nothing', () => {
    assert.throws(() => TidegateModule.forRoot({ guard: AuthGuard as any }), {
      name: 'TypeError',
      message: /^guard must be a subclass of TidegateGuard, true or false, got .*, which would limit nothing/,
    });
  });

  for (const guard of [Subclass, OfRequest] as any[]) {
    it(`takes ${guard.name}`, async (t) => {
      const request = await start(t, 'express', { options: { guard }, controllers: [LimitedController] });
      assert.deepEqual(await statuses(request, '/limited', 2), [200, 429]);
    });
  }
});
