// @RateLimit where no guard of ours would run, as without TidegateModule: the application must not start.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Controller, Get, Injectable, Module, Scope, type Type, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Transport } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RateLimit, SkipRateLimit, TidegateGuard, TidegateModule } from 'tidegate/nest';
import { ADAPTERS, type Adapter } from './app.js';

@Controller('method')
class MethodController {
  @Get()
  @RateLimit('1/hour')
  get() {
    return 1;
  }
}

@Controller('class')
@RateLimit('1/hour')
class ClassController {
  @Get()
  get() {
    return 1;
  }
}

@Controller('inherits')
class InheritingController extends MethodController {}

@Controller({ path: 'request', scope: Scope.REQUEST })
class RequestController {
  @Get()
  @RateLimit('1/hour', { name: 'one' })
  @RateLimit('9/day', { name: 'two' })
  get() {
    return 1;
  }
}

@WebSocketGateway()
class OpenGateway {
  @SubscribeMessage('echo')
  @RateLimit('1/hour')
  echo() {
    return 1;
  }
}

@WebSocketGateway()
@UseGuards(TidegateGuard)
class EchoGateway {
  @SubscribeMessage('echo')
  @RateLimit('1/hour')
  echo() {
    return 1;
  }
}

@Controller()
class PingController {
  @MessagePattern('ping')
  @RateLimit('1/hour')
  ping() {
    return 1;
  }
}

@Injectable()
@SkipRateLimit()
class Unlimited {}

const QUIET = { logger: false, abortOnError: false } as const;
const app = (controllers: Type[], providers: Type[] = [], imports: any[] = []) => {
  @Module({ controllers, providers, imports })
  class AppModule {}
  return AppModule;
};
const refused = (place: string) => ({
  name: 'RangeError',
  message:
    `@RateLimit on ${place}: this application does not import TidegateModule, so nothing would be limited; ` +
    'add TidegateModule.forRoot() to the imports of its root module, or of the testing module',
});

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`@RateLimit that would limit nothing on ${adapter}`, () => {
    const start = async (module: Type) => {
      const made = await NestFactory.create(module, ADAPTERS[adapter]() as any, QUIET);
      await made.init();
      return made.close();
    };
    const cases: [string, Type[], Type[]][] = [
      ['MethodController.get', [MethodController], []],
      ['ClassController', [ClassController], []],
      ['MethodController.get', [InheritingController], []],
      ['RequestController.get', [RequestController], []],
      ['MethodController.get and 1 more', [MethodController, ClassController], []],
    ];
    for (const [place, controllers, providers] of cases) {
      it(`on ${[...controllers, ...providers].map(({ name }) => name).join(', ')} does not start`, async () => {
        await assert.rejects(start(app(controllers, providers)), refused(place));
        await start(app(controllers, providers, [TidegateModule.forRoot()]));
      });
    }

    it('on a gateway with our guard does not start', async () => {
      await assert.rejects(start(app([], [EchoGateway])), /TidegateRegistry|TidegateModule/);
      await start(app([], [EchoGateway], [TidegateModule.forRoot()]));
    });

    it('does not start with the bare class among the imports', async () => {
      await assert.rejects(start(app([], [], [TidegateModule])), {
        name: 'RangeError',
        message: 'TidegateModule: import what forRoot() or forRootAsync(…) gives, not the class itself',
      });
    });

    it('does not start with a gateway that no guard stands over, since none of the application does', async () => {
      await assert.rejects(start(app([], [OpenGateway], [TidegateModule.forRoot()])), {
        name: 'RangeError',
        message:
          '@RateLimit on OpenGateway.echo: Nest applies no global guard to gateways, so nothing would be limited; ' +
          'put @UseGuards(TidegateGuard) on OpenGateway',
      });
    });

    it('starts where it limits nothing', () => start(app([], [Unlimited])));
  });
}

describe('@RateLimit that would limit nothing', () => {
  it('does not start a microservice', async () => {
    const options = { transport: Transport.TCP, options: { port: 0, host: '127.0.0.1' }, ...QUIET } as any;
    const starting = NestFactory.createMicroservice(app([PingController]), options);
    await assert.rejects(starting, refused('PingController.ping'));
  });

  it('does not compile in a testing module', async () => {
    const test = (imports: any[]) => Test.createTestingModule({ imports, controllers: [MethodController] });
    await assert.rejects(test([]).compile(), refused('MethodController.get'));
    const compiled = await test([TidegateModule.forRoot()]).compile();
    assert.equal(compiled.get(MethodController).get(), 1);
  });
});
