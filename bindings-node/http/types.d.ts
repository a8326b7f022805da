import type {
  Deadline,
  Decision,
  GateKind,
  Key,
  KeyedQuota,
  LimitSet,
  LimitSwitches,
  RateLimiter,
  ConcurrencyLimiter,
  ConcurrencyLimiterOptions,
  LoadShedder,
  Priority,
  Place,
  RateLimiterOptions,
  TokenBucket,
} from '../index.js';

/** A limit of your own for everybody, of `TokenBucket`'s shape. */
export interface SharedLimit {
  readonly keyed?: false;
  /** Takes `n` tokens, or tells why not. */
  check(n: number): Decision;
  /**
   * Gives them back when another limit of the same request refuses, it finds no room, or by `refundOn`. An error at the
   * start where these are configured without it; what middleware of its own refuses afterwards stays taken then.
   */
  refund?(n: number): void;
}

/** A limit of your own per key, of `RateLimiter`'s shape. */
export interface KeyedLimit {
  readonly keyed: true;
  /** Takes `n` of the key's tokens, or tells why not. */
  check(key: string, n: number): Decision;
  /** As that of a `SharedLimit`. */
  refund?(key: string, n: number): void;
}

/**
 * `'5/minute'`, `'400 per second'`, `'2/second;3/minute'` (all hold), …; a number of tokens per second; a function of
 * the request that gives one of these; or a limit that already exists.
 */
export type Rate =
  string | number | RateFunction | TokenBucket | RateLimiter | LimitSet<any> | SharedLimit | KeyedLimit;

/** A rate of each request, for quotas by plan: each rate that it names (at most 64) is a limit of its own. */
export type RateFunction = (request: any, context: any) => string | number | Promise<string | number>;

/** A key, or nobody: then the client's address stands in. */
export type KeyValue = Key | number | bigint | undefined | null;

/**
 * `request` is the framework's; `context` Nest's ExecutionContext, else the framework's response. The request waits for
 * a promise as long as it takes, as for those of all functions of the options: bound what it asks, by a `Timeout` for
 * example.
 */
export type KeyFunction = (request: any, context: any) => KeyValue | Promise<KeyValue>;

/**
 * Whose tokens: the client's address, `request.user.id` (or `.sub`), the route, a header, or a function. Where it names
 * nobody, the address stands in.
 */
export type KeySpec = KeyFunction | 'ip' | 'user' | 'route' | `header:${string}`;

/** How a request meets a limit, and what a limit is made from that is given as a rate. */
export interface LimitOptions
  extends LimitSwitches,
    Pick<RateLimiterOptions, 'perMs' | 'burst' | 'queue' | 'algorithm' | 'maxKeys' | 'fastest' | 'block' | 'hugePages'>,
    Pick<Place, 'scope'> {
  /** Default `'apply'`: see `onConflict` of the application. */
  onConflict?: Place['onConflict'];
  /**
   * Stands in the RateLimit headers: printable ASCII, default `'default'`. In a named scope it is the object's name as
   * well (a route's in Fastify and Nest: together with the route), and two declarations of one name in one process must
   * be the same.
   */
  name?: string;
  /**
   * Makes it a limit per key; without a key it is one for everybody, which has no algorithm, maxKeys, fastest, queue,
   * block, hugePages or tiers. For a LimitSet: keys by the names of its members.
   */
  key?: KeySpec | Record<string, KeySpec>;
  /** Tokens a request takes, default 1. */
  cost?: number | ((request: any, context: any) => number | Promise<number>);
  /** Other quotas by name, for a limit per key … */
  tiers?: Record<string, KeyedQuota | string | number>;
  /** … and which of them a request has; `undefined`: the limit's own. */
  tier?: (request: any, context: any) => string | undefined | null | Promise<string | undefined | null>;
  /**
   * Takes this request out of the limit where it gives `true`; asked before everything else. What is neither true nor
   * false nor nothing (undefined, null) is the request's error: a text such as 'no' would switch the limit off.
   */
  skip?: (request: any, context: any) => boolean | Promise<boolean>;
  /** Once the answer is out: `true` gives the cost back (`(status) => status < 400`: only failures count). */
  refundOn?: (status: number, request: any) => boolean | Promise<boolean>;
}

