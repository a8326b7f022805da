// A Nest application on Fastify with one route: server.mjs ROW NAME
// Answers each message with the CPU time that this process has used so far.
import 'reflect-metadata';
import { Controller, Get, HttpException, Injectable, Module } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { TidegateModule } from 'tidegate/nest';

const [, , row, name] = process.argv;

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

/** The floor of refusals: headers and a body that are always the same. */
class RefusingGuard {
  canActivate(context) {
    const reply = context.switchToHttp().getResponse();
    reply.header('RateLimit-Policy', '"default";q=1;w=3600');
    reply.header('RateLimit', '"default";r=0;t=3600');
    reply.header('Retry-After', '3600');
    throw new HttpException({ status: 429, title: 'Too many requests' }, 429);
  }
}

/** A user by header, as an authentication that has run before would have it. */
class UserThrottlerGuard extends ThrottlerGuard {
  async getTracker(request) {
    return request.headers['x-user'];
  }
}
for (const guard of [NoOpGuard, RefusingGuard, UserThrottlerGuard]) Injectable()(guard);

const guarded = (guard) => ({ providers: [{ provide: APP_GUARD, useClass: guard }] });
const throttled = (limit, guard = ThrottlerGuard) => ({
  imports: [ThrottlerModule.forRoot([{ ttl: 60_000, limit }])],
  ...guarded(guard),
});
const limited = (limit) => ({ imports: [TidegateModule.forRoot({ limits: { default: limit } })] });

const VARIANTS = {
  one: {
    bare: {},
    'no-op guard': guarded(NoOpGuard),
    tidegate: limited({ rate: 1e8, burst: 2 ** 32 - 1 }),
    ThrottlerGuard: throttled(1e9),
  },
  users: {
    bare: {},
    'no-op guard': guarded(NoOpGuard),
    tidegate: limited({ rate: '100/minute', key: 'header:x-user' }),
    ThrottlerGuard: throttled(100, UserThrottlerGuard),
  },
  refused: {
    bare: {},
    'guard that refuses': guarded(RefusingGuard),
    tidegate: limited({ rate: '1/year', key: 'ip' }),
    ThrottlerGuard: throttled(0),
  },
};

class AppModule {}
Module({ controllers: [HelloController], ...VARIANTS[row][name] })(AppModule);

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false });
await app.listen(0, '127.0.0.1');
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send((user + system) * 1000);
});
process.on('disconnect', () => process.exit());
process.send(app.getHttpServer().address().port);
