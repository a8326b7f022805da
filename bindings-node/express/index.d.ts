import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GateOptions, LimitOptions, Limits, Rate, Refusal, RequestsOptions } from '../http/types.js';

export * from '../http/types.js';

export type Next = (error?: unknown) => void;
/** Middleware for Express, Connect, Polka, or Node's own server. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void;

export interface CommonOptions extends GateOptions, RequestsOptions {
  /**
   * Answers a refused request by `response`, by `next` or by what it returns (text and bytes as they are, streams and
   * a `Response` by their parts, all else as JSON), in place of the problem body; status and headers are already set. What takes longer than a second is for a
   * promise to wait for: a second after it has returned, or its promise has come true, a request without an answer gets
   * the problem body, and the log an error. So it does where a promise hangs for ten seconds; an answer that has begun
   * and of which nothing comes for so long is ended, or cut off where a length was promised or it is piped. Not called
   * where the answer has begun: that is an error for `next`.
   */
  onRefused?: (request: any, response: any, next: Next, refusal: Refusal) => unknown;
}
export type RateLimitOptions = CommonOptions &
  (
    | ({ rate: Rate } & LimitOptions)
    | { limits: Limits }
    | Required<Pick<RequestsOptions, 'concurrency'>>
    | Required<Pick<RequestsOptions, 'backlog'>>
    | Required<Pick<RequestsOptions, 'shedder'>>
  );

/**
 * Middleware that refuses what is above its limits: 429 with Retry-After, RateLimit headers and a problem body (RFC
 * 9457). All its limits are charged, or none; of several that stand one behind the other what a later one refuses comes
 * back to the earlier. OPTIONS requests pass. A request is charged once for a limit, wherever it stands.
 *
 * `next` gets an error where a function of the options fails, or where a request is refused whose answer has begun. On
 * Node's own server `next` is yours: one that ignores its error serves the request.
 *
 * @param options a rate or an existing limit, `{ rate, key, … }`, or `{ limits }`; with or without `concurrency`
 * @throws TypeError | RangeError for options outside what is allowed
 */
export function rateLimit(options: Rate | RateLimitOptions): Middleware;
