import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Admission, Gate } from '../index.js';
import type {
  GateRequestOptions,
  HttpOptions,
  LimitOptions,
  Limits,
  Rate,
  Refusal,
  RequestsOptions,
  TellingOptions,
} from '../http/types.js';

export * from '../http/types.js';

export type Next = (error?: unknown) => void;
/** Middleware for Express, Connect, Polka, or Node's own server. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void;

export interface AnsweringOptions {
  /**
   * Answers a refused request by `response`, by `next` or by what it returns (text and bytes as they are, streams and
   * a `Response` by their parts, all else as JSON), in place of the problem body; status and headers are already set.
   * What takes longer than a second is for a promise to wait for: a second after it has returned, or its promise has
   * come true, a request without an answer gets the problem body, and the log an error. So it does where a promise
   * hangs for ten seconds; an answer that has begun and of which nothing comes for so long is ended, or cut off where a
   * length was promised or it is piped. Not called where the answer has begun: that is an error for `next`.
   */
  onRefused?: (request: any, response: any, next: Next, refusal: Refusal) => unknown;
}
export type RateLimitOptions = HttpOptions &
  RequestsOptions &
  AnsweringOptions &
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

export type AdmitOptions = GateRequestOptions & TellingOptions & AnsweringOptions & Pick<RequestsOptions, 'exempt'>;

/**
 * Middleware that asks a gate, and refuses as it says: 403 by its access list, 504 by the deadline, 503 by the shedder,
 * the queue, a circuit or the concurrency limit, 429 by a limit; with Retry-After, the RateLimit headers of the gate's
 * limits, and a problem body that names the part. OPTIONS requests pass. A request asks a gate once, wherever that
 * stands. Handlers find what it said at `request.admission`: its permit is held until the answer is out, or, where the
 * client has gone, until the handler ends its answer (ten seconds at most); the answer's status is the outcome.
 *
 * `next` gets an error as that of `rateLimit`.
 *
 * @throws TypeError | RangeError for options outside what is allowed, and names that the gate does not have
 */
export function admit(gate: Gate, options?: AdmitOptions): Middleware;

declare module 'http' {
  interface IncomingMessage {
    /** What the gate said that was asked last for this request; undefined where none was, as for an exempt path. */
    admission?: Admission;
  }
}
