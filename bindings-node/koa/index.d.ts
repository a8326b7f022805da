import type { Gate } from '../index.js';
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

/** Middleware for Koa: `app.use(…)`, or a router's. */
export type Middleware = (context: any, next: () => Promise<any>) => Promise<any>;

interface Answering {
  /**
   * Answers a refused request by the context (`context.body = …`) or by what it returns, in place of the problem body;
   * status and headers are already set. A request without an answer gets the problem body, and the log an error; so
   * does one whose promise hangs for ten seconds. Not called where the answer has begun: that is an error.
   */
  onRefused?: (context: any, refusal: Refusal) => unknown;
}

export type RateLimitOptions = HttpOptions &
  RequestsOptions &
  Answering &
  (
    | ({ rate: Rate } & LimitOptions)
    | { limits: Limits }
    | Required<Pick<RequestsOptions, 'concurrency'>>
    | Required<Pick<RequestsOptions, 'backlog'>>
    | Required<Pick<RequestsOptions, 'shedder'>>
  );

/**
 * Middleware that refuses what is above its limits, as that of tidegate/express. The functions of the options get Koa's
 * context. `key: 'route'` knows the route where a router has found it: in its own middleware.
 *
 * @param options a rate or an existing limit, `{ rate, key, … }`, or `{ limits }`; with or without `concurrency`
 * @throws TypeError | RangeError for options outside what is allowed
 */
export function rateLimit(options: Rate | RateLimitOptions): Middleware;

export type AdmitOptions = GateRequestOptions & TellingOptions & Answering & Pick<RequestsOptions, 'exempt'>;

/**
 * Middleware that asks a gate, as that of tidegate/express; handlers find what it said at `context.admission`.
 *
 * @throws TypeError | RangeError for options outside what is allowed, and names that the gate does not have
 */
export function admit(gate: Gate, options?: AdmitOptions): Middleware;