/** Limits by name, `{ login: { rate: '5/minute', key: 'ip' } }`, in a list with names, or a LimitSet. */
export type Limits =
  | Record<string, ({ rate: Rate } & Omit<LimitOptions, 'name'>) | Rate>
  | ({ name: string; rate: Rate } & Omit<LimitOptions, 'name'>)[]
  | LimitSet<any>;

export interface ClientOptions {
  /**
   * Proxies whose forwarding header is believed: addresses, networks, `'loopback'`, `'private'`, `'unix'`; default:
   * none.
   */
  trusted?: string[];
  /** The one header that they write, default `'x-forwarded-for'`; `'forwarded'` is RFC 7239's. */
  header?: string;
  /** Leading bits of an IPv4 address that make a client, 1 to 32, default 32. */
  ipv4Prefix?: number;
  /** Leading bits of an IPv6 address that make a client, 1 to 128, default 64. */
  ipv6Prefix?: number;
}

/** What clients are told, and who they are. */
export interface TellingOptions {
  /** Send RateLimit and RateLimit-Policy, default true. Retry-After is always sent. */
  headers?: boolean;
  /** Send X-RateLimit-Limit, -Remaining and -Reset (seconds) of the limit nearest to its end as well, default false. */
  legacyHeaders?: boolean;
  /** Lengthens the times that are told by up to this fraction, 0 to 1, at random; default 0. */
  jitter?: number;
  /** Who the client is; default: the socket's other end. */
  client?: ClientOptions;
}

/** What every middleware takes. */
export interface HttpOptions extends TellingOptions {
  /** Clients that are never limited: addresses, networks, `'key:monitoring'` for a key. */
  allow?: string[];
  /** Clients that always get 403. The most specific entry of both lists decides. */
  deny?: string[];
}

/** The name of a partition, or a function of the request, sync or async, that gives one; `undefined`: none. */
export type Partition = string | ((request: any) => string | undefined | null | Promise<string | undefined | null>);

/** What Express's and Fastify's middleware take beside limits. */
export interface RequestsOptions extends Pick<Place, 'scope'> {
  /**
   * When another process has last declared a limit with other settings: `'apply'` (default, so that a deploy starts;
   * said once in the log) changes it for everybody, `'keep'` takes it as it is, `'error'` refuses to start.
   */
  onConflict?: Place['onConflict'];
  /**
   * The most requests under way, as a limiter or its settings: one more waits `maxWaitMs`, then gets 503 with
   * Retry-After, and its charge by the limits comes back. A permit is held until the answer is out, or, where the
   * client has gone, until the handler ends its answer: ten seconds at most.
   */
  concurrency?: ConcurrencyLimiter | ConcurrencyLimiterOptions;
  /** Where a request belongs among the partitions of `concurrency`. */
  partition?: Partition;
  /**
   * What requests put their work into: while it takes nothing, full or closed, they get 503 with its Retry-After before
   * their handler runs. A BoundedQueue, a Processor, or an object of yours.
   */
  backlog?: Backlog;
  /** Refuses the less important with 503 when there is too much to do; watches this event loop. */
  shedder?: LoadShedder;
  /** What a request is worth, or a function of it that says so, sync or async; default `'normal'`. */
  priority?: Priority | ((request: any) => Priority | Promise<Priority>);
  /** Whose level a request has, sync or async; default: the client's. */
  user?: (request: any) => string | number | undefined | null | Promise<string | number | undefined | null>;
  /**
   * Paths that are never refused, as OPTIONS never is: exact ones as they are spelled, without the prefix of an Express
   * mount; what is beyond ASCII may be written as it is or in percents. Default
   * `['/healthz', '/livez', '/readyz']` of the whole application, and none below a mount (`app.use('/search', …)`).
   */
  exempt?: string[];
}

