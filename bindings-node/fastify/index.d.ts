import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { Admission, Gate } from '../index.js';
import type {
  GateRequestOptions,
  HttpOptions,
  LimitOptions,
  Limits,
  Partition,
  Rate,
  Refusal,
  RequestsOptions,
  TellingOptions,
} from '../http/types.js';

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
  /** How it asks the gate of `admit`, in place of what the plugin says; `false`: not at all. */
  gate?: false | GateRequestOptions;
}

export type TidegateFastifyOptions = HttpOptions &
  RequestsOptions &
  DecidingOptions &
  (({ rate?: Rate } & LimitOptions) | { limits: Limits });

/** The gate, and how routes ask it. */
export type AdmitOptions = { gate: Gate } & GateRequestOptions &
  TellingOptions &
  DecidingOptions &
  Pick<RequestsOptions, 'exempt'>;

/** When and how a request is refused. */
export interface DecidingOptions {
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
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Limits of this route, and how it asks the gate. */
    tidegate?: RouteLimits;
  }
  interface FastifyRequest {
    /** What the gate of `admit` said; undefined where none was asked, as for an exempt path. */
    admission?: Admission;
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

/**
 * `app.register(admit, { gate, key: { client: 'ip' } })`: asks the gate on every route of the instance, and refuses as
 * the middleware of tidegate/express does. Where and how to register it, and what a route's `config.tidegate` (its
 * `gate`) does where it is wrong, is as with the other plugin.
 */
export const admit: FastifyPluginAsync<AdmitOptions>;
