// A Nest application on Fastify with one route: server.mjs <bare|no-op guard|tidegate|ThrottlerGuard>
// Answers each message with the CPU time that this process has used so far.
import 'reflect-metadata';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { TidegateModule } from 'tidegate/nest';

class HelloController {
  hello() {
    return { hello: 'world' };
  }
}
Get('hello')(HelloController.prototype, 'hello', Object.getOwnPropertyDescriptor(HelloController.prototype, 'hello'));
Controller()(HelloController);

/** The floor: what any guard costs that sets such headers. */
class NoOpGuard {
  canActivate(context) {
    const reply = context.switchToHttp().getResponse();
    reply.header('RateLimit-Policy', '"default";q=4294967295;w=43');
    reply.header('RateLimit', '"default";r=4294967294;t=1');
    return true;
  }
}
Injectable()(NoOpGuard);

const VARIANTS = {
  bare: {},
  'no-op guard': { providers: [{ provide: APP_GUARD, useClass: NoOpGuard }] },
  tidegate: { imports: [TidegateModule.forRoot({ limits: { default: { rate: 1e8, burst: 2 ** 32 - 1 } } })] },
  ThrottlerGuard: {
    imports: [ThrottlerModule.forRoot([{ ttl: 60_000, limit: 1e9 }])],
    providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
  },
};

class AppModule {}
Module({ controllers: [HelloController], ...VARIANTS[process.argv[2]] })(AppModule);

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false });
await app.listen(0, '127.0.0.1');
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send((user + system) * 1000);
});
process.on('disconnect', () => process.exit());
process.send(app.getHttpServer().address().port);
