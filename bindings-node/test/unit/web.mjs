// Real servers, and the guarded clients in one form.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import axios from 'axios';
import { CircuitBreaker, RetryPolicy } from 'tidegate';
import { guardedAdapter } from 'tidegate/axios';
import { guardedFetch } from 'tidegate/fetch';
import { guardedInterceptor } from 'tidegate/undici';
import { Agent, request as undici } from 'undici';

/** A breaker that counts and does not open by itself. */
export const circuit = (options = {}) =>
  new CircuitBreaker('bank', { minCalls: 1000, windowCalls: 1000, ...options });

export const quick = (options = {}) => new RetryPolicy({ baseMs: 1, ...options });

export function counts(breaker) {
  const { calls, failed } = breaker.stats();
  return { calls, failed };
}

/** A server whose answers are `handle(request, response, nth, body)`; it keeps what it was asked. */
export async function serve(t, handle) {
  const [asked, sockets] = [[], new Set()];
  const server = createServer(async (request, response) => {
    sockets.add(request.socket);
    const { method, url, headers } = request;
    const entry = { method, url, headers, body: undefined };
    asked.push(entry);
    const nth = asked.length;
    entry.body = await text(request).catch(() => undefined);
    handle(request, response, nth, entry.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  t.after(close);
  return { url: `http://127.0.0.1:${server.address().port}`, asked, sockets, server, close };
}

/** Fails `times` times with `status`, then answers 200. */
export const failing =
  (times, status = 503, headers = {}) =>
  (_request, response, nth) => {
    response.writeHead(nth <= times ? status : 200, nth <= times ? headers : {});
    response.end(nth <= times ? 'no' : 'yes');
  };

/**
 * By client: `make(t, options)` → `ask(url, { method, headers, body, idempotent, signal })`, which resolves at the
 * headers with `{ status, read(), drop() }`.
 */
export const CLIENTS = {
  fetch: {
    stream: (chunks) => Readable.toWeb(Readable.from(chunks)),
    make(_t, options) {
      const fetch = guardedFetch(options);
      return async (url, init = {}) => {
        const response = await fetch(url, {
          ...init,
          ...(init.body?.getReader === undefined ? {} : { duplex: 'half' }),
        });
        return { status: response.status, read: () => response.text(), drop: () => response.body.cancel() };
      };
    },
  },
  undici: {
    stream: (chunks) => Readable.from(chunks),
    make(t, options) {
      const agent = new Agent();
      t.after(() => agent.destroy());
      const dispatcher = agent.compose(guardedInterceptor(options));
      return async (url, init = {}) => {
        const { statusCode, body } = await undici(url, { dispatcher, ...init });
        // Who drops a body handles that it ends in an error.
        const drop = () => void body.on('error', () => {}).destroy();
        return { status: statusCode, read: () => body.text(), drop };
      };
    },
  },
  axios: {
    stream: (chunks) => Readable.from(chunks),
    make(_t, options) {
      const client = axios.create({ adapter: guardedAdapter(options), responseType: 'stream' });
      return async (url, { body: data, ...init } = {}) => {
        const { status, data: body } = await client.request({ url, data, ...init }).catch((error) => {
          if (error.response === undefined) throw error;
          return error.response;
        });
        return { status, read: () => text(body), drop: () => void body.on('error', () => {}).destroy() };
      };
    },
  },
};
