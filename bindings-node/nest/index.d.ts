import { HttpException } from '@nestjs/common';
import type {
  ArgumentsHost,
  CanActivate,
  DynamicModule,
  ExceptionFilter,
  ExecutionContext,
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common';
import type {
  BoundedQueue,
  BoundedQueueOptions,
  CircuitBreaker,
  CircuitBreakerOptions,
  Decision,
  TidegateError,
  TokenBucket,
} from '../index.js';

/** A limit of your own for everybody, of `TokenBucket`'s shape. */
export interface SharedLimit {
  readonly keyed?: false;
  /** Takes `n` tokens, or tells why not. */
  check(n: number): Decision;
  /** Gives them back when another limit of the same route refuses. */
  refund?(n: number): void;
}

/** A limit of your own per key. */
export interface KeyedLimit {
  readonly keyed: true;
  /** Takes `n` of the key's tokens, or tells why not. */
  check(key: string, n: number): Decision;
  /** Gives them back when another limit of the same route refuses. */
  refund?(key: string, n: number): void;
}

/** `'5/minute'`, `'400 per second'`, …; a number of tokens per second; or a limit that already exists. */
export type Rate = string | number | TokenBucket | SharedLimit | KeyedLimit;

export interface RateLimitOptions {
  /** Stands in the RateLimit headers, default `'route'`. A limit of the module with the same name is replaced here. */
  name?: string;
  /** The most tokens at once, for a rate given as text or number; default: the count in the rate. */
  burst?: number;
  /** Whose tokens, for a keyed limit; default: `TidegateGuard.getTracker`. */
  key?: (request: any, context: ExecutionContext) => string | Promise<string>;
  /** Tokens a request takes, default 1. */
  cost?: number | ((request: any, context: ExecutionContext) => number | Promise<number>);
}

/** Settings by name, `{ payment: { cooldownMs: 5000 } }`, or in a list, `[{ name: 'payment', cooldownMs: 5000 }]`. */
export type Named<Settings, Ready> = Record<string, Settings | Ready> | (Settings & { name: string })[];

export interface TidegateOptions {
  /** Limits over every route: together with the route's own, all or nothing. */
  limits?: Named<{ rate: Rate } & Omit<RateLimitOptions, 'name'>, Rate>;
  /** Circuit breakers, for `@InjectBreaker(name)`. */
  breakers?: Named<CircuitBreakerOptions, CircuitBreaker>;
  /** Queues, for `@InjectBoundedQueue(name)`. */
  queues?: Named<BoundedQueueOptions<any>, BoundedQueue<any>>;
  /** Send RateLimit and RateLimit-Policy, default true. Retry-After is always sent. */
  headers?: boolean;
  /** Status for open circuits and full queues, 400 to 599, default 503. */
  overloadStatus?: number;
}

export interface TidegateGlobals {
  /** Guard every route: true (default), your subclass of TidegateGuard, or false (then use `@UseGuards(TidegateGuard)`). */
  guard?: boolean | Type<TidegateGuard>;
  /** Turn refusals into answers everywhere: true (default), your own filter, or false. */
  filter?: boolean | Type<ExceptionFilter>;
}

export interface TidegateOptionsFactory {
  createTidegateOptions(): TidegateOptions | Promise<TidegateOptions>;
}

export interface TidegateAsyncOptions extends TidegateGlobals {
  imports?: ModuleMetadata['imports'];
  inject?: (InjectionToken | OptionalFactoryDependency)[];
  /** Exactly one of these three. */
  useFactory?: (...args: any[]) => TidegateOptions | Promise<TidegateOptions>;
  useClass?: Type<TidegateOptionsFactory>;
  useExisting?: InjectionToken<TidegateOptionsFactory>;
}

/** Limits, circuit breakers and queues for a Nest application, on Express or Fastify. Global: import it once. */
export class TidegateModule {
  static forRoot(options?: TidegateOptions & TidegateGlobals): DynamicModule;
  /** With settings from elsewhere, such as a ConfigService. */
  static forRootAsync(options: TidegateAsyncOptions): DynamicModule;
}

/** What the application has configured. */
export class TidegateRegistry {
  /** @throws RangeError for a name that is not configured */
  breaker(name: string): CircuitBreaker;
  /** @throws RangeError for a name that is not configured */
  queue<T = unknown>(name: string): BoundedQueue<T>;
}

/**
 * Refuses a request above one of its route's limits: 429 with Retry-After, RateLimit headers and a problem body (RFC 9457).
 * Only for HTTP; OPTIONS requests pass.
 */
export class TidegateGuard implements CanActivate {
  constructor(registry: TidegateRegistry);
  canActivate(context: ExecutionContext): boolean | Promise<boolean>;
  /**
   * The key of keyed limits without a `key` of their own. Default: the client's address as the framework sees it
   * (configure its trusted proxies), IPv6 by its /64 network.
   */
  getTracker(request: any, context: ExecutionContext): string | Promise<string>;
  /** Whether this request is not limited at all; default false. */
  shouldSkip(context: ExecutionContext): boolean | Promise<boolean>;
}

/** The guard's refusal: an HttpException 429 whose `cause` is a RateLimitedError. */
export class RateLimitException extends HttpException {
  constructor(policy: string, retryAfterMs: number);
  /** ms until the same request could pass, `Infinity` for never. */
  readonly retryAfterMs: number;
}

/** Answers tidegate's refusals that leave a handler: RateLimitedError 429, all others 503, with Retry-After. Never a 500. */
export class TidegateExceptionFilter implements ExceptionFilter<TidegateError | RateLimitException> {
  constructor(registry: TidegateRegistry);
  catch(error: TidegateError | RateLimitException, host: ArgumentsHost): any;
}

/**
 * A limit on a route, or on a controller (then one for all its routes). Several add up, all or nothing.
 * @throws RangeError | TypeError where it stands, for a rate or option outside what is allowed
 */
export function RateLimit(rate: Rate, options?: RateLimitOptions): MethodDecorator & ClassDecorator;

/** Takes a route or controller out of the limit called `name`, or of all limits. */
export function SkipRateLimit(name?: string): MethodDecorator & ClassDecorator;

/** Injects the circuit breaker of that name. */
export function InjectBreaker(name: string): ParameterDecorator & PropertyDecorator;

/** Injects the queue of that name. */
export function InjectBoundedQueue(name: string): ParameterDecorator & PropertyDecorator;

/** The injection token of a circuit breaker. */
export function getBreakerToken(name: string): string;

/** The injection token of a queue. */
export function getBoundedQueueToken(name: string): string;
