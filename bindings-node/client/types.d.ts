import type { CircuitBreaker, Classifier, ClientThrottle, RetryBudget, RetryPolicy } from '../index.js';

/** A registry, a Map, or a function: what belongs to a key; undefined: nothing does. */
export type Each<T> = { get(key: string): T | undefined } | ((key: string) => T | undefined);

/** What is asked for, as a key function sees it. */
export interface ClientRequest {
  /** undefined where the client does not tell, such as a Pool of undici. */
  url: URL | undefined;
  /** In capitals. */
  method: string;
  headers: any;
}

export interface GuardOptions {
  /** One for all calls, or one for each key. */
  breaker?: CircuitBreaker | Each<CircuitBreaker>;
  /**
   * Makes calls again that failed: those of GET, HEAD, OPTIONS, PUT and DELETE, and others that are `idempotent: true`
   * or have an `Idempotency-Key`; none whose body is used up once sent (a stream, an iterable). Each attempt is one
   * call for the breaker. An answer that is not retried again is the result, and no error;
   * where the circuit would refuse the next attempt, there is none.
   */
  retry?: RetryPolicy;
  /** Of the retries, where the policy has none of its own: one for all calls, or one for each key. */
  budget?: RetryBudget | Each<RetryBudget>;
  /** One for all calls, or one for each key. */
  throttle?: ClientThrottle | Each<ClientThrottle>;
  /**
   * In which header the server is told what is left of the call's `Deadline`, less 5 %; default `X-Request-Timeout-Ms`,
   * null: in none.
   */
  deadlineHeader?: string | null;
  /** Whose breaker, budget and throttle: default the host with its port. */
  key?: (request: ClientRequest) => string;
  /**
   * When a call is over for the breaker: with its body (default), which can fail and takes its time, or with its
   * headers. A body that is given up gives the permit back and counts for nothing. The retry is decided at the headers.
   */
  outcomeAt?: 'headers' | 'body';
  /** What the breaker is told; default: the breaker's own where it was given one, else `http()`. */
  classifier?: Classifier;
}
