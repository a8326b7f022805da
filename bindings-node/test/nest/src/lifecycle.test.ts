// How applications of every kind begin and end: what waits for a permit gets an answer, and nothing keeps them alive.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, MessagePattern, type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import Fastify from 'fastify';
import { type BoundedQueue, ConcurrencyLimiter, TokenBucket } from 'tidegate';
import tidegate from 'tidegate/fastify';
import {
  InjectBoundedQueue,
  InjectConcurrencyLimiter,
  RateLimit,
  TidegateGuard,
  TidegateModule,
  TidegateRegistry,
} from 'tidegate/nest';
import { lastValueFrom } from 'rxjs';
import { WebSocket } from 'ws';
import { ADAPTERS, type Adapter } from './app.js';
import { requester, statuses } from './request.js';

const until = async (holds: () => boolean) => {
  const deadline = performance.now() + 60_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not within a minute: ${holds}`);
    await setImmediate();
  }
};

/** An end that waits for those in line would take as long as they do: ten minutes. */
const PATIENT = { limit: 1, maxWaitMs: 600_000 };

/** What a server serves to the end while it closes: it waits for idle connections too, for as long as it keeps them. */
const LAST = { connection: 'close' };

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });

@Controller()
class WaitingController {
  constructor(
    @InjectConcurrencyLimiter('mail') private readonly mail: ConcurrencyLimiter,
    @InjectBoundedQueue('orders') private readonly orders: BoundedQueue<string>,
  ) {}

  @Get('mail')
  async send() {
    return this.mail.run(() => 'sent');
  }

  @Get('order')
  async order() {
    await this.orders.push('order');
    return 'taken';
  }

  @Get('next')
  async next() {
    return this.orders.pop();
  }

  @MessagePattern('mail')
  async message() {
    return this.mail.run(() => 'sent');
  }
}

const ONE = { capacity: 1, highWatermark: 1 };

@Module({
  imports: [TidegateModule.forRoot({ concurrency: { mail: PATIENT }, queues: { orders: ONE } })],
  controllers: [WaitingController],
})
class WaitingApp {}

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`the end of an application on ${adapter}`, () => {
    it('answers whoever waits for a permit or for room, at once', async (t) => {
      const app = await NestFactory.create(WaitingApp, ADAPTERS[adapter]() as any, { logger: false });
      t.after(() => app.close());
      await app.listen(0, '127.0.0.1');
      const request = requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
      const mail = app.get(TidegateRegistry).concurrencyLimiter('mail');
      const orders = app.get(TidegateRegistry).queue('orders');
      const permit = mail.tryAcquire();
      assert.equal((await request('/order')).status, 200);
      let came = 0;
      app.getHttpServer().on('request', () => (came += 1));
      const waiting = ['/mail', '/mail', '/order'].map((path) => request(path));
      await until(() => mail.stats().waiting === 2 && came === 3);
      await setImmediate();
      const closed = app.close();
      const answers = await Promise.all(waiting);
      assert.deepEqual(answers.map(({ status }) => status), [503, 503, 503]);
      assert.ok(answers.every((answer) => answer.get('retry-after') === '1'));
      await closed;
      assert.deepEqual([mail.stats().waiting, mail.stats().cancelled, permit?.release()], [0, 2, true]);
      // What is left over is still there, and who asks now does not wait.
      assert.deepEqual([orders.isClosed, orders.drain()], [true, ['order']]);
      const last = mail.tryAcquire();
      await assert.rejects(mail.acquire(), { code: 'ERR_TIDEGATE_CONCURRENCY_LIMIT' });
      last?.release();
      assert.equal(mail.inUse, 0);
    });

    it('leaves alone what the application has made itself', async () => {
      const mine = new ConcurrencyLimiter(PATIENT);
      const imports = [TidegateModule.forRoot({ concurrency: { mail: mine } })];
      const root = { module: class {}, imports };
      const app = await NestFactory.create(root, ADAPTERS[adapter]() as any, { logger: false });
      await app.init();
      const permit = mine.tryAcquire();
      const waiting = mine.acquire();
      await app.close();
      permit?.release();
      assert.equal((await waiting).release(), true);
    });

    it('comes with a signal, and nothing keeps the process alive', { timeout: 60_000 }, async () => {
      const program = join(process.cwd(), 'dist/ending.js');
      const child = spawn(process.execPath, [program, adapter], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
      const out = text(child.stdout!);
      const exited = once(child, 'exit');
      const [url] = (await once(child, 'message')) as [string];
      // The first holds the only permit and is served to its end; those behind it are refused.
      const first = requester(url)('/slow', 'GET', LAST);
      await once(child, 'message');
      const waiting = [1, 2, 3].map(() => requester(url)('/slow'));
      await once(child, 'message');
      child.kill('SIGTERM');
      assert.deepEqual((await Promise.all(waiting)).map(({ status }) => status), [503, 503, 503]);
      child.send('finish');
      assert.equal((await first).status, 200);
      const [, signal] = await exited;
      assert.deepEqual([signal, await out], ['SIGTERM', 'closed by SIGTERM\n']);
    });
  });
}

describe('the end of a Fastify server', () => {
  it('answers whoever waits for a permit at once, and charges them nothing', async (t) => {
    const concurrency = new ConcurrencyLimiter(PATIENT);
    const everyone = new TokenBucket({ rate: '10/hour' });
    const app = Fastify();
    await app.register(tidegate, { rate: everyone, concurrency });
    let finish = () => {};
    app.get('/', () => new Promise((resolve) => (finish = () => resolve('ok'))));
    t.after(() => app.close());
    const request = requester(await app.listen({ port: 0, host: '127.0.0.1' }));
    const first = request('/', 'GET', LAST);
    await until(() => concurrency.inUse === 1);
    const waiting = [1, 2, 3].map(() => request('/'));
    await until(() => concurrency.stats().waiting === 3);
    const closed = app.close();
    assert.deepEqual((await Promise.all(waiting)).map(({ status }) => status), [503, 503, 503]);
    assert.deepEqual([concurrency.stats().waiting, everyone.peek().remaining], [0, 9]);
    finish();
    assert.equal((await first).status, 200);
    await closed;
    // The limiter is the application's: it serves others.
    const permit = concurrency.tryAcquire();
    const other = concurrency.acquire();
    permit?.release();
    assert.equal((await other).release(), true);
  });
});

@Controller()
class PingController {
  @MessagePattern('ping')
  @RateLimit('2/hour', { name: 'ping', key: 'ip' })
  ping() {
    return 'pong';
  }

  @Get()
  @RateLimit('2/hour', { name: 'page', key: 'ip' })
  page() {
    return 'page';
  }
}

@Controller()
@UseGuards(TidegateGuard)
class GuardedController extends PingController {}

/** What three calls by TCP come to: the answer, or the code of the refusal. */
async function pings(t: TestContext, port: number) {
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { port, host: '127.0.0.1' } });
  t.after(() => client.close());
  const seen = [];
  for (let i = 0; i < 3; i += 1) {
    seen.push(await lastValueFrom(client.send('ping', {})).catch((error: any) => `${error.code}: ${error.message}`));
  }
  return seen;
}
const REFUSED = /^ERR_TIDEGATE_RATE_LIMITED: limiter "ping" \(2\/hour\) refused 1 token: try again in \d+(\.\d+)? s$/;

/** What is told while the test runs. */
function warningsOf(t: TestContext) {
  const told: string[] = [];
  const emit = process.emitWarning;
  t.after(() => void (process.emitWarning = emit));
  process.emitWarning = ((message: string) => void told.push(message)) as any;
  return told;
}

describe('a microservice', () => {
  const tcp = (port: number): MicroserviceOptions => ({
    transport: Transport.TCP,
    options: { port, host: '127.0.0.1' },
  });

  it('of its own is limited by the global guard', async (t) => {
    @Module({ imports: [TidegateModule.forRoot()], controllers: [PingController] })
    class PingApp {}
    const port = await freePort();
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(PingApp, { ...tcp(port), logger: false });
    t.after(() => app.close());
    await app.listen();
    const [first, second, third] = await pings(t, port);
    assert.deepEqual([first, second], ['pong', 'pong']);
    assert.match(third, REFUSED);
  });

  it('whose messages wait for a permit ends at once', async (t) => {
    const port = await freePort();
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(WaitingApp, { ...tcp(port), logger: false });
    t.after(() => app.close());
    await app.listen();
    const mail = app.get(TidegateRegistry).concurrencyLimiter('mail');
    const permit = mail.tryAcquire();
    const client = ClientProxyFactory.create(tcp(port) as any);
    t.after(() => client.close());
    const answer = lastValueFrom(client.send('mail', {})).catch((error: any) => error);
    await until(() => mail.stats().waiting === 1);
    await app.close();
    // Nest closes the connections first, which is all that a client hears.
    assert.match((await answer).message, /Connection closed/);
    assert.deepEqual([mail.stats().waiting, permit?.release()], [0, true]);
  });

  for (const [what, controller, options] of [
    ['by a guard of its own', GuardedController, {}],
    ['by the global guard that it inherits', PingController, { inheritAppConfig: true }],
  ] as const) {
    it(`of a hybrid application is limited ${what}, beside HTTP`, async (t) => {
      const warnings = warningsOf(t);
      @Module({ imports: [TidegateModule.forRoot()], controllers: [controller] })
      class HybridApp {}
      const app = await NestFactory.create(HybridApp, { logger: false });
      t.after(() => app.close());
      const port = await freePort();
      app.connectMicroservice<MicroserviceOptions>(tcp(port), options);
      await app.startAllMicroservices();
      await app.listen(0, '127.0.0.1');
      const [first, second, third] = await pings(t, port);
      assert.deepEqual([first, second], ['pong', 'pong']);
      assert.match(third, REFUSED);
      const request = requester(`http://127.0.0.1:${app.getHttpServer().address().port}`);
      assert.deepEqual(await statuses(request, '/', 3), [200, 200, 429]);
      // Whether a microservice inherits is not known when the application starts.
      assert.equal(warnings.length, controller === PingController ? 1 : 0);
    });
  }

  it('of a hybrid application that inherits nothing is in the log: its messages are not limited', async (t) => {
    const warnings = warningsOf(t);
    @Module({ imports: [TidegateModule.forRoot()], controllers: [PingController] })
    class HybridApp {}
    const app = await NestFactory.create(HybridApp, { logger: false });
    t.after(() => app.close());
    const port = await freePort();
    app.connectMicroservice<MicroserviceOptions>(tcp(port));
    await app.startAllMicroservices();
    await app.init();
    assert.deepEqual(await pings(t, port), ['pong', 'pong', 'pong']);
    assert.deepEqual(warnings, [
      '@RateLimit on PingController.ping: in an application with routes Nest applies no global guard to messages, so ' +
        'they are not limited, unless their microservice is connected with { inheritAppConfig: true }; ' +
        'else put @UseGuards(TidegateGuard) on PingController',
    ]);
  });
});

