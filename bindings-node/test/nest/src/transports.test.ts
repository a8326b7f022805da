// Sockets and GraphQL servers as applications run them, each with its own client: whose address `key: 'ip'` finds.
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Field,
  GraphQLModule,
  Mutation,
  ObjectType,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { ExpressAdapter } from '@nestjs/platform-express';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { createClient } from 'graphql-ws';
import { RateLimit, TidegateGuard, TidegateModule } from 'tidegate/nest';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { graphql, requester } from './request.js';

/** Stands behind a proxy on this machine, whose word about the client counts. */
const behindProxy = () => TidegateModule.forRoot({ client: { trusted: ['loopback'] } });
const from = (client: string) => ({ 'x-forwarded-for': client });

async function listen(t: TestContext, module: any, adapter?: (app: any) => any) {
  const app = await NestFactory.create(module, new ExpressAdapter() as any, { logger: false, abortOnError: false });
  if (adapter !== undefined) app.useWebSocketAdapter(adapter(app));
  t.after(() => app.close());
  await app.listen(0, '127.0.0.1');
  return app.getHttpServer().address().port as number;
}

@WebSocketGateway()
@UseGuards(TidegateGuard)
class EchoGateway {
  handleConnection(client: any) {
    // Socket.IO sends an exception itself.
    if (client.handshake === undefined)
      client.on('exception' as any, (data: unknown) => client.send(JSON.stringify({ event: 'exception', data })));
  }

  @SubscribeMessage('echo')
  @RateLimit('2/hour', { name: 'echo', key: 'ip' })
  echo(_client: unknown, data: string) {
    return { event: 'echo', data };
  }
}

@Controller()
class PageController {
  @Get()
  page() {
    return 'page';
  }
}

/** What three messages of a client come to: 'echo' or the status of its refusal. */
type Session = (client: string) => Promise<() => Promise<string | number>>;
const outcome = (event: string, data: any) => (event === 'exception' ? (data.status ?? data.message) : event);

function wsSession(t: TestContext, port: number): Session {
  return async (client) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers: from(client) });
    t.after(() => socket.close());
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return () =>
      new Promise((resolve) => {
        socket.once('message', (message: Buffer) => {
          const { event, data } = JSON.parse(message.toString());
          resolve(outcome(event, data));
        });
        socket.send(JSON.stringify({ event: 'echo', data: 'hi' }));
      });
  };
}

function ioSession(t: TestContext, port: number, transport: 'polling' | 'websocket'): Session {
  return async (client) => {
    const socket = io(`http://127.0.0.1:${port}`, {
      extraHeaders: from(client),
      transports: [transport],
      forceNew: true,
    });
    t.after(() => socket.close());
    await new Promise((resolve, reject) =>
      socket.once('connect', () => resolve(undefined)).once('connect_error', reject),
    );
    return () =>
      new Promise((resolve) => {
        socket.onAny((event, data) => {
          socket.offAny();
          resolve(outcome(event, data));
        });
        socket.emit('echo', 'hi');
      });
  };
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });

async function each(session: Session) {
  const [alice, alices, bob] = [await session('192.0.2.1'), await session('192.0.2.1'), await session('192.0.2.2')];
  return [await alice(), await alices(), await alice(), await alices(), await bob()];
}

describe('a gateway behind a proxy', () => {
  @Module({ imports: [behindProxy()], providers: [EchoGateway], controllers: [PageController] })
  class EchoApp {}

  it('knows the clients of ws', async (t) => {
    const port = await listen(t, EchoApp, (app) => new WsAdapter(app));
    assert.deepEqual(await each(wsSession(t, port)), ['echo', 'echo', 429, 429, 'echo']);
    assert.equal((await requester(`http://127.0.0.1:${port}`)('/')).status, 200);
  });

  for (const transport of ['polling', 'websocket'] as const) {
    it(`knows the clients of Socket.IO over ${transport}`, async (t) => {
      const port = await listen(t, EchoApp, (app) => new IoAdapter(app));
      assert.deepEqual(await each(ioSession(t, port, transport)), ['echo', 'echo', 429, 429, 'echo']);
    });
  }

  it('does not take all clients of its own port for one', async (t) => {
    const own = await freePort();
    @WebSocketGateway(own)
    @UseGuards(TidegateGuard)
    class OwnGateway extends EchoGateway {}
    @Module({ imports: [behindProxy()], providers: [OwnGateway] })
    class OwnApp {}
    await listen(t, OwnApp, (app) => new WsAdapter(app));
    const say = await wsSession(t, own)('192.0.2.1');
    // A mistake, which Nest logs, and no refusal.
    assert.equal(await say(), 'error');
  });

  it('leaves servers alone that take no upgrades', async (t) => {
    @Module({ imports: [behindProxy()], controllers: [PageController] })
    class PageApp {}
    const port = await listen(t, PageApp);
    const answer = await requester(`http://127.0.0.1:${port}`)('/', 'GET', {});
    assert.equal(answer.status, 200);
  });
});

