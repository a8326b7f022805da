// A Nest application on Fastify with one route: server.mjs ROW NAME
// Answers each message with the CPU time that this process has used so far.
import 'reflect-metadata';
import { Controller, Get, HttpException, Injectable, Module } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { TidegateModule } from 'tidegate/nest';
import { LIMIT, NoOpGuard, tracker } from './guards.mjs';

const [, , row, name] = process.argv;

class HelloController {
  hello() {
    return { hello: 'world' };
  }
}
Get('hello')(HelloController.prototype, 'hello', Object.getOwnPropertyDescriptor(HelloController.prototype, 'hello'));
Controller()(HelloController);

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