describe('an application of gateways alone', () => {
  it('begins, is limited and ends, with clients connected', async () => {
    @WebSocketGateway()
    @UseGuards(TidegateGuard)
    class EchoGateway {
      handleConnection(client: any) {
        // Nest emits a refusal on the socket of ws; to send it is the application's.
        client.on('exception', (data: unknown) => client.send(JSON.stringify({ event: 'exception', data })));
      }

      @SubscribeMessage('echo')
      @RateLimit('1/hour', { name: 'echo', key: 'ip' })
      echo(_client: unknown, data: string) {
        return { event: 'echo', data };
      }
    }
    @Module({ imports: [TidegateModule.forRoot()], providers: [EchoGateway] })
    class EchoApp {}
    const app = await NestFactory.create(EchoApp, { logger: false });
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    const socket = new WebSocket(`ws://127.0.0.1:${app.getHttpServer().address().port}`);
    await once(socket, 'open');
    const say = async () => {
      socket.send(JSON.stringify({ event: 'echo', data: 'hi' }));
      const [message] = await once(socket, 'message');
      return JSON.parse(message.toString());
    };
    assert.deepEqual(await say(), { event: 'echo', data: 'hi' });
    const { event, data } = await say();
    assert.deepEqual([event, data.status, data.code], ['exception', 429, 'ERR_TIDEGATE_RATE_LIMITED']);
    await app.close();
    socket.terminate();
  });
});
