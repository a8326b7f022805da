// What filters of an application get of a refusal, wherever it comes from and wherever they stand: an HttpException
// with Retry-After; and what it costs requests that are not refused.
import assert from 'node:assert/strict';
import { AsyncResource } from 'node:async_hooks';
import { type TestContext, describe, it } from 'node:test';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpException,
  Inject,
  Injectable,
  Module,
  Query,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { APP_FILTER, NestFactory, REQUEST } from '@nestjs/core';
import { from, throwError } from 'rxjs';
import { CircuitOpenError } from 'tidegate';
import { TidegateExceptionFilter, TidegateModule } from 'tidegate/nest';
import { ADAPTERS, type Adapter } from './app.js';
import { requester } from './request.js';

const open = () => new CircuitOpenError('bank', 4000);
const refuse = (): never => {
  throw open();
};

/** Answers as the application does, and shows that it was asked. */
function answer(exception: unknown, host: ArgumentsHost, by: string) {
  const response = host.switchToHttp().getResponse();
  const isHttp = exception instanceof HttpException;
  response.header('x-by', by);
  response.status(isHttp ? exception.getStatus() : 500).send({ isHttp, isOpen: exception instanceof CircuitOpenError });
}

@Catch()
class All implements ExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost) {
    answer(exception, host, this.constructor.name);
  }
}

/** Private to the instance: nobody else may stand in for it. */
@Catch(HttpException)
class OfHttp implements ExceptionFilter {
  readonly #name = 'OfHttp';
  catch(exception: unknown, host: ArgumentsHost) {
    answer(exception, host, this.#name);
  }
}

@Injectable({ scope: Scope.REQUEST })
@Catch(HttpException)
class OfRequest implements ExceptionFilter {
  constructor(@Inject(REQUEST) private readonly request: any) {}
  catch(exception: unknown, host: ArgumentsHost) {
    answer(exception, host, this.request.url.startsWith('/') ? 'OfRequest' : 'nobody');
  }
}

@Catch(CircuitOpenError)
class OfCircuits implements ExceptionFilter {
  catch = (exception: unknown, host: ArgumentsHost) => answer(exception, host, 'OfCircuits');
}

@Catch(SyntaxError)
class OfOthers implements ExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost) {
    answer(exception, host, 'OfOthers');
  }
}

class Ours extends TidegateExceptionFilter {
  override catch(exception: any, host: ArgumentsHost) {
    host.switchToHttp().getResponse().header('x-by', exception instanceof HttpException ? 'Ours' : 'raw');
    return super.catch(exception, host);
  }
}
const plain = { catch: (exception: unknown, host: ArgumentsHost) => answer(exception, host, 'plain') };

/** Every place that a refusal can come from. */
class Sources {
  @Get('handler')
  handler() {
    return refuse();
  }
  @Get('promise')
  async promise() {
    return refuse();
  }
  @Get('observable')
  observable() {
    return throwError(open);
  }
  @Get('group')
  async group() {
    return Promise.any([Promise.reject(open())]);
  }
  @Get('guard')
  @UseGuards({ canActivate: refuse })
  guard() {}
  @Get('interceptor')
  @UseInterceptors({ intercept: refuse })
  interceptor() {}
  @Get('after')
  @UseInterceptors({ intercept: (_context: any, next: any) => from(next.handle().toPromise().then(refuse)) })
  after() {
    return 'done';
  }
  @Get('pipe')
  pipe(@Query('a', { transform: refuse }) _a: string) {}
  @Get('middleware')
  middleware() {}
  @Get('mistake')
  mistake() {
    throw new TypeError('x');
  }
  @Get('fine')
  fine() {
    return 'fine';
  }
}
const SOURCES = ['handler', 'promise', 'observable', 'group', 'guard', 'interceptor', 'after', 'pipe', 'middleware'];

/** An application with a controller that has all sources, and `filters` over it. */
async function serve(
  t: TestContext,
  adapter: Adapter,
  {
    over = [] as any[],
    global = [] as any[],
    providers = [] as any[],
    before = [] as any[],
    after = [] as any[],
    scope = Scope.DEFAULT,
    filter = true as any,
  },
) {
  @Controller({ scope })
  @UseFilters(...over)
  class AppController extends Sources {}
  @Module({ providers: before })
  class Before {}
  @Module({ providers: after })
  class After {}
  const imports = [Before, TidegateModule.forRoot({ filter }), After];
  @Module({ imports, controllers: [AppController], providers })
  class AppModule {
    configure(consumer: any) {
      consumer.apply((_request: any, _response: any, next: any) => next(open())).forRoutes('middleware');
    }
  }
  const app = await NestFactory.create(AppModule, ADAPTERS[adapter]() as any, { logger: false, abortOnError: false });
  app.useGlobalFilters(...global);
  t.after(() => app.close());
  await app.listen(0, '127.0.0.1');
  return requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
}