describe('GraphQL by Apollo', () => {
  @Resolver()
  class HelloResolver {
    @Query(() => String)
    @RateLimit('2/hour', { name: 'hello', key: 'ip' })
    hello() {
      return 'hello';
    }

    @Mutation(() => String)
    @RateLimit('2/hour', { name: 'login', key: 'ip' })
    login() {
      return 'token';
    }

    @Subscription(() => String)
    @RateLimit('2/hour', { name: 'ticks', key: 'ip' })
    async *ticks() {
      yield { ticks: 'tick' };
    }
  }
  const appOf = (options: Partial<ApolloDriverConfig> = {}) => {
    @Module({
      imports: [
        GraphQLModule.forRoot<ApolloDriverConfig>({
          driver: ApolloDriver,
          autoSchemaFile: true,
          subscriptions: { 'graphql-ws': true },
          ...options,
        }),
        behindProxy(),
      ],
      providers: [HelloResolver],
    })
    class GraphqlApp {}
    return GraphqlApp;
  };

  it('limits each client and each root field over HTTP, and tells in the answer', async (t) => {
    const port = await listen(t, appOf());
    const request = requester(`http://127.0.0.1:${port}`);
    const ask = (query: string, client: string) => graphql(request, query, from(client));
    const first = await ask('{ hello }', '192.0.2.1');
    assert.deepEqual([first.body.data, first.get('ratelimit')?.split(';t=')[0]], [{ hello: 'hello' }, '"hello";r=1']);
    const guesses = await ask('mutation { a: login b: login c: login }', '192.0.2.1');
    assert.deepEqual(
      guesses.body.errors.map(({ path }: any) => path[0]),
      ['c'],
    );
    const { code, status, retryAfter } = guesses.body.errors[0].extensions;
    assert.deepEqual([code, status, retryAfter > 1700], ['ERR_TIDEGATE_RATE_LIMITED', 429, true]);
    assert.equal((await ask('mutation { login }', '192.0.2.2')).body.errors, undefined);
  });

  it('limits each client of graphql-ws', async (t) => {
    const port = await listen(t, appOf());
    const subscribe = (client: string) => {
      class Socket extends WebSocket {
        constructor(url: string, protocols: string) {
          super(url, protocols, { headers: from(client) });
        }
      }
      const subscriber = createClient({
        url: `ws://127.0.0.1:${port}/graphql`,
        webSocketImpl: Socket,
        retryAttempts: 0,
      });
      t.after(() => subscriber.dispose());
      return async (): Promise<any> => {
        for await (const { data, errors } of subscriber.iterate({ query: 'subscription { ticks }' })) {
          return errors === undefined ? data?.ticks : (errors[0]?.extensions?.code ?? errors[0]?.message);
        }
      };
    };
    const [alice, bob] = [subscribe('192.0.2.1'), subscribe('192.0.2.2')];
    const seen = [];
    for (const one of [alice, alice, alice, bob]) {
      seen.push(
        await one().catch((errors: any) => errors[0]?.extensions?.code ?? errors[0]?.message ?? String(errors)),
      );
    }
    assert.deepEqual(seen, ['tick', 'tick', 'ERR_TIDEGATE_RATE_LIMITED', 'tick']);
  });

  it("finds the client where the context is the application's own", async (t) => {
    const port = await listen(t, appOf({ context: () => ({ tenant: 'a' }) }));
    const ask = async (client: string) => {
      const { body } = await graphql(requester(`http://127.0.0.1:${port}`), '{ hello }', from(client));
      return body.data?.hello ?? body.errors[0].extensions.code;
    };
    const seen = [];
    for (const client of ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2']) seen.push(await ask(client));
    assert.deepEqual(seen, ['hello', 'hello', 'ERR_TIDEGATE_RATE_LIMITED', 'hello']);
  });
});

describe('a GraphQL field below a root field', () => {
  @ObjectType()
  class Author {
    @Field(() => String)
    name!: string;
  }
  @Resolver(() => Author)
  class AuthorResolver {
    @Query(() => [Author])
    @RateLimit('3/hour', { name: 'authors', key: 'ip' })
    authors() {
      return Array.from({ length: 20 }, () => ({}));
    }

    @ResolveField(() => String)
    name() {
      return 'ann';
    }

    @ResolveField(() => String)
    @RateLimit('25/hour', { name: 'costly', key: 'ip' })
    costly() {
      return 'costly';
    }
  }
  const driver: ApolloDriverConfig = {
    driver: ApolloDriver,
    autoSchemaFile: true,
    fieldResolverEnhancers: ['guards'],
  };
  @Module({
    imports: [
      GraphQLModule.forRoot<ApolloDriverConfig>(driver),
      TidegateModule.forRoot({ limits: { everyone: { rate: '9/hour' } } }),
    ],
    providers: [AuthorResolver],
  })
  class AuthorApp {}

  it('that is guarded is charged with it, and by its own limit alone', async (t) => {
    const request = requester(`http://127.0.0.1:${await listen(t, AuthorApp)}`);
    const refusals = async (query: string) => {
      const { body } = await graphql(request, query);
      return new Set(body.errors?.map(({ extensions, path }: any) => `${extensions.code} ${path.length}`));
    };
    for (const field of ['name', 'costly']) assert.deepEqual(await refusals(`{ authors { ${field} } }`), new Set());
    assert.deepEqual(await refusals('{ authors { costly } }'), new Set(['ERR_TIDEGATE_RATE_LIMITED 3']));
    assert.deepEqual(await refusals('{ authors { name } }'), new Set(['ERR_TIDEGATE_RATE_LIMITED 1']));
  });
});
