// A program: an application with shutdown hooks whose only permit is held until it is told to finish. It says where it
// listens, that the permit is taken, and that three wait.
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type ConcurrencyLimiter } from 'tidegate';
import { InjectConcurrencyLimiter, TidegateModule } from 'tidegate/nest';
import { ADAPTERS, type Adapter } from './app.js';

let finish: () => void;
const finished = new Promise<void>((resolve) => (finish = resolve));

@Controller()
class SlowController {
  constructor(@InjectConcurrencyLimiter('work') private readonly work: ConcurrencyLimiter) {}

  @Get('slow')
  async slow() {
    const asked = this.work.run(async () => {
      process.send?.('taken');
      await finished;
      return 'done';
    });
    if (this.work.stats().waiting === 3) process.send?.('waiting');
    return asked;
  }
}

@Injectable()
class Farewell {
  onApplicationShutdown(signal: string) {
    console.log(`closed by ${signal}`);
  }
}

@Module({
  imports: [
    TidegateModule.forRoot({
      limits: { client: { rate: '99/minute', key: 'ip' } },
      breakers: { payment: { cooldownMs: 600_000 } },
      concurrency: { work: { limit: 1, maxWaitMs: 600_000 } },
    }),
  ],
  controllers: [SlowController],
  providers: [Farewell],
})
class SlowApp {}

async function main() {
  const app = await NestFactory.create(SlowApp, ADAPTERS[process.argv[2] as Adapter]() as any, { logger: false });
  app.enableShutdownHooks();
  process.once('message', () => {
    finish();
    process.disconnect();
  });
  await app.listen(0, '127.0.0.1');
  process.send?.(`http://127.0.0.1:${app.getHttpServer().address().port}`);
}
void main();
