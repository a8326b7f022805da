import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { GateOptions, LimitOptions, Limits, Partition, Rate, Refusal, RequestsOptions } from '../http/types.js';

export * from '../http/types.js';

/**
 * A route's own limits, before those of all routes and in place of those of the same name; `false`: no limits. Each is
 * an object of its own, in a named scope as well, where it is called after its name, if any, and its route.
 */
export type RouteLimits = false | Rate | (RoutePart & (({ rate?: Rate } & LimitOptions) | { limits: Limits }));

/** What a route says of the concurrency limit that is one for all routes. */
export interface RoutePart {
  /** Where its requests belong among the limiter's partitions, in place of the plugin's `partition`. */
  partition?: Partition;
}

export type TidegateFastifyOptions = GateOptions & RequestsOptions & {
  /** When it decides, default `'onRequest'`; `'preHandler'` to key by a user whom an earlier hook has authenticated. */
  hook?: 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler';
  /**
   * Answers a refused request by `reply` or by what it returns, in place of the problem body; status and headers are
   * already set. What answers later returns `reply`, as a handler does. A request without an answer gets the problem
   * body, and the log an error: at once after a promise of nothing, a second after nothing was returned, ten seconds
   * after a promise that hangs. An answer that has begun and of which nothing comes for so long is ended, or cut off
   * where a length was promised or it is piped. `reply.redirect(url)` is a 302, as in a handler. Not called where the
   * answer has begun, which is cut off.
   */
  onRefused?: (request: FastifyRequest, reply: FastifyReply, refusal: Refusal) => unknown;
} & (({ rate?: Rate } & LimitOptions) | { limits: Limits });

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Limits of this route. */
    tidegate?: RouteLimits;
  }
}

/**
 * `app.register(tidegate, { rate: '100/minute', key: 'ip' })`: refuses what is above the limits, on every route of the
 * instance: 429 with Retry-After, RateLimit headers and a problem body (RFC 9457). Register it before plugins that hold
 * routes. A mistake in a route's config fails the start, and so does a config in a context without this plugin.
 *
 * Import it before `Fastify()` is called, as an import at a file's top is, or register it with `await` before the
 * routes: else it does not hear of those above it. Then a mistake in a route's config is a 500 of that route, and
 * routes that differ only in their constraints (version, host, …) are one, in `config.tidegate` and for `key: 'route'`.
 */
declare const tidegate: FastifyPluginAsync<TidegateFastifyOptions>;
export default tidegate;
