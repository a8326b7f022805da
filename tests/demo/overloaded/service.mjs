// service.mjs [limit]: sixteen workers of 160 ms behind Nest, one line before them; with an adaptive limit, or without.
// Run where Nest and tidegate are installed. Prints its port; answers `/done` with how many calls were done; ends with
// its standard input.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const require = createRequire(join(process.cwd(), 'package.json'));
require('reflect-metadata');
const { Controller, Get } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { ConcurrencyLimiter } = require('tidegate');
const { TidegateModule, overloadGuard } = require('tidegate/nest');

const [WORKERS, MILLISECONDS] = [16, 160];
let free = WORKERS;
let count = 0;
const line = [];

class Work {
  async work() {
    if (free > 0) free -= 1;
    else await new Promise((turn) => line.push(turn));
    await sleep(MILLISECONDS);
    count += 1;
    if (line.length > 0) line.shift()();
    else free += 1;
    return 'ok';
  }

  done() {
    return String(count);
  }
}
// What decorators would write.
for (const [path, name] of [
  ['', 'work'],
  ['done', 'done'],
]) {
  Get(path)(Work.prototype, name, Object.getOwnPropertyDescriptor(Work.prototype, name));
}
Controller()(Work);

const module = { module: class {}, imports: [TidegateModule.forRoot()], controllers: [Work] };
const app = await NestFactory.create(module, { logger: false });
if (process.argv[2] === 'limit') {
  app.useGlobalGuards(overloadGuard({ concurrency: ConcurrencyLimiter.adaptive({}), exempt: ['/done'] }));
}
await app.listen(0, '127.0.0.1');
console.log(app.getHttpServer().address().port);
process.stdin.on('end', () => process.exit(0)).resume();
