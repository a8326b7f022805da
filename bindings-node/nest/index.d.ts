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
  ConcurrencyLimiter,
  ConcurrencyLimiterOptions,
  Place,
  TidegateError,
} from '../index.js';
import type { GateOptions, KeyValue, LimitOptions, Limits, Rate, Refusal } from '../http/types.js';

export * from '../http/types.js';

/**
 * What `@RateLimit` takes beside the rate. `name` is `'route'` by default; a limit of the module of that name is replaced. In a
 * named scope one without a name is called after its place, `'Controller.method'`.
 */
export type RateLimitOptions = LimitOptions;

/** Settings by name, `{ payment: { cooldownMs: 5000 } }`, or in a list, `[{ name: 'payment', cooldownMs: 5000 }]`. */
export type Named<Settings, Ready> = Record<string, Settings | Ready> | (Settings & { name: string })[];

export interface TidegateOptions extends GateOptions, Pick<Place, 'scope' | 'onConflict'> {
  /** Limits over every route: together with the route's own, all or nothing. */
  limits?: Limits;
  /** Circuit breakers, for `@InjectBreaker(name)`. */
  breakers?: Named<CircuitBreakerOptions, CircuitBreaker>;
  /** Queues, for `@InjectBoundedQueue(name)`. */
  queues?: Named<BoundedQueueOptions<any>, BoundedQueue<any>>;
  /** Concurrency limiters, for `@InjectConcurrencyLimiter(name)`. */
  concurrency?: Named<Omit<ConcurrencyLimiterOptions, 'name'>, ConcurrencyLimiter>;
  /** Status for open circuits, full queues and used-up concurrency, 400 to 599, default 503. */
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

/**
 * Limits, circuit breakers, queues and concurrency limiters for a Nest application, on Express or Fastify. Global: import it once.
 * With `scope` all but the queues live there under their names, unless they say another place.
 */
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
  concurrencyLimiter(name: string): ConcurrencyLimiter;
  /** @throws RangeError for a name that is not configured */
  queue<T = unknown>(name: string): BoundedQueue<T>;
}

/**
 * Refuses a call above one of its route's limits: over HTTP 429 with Retry-After, RateLimit headers and a problem body
 * (RFC 9457), over GraphQL the same as an error, over a microservice's or WebSocket's transport as its own exception. A
 * call is charged once for a limit, however many guards ask. OPTIONS requests pass.
 */
export class TidegateGuard implements CanActivate {
  constructor(registry: TidegateRegistry);
  canActivate(context: ExecutionContext): boolean | Promise<boolean>;
  /**
   * The key of keyed limits without a `key` of their own; `request` is undefined where the call has none. Default: the
   * client's address, as the option `client` says.
   */
  getTracker(request: any, context: ExecutionContext): KeyValue | Promise<KeyValue>;
  /** Whether this call is not limited at all; default false. */
  shouldSkip(context: ExecutionContext): boolean | Promise<boolean>;
}

/** The guard's refusal: an HttpException 429 (403 by a deny list) whose `cause` is a RateLimitedError. */
export class RateLimitException extends HttpException {
  constructor(refusal: Refusal);
  /** ms until the same request could pass, `Infinity` for never. */
  readonly retryAfterMs: number;
  /** What Retry-After says, in seconds; undefined where waiting does not help. */
  readonly retryAfter: number | undefined;
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

/** Injects the concurrency limiter of that name. */
export function InjectConcurrencyLimiter(name: string): ParameterDecorator & PropertyDecorator;

/** The injection token of a concurrency limiter. */
export function getConcurrencyLimiterToken(name: string): string;

/** The injection token of a circuit breaker. */
export function getBreakerToken(name: string): string;

/** The injection token of a queue. */
export function getBoundedQueueToken(name: string): string;