const byToken = (useClass: any) => ({ provide: APP_FILTER, useClass });

/** The name of the filter that answers, and what stands over the routes. */
const PLACES: Record<string, [by: string | null, set: Parameters<typeof serve>[2]]> = {
  'none but ours': [null, {}],
  'a catch-all of useGlobalFilters': ['All', { global: [new All()] }],
  'a catch-all that is plain': ['plain', { global: [plain] }],
  'a catch-all by APP_FILTER': ['All', { providers: [byToken(All)] }],
  'a catch-all of a module before ours': ['All', { before: [byToken(All)] }],
  'a catch-all of a module after ours': ['All', { after: [byToken(All)] }],
  'a filter of HttpException in useGlobalFilters': ['OfHttp', { global: [new OfHttp()] }],
  'a filter of HttpException by APP_FILTER': ['OfHttp', { providers: [byToken(OfHttp)] }],
  'a filter of HttpException of a module before ours': ['OfHttp', { before: [byToken(OfHttp)] }],
  'a filter of HttpException of a module after ours': ['OfHttp', { after: [byToken(OfHttp)] }],
  'one that is made for each request': ['OfRequest', { providers: [byToken(OfRequest)] }],
  'a filter of open circuits': ['OfCircuits', { global: [new OfCircuits()] }],
  'a filter of other errors': [null, { global: [new OfOthers()] }],
  'a filter of other errors in place of ours': [null, { filter: OfOthers }],
  'a catch-all in place of ours': ['All', { filter: All }],
  'a subclass of ours': ['Ours', { filter: Ours }],
  'a class over the controller': ['All', { over: [All] }],
  'an object over the controller': ['OfHttp', { over: [new OfHttp()] }],
  'a class of HttpException over the controller': ['OfHttp', { over: [OfHttp], global: [new All()] }],
  'one over a controller that is made for each request': ['OfHttp', { over: [OfHttp], scope: Scope.REQUEST }],
  'a frozen one': ['plain', { global: [Object.freeze({ ...plain })] }],
  'none at all': [null, { filter: false }],
  'none of ours, and a catch-all of useGlobalFilters': ['All', { filter: false, global: [new All()] }],
  'none of ours, and a catch-all by APP_FILTER': ['All', { filter: false, providers: [byToken(All)] }],
  'none of ours, and a catch-all of a module before ours': ['All', { filter: false, before: [byToken(All)] }],
  'none of ours, and a catch-all of a module after ours': ['All', { filter: false, after: [byToken(All)] }],
  'none of ours, and a filter of HttpException': ['OfHttp', { filter: false, global: [new OfHttp()] }],
  'none of ours, and a filter of other errors': [null, { filter: false, global: [new OfOthers()] }],
  'none of ours, and one over the controller': ['OfHttp', { filter: false, over: [OfHttp] }],
  'none of ours, over a controller that is made for each request': [null, { filter: false, scope: Scope.REQUEST }],
};

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`under filters on ${adapter}, a refusal`, () => {
    for (const [place, [by, set]] of Object.entries(PLACES)) {
      it(`is a 503 with Retry-After: ${place}`, async (t) => {
        const request = await serve(t, adapter, set);
        assert.deepEqual([(await request('/fine')).status, (await request('/mistake')).status], [200, 500]);
        for (const source of SOURCES) {
          // Middleware has no filters over a controller, and none of a request; and one that is frozen is as it is
          // outside of handlers.
          if (source === 'middleware' && (set.over !== undefined || by === 'OfRequest')) continue;
          if (place === 'a frozen one' && ['guard', 'middleware'].includes(source)) continue;
          const { status, get, json } = await request(`/${source}`);
          assert.deepEqual([status, get('retry-after'), get('x-by')], [503, '4', by], source);
          if (by !== null && by !== 'Ours') assert.deepEqual(json(), { isHttp: true, isOpen: true }, source);
        }
      });
    }

    it('costs the others no context of their own', async (t) => {
      const { bind } = AsyncResource;
      t.after(() => void (AsyncResource.bind = bind));
      for (const set of [{}, { global: [new All()] }, { filter: false }]) {
        const request = await serve(t, adapter, set);
        let bound = 0;
        AsyncResource.bind = ((...given: any) => {
          bound += 1;
          return bind.apply(AsyncResource, given);
        }) as any;
        assert.equal((await request('/fine')).text, 'fine');
        AsyncResource.bind = bind;
        assert.equal(bound, 0);
      }
    });
  });
}