/** Values by route, the first that fits: `{ 'POST /orders': …, 'GET /users/{id}': …, '* /reports/*': … }`. */
export type ByRoute<Value> = { [route: `${string} /${string}`]: Value };

/** Of each request: a value, values by route, or a function of the request, sync or async. */
export type OfRequest<Value> =
  | Value
  | ByRoute<Value>
  | ((request: any, context: any) => Value | undefined | Promise<Value | undefined>);

/**
 * How requests ask a gate. What a function throws or rejects with, or gives that is none of what it may give, is the
 * request's error, and nothing is taken then.
 */
export interface GateRequestOptions {
  /**
   * Whose tokens, by the names of the gate's limits that are one per key, or one for all of these. Where nothing is
   * said, as the policy file does that the gate is of; else, and where nobody is named, the client's address.
   */
  key?: KeySpec | Record<string, KeySpec>;
  /** What a request is worth, default `'normal'`. Paths are whole ones, with the prefix of a mount; GET is HEAD too. */
  priority?: OfRequest<Priority>;
  /** Tokens that a request takes of each limit, default 1. */
  cost?: OfRequest<number>;
  /** Names of the gate's dependencies that a request needs, default none. */
  dependencies?: OfRequest<string[]>;
  /** A request's partition of the gate's concurrency limit, default none, which is guaranteed nothing. */
  partition?: OfRequest<string>;
  /**
   * How long the client still waits. Default `true`: as the headers grpc-timeout and x-request-timeout-ms say; `names`
   * and `maxMs` are those of `Deadline.fromHeaders`, `false` asks nobody. A function gives a Deadline or milliseconds.
   */
  deadline?:
    | boolean
    | { names?: string | string[]; maxMs?: number }
    | ((request: any, context: any) => DeadlineValue | Promise<DeadlineValue>);
  /** Whose level a request has for the gate's shedder, sync or async; default: the client's. */
  user?: (request: any, context: any) => KeyValue | Promise<KeyValue>;
}

/** A Deadline, or milliseconds that are left; nothing: without an end. */
export type DeadlineValue = Deadline | number | undefined | null;

/** Whatever knows that no more work is taken. */
export interface Backlog {
  /** Whether a push would be taken. */
  readonly isAccepting: boolean;
  /** ms to tell a refused client. */
  readonly retryAfterMs: number;
}

/** Why a request was refused. */
export interface Refusal {
  /** The limits that refused it; none where a deny list or an overload did. */
  readonly policies: string[];
  /** ms until the same request could pass, `Infinity` for never. */
  readonly retryAfterMs: number;
  /** What Retry-After says, in seconds; undefined where waiting does not help. */
  readonly retryAfter: number | undefined;
  /** Whether it is a matter of the service (503, 504), not of the client. */
  readonly overloaded: boolean;
  /** Who refused what, by which quota: `'limiter "client" (100/min) refused 1 token'`. */
  readonly message: string;
  /** What kind of part of a gate refused; undefined where it was no gate's. */
  readonly kind: GateKind | undefined;
  /** That part's name. */
  readonly deniedBy: string | undefined;
}

/** The client's address, as the option `client` says. A mark for the option `key`, not to be called. */
export const clientIp: KeyFunction;
/** `request.user.id` or `request.user.sub`, as authentication left it; in Koa of `context.state.user`. */
export const user: KeyFunction;
/**
 * The route, as the framework's router has it, whatever a client's spelling. In Express: the one that the request is in
 * or will come to; where none is, the mount it is in, else its path. On Node's own server, and in middleware of Nest on
 * Fastify, no router is known: then each path has a quota of its own, in one spelling, and the log says so once.
 */
export const route: KeyFunction;
/** A header's value. A client chooses it: check it before, or add a limit by address. */
export function header(name: string): KeyFunction;
/** The first that names somebody: `firstOf(user, header('x-api-key'), clientIp)`. */
export function firstOf(...keys: KeySpec[]): KeyFunction;
