import { HttpException } from '@nestjs/common';
import type {
  ArgumentsHost,
  CallHandler,
  CanActivate,
  DynamicModule,
  ExceptionFilter,
  ExecutionContext,
  InjectionToken,
  ModuleMetadata,
  NestInterceptor,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import type {
  BoundedQueue,
  BoundedQueueOptions,
  CircuitBreaker as Breaker,
  CircuitBreakerOptions,
  ConcurrencyLimiter,
  ConcurrencyLimiterOptions,
  Gate as TheGate,
  LoadShedder,
  Place,
  Policy,
  Priority,
  TidegateError,
} from '../index.js';
import type {
  Backlog,
  GateRequestOptions,
  HttpOptions,
  KeyValue,
  LimitOptions,
  Limits,
  Partition,
  Rate,
  Refusal,
} from '../http/types.js';

export * from '../http/types.js';

/**
 * What `@RateLimit` takes beside the rate. `name` is `'default'` by default; one that is given replaces the limits of
 * that name further out, of the controller and the module. In a named scope each is an object of its own, called after
 * its place: `'name/Controller.method'`, without a name `'Controller.method'`.
 */
export type RateLimitOptions = LimitOptions;

/** Settings by name, `{ payment: { cooldownMs: 5000 } }`, or in a list, `[{ name: 'payment', cooldownMs: 5000 }]`. */
export type Named<Settings, Ready> = Record<string, Settings | Ready> | (Settings & { name: string })[];

export interface TidegateOptions extends HttpOptions, Pick<Place, 'scope'> {
  /**
   * When a limit, breaker or concurrency limiter was last declared with other settings: `'apply'` (default, so that a
   * deploy starts; said once in the log) changes it for everybody, `'keep'` takes it as it is, `'error'` refuses to
   * start.
   */
  onConflict?: Place['onConflict'];
  /**
   * A policy file: its breakers, queues, concurrency limits and gates are found by their names, as those below, which
   * stand in the place of its own. Its limits are those of its gates.
   */
  policy?: Policy;
  /** Limits over every route: together with the route's own, all or nothing. */
  limits?: Limits;
  /** Circuit breakers, for `@InjectBreaker(name)`. */
  breakers?: Named<CircuitBreakerOptions, Breaker>;
  /** Queues, for `@InjectBoundedQueue(name)`. Those made here are closed when the application ends. */
  queues?: Named<BoundedQueueOptions<any>, BoundedQueue<any>>;
  /** Concurrency limiters, for `@InjectConcurrencyLimiter(name)`. In those made here nobody waits at the end. */
  concurrency?: Named<Omit<ConcurrencyLimiterOptions, 'name'>, ConcurrencyLimiter>;
  /** Gates, for `@Gate(name)`, each with how requests ask it where a route says nothing else. */
  gates?: Named<{ gate: TheGate } & GateRequestOptions, TheGate>;
  /**
   * Paths that the guard never refuses, as OPTIONS never is: exact ones, with the application's global prefix. Default
   * `['/healthz', '/livez', '/readyz']`.
   */
  exempt?: string[];
  /** Status for open circuits, full queues and used-up concurrency, 400 to 599, default 503. */
  overloadStatus?: number;
}

export interface TidegateGlobals {
  /**
   * Guard every route: true (default), your subclass of TidegateGuard, or false (then use `@UseGuards(TidegateGuard)`
   * or register it by `APP_GUARD`; limits that no guard of ours stands over are told at the start).
   */
  guard?: boolean | Type<TidegateGuard>;
  /**
   * Who answers refusals that no other filter of the application takes: ours (true, the default), your own, or Nest
   * itself (false), with the problem as JSON. Filters get each as an HttpException with Retry-After set, in any case.
   */
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
 * Limits, circuit breakers, queues and concurrency limiters for a Nest application, on Express or Fastify. Global:
 * import it once. With `scope` all but the queues live there under their names, unless they say another place.
 */
export class TidegateModule {
  static forRoot(options?: TidegateOptions & TidegateGlobals): DynamicModule;
  /** With settings from elsewhere, such as a ConfigService. */
  static forRootAsync(options: TidegateAsyncOptions): DynamicModule;
}

/** What the application has configured. */
export class TidegateRegistry {
  /** @throws RangeError for a name that is not configured */
  breaker(name: string): Breaker;
  /** @throws RangeError for a name that is not configured */
  concurrencyLimiter(name: string): ConcurrencyLimiter;
  /** @throws RangeError for a name that is not configured */
  gate(name: string): TheGate;
  /** @throws RangeError for a name that is not configured */
  queue<T = unknown>(name: string): BoundedQueue<T>;
  /** `error` as an HttpException where it is a refusal of tidegate, or a group of these alone, else as it is. */
  httpException(error: unknown): unknown;
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
   * Who the client is, wherever a limit wants to know: for the key `'ip'`, for keyed limits without a `key`, and where
   * a key finds nobody. `request` is undefined where the call has none. Default, also for nothing: the address, as
   * `client` says.
   */
  getTracker(request: any, context: ExecutionContext): KeyValue | Promise<KeyValue>;
  /** Whether this call is not limited at all; default false. */
  shouldSkip(context: ExecutionContext): boolean | Promise<boolean>;
}

/** What stands before a route's handler, asked in this order. */
export interface OverloadGuardOptions {
  /** Refuses the less important with an OverloadedError when there is too much to do; watches this event loop. */
  shedder?: LoadShedder;
  /** What a call is worth, or a function of its request that says so; default `'normal'`. */
  priority?: Priority | ((request: any) => Priority | Promise<Priority>);
  /** Whose level a call has; default: the client's address. */
  user?: (request: any) => KeyValue | Promise<KeyValue>;
  /** While it takes nothing: a QueueFullError or QueueClosedError. */
  backlog?: Backlog;
  /**
   * The most requests under way: one more waits `maxWaitMs`, then a ConcurrencyLimitError. A permit is held as
   * that of the middleware; WebSockets, messages and GraphQL fields hold none.
   */
  concurrency?: ConcurrencyLimiter | ConcurrencyLimiterOptions;
  /** Where a request belongs among the limiter's partitions, as the middleware's. */
  partition?: Partition;
  /** Paths that are never refused, as OPTIONS never is; default `['/healthz', '/livez', '/readyz']`. */
  exempt?: string[];
}

/**
 * A guard for `@UseGuards(overloadGuard({ backlog: orders }))`, on a controller, a route or all of them: what it
 * refuses is a 503 with Retry-After, and what the limits have charged comes back.
 */
export function overloadGuard(options: OverloadGuardOptions): CanActivate;

/** `overloadGuard({ shedder, priority, …options })`: `@UseGuards(sheddingGuard(shedder, 'high'))`. */
export function sheddingGuard(
  shedder: LoadShedder,
  priority?: Priority | ((request: any) => Priority | Promise<Priority>),
  options?: Pick<OverloadGuardOptions, 'user' | 'exempt'>,
): CanActivate;

/**
 * The guard's refusal: an HttpException 429 (403 by a deny list) whose `cause` is a RateLimitedError (of a gate's list
 * an AccessDeniedError). Its message names
 * the limit and the quota: `limiter "client" (100/min) refused 1 token: try again in 0.6 s`.
 */
export class RateLimitException extends HttpException {
  constructor(refusal: Refusal);
  /** ms until the same request could pass, `Infinity` for never. */
  readonly retryAfterMs: number;
  /** What Retry-After says, in seconds; undefined where waiting does not help. */
  readonly retryAfter: number | undefined;
  readonly code: string;
  /** What a GraphQL error carries. */
  readonly extensions: RefusalExtensions;
}

/**
 * A refusal of a circuit breaker, queue, concurrency limiter or limiter as an HttpException: 503 (or `overloadStatus`),
 * of a limiter 429; or a timeout: 504. It is `instanceof` the refusal's own error as well, with its `code`; that is its
 * `cause`.
 */
export class RefusedException extends HttpException {
  private constructor();
  readonly code: string;
  /** Of an open circuit: its name. */
  readonly breaker?: string;
  /** ms until it is worth a try, `Infinity` for never. */
  readonly retryAfterMs: number;
  /** What Retry-After says, in seconds; undefined for a timeout that knows none. */
  readonly retryAfter: number | undefined;
  /** What a GraphQL error carries. */
  readonly extensions: RefusalExtensions;
}

/** `extensions` of a GraphQL error; a wait is null where waiting does not help. */
export interface RefusalExtensions {
  code: string;
  status: number;
  retryAfter: number | null;
  retryAfterMs: number | null;
  violatedPolicies?: string[];
}

/**
 * Makes HttpExceptions of the refusals that leave a handler and sets Retry-After, before any filter, for GraphQL,
 * messages and sockets, and for controllers that Nest makes for each request; other routes of HTTP need none, their
 * filters get HttpExceptions.
 */
export class TidegateInterceptor implements NestInterceptor {
  constructor(registry: TidegateRegistry);
  intercept(context: ExecutionContext, next: CallHandler): Observable<any>;
}

/**
 * Answers refusals of tidegate, 429 for limits, 403 of an access list, 503 for all others, with Retry-After; a
 * TimeoutExceededError with 504;
 * an AggregateError of these alone as the one that lasts longest. Mistakes, an ArenaError too, stay a 500.
 */
export class TidegateExceptionFilter implements ExceptionFilter {
  constructor(registry: TidegateRegistry);
  catch(error: TidegateError | RateLimitException | RefusedException, host: ArgumentsHost): any;
}

/**
 * A limit on a route, or on a controller (then one for all its routes). Several add up, all or nothing. An application
 * without TidegateModule, or with one on a gateway that no guard stands over, does not start.
 * @throws RangeError | TypeError where it stands, for a rate or option outside what is allowed
 */
export function RateLimit(rate: Rate, options?: RateLimitOptions): MethodDecorator & ClassDecorator;

/**
 * TidegateGuard asks the application's gate of that name for a route, or for all of a controller (a route's own stands
 * in its place), after the limits. It refuses with 403, 504, 503 (or `overloadStatus`) or 429, Retry-After, the
 * RateLimit headers of the gate's limits, and a problem body that names the part. The permit is held until the answer
 * is out, as that of the middleware; messages, WebSockets and GraphQL fields hold none, and have no deadline of
 * headers. Functions of the options get the request and Nest's ExecutionContext.
 *
 * @throws TypeError | RangeError where it stands, for options that are none; all else fails the start
 */
export function Gate(name: string, options?: GateRequestOptions): MethodDecorator & ClassDecorator;

/** A parameter of a handler: the gate's Admission, over HTTP and GraphQL; undefined where none was asked. */
export function Admitted(): ParameterDecorator;

/** Takes a route or controller out of the limit called `name`, or of all limits. */
export function SkipRateLimit(name?: string): MethodDecorator & ClassDecorator;

/** What stands in for a method: called with what ended it, then with the method's arguments; `this` is the instance. */
export type MethodFallback = (error: any, ...args: any[]) => unknown;

/**
 * Calls of the method go through the application's circuit breaker of that name, which Nest injects into the instance;
 * of an Observable each subscription is a call. `fallback`, a function or the name of a method, gives the result where
 * the call failed or was refused, not where the caller cancelled it or the breaker counts the error as no failure. The
 * breaker never hears of the fallback; what the fallback throws has the first error as its `cause`.
 */
export function CircuitBreaker(name: string, options?: { fallback?: MethodFallback | string }): MethodDecorator;

/** Injects the circuit breaker of that name. */
export function InjectBreaker(name: string): ParameterDecorator & PropertyDecorator;

/** Injects the queue of that name. */
export function InjectBoundedQueue(name: string): ParameterDecorator & PropertyDecorator;

/** Injects the concurrency limiter of that name. */
export function InjectConcurrencyLimiter(name: string): ParameterDecorator & PropertyDecorator;

/** Injects the gate of that name. */
export function InjectGate(name: string): ParameterDecorator & PropertyDecorator;

/** The injection token of a gate. */
export function getGateToken(name: string): string;

/** The injection token of a concurrency limiter. */
export function getConcurrencyLimiterToken(name: string): string;

/** The injection token of a circuit breaker. */
export function getBreakerToken(name: string): string;

/** The injection token of a queue. */
export function getBoundedQueueToken(name: string): string;
