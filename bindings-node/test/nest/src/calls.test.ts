// Guarded calls that are not HTTP requests: GraphQL, a microservice over TCP, a WebSocket.
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule, Mutation, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { firstValueFrom } from 'rxjs';
import { TokenBucket } from 'tidegate';
import { RateLimit, TidegateGuard, TidegateModule } from 'tidegate/nest';
import { WebSocket } from 'ws';
import { graphql, requester } from './request.js';

async function listen(t: TestContext, module: any, before: (app: any) => unknown = () => {}) {
  const app = await NestFactory.create(module, new FastifyAdapter() as any, { logger: false, abortOnError: false });
  await before(app);
  t.after(() => app.close());
  await app.listen(0, '127.0.0.1');
  return { app, port: app.getHttpServer().address().port as number };
}

describe('a GraphQL resolver', () => {
  @Resolver()
  class HelloResolver {
    @Query(() => String)
    @RateLimit('3/hour', { name: 'hello', key: 'ip' })
    hello() {
      return 'hello';
    }

    @Mutation(() => String)
    @RateLimit('2/hour', { name: 'login', key: 'ip' })
    login() {
      return 'token';
    }
  }

  it('is limited for each time it is asked, also in one request', async (t) => {
    const everyone = new TokenBucket({ rate: '100/hour' });
    @Module({
      imports: [
        GraphQLModule.forRoot<MercuriusDriverConfig>({ driver: MercuriusDriver, autoSchemaFile: true }),
        TidegateModule.forRoot({ limits: { everyone } }),
      ],
      providers: [HelloResolver],
    })
    class GraphqlApp {}
    const { port } = await listen(t, GraphqlApp);
    const request = requester(`http://127.0.0.1:${port}`);
    const ask = (query: string) => graphql(request, query);
    const first = await ask('{ hello }');
    assert.deepEqual(first.body.data, { hello: 'hello' });
    assert.match(first.get('ratelimit') ?? '', /^"hello";r=2;/);
    // Three aliases in one request are three guesses.
    const guesses = await ask('mutation { a: login b: login c: login }');
    const failed = guesses.body.errors.map(({ path }: any) => path[0]);
    assert.deepEqual(failed, ['c']);
    const { code, status, retryAfter, retryAfterMs, violatedPolicies } = guesses.body.errors[0].extensions;
    assert.deepEqual([code, status, violatedPolicies], ['ERR_TIDEGATE_RATE_LIMITED', 429, ['login']]);
    assert.ok(retryAfter > 1700 && retryAfterMs > 1_700_000);
    assert.equal(everyone.peek().remaining, 97);
  });
});

describe('a microservice over TCP', () => {
  @Controller()
  class SumController {
    @MessagePattern('sum')
    @RateLimit('2/hour', { name: 'sum', key: 'ip' })
    sum(numbers: number[]) {
      return numbers.reduce((a, b) => a + b, 0);
    }
  }

  it('is refused in its own way', async (t) => {
    @Module({ imports: [TidegateModule.forRoot({ limits: { everyone: '100/hour' } })], controllers: [SumController] })
    class SumApp {}
    const server = await NestFactory.createMicroservice(SumApp, {
      transport: Transport.TCP,
      options: { host: '127.0.0.1', port: 0 },
      logger: false,
    } as any);
    await server.listen();
    t.after(() => server.close());
    const { port } = (server as any).serverInstance.server.address();
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: '127.0.0.1', port } });
    t.after(() => client.close());
    const sum = () => firstValueFrom(client.send('sum', [1, 2]));
    assert.deepEqual([await sum(), await sum()], [3, 3]);
    await assert.rejects(sum(), (error: any) => {
      assert.deepEqual([error.status, error['violated-policies']], [429, ['sum']]);
      assert.ok(error.retryAfterMs > 0);
      return true;
    });
  });
});

describe('a WebSocket', () => {
  // Nest applies no global guard to gateways.
  @WebSocketGateway()
  @UseGuards(TidegateGuard)
  class EchoGateway {
    // Nest emits an exception on the server's socket; Socket.IO sends it from there, with ws the gateway does.
    handleConnection(client: WebSocket) {
      client.on('exception' as any, (data: unknown) => client.send(JSON.stringify({ event: 'exception', data })));
    }

    @SubscribeMessage('echo')
    @RateLimit('2/hour', { name: 'echo', key: 'ip' })
    echo(_client: unknown, data: string) {
      return { event: 'echo', data };
    }
  }

  it('is refused in its own way', async (t) => {
    @Controller()
    class PageController {
      @Get()
      page() {
        return 'page';
      }
    }
    @Module({ imports: [TidegateModule.forRoot()], providers: [EchoGateway], controllers: [PageController] })
    class EchoApp {}
    const { port } = await listen(t, EchoApp, (app) => app.useWebSocketAdapter(new WsAdapter(app)));
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    t.after(() => socket.close());
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const say = () =>
      new Promise<any>((resolve) => {
        socket.once('message', (message: Buffer) => resolve(JSON.parse(message.toString())));
        socket.send(JSON.stringify({ event: 'echo', data: 'hi' }));
      });
    assert.deepEqual(
      [await say(), await say()],
      [
        { event: 'echo', data: 'hi' },
        { event: 'echo', data: 'hi' },
      ],
    );
    const refused = await say();
    assert.equal(refused.event, 'exception');
    assert.deepEqual([refused.data.status, refused.data['violated-policies']], [429, ['echo']]);
    // HTTP beside it goes on.
    assert.equal((await requester(`http://127.0.0.1:${port}`)('/')).status, 200);
  });
});
