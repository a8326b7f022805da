import 'reflect-metadata';
import { Controller, Get, HttpCode, Module, Post, Header } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, NestFastifyApplication } from '@nestjs/platform-fastify';
import { TokenBucket } from 'tidegate';
import { SkipRateLimit, TidegateModule } from 'tidegate/nest';

/** The limit that uvicorn's workers have as well: scope and name mean one limit in every process of the machine. */
const orders = new TokenBucket({ rate: '400/s', burst: 800, scope: 'host:sale', name: 'orders' });

@Controller()
class OrdersController {
  @Post('orders')
  @HttpCode(202)
  @Header('X-Process', String(process.pid))
  place() {
    return { accepted: true };
  }

  @Get('healthz')
  @SkipRateLimit()
  healthz() {
    return { ok: true };
  }
}

@Module({ imports: [TidegateModule.forRoot({ limits: { orders } })], controllers: [OrdersController] })
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), {
    logger: ['error', 'warn'],
  });
  await app.listen(Number(process.env.PORT ?? 0), '127.0.0.1');
  console.log(`orders listening on ${await app.getUrl()}`);
}

void main();
