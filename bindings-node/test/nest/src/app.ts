// The application under test: what a user would write, for either Nest and either adapter.
import 'reflect-metadata';
import {
  Controller,
  Get,
  HttpCode,
  type INestApplication,
  Injectable,
  Module,
  type ModuleMetadata,
  NotFoundException,
  Options,
  Post,
  Req,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { BoundedQueue, CircuitBreaker, QueueClosedError, QueueFullError, RateLimitedError } from 'tidegate';
import { InjectBoundedQueue, InjectBreaker, RateLimit, SkipRateLimit } from 'tidegate/nest';

export const ADAPTERS = { express: () => new ExpressAdapter(), fastify: () => new FastifyAdapter() };
export type Adapter = keyof typeof ADAPTERS;

@Injectable()
export class Payments {
  constructor(
    @InjectBreaker('payment') readonly breaker: CircuitBreaker,
    @InjectBoundedQueue('orders') readonly orders: BoundedQueue<string>,
  ) {}
}

@Controller('limited')
export class LimitedController {
  @Get('three')
  @RateLimit('3/hour')
  three() {
    return { ok: true };
  }

  @Get('named')
  @RateLimit('2/hour', { name: 'say "hi"', burst: 4 })
  named() {
    return { ok: true };
  }

  @Get('two')
  @RateLimit('2/hour', { name: 'narrow' })
  @RateLimit('50/hour', { name: 'wide' })
  two() {
    return { ok: true };
  }

  @Get('costly')
  @RateLimit('10/hour', { cost: async (request: { query: { n: string } }) => Number(request.query.n) })
  costly() {
    return { ok: true };
  }

  @Options('three')
  @RateLimit('1/hour')
  @HttpCode(204)
  preflight() {}
}

@Controller('class')
@RateLimit('3/hour', { name: 'class' })
export class ClassController {
  @Get('a')
  a() {
    return 'a';
  }

  @Get('b')
  b() {
    return 'b';
  }

  @Get('free')
  @SkipRateLimit('class')
  free() {
    return 'free';
  }

  @Get('open')
  @SkipRateLimit()
  open() {
    return 'open';
  }
}

@Controller('pay')
@SkipRateLimit()
export class PayController {
  constructor(private readonly payments: Payments) {}

  @Post('call')
  @HttpCode(200)
  call() {
    return this.payments.breaker.call(async () => ({ paid: true }));
  }

  @Post('fail')
  fail() {
    return this.payments.breaker.call(async () => {
      throw new Error('provider down');
    });
  }

  @Post('queue')
  @HttpCode(202)
  async queue() {
    await this.payments.orders.push('order', { timeoutMs: 0 });
    return { queued: this.payments.orders.depth };
  }

  @Get('limited')
  limited() {
    throw new RateLimitedError('downstream', 4200);
  }

  @Get('full')
  full() {
    throw new QueueFullError(undefined, Infinity);
  }

  @Get('closed')
  closed() {
    throw new QueueClosedError();
  }

  @Get('missing')
  missing() {
    throw new NotFoundException();
  }

  @Get('broken')
  broken() {
    throw new Error('a bug');
  }

  @Get('late')
  async late(@Req() request: { res?: unknown; raw?: { res?: unknown } }) {
    // Answer half, then refuse.
    const raw = (request as any).socket._httpMessage;
    raw.writeHead(200, { 'content-length': '100' });
    raw.write('half');
    throw new QueueFullError();
  }
}

/** Starts an application with `imports` on a free port. */
export async function start(
  adapter: Adapter,
  imports: ModuleMetadata['imports'],
  controllers: Type[] = [LimitedController, ClassController, PayController],
  providers: NonNullable<ModuleMetadata['providers']> = [Payments],
): Promise<{ app: INestApplication; url: string }> {
  @Module({ imports, controllers, providers })
  class AppModule {}
  const app = await NestFactory.create(AppModule, ADAPTERS[adapter]() as any, { logger: false, abortOnError: false });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address();
  return { app, url: `http://127.0.0.1:${port}` };
}
