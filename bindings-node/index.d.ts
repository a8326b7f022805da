/// <reference lib="esnext.disposable" />
/**
 * Rate limiting, circuit breaking and backpressure over one lock-free Rust core.
 *
 * Times are milliseconds (fractions count), and the names say so; "never" is `Infinity`. Wrong arguments throw a
 * `TypeError` (`ERR_INVALID_ARG_TYPE`) or a `RangeError` (`ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`). Each object
 * belongs to the thread that made it; a worker thread, or another process, makes its own, and in a named `scope` that
 * is the same limit (https://github.com/tidegate/tidegate/blob/main/docs/host-scope.md).
 */

/** The version of this package and of its binary. */
export const version: string;

/** How long a waiting form waits. */
export interface WaitOptions {
  /** Longest wait in ms, default `Infinity`. */
  timeoutMs?: number;
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a limit decided. A denial is a result, not an error. */
export interface Decision {
  /** Whether the cost was taken. */
  allowed: boolean;
  /** The most tokens that can be taken at once (the burst). */
  limit: number;
  /** Whole tokens left after this decision. */
  remaining: number;
  /** ms until the same cost could be admitted: 0 when allowed, `Infinity` when it exceeds the burst. */
  retryAfterMs: number;
  /** ms until the limit is back at its full burst. */
  resetAfterMs: number;
  /** ms to wait before acting on an admission: 0 for every algorithm but the leaky bucket. */
  delayMs: number;
}

/**
 * Where state lives: `'process'` (private to the object, the default), `'process:NAME'` (an arena of this process: its
 * worker threads share it) or `'host:NAME'` (an arena of this machine, a mapped file: all its processes share it;
 * Linux). Without a `scope` the environment's `TIDEGATE_SCOPE` says.
 */
export type ScopeSpec = 'process' | `process:${string}` | `host:${string}` | (string & {}) | HostScope | ProcessScope;

export interface HostScopeOptions {
  /**
   * The directory of the arena's file, on memory that the processes share; default: `TIDEGATE_DIR`, else
   * `/dev/shm/tidegate-UID`.
   */
  path?: string;
  /** The most bytes that it can take; it never grows. Default what the file has, TIDEGATE_CAPACITY or 256 MiB. */
  capacity?: number;
  /** A group, by name or number, that may use the file as well: for containers that run as different users. */
  group?: string | number;
}

/**
 * An arena of this machine with options, as a value for `scope`; `'host:orders'` is the one without. Opens nothing by
 * itself.
 */
export class HostScope {
  /** @param name 1 to 63 of A-Z a-z 0-9 . _ - that do not begin with a dot or a dash */
  constructor(name: string, options?: HostScopeOptions);
  readonly name: string;
  readonly path: string | undefined;
  readonly capacity: number | undefined;
  readonly group: string | undefined;
}

export interface ProcessScopeOptions {
  /** The bytes of address space that it has; it never grows. Default TIDEGATE_CAPACITY, else 256 MiB. */
  capacity?: number;
}

/**
 * An arena of this process with options, as a value for `scope`; `'process:orders'` is the one without. Makes nothing
 * by itself.
 */
export class ProcessScope {
  /** @param name 1 to 63 of A-Z a-z 0-9 . _ - that do not begin with a dot or a dash */
  constructor(name: string, options?: ProcessScopeOptions);
  readonly name: string;
  readonly capacity: number | undefined;
}

/** An object in a named scope. All that open its name there are one, with one state, on the arena's own clock. */
export interface Place {
  /** @throws ArenaError when the arena cannot be opened */
  scope?: ScopeSpec;
  /** Which object it is; needed in a named scope, a label elsewhere. 1 to 63 of A-Z a-z 0-9 . _ - : / */
  name?: string;
  /**
   * When the object was last declared with other settings (rate, burst, thresholds, limit) than mine: `'error'`
   * (default) throws an ArenaError that names both, `'keep'` takes it as it is, `'apply'` changes it for everybody.
   * Another shape (algorithm, sizes, windows) is always an error. Settings changed at run time are not compared;
   * `enabled` and `dryRun` are each one's own.
   */
  onConflict?: 'error' | 'keep' | 'apply';
}

/**
 * A rate and the burst above it. A `rate` that is a number is so many tokens per `perMs`, default 1000; one that is not
 * whole makes that longer: 2.5 per s is 5 per 2 s.
 */
export interface Quota {
  // <settings bucket rate period burst>
  /** How many tokens come back in which time, such as "100/min" (1 token in 36 years to 100,000,000 per second). */
  rate: string | number;
  /** The time of a rate that is a number of tokens (above 0 to 36 years). */
  perMs?: number;
  /** The most tokens at once; left out, the rate's count (1 to 4294967295). */
  burst?: number;
  // </settings>
}

/** A new limit starts with the fraction `from` (above 0, at most 1) of itself and is whole after `periodMs`. */
export interface WarmUp {
  // <settings bucket warm_up! warm_up_from>
  /** The time in which a new limit grows to all of itself; left out, it is whole at once (above 0 to a year). */
  periodMs: number;
  /** The fraction of the limit that a warm-up starts from (above 0 and up to 1; default 0.1). */
  from?: number;
  // </settings>
}

/** What the operator may say of every limit. `TIDEGATE_DISABLED=1` in the environment is `enabled: false` for all. */
export interface LimitSwitches {
  /** `false` admits everything and touches nothing. */
  enabled?: boolean;
  /** Decides, charges and counts (`stats().wouldDeny`), but refuses nothing. */
  dryRun?: boolean;
  /** A ramp from a fraction of the limit to all of it. */
  warmUp?: WarmUp;
  /** For tests; default: the machine's monotonic clock. Not in a named scope, which has a clock of its own. */
  clock?: ManualClock;
}

/** Counts since the bucket was made. */
export interface BucketStats {
  // <stats bucket>
  /** Calls admitted, without those of `wouldDeny`. */
  admitted: number;
  /** Calls denied. */
  denied: number;
  /** Calls that a dry run admitted and that would have been denied. */
  wouldDeny: number;
  // </stats>
}

/**
 * A token bucket: starts full, refills at `rate`, holds at most `burst` tokens (GCRA, ITU-T I.371). Rates from 1 a year
 * to 100 million a second. `n` is a whole number of tokens from 0.
 */
export class TokenBucket {
  constructor(options: Quota & LimitSwitches & Place);
  /** Takes `n` tokens, or nothing. `n` = 0 takes nothing and is refused only in debt or under a penalty. */
  tryAcquire(n?: number): boolean;
  /** Takes `n` tokens, or nothing, and tells what is left. */
  check(n?: number): Decision;
  /** What `check(1)` would answer; takes nothing, so `remaining` is what is there now. */
  peek(): Decision;
  /** Books `n` tokens ahead where the wait is at most `maxWaitMs` (default: as long as it takes). */
  reserve(n?: number, options?: { maxWaitMs?: number }): Reservation;
  /**
   * Takes `n` tokens and resolves once they are there. A bucket knows the wait beforehand: when it would exceed
   * `timeoutMs` this rejects at once with `RateLimitedError` and takes nothing. An abort gives the booking back.
   */
  acquire(n?: number, options?: WaitOptions): Promise<void>;
  /** Gives `n` tokens back, never above full; does not shorten a penalty. */
  refund(n?: number): void;
  /** Admits nothing for `waitMs`, then refills from empty (a server's Retry-After). */
  penalize(waitMs: number): void;
  /** Full again: ends a penalty, voids reservations. */
  reset(): void;
  /** Changes the quota and keeps the level, clipped to the new burst; voids reservations. */
  setQuota(quota: Quota): void;
  /** `count` tokens per `periodMs`. */
  readonly quota: { count: number; periodMs: number; burst: number };
  /** Counts since it was made. */
  stats(): BucketStats;
}

export interface ClusterLimitOptions extends Quota, Omit<Place, 'scope' | 'name'> {
  /** `'cluster:NAME'`, the arena NAME of this machine, or a `HostScope` of it; default: what `TIDEGATE_SCOPE` says. */
  scope?: ScopeSpec | `cluster:${string}`;
  /** Which limit of that scope it is; the same name is the same limit, on all machines. */
  name: string;
  // <settings cluster_limit>
  /**
   * From one question to the store to the next; left out, burst / rate / 4, within 10 to 100 ms (10 ms to 10000 ms).
   */
  syncMs?: number;
  /**
   * How long a host may spend what it leased without hearing from the store; left out, 5 times sync (20 ms to 600000
   * ms).
   */
  leaseMs?: number;
  /** How long to wait for the store (1 ms to 10000 ms; default 100 ms). */
  timeoutMs?: number;
  /** The most tokens that all hosts hold at once, less than the burst; left out, half of it (1 to 16777215). */
  maxOutstanding?: number;
  /**
   * What a host does when its lease has ended and the store does not answer: deny, or admit its share (default 'deny').
   */
  onUnreachable?: 'deny' | 'local';
  /** An upper bound of how many hosts there are; for on_unreachable "local" alone, which needs it (1 to 4294967295). */
  hosts?: number;
  /** How long a host goes on with its share (1 ms to 86400000 ms; default 60000 ms). */
  fallbackForMs?: number;
  // </settings>
  /** `false` admits everything and touches nothing. */
  enabled?: boolean;
  /** Decides and counts (`stats().wouldDeny`), but refuses nothing. */
  dryRun?: boolean;
}

/** What a `ClusterLimit` decided, and how it goes with the store. */
export interface ClusterStats {
  // <stats cluster_limit>
  /** Calls admitted, by all processes of this machine. */
  admitted: number;
  /** Calls denied. */
  denied: number;
  /** Calls that a dry run let through and that would have been denied. */
  wouldDeny: number;
  /** Tokens that this machine may spend now. */
  tokens: number;
  /** Milliseconds until they are lost unless the store answers again; 0: they are, or there are none. */
  expiresInMs: number;
  /** Whether an agent keeps the lease. */
  refilled: boolean;
  /** Questions to the store. */
  syncs: number;
  /** Questions without an answer. */
  errors: number;
  /** Questions that ran too late, or when the store's clock had leapt. */
  late: number;
  /** Times that the store was another one, or had forgotten. */
  epochs: number;
  /** Tokens granted to this machine. */
  granted: number;
  /** How long the latest answer took. In milliseconds. */
  roundTripMs: number;
  /** What the store had left for all machines, by its latest answer. */
  level: number;
  /** What is wrong, if something is. Never the store's URL. */
  fault: string | undefined;
  // </stats>
}

/**
 * A rate that many machines share. This machine's processes and worker threads spend what its agent (`tidegate agent
 * --store redis://… --arena NAME`) has leased from Redis or Valkey: a decision asks nobody. Over any span of time all
 * machines admit no more than burst + rate × time, whatever happens to machines, store and network. Without an agent it
 * denies, and `stats().fault` says so.
 */
export class ClusterLimit {
  constructor(options: ClusterLimitOptions);
  /** Takes `n` tokens of what is leased, or nothing. */
  tryAcquire(n?: number): boolean;
  /**
   * Takes `n` tokens, or nothing, and tells what this machine has left; `retryAfterMs` is the earliest that the store's
   * next answer could bring them.
   */
  check(n?: number): Decision;
  /** What `check(1)` would answer; takes nothing. */
  peek(): Decision;
  /** `count` tokens per `periodMs`, for all machines. */
  readonly quota: { count: number; periodMs: number; burst: number };
  /** The part of the rate that is used where there is demand for all of it, 0 to 1. */
  readonly utilisation: number;
  /** What the store knows this machine as. */
  readonly memberId: string;
  /** What all processes of this machine decided, and how it goes with the store. Some system calls. */
  stats(): ClusterStats;
}

/** Text means its UTF-8 (a lone surrogate U+FFFD). Any length, also empty. */
export type Key = string | Uint8Array;

/**
 * How a keyed limit counts: `token_bucket` (default), `fixed_window` (from a key's first hit), `sliding_window` (two
 * windows, the earlier weighted), `sliding_log` (exact, up to 4,096), `leaky_bucket` (paces: admits with a delay).
 */
// <names algorithms Algorithm>
export type Algorithm = 'token_bucket' | 'fixed_window' | 'sliding_window' | 'sliding_log' | 'leaky_bucket';
// </names>

/** The quota of a keyed limit. Windows have no `burst`: their limit is the count in the rate. */
export interface KeyedQuota extends Quota {
  // <settings limiter queue>
  /** Of a leaky bucket: how many calls may wait; left out, the rate's count less one (0 to 1048575). */
  queue?: number;
  // </settings>
}

export interface RateLimiterOptions extends KeyedQuota, LimitSwitches, Place {
  // <settings limiter algorithm max_keys fastest huge_pages>
  /** How it counts (default 'token_bucket'). */
  algorithm?: Algorithm;
  /**
   * How many live keys have a cell of their own; more share a sketch, which may deny early and never admits extra (1 to
   * 100000000; default 100000).
   */
  maxKeys?: number;
  /**
   * The fastest (or largest) quota that any key will ever have; left out, the rate (1 token in 36 years to 100,000,000
   * per second).
   */
  fastest?: KeyedQuota | string | number;
  /** Asks the kernel for huge pages under the table: fewer misses with millions of keys (default false). */
  hugePages?: boolean;
  // </settings>
  /** Blocks a key for a time after repeated denials. */
  block?: Block;
}

/**
 * The `after`-th denial of a key within `withinMs` blocks it for `durationMs`, times `growth` for each block before
 * that is not yet forgotten, at most `maxMs`.
 */
export interface Block {
  // <settings limiter block_after! block_within! block_duration! block_growth block_max>
  /** Which denial of a key blocks it; left out, none does (1 to 255). */
  after: number;
  /** The time, from the first of them, in which denials count (above 0 to a year). */
  withinMs: number;
  /** How long the first block lasts (above 0 to a year). */
  durationMs: number;
  /** The factor from one block of a key to its next (1 or more; default 2). */
  growth?: number;
  /** No block is longer; at least the first; left out, 64 times that and at most a year (above 0 to a year). */
  maxMs?: number;
  // </settings>
}

export interface RateLimiterStats {
  // <stats limiter>
  /** Calls admitted. */
  admitted: number;
  /** Calls denied. */
  denied: number;
  /** Calls admitted by a dry run that would have been denied. */
  wouldDeny: number;
  /** Idle keys that made room for others. */
  evictions: number;
  /** Calls that were decided by the shared sketch, because their key found no room. */
  overflowed: number;
  /** Blocks of keys that went on after being denied. */
  blocked: number;
  // </stats>
}

/** A quota of its own for some keys or calls: `limiter.tier({ rate, burst })`. Keep it; it belongs to that limiter. */
export class Tier {
  private constructor();
  #place: unknown;
}

/**
 * A limit per key (user, address, API key) in a table of fixed size: a live key is never forgotten for another, an idle
 * one is. A `tier` replaces the quota for that call; `n` is a whole number from 0.
 */
export class RateLimiter {
  constructor(options: RateLimiterOptions);
  /** Takes `n` of the key's limit, or nothing. A leaky bucket admits here only what needs no delay. */
  tryAcquire(key: Key, n?: number, tier?: Tier): boolean;
  /** Takes `n`, or nothing, and tells what is left. Leaky bucket: act after `delayMs`. */
  check(key: Key, n?: number, tier?: Tier): Decision;
  /** What `check(key, 1)` would answer; takes nothing. */
  peek(key: Key, tier?: Tier): Decision;
  /**
   * Waits until `n` are admitted and their delay is over. Rejects with RateLimitedError, and takes nothing, as soon as
   * the wait would exceed `timeoutMs`. Those who wait for one key have no order among them.
   */
  acquire(key: Key, n?: number, options?: WaitOptions & { tier?: Tier }): Promise<Decision>;
  /** Gives `n` back, never above full; does not shorten a penalty. */
  refund(key: Key, n?: number, tier?: Tier): void;
  /**
   * Admits nothing of the key for `waitMs` (at most a year); a penalty in force is only lengthened. After it a token
   * bucket refills from empty; the others start anew, and are held until what they counted before is over.
   * @returns false where the table had no room to note it
   */
  penalize(key: Key, waitMs: number): boolean;
  /** The key as new: ends a penalty, forgets its blocks. */
  reset(key: Key): void;
  /** All keys as new; takes time in proportion to `maxKeys`. */
  resetAll(): void;
  /**
   * Fixed windows only: counts `n` hits whatever the limit, for stores that judge by themselves. A key without a window
   * that is only looked at (`n` = 0) has a `resetAfterMs` of 0.
   */
  hit(key: Key, n?: number): { count: number; resetAfterMs: number };
  /**
   * A quota of its own for some keys or calls. A key whose quota changes keeps the part that it has used. In any order,
   * quotas on one key admit at one moment at most the largest of their bursts, and over time at most that for each of
   * the shortest of their times to fill. A limiter tells seven times to fill apart; a quota with an eighth gets a
   * smaller burst.
   * @throws RangeError when it is faster or larger than `fastest`
   */
  tier(quota: KeyedQuota | string | number): Tier;
  /** Changes the default quota; each key keeps the part that it has used; windows keep their counts. */
  setQuota(quota: KeyedQuota | string | number): void;
  readonly quota: { count: number; periodMs: number; burst: number };
  readonly algorithm: Algorithm;
  /** Its methods take a key; a TokenBucket's do not. */
  readonly keyed: true;
  /**
   * Live (not idle) keys with a cell of their own; those in the sketch do not count. May exceed `maxKeys`: the table
   * has nearly four cells for each of these, because keys do not spread evenly, and turns nobody away who finds one
   * free. Takes time in proportion to `maxKeys`.
   */
  readonly size: number;
  /** Counts since it was made. */
  stats(): RateLimiterStats;
}

/** A decision of several limits. */
export interface SetDecision extends Decision {
  /** The limit that denied, the one with the longest wait; undefined when allowed. */
  deniedBy: string | undefined;
}

/** The keys of a set's keyed members. */
export type SetKeys<Members> = { [Name in keyof Members as Members[Name] extends RateLimiter ? Name : never]: Key };

/**
 * Up to 16 limits over different keys, all or nothing: what one of them denies is charged to none. All on the same
 * clock, so all in the same arena or in none. Members with names that are whole numbers come first, as in every object
 * of JavaScript.
 */
export class LimitSet<
  Members extends Record<string, TokenBucket | RateLimiter> = Record<string, TokenBucket | RateLimiter>,
> {
  /** By name; not `''` and not `'n'`. A TokenBucket is one for everybody, a RateLimiter takes a key. */
  constructor(members: Members);
  /**
   * Takes `n` from every member, or nothing from any. Denied: what the limit with the longest wait says; allowed: the
   * fewest left.
   */
  check(keys?: SetKeys<Members>, n?: number): SetDecision;
  tryAcquire(keys?: SetKeys<Members>, n?: number): boolean;
  /** What `check(keys, n)` would answer; takes nothing. */
  peek(keys?: SetKeys<Members>, n?: number): SetDecision;
  /** Gives `n` back to every member, never above full. */
  refund(keys?: SetKeys<Members>, n?: number): void;
  /** Waits until all admit; as `RateLimiter.acquire`. */
  acquire(keys?: SetKeys<Members>, n?: number, options?: WaitOptions): Promise<SetDecision>;
  /** In the order of declaration. */
  readonly names: string[];
  readonly members: Members;
}

/** What `TokenBucket.reserve` answered. */
export class Reservation {
  private constructor();
  /** Whether the tokens are booked. */
  readonly booked: boolean;
  /** Booked: act after this many ms. */
  readonly waitMs: number;
  /** Not booked: the wait in ms that it would have taken; `Infinity` when the cost exceeds the burst. */
  readonly retryAfterMs: number;
  /**
   * Gives the booking back: nothing once its time has come, else its cost less what was booked behind it and is still
   * out (those were told their times). So the last booking comes back whole, then the one before it. Of the latest 256
   * that had to wait.
   * @returns whether anything came back
   */
  cancel(): boolean;
}

/** A class of errors, a predicate, or several of them. */
export type ErrorMatcher = (abstract new (...args: any[]) => Error) | ((error: any) => boolean) | ErrorMatcher[];

/**
 * As an ErrorMatcher; a Classifier, such as `http()`, names what it counts as a failure, or as unreached. An
 * AggregateError that it does not name is named where all of its errors are.
 */
export type ErrorFilter = ErrorMatcher | Classifier | ErrorFilter[];

/** A predicate of results, or several of them. */
export type ResultMatcher = ((result: any) => boolean) | ResultMatcher[];

export interface ClassifierOptions {
  /** Which errors are failures, default all. */
  failureOn?: ErrorMatcher;
  /** Which results are failures, default none. */
  failureResult?: ResultMatcher;
  /**
   * Which results are `'slow'` where they are no failures: for a breaker a slow call, for a retry, a throttle and a
   * limit a success. Default none.
   */
  slow?: ResultMatcher;
  /** Which errors count neither way; wins over the others. */
  ignore?: ErrorMatcher;
  /** Which errors say that the call never reached the dependency; wins over `failureOn`. */
  unreached?: ErrorMatcher;
  /** The ms that a failed error or result asks for (a server's Retry-After); undefined: it asks for nothing. */
  retryAfterMs?: (failed: any) => number | undefined;
  /**
   * A success that took at least so many ms is `'slow'` as well. Default: none is; a breaker has a `slowCallDurationMs`
   * of its own, which judges failures too.
   */
  slowCallDurationMs?: number;
}

export interface Classified {
  /** `'cancelled'`: an `AbortError`, which says nothing, as `'ignore'` does. */
  outcome: 'success' | 'failure' | 'slow' | 'ignore' | 'unreached' | 'cancelled';
  /** Of a failure: the ms after which the server wants to be asked again. */
  retryAfterMs: number | undefined;
}

/**
 * What the end of a call says of the dependency. The first that fits: an `AbortError` is cancelled; tidegate's own
 * refusals and `ignore` count neither way; `unreached`; `failureOn` or `failureResult`; a wrong argument, by Node's
 * code for it, and an answer to the program's own client (Nest's HttpException or an error of http-errors below 500)
 * count neither way unless `failureOn` names them, which `Error` does not; `slow`; else it is a success. An
 * AggregateError of errors that all count neither way does not either; one that no option names is what its worst is.
 */
export class Classifier {
  constructor(options?: ClassifierOptions);
  /** `durationMs`: how long the call took; undefined: not known, so it is not slow. */
  error(error: unknown, durationMs?: number): Classified;
  result(result: unknown, durationMs?: number): Classified;
  readonly slowCallDurationMs: number | undefined;
}

/**
 * How HTTP calls end, for the responses and errors of fetch, undici, axios, got and node:http: 5xx, 429, timeouts and
 * connection errors fail, other answers are successes, and a call for which this machine had no socket is unreached.
 * `Retry-After` and `Retry-After-Ms` of 429 and 503 set the cooldown, up to `maxRetryAfterMs` (default 300 000).
 * Another answer that took `slowCallDurationMs` is slow, and so is one that `slow` says so of.
 */
export function http(options?: {
  maxRetryAfterMs?: number;
  slow?: ResultMatcher;
  slowCallDurationMs?: number;
}): Classifier;

export interface CircuitBreakerOptions {
  // <settings breaker>
  /** Rates are taken over the last N calls (1 to 65536; default 20). */
  windowCalls?: number;
  /** Rates are taken over the calls of the last T instead (1 ms to a year). */
  windowDurationMs?: number;
  /** Opens when failed / calls reaches this (above 0 and up to 1; default 0.5). */
  failureRateThreshold?: number;
  /** A call that takes this long is slow; left out, none is (above 0). */
  slowCallDurationMs?: number;
  /** Opens when slow / calls reaches this (above 0 and up to 1; default 1). */
  slowCallRateThreshold?: number;
  /** Opens at this many failures in a row, whatever the rates; left out, at none (1 to 4294967295). */
  consecutiveFailures?: number;
  /** The rates say nothing below; at most the window's calls (1 to 4294967295; default 10). */
  minCalls?: number;
  /** How long it stays open (1 ms to a year; default 30000 ms). */
  cooldownMs?: number;
  /** Each opening from half-open multiplies the cooldown by this (1 or more; default 1). */
  cooldownBackoff?: number;
  /** No cooldown is longer; at least the cooldown; left out, 64 times that (1 ms to a year). */
  maxCooldownMs?: number;
  /** Lengthens the cooldown by a random part of up to this fraction (0 to 1; default 0). */
  cooldownJitter?: number;
  /** How many probes a half-open cycle takes (1 to 1024; default 1). */
  probes?: number;
  /** A probe that has not reported by then is lost (1 ms to a year; default 60000 ms). */
  probeTimeoutMs?: number;
  /** Opens again when this share of a cycle's probes failed; left out, the failure rate above (above 0 and up to 1). */
  probeFailureRateThreshold?: number;
  /** How many probes may be under way together, at most all of them; left out, all (1 to 1024). */
  probesAtOnce?: number;
  /** The backoff starts again after so long without a trip; left out, after the last cooldown (1 ms to a year). */
  healthyAfterMs?: number;
  /**
   * The time after closing in which a call's chance to pass grows to 1; left out, all pass at once (1 ms to a year).
   */
  rampMs?: number;
  /** The chance of a call to pass right after closing (above 0 and up to 1; default 0.1). */
  rampFrom?: number;
  // </settings>
  /**
   * A call counts as slow when it has taken `slowCallDurationMs`, and not when it returns; once. Somebody looks every
   * 100 ms, as calls of this object begin, end or are refused; at most 256 of them are watched together. Default false.
   */
  countOverdue?: boolean;
  /**
   * Which errors are failures, default all; the others count as successes, since the dependency did answer. A predicate
   * answers at once; what it throws reaches the caller, with the dependency's error as `cause`, and the call is a
   * failure.
   */
  failureOn?: ErrorMatcher;
  /** Which results are failures: a predicate, or several; default: none. */
  failureResult?: ResultMatcher;
  /** Which results are slow calls where they are no failures; default: none. */
  slow?: ResultMatcher;
  /** Which errors count neither way; wins over the others. */
  ignore?: ErrorMatcher;
  /** Which errors say that the call never reached the dependency, such as an exhausted pool; wins over `failureOn`. */
  unreached?: ErrorMatcher;
  /** In place of the five above: `http()`, or one of your own. */
  classifier?: Classifier;
  /** Where state and window live; the breaker's name is the object's. */
  scope?: ScopeSpec;
  onConflict?: Place['onConflict'];
  /** For tests; default: the machine's monotonic clock. */
  clock?: ManualClock;
}

// <names states BreakerState>
export type BreakerState = 'closed' | 'open' | 'half_open' | 'forced_open' | 'disabled' | 'metrics_only';
// </names>

/** A transition, or the outcome of a probe. */
// <names events BreakerEventKind>
export type BreakerEventKind =
  | 'closed'
  | 'opened'
  | 'half_opened'
  | 'forced_open'
  | 'disabled'
  | 'metrics_only'
  | 'probe_succeeded'
  | 'probe_failed'
  | 'probe_lost'
  | 'ramp_started'
  | 'ramp_ended'
  | 'configured';
// </names>

export interface BreakerStats {
  // <stats breaker>
  /** Where it stands. */
  state: BreakerState;
  /** Closed, and calls come back by degrees: until somebody asks for one after the ramp's end. */
  ramping: boolean;
  /** Calls in the window. */
  calls: number;
  /** Failed calls in the window. */
  failed: number;
  /** Slow calls in the window. */
  slow: number;
  /** `failed / calls`, 0 without calls. */
  failureRate: number;
  /** `slow / calls`, 0 without calls. */
  slowCallRate: number;
  /** Calls refused since the breaker was made. */
  rejected: number;
  /** How often it opened by itself since it was made. */
  opened: number;
  /** Milliseconds until a probe may be tried; 0 when not open, `Infinity` while forced open. */
  retryAfterMs: number;
  /** What last opened it by itself: the window above begins empty with every state. `null`: it never did. */
  lastTrip: BreakerTrip | null;
  // </stats>
}

/** The calls by which a circuit opened: its window as of the call that opened it, or the probes that did. */
export interface BreakerTrip {
  calls: number;
  failed: number;
  slow: number;
  /** failed / calls and slow / calls, 0 without calls. */
  failureRate: number;
  slowCallRate: number;
}

export interface BreakerEvent {
  /** Running number from 0; a gap means that entries were overwritten before they were read. */
  seq: number;
  kind: BreakerEventKind;
  /** ms on the breaker's clock. */
  atMs: number;
  /** Of 'opened': the calls by which it opened. */
  trip: BreakerTrip | null;
}

/**
 * A circuit breaker: closed, open after too many failures, half-open with a few probes after the cooldown. Windows,
 * slow calls and half-open follow Resilience4j.
 *
 * Never a failure: an `AbortError` (released: the caller cancelled), and tidegate's own refusals (ignored).
 */
export class CircuitBreaker {
  constructor(name: string, options?: CircuitBreakerOptions);
  readonly name: string;
  /** A permit for one call, or null while the circuit refuses. */
  tryAcquire(): Permit | null;
  /** @throws CircuitOpenError while the circuit refuses */
  acquire(): Permit;
  /**
   * `acquire()` by a draw of one's own, 0 to 1: in a ramp the call passes where the draw is below the chance. Otherwise
   * it plays no part.
   * @throws CircuitOpenError while the circuit refuses
   */
  acquireWith(draw: number): Permit;
  /**
   * Calls `fn` under a permit and reports how it ended; a promise is followed to its end. While the circuit refuses:
   * throws CircuitOpenError, or rejects with it where `fn` is an `async` function.
   */
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R;
  /** A function that is `call(fn, …)`, with `this` passed on; an `async` function stays one. */
  wrap<F extends (...args: any[]) => unknown>(
    fn: F,
  ): (this: ThisParameterType<F>, ...args: Parameters<F>) => ReturnType<F>;
  /** An open breaker whose cooldown has ended is `'open'` until somebody acquires. */
  readonly state: BreakerState;
  /** ms until a probe may be tried; 0 when calls pass, `Infinity` while forced open. */
  readonly retryAfterMs: number;
  stats(): BreakerStats;
  /** Transitions and outcomes of probes from number `since` on, oldest first, as many as are still kept. */
  events(since?: number): BreakerEvent[];
  /**
   * Calls `listener` for each event of that kind from now on, within 50 ms of it; in a named scope for those of all
   * processes. What it throws is a warning of the process and changes nothing. Keeps neither process nor breaker alive.
   */
  on(kind: BreakerEventKind, listener: (event: BreakerEvent) => void): this;
  /** `on`, for the next one only. */
  once(kind: BreakerEventKind, listener: (event: BreakerEvent) => void): this;
  off(kind: BreakerEventKind, listener: (event: BreakerEvent) => void): this;
  /** Refuses everything until `reset()`. */
  forceOpen(): void;
  /** Lets everything pass and counts nothing until `reset()`. */
  disable(): void;
  /** Counts and never opens until `reset()`. */
  metricsOnly(): void;
  /**
   * Changes these settings for all who share the breaker, and leaves the others; null is what holds where one is left
   * out. State, permits, probes that are out, the present cooldown and the calls in the window stay; the change judges
   * nothing by itself. `countOverdue` is of this object alone. Throws a RangeError for a window of the other kind, or
   * larger than what it was made with room for.
   */
  setConfig(changes: BreakerSettings): void;
  /**
   * Its settings in force, as `setConfig()` takes them; null is what holds where one is left out. Of the two windows
   * the one that it has.
   */
  readonly config: BreakerSettings & { countOverdue: boolean };
  /** Closed, with an empty window and the first cooldown. */
  reset(): void;
}

/** What says when a breaker opens, and for how long: what can change at run time. */
export type BreakerSettings = Omit<
  CircuitBreakerOptions,
  | 'failureOn'
  | 'failureResult'
  | 'slow'
  | 'ignore'
  | 'unreached'
  | 'classifier'
  | 'scope'
  | 'onConflict'
  | 'clock'
>;

/** All but `maxBreakers`, `overrides` and `name` as for a `CircuitBreaker`, of each of its breakers. */
export interface BreakerRegistryOptions extends CircuitBreakerOptions, Place {
  // <settings registry>
  /** How many keys can have a breaker; about 4 KiB each, taken at once (1 to 65536; default 1024). */
  maxBreakers?: number;
  // </settings>
  /**
   * Other settings for some keys, by pattern: `*` stands for anything; of those that mean a key the one that says most
   * of it holds, of equals the first. What one leaves out is as in the one that says most among those that mean all of
   * its keys, or as for the others.
   */
  overrides?: Record<string, BreakerSettings>;
}

/** How full a registry is. */
export interface RegistryStats {
  // <stats registry>
  /** Keys that have a breaker. */
  breakers: number;
  /** How many can have one. */
  maxBreakers: number;
  /** Breakers that made room for others since the registry was made. */
  evicted: number;
  /** How often a key found no room and shared the overflow breaker. */
  overflowed: number;
  // </stats>
}

/**
 * Circuit breakers by key: one for each host, tenant or operation, at most `maxBreakers` of them in memory that is
 * taken at construction. Full, the closed one whose last call is the oldest makes room; one in any other state never
 * does. If none can, newcomers share one more breaker, `overflow`, and for 10 ms nobody looks for room again.
 */
export class BreakerRegistry {
  constructor(options?: BreakerRegistryOptions);
  /**
   * The breaker of a key, made where there is none; `overflow` where there is no room. The same object as long as
   * anybody has it and the key its breaker: who listens to its events keeps it. It stands for its key: after its
   * breaker has made room, its next call goes to the key's breaker of then, made anew where there is none.
   */
  get(key: string | Uint8Array): CircuitBreaker;
  /** The breaker of a key, or null: never makes one. */
  peek(key: string | Uint8Array): CircuitBreaker | null;
  has(key: string | Uint8Array): boolean;
  /**
   * Takes a key's breaker away, whatever its state; whether there was one. Outcomes of its calls that are under way are
   * dropped; objects of the key begin a new breaker with their next call.
   */
  remove(key: string | Uint8Array): boolean;
  /**
   * All keys that have a breaker, with it. What is no UTF-8 is a Uint8Array; of a key of more than 256 bytes its first
   * 240 and a hash are known.
   */
  items(): [key: string | Uint8Array, breaker: CircuitBreaker][];
  /**
   * Changes settings of the keys that a pattern means, whether they have a breaker or get one, and leaves the others.
   * Of several patterns the one that says most of a key holds; one that is new begins with the settings of the one that
   * says most among those that mean all of its keys, or with those of all. What was changed of a breaker alone stays.
   * `'*'` changes `overflow` as well; `countOverdue` is of this object's breakers alone. In a named scope the change is
   * for all processes and threads, for breakers that stand and for those that any of them makes later; 16 patterns of
   * up to 64 bytes can be changed there.
   */
  setConfig(pattern: string | Uint8Array, changes: BreakerSettings): void;
  /** The breaker that keys share for which there is no room. */
  readonly overflow: CircuitBreaker;
  /** How many keys have a breaker. */
  readonly size: number;
  stats(): RegistryStats;
}

/**
 * The right to make one call. The first report counts, all others do nothing. `using permit = breaker.acquire()`
 * releases it at the end of the block if nothing was reported.
 */
export class Permit {
  private constructor();
  /** It worked. `durationMs`: how long it took, default since it was acquired. */
  success(durationMs?: number): void;
  /** It worked, and was slow, whatever its duration. */
  slow(durationMs?: number): void;
  /** It failed. `retryAfterMs`: the server's Retry-After; should this open the circuit, it stays open that long. */
  failure(durationMs?: number, retryAfterMs?: number): void;
  /** It returned this: what the breaker's classifier says of it, `durationMs` after it was acquired (default: now). */
  result(value: unknown, durationMs?: number): void;
  /** It threw this: what the breaker's classifier says of it, `durationMs` after it was acquired (default: now). */
  error(error: unknown, durationMs?: number): void;
  /**
   * It never reached the dependency (no connection was free): a failure while the circuit is closed; of a probe it says
   * nothing, and the slot is given back.
   */
  unreached(durationMs?: number): void;
  /** It says nothing about the dependency: not counted. */
  ignore(): void;
  /** It was cancelled: not counted. */
  release(): void;
  /** `release()`; where this Node has the symbols. */
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ConcurrencyLimiterOptions extends Place {
  // <settings concurrency>
  /** The most at once; at most what it may be raised to (1 to 4096). */
  limit: number;
  /** What the limit may be raised to: a place for each is kept; left out, the limit (1 to 4096). */
  maxLimit?: number;
  /**
   * The most that wait at once in a process, who comes then is refused at once; left out, any number (1 to 1000000).
   */
  maxWaiting?: number;
  /** Who of those that wait is served first: who has waited longest, or who came last (default 'fifo'). */
  order?: 'fifo' | 'lifo';
  // </settings>
  /**
   * Guaranteed shares of the limit by name, `{ live: 0.9, batch: 0.1 }`: above 0, and at most 1 together. What a
   * partition leaves unused is lent to whoever asks, and called back when a call within its share is refused: what
   * becomes free after that is kept for it, less and less for 5 s. With partitions `maxWaiting` holds for each.
   */
  partitions?: Record<string, number>;
  /**
   * Names of partitions, the first first: each may starve those behind it, and those that are not named, of all but
   * their guaranteed shares.
   */
  priority?: readonly string[];
  /** Longest wait in ms of `acquire` and `run` where they say nothing; default 0: they do not wait. */
  maxWaitMs?: number;
  /**
   * ms to tell who is refused (ConcurrencyLimitError, Retry-After); left out: as `overloadRetryAfterMs` has it of what
   * is under way and waits.
   */
  retryAfterMs?: number;
  /** `false` admits everything and counts nothing. */
  enabled?: boolean;
  /** Counts (`stats().wouldDeny`), but refuses nothing. */
  dryRun?: boolean;
}

/** Options of a limit that follows what calls report. */
export interface AdaptiveLimiterOptions extends Place {
  // <settings adaptive>
  /**
   * How the limit moves; the others are Netflix's, for those who migrate, with Netflix's defaults (default 'gradient').
   */
  algorithm?: 'gradient' | 'gradient2' | 'vegas' | 'aimd';
  /** The limit never falls below; 20 by default with gradient2 and aimd (1 to 4096; default 1). */
  minLimit?: number;
  /** Where the limit begins (1 to 4096; default 20). */
  initialLimit?: number;
  /** The limit never rises above; 200 by default with gradient2 and aimd (1 to 4096; default 1000). */
  maxLimit?: number;
  /**
   * How many times the latency of an unloaded call the median may be; 1.5 by default with gradient2 (1 to 100; default
   * 2).
   */
  tolerance?: number;
  /** The limit moves once in so long; 1 s by default with Netflix's (10 ms to 3600000 ms; default 500 ms). */
  windowMs?: number;
  /** And when a window has so many samples; 10 by default with Netflix's (1 to 1000000; default 20). */
  samples?: number;
  /** A window with fewer samples ends after so long (10 ms to 3600000 ms; default 5000 ms). */
  maxWindowMs?: number;
  /** A window with fewer samples changes nothing (1 to 1000000; default 5). */
  minSamples?: number;
  /** Whether the latency of an unloaded call is probed for (default true). */
  probe?: boolean;
  /**
   * After so long without an unloaded look a saturated limit probes, up to 15 % later (5000 ms to 86400000 ms; default
   * 60000 ms).
   */
  probeEveryMs?: number;
  /** The least limit of a probe; left out, min_limit (1 to 4096). */
  probeFloor?: number;
  /** A median above it always lowers the limit and teaches nothing (1 ms to 3600000 ms). */
  maxLatencyMs?: number;
  /** The latency of an unloaded call, where it is known: it is not measured then (0.001 ms to 3600000 ms). */
  baseMs?: number;
  /** Aimd: a mean latency above it is a drop (1 ms to 3600000 ms; default 5000 ms). */
  timeoutMs?: number;
  /** Aimd: what a drop leaves of the limit (0.5 to 0.999; default 0.9). */
  backoffRatio?: number;
  // </settings>
  // <settings concurrency max_waiting order>
  /**
   * The most that wait at once in a process, who comes then is refused at once; left out, any number (1 to 1000000).
   */
  maxWaiting?: number;
  /** Who of those that wait is served first: who has waited longest, or who came last (default 'fifo'). */
  order?: 'fifo' | 'lifo';
  // </settings>
  /**
   * Guaranteed shares of the limit by name, `{ live: 0.9, batch: 0.1 }`: above 0, and at most 1 together. What a
   * partition leaves unused is lent to whoever asks, and called back when a call within its share is refused: what
   * becomes free after that is kept for it, less and less for 5 s. With partitions `maxWaiting` holds for each.
   */
  partitions?: Record<string, number>;
  /**
   * Names of partitions, the first first: each may starve those behind it, and those that are not named, of all but
   * their guaranteed shares.
   */
  priority?: readonly string[];
  /** Longest wait in ms of `acquire` and `run` where they say nothing; default 0: they do not wait. */
  maxWaitMs?: number;
  /**
   * ms to tell who is refused (ConcurrencyLimitError, Retry-After); left out: as `overloadRetryAfterMs` has it of what
   * is under way and waits.
   */
  retryAfterMs?: number;
  /** `false` admits everything and counts nothing. */
  enabled?: boolean;
  /** Counts (`stats().wouldDeny`), but refuses nothing. */
  dryRun?: boolean;
  /** For tests. */
  clock?: ManualClock;
}

export interface ConcurrencyStats {
  // <stats concurrency>
  /** The limit in force. */
  limit: number;
  /** Permits held now. */
  inUse: number;
  /** Calls admitted. */
  admitted: number;
  /** Calls that got no permit: `refused`, `timedOut` and `cancelled` together. */
  denied: number;
  /** Calls refused without a wait. */
  refused: number;
  /** Waits that ended at their deadline. */
  timedOut: number;
  /** Waits that were given up before: a future dropped, a task cancelled, a signal aborted. In C none can be. */
  cancelled: number;
  /**
   * Calls that wait now; in a named scope those of all processes, as each said when it last looked, in the last second.
   */
  waiting: number;
  /** The longest wait so far, of those that have ended and of those who wait now. In milliseconds. */
  longestWaitMs: number;
  /** Calls admitted by a dry run that would have been denied. */
  wouldDeny: number;
  /** Permits taken back from processes that died (host scope). */
  reclaimed: number;
  // </stats>
}

/** Where a call belongs. */
export interface PartitionOptions {
  /** The name of one of the limiter's partitions; left out, of none: such a call is guaranteed nothing. */
  partition?: string;
}

/** A partition of a concurrency limit now, and its counts since the limiter was made. */
export interface PartitionStats {
  // <stats partition>
  /** Its share of the limit. */
  share: number;
  /** The places that it is guaranteed of the limit in force. */
  guaranteed: number;
  /** Permits that it holds now. */
  inUse: number;
  /**
   * Places beside those that are kept for it now, as calls of it have been refused: nobody else has more of what is
   * free.
   */
  calledBack: number;
  /** Calls admitted. */
  admitted: number;
  /** Calls that got no permit, at once or after a wait. */
  denied: number;
  /** Calls admitted by a dry run that would have been denied. */
  wouldDeny: number;
  // </stats>
}

/**
 * At most so many calls at once: each holds a permit while it runs. In a named scope so many of all threads and
 * processes together; a permit of a process that dies, or of a worker thread that ends, comes back.
 */
export class ConcurrencyLimiter {
  constructor(options: ConcurrencyLimiterOptions);
  /**
   * A limit that follows what calls report: it falls while they take longer than `tolerance` times the latency of an
   * unloaded call, which is probed for, and grows while they do not. `run` reports; so do `success()`, `ignore()` and
   * `dropped()` of a permit. Threads and processes of a named scope feed one estimate and obey one limit.
   */
  static adaptive(options?: AdaptiveLimiterOptions): ConcurrencyLimiter;
  /** A permit, or null when the limit is reached, or what is free is kept for others. */
  tryAcquire(options?: PartitionOptions): ConcurrencyPermit | null;
  /**
   * Waits for a permit, in the `order` of this object among those who wait on it; among threads and processes a place
   * goes to the object whose first has waited longest (`'lifo'`: that has waited longest for its turn), 10 ms give or
   * take.
   * Rejects with ConcurrencyLimitError after `timeoutMs` (default: `maxWaitMs`), and with the signal's reason when it
   * aborts. Who leaves takes no permit along. In a named scope it looks every 1 to 10 ms for what others have given
   * back.
   */
  acquire(options?: WaitOptions & PartitionOptions): Promise<ConcurrencyPermit>;
  /** Calls `fn` while it holds a permit; waits for it as `acquire` does. */
  run<R>(fn: () => R | PromiseLike<R>, options?: WaitOptions & PartitionOptions): Promise<R>;
  /** Changes the limit, at most to `maxLimit`; permits above a lower one stay until they are given back. */
  setLimit(limit: number): void;
  /**
   * Changes the shares of its partitions, for all who share it. Calls under way keep their places. RangeError for other
   * names than it was made with.
   */
  setShares(shares: Record<string, number>): void;
  /** The shares of its partitions that are in force. */
  readonly shares: Record<string, number>;
  /** The limit in force. */
  readonly limit: number;
  /** Permits held now; those of a process that died count until a denial takes them back. */
  readonly inUse: number;
  /**
   * What holds an adaptive limit where it is, and what partitions have, a line for each thing; empty of a fixed one
   * without partitions.
   */
  explain(): string[];
  stats(): ConcurrencyStats;
  /** Its partitions by name. */
  partitionStats(): Record<string, PartitionStats>;
}

export interface RetryBudgetOptions extends Place {
  // <settings retry_budget>
  /** Retries that each call pays in (0 to 1; default 0.2). */
  ratio?: number;
  /** Retries that each second pays in (0 to 10000; default 10). */
  minPerSecond?: number;
  /**
   * At most what seconds pay in for so long is saved up, and at least one retry (1 ms to 86400000 ms; default 10000
   * ms).
   */
  ttlMs?: number;
  // </settings>
  /** False affords every retry and counts nothing; so does TIDEGATE_DISABLED=1 in the environment. */
  enabled?: boolean;
  /** Counts (`stats().wouldDeny`) and refuses nothing. */
  dryRun?: boolean;
  /** For tests. */
  clock?: ManualClock;
}

/** The balance of a retry budget, and counts since it was made. */
export interface RetryBudgetStats {
  // <stats retry_budget>
  /** Calls paid in. */
  deposited: number;
  /** Retries paid for, without those of `wouldDeny`. */
  withdrawn: number;
  /** Retries refused. */
  denied: number;
  /** Retries that a dry run let through and that would have been refused. */
  wouldDeny: number;
  /** Whole retries that could be withdrawn now. */
  balance: number;
  // </stats>
}

/**
 * Retries that the callers of one dependency can afford: each call pays in a fraction of one, time pays in a little,
 * each retry takes a whole one out. Over any span of t seconds, with the calls and retries in it,
 * `retries <= max(1, minPerSecond * ttl) + ratio * calls + minPerSecond * t`,
 * in all threads and processes that share it.
 */
export class RetryBudget {
  constructor(options?: RetryBudgetOptions);
  /** A call is made: pays in its fraction of a retry. Once a call, whatever becomes of it. */
  deposit(): void;
  /** Takes a whole retry out, or nothing. When the retry is decided, before the wait for it. */
  tryWithdraw(): boolean;
  readonly name: string | undefined;
  /** Whole retries that could be withdrawn now. */
  readonly balance: number;
  /** Until a retry could be withdrawn if no call paid in before; `Infinity` where seconds pay nothing in. */
  readonly retryAfterMs: number;
  stats(): RetryBudgetStats;
}

export interface RetryPolicyOptions {
  // <settings retry>
  /** How often the call is made at most, the first time included (1 to 4294967295; default 3). */
  attempts?: number;
  /** The wait that grows (0 ms to a year; default 100 ms). */
  baseMs?: number;
  /**
   * What each retry multiplies the wait by; decorrelated and smooth jitter grow by themselves (1 or more; default 2).
   */
  factor?: number;
  /** No wait is longer, but for a server's own word (0 ms to a year; default 5000 ms). */
  maxDelayMs?: number;
  /** How waits are spread (default 'full'). */
  jitter?: 'none' | 'full' | 'equal' | 'decorrelated' | 'smooth';
  /**
   * All attempts and waits together: a wait that would reach its end is not begun; left out, none (above 0 to a year).
   */
  deadlineMs?: number;
  /** A server's Retry-After counts up to so much (0 ms to a year; default 60000 ms). */
  maxRetryAfterMs?: number;
  // </settings>
  /** What all calls to the dependency share. */
  budget?: RetryBudget;
  /**
   * Which errors are retried. Default: an HTTP status of 429 or from 500 on (in `status` or `statusCode` of the error
   * or its `response`), timeouts, lost connections (fetch's TypeError with a cause too) and unknown errors; not other
   * statuses, not what a mistake in the program throws (TypeError, RangeError, …), not tidegate's own refusals; an
   * AggregateError where all of its errors are. A predicate answers at once; what it throws reaches the caller, with
   * the last error as `cause`. A Classifier that reads results, such as `http()`, has those retried that it counts as
   * failures; the last one is returned.
   */
  retryOn?: ErrorFilter;
  /** For tests. */
  clock?: ManualClock;
}

/**
 * Calls again what failed, after a wait that grows and differs between clients, as long as it is affordable. The
 * Retry-After of a 429 or 503, or the error's own `retryAfterMs`, wins when it is longer, up to `maxRetryAfterMs`.
 * Never retried: an AbortError, an open circuit, a throttled call, an empty budget, wrong arguments. The last error is
 * thrown as it is, with `attempts` and `retryAfterMs`; that of the attempt before is the `cause` of a refusal, such as
 * an open circuit's. Where the budget is empty, RetryBudgetExceededError.
 */
export class RetryPolicy {
  /** `attempts: Infinity` for as often as it takes. */
  constructor(options?: RetryPolicyOptions);
  /** The defaults of Python's stamina: 10 attempts within 45 s. */
  static stamina(options?: RetryPolicyOptions): RetryPolicy;
  /** Calls `fn` until it succeeds. The signal ends the wait between attempts, and so the call; hand it to `fn` too. */
  call<R>(fn: () => R | PromiseLike<R>, options?: { signal?: AbortSignal }): Promise<R>;
  /** `fn` under this policy; arguments and `this` pass through. Generators are a TypeError. */
  wrap<T, A extends unknown[], R>(fn: (this: T, ...args: A) => R): (this: T, ...args: A) => Promise<Awaited<R>>;
  /** Waits as they could come between the attempts of one call, in milliseconds. */
  delays(): Generator<number, void, unknown>;
  readonly budget: RetryBudget | undefined;
}

export interface TimeoutOptions {
  /** How long the whole call may take in ms, above 0; `Infinity`: as long as it takes. */
  totalMs?: number;
  /** How long one attempt may take. A call of a Timeout alone is one attempt: the shorter of the two ends it. */
  attemptMs?: number;
  /** For tests. */
  clock?: ManualClock;
}

/**
 * A call that ends in time for whoever waits for it: its promise rejects with TimeoutExceededError, and the signal of
 * this call, and of no other, aborts with the same error. A function that does not obey the signal goes on unheard.
 * When the caller's own signal aborts, the promise rejects with its reason, which no breaker counts. No call outlasts
 * the Deadline around it.
 */
export class Timeout {
  constructor(options: TimeoutOptions);
  readonly totalMs: number | undefined;
  readonly attemptMs: number | undefined;
  call<R>(fn: (signal: AbortSignal) => R | PromiseLike<R>, options?: { signal?: AbortSignal }): Promise<R>;
  /** `fn` in time; arguments and `this` pass through, its signal is `Deadline.current.signal`. */
  wrap<T, A extends unknown[], R>(fn: (this: T, ...args: A) => R): (this: T, ...args: A) => Promise<Awaited<R>>;
}

/** A request's headers: those of fetch, of node:http, or an object. */
export type RequestHeaders = { get(name: string): string | null } | Record<string, unknown>;

/**
 * Until when a call must have ended. What runs in it, however deep and late, finds it as `Deadline.current`; Timeout
 * and RetryPolicy keep it by themselves.
 */
export class Deadline {
  private constructor();
  /** `ms` from now; `Infinity` is none. */
  static after(ms: number, options?: { clock?: ManualClock }): Deadline;
  /**
   * What the client said: `grpc-timeout` and `x-request-timeout-ms`, or the headers of these `names`, the shortest of
   * them and at most `maxMs` (default: an hour): a client may say any time, and a `signal` has a timer until then. All
   * but `grpc-timeout` are milliseconds. undefined: it said nothing, or nonsense.
   */
  static fromHeaders(
    headers: RequestHeaders,
    options?: { names?: string | string[]; maxMs?: number; clock?: ManualClock },
  ): Deadline | undefined;
  /** Calls `fn` without a deadline and a caller: for what outlives the call that happens to begin it. */
  static detached<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R;
  /** That of the call under way; what goes on when a call has ended in time has that call's no more. */
  static readonly current: Deadline | undefined;
  /** 0 from its end on. */
  readonly remainingMs: number;
  readonly expired: boolean;
  /** Aborts at its end with TimeoutExceededError. In a call that a Timeout guards: that call's signal. */
  readonly signal: AbortSignal;
  /** Calls `fn` with this as `Deadline.current`, or with the one around it where that ends sooner. */
  run<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R;
  /**
   * For a request to a server: what remains, less 5 % for the way, in `x-request-timeout-ms` or the header `name`;
   * empty where there is no end.
   */
  headers(name?: string): Record<string, string>;
}

export interface CachedOptions {
  /** A value that is older is none, in ms, default 300 000; `Infinity` for never. */
  maxAgeMs?: number;
  /** How many values are kept, default 1024; the one that came longest ago makes room. */
  maxEntries?: number;
  /**
   * Of a call's arguments (`this` is the call's): a text or a number. Calls of one key have one value. Default: the
   * function itself, `this` and arguments that are no objects, so that a new closure each time is another call.
   */
  key?: (...args: any[]) => string | number;
  /** For tests. */
  clock?: ManualClock;
}

/** The last good value of each key, for a Fallback; of several calls of one key at a time, one is made. */
export interface Cached {
  readonly [cachedBrand]: never;
}
declare const cachedBrand: unique symbol;
/** Whoever shares a key is given the same object: keep values, not a Response that can be read once. */
export function cached(options?: CachedOptions): Cached;

/** Another function for the same call. */
export interface Alternative {
  /** Its outcomes' source. */
  name: string;
  /** Gets the arguments of the call. */
  call: (...args: any[]) => unknown;
  /** For it alone, default one of its name with the default settings. */
  breaker?: CircuitBreaker;
}

/** What a fallback's queue holds. */
export interface QueuedCall {
  /** Makes the call. */
  call(): Promise<unknown>;
  args: unknown[];
  /** By what it failed. */
  error: unknown;
}

export interface FallbackOptions<Q extends BoundedQueue<any> | undefined = BoundedQueue<any> | undefined> {
  /** The last good value of the same call. */
  cached?: Cached;
  /** A value, or a function of the primary's error that gives one, or a promise of it. */
  static?: unknown;
  /** Functions that get the same arguments, under their own names; each has a circuit breaker of its own. */
  alternatives?: (Alternative | ((...args: any[]) => unknown))[];
  /** Takes the call for whoever makes it later. */
  queue?: Q;
  /** The names of what is given, in the order in which it is tried. Default: as they stand here. */
  order?: ('cached' | 'static' | 'alternatives' | 'queue')[];
  /**
   * The errors for which it is there. A Classifier judges results too, and leaves refusals to be replaced. Default:
   * failures, as a RetryPolicy judges them, and tidegate's refusals. Never an abort, nor wrong arguments.
   */
  fallbackOn?: ErrorFilter;
}

/** What a call with a fallback gave. */
export class Outcome<T = unknown> {
  constructor(value: T, source: string, error?: unknown, ageMs?: number);
  /** undefined where the source is `'queued'`, as the type says for a fallback that has a queue. */
  readonly value: T;
  /** `'primary'`, `'cache'`, `'static'`, `'queued'` or the name of an alternative. */
  readonly source: string;
  /** What the primary threw, where something stands in. */
  readonly error: unknown;
  /** Since a value of the cache came. */
  readonly ageMs: number | undefined;
}

export interface FallbackStats {
  /** Calls that the primary answered. */
  primary: number;
  /** Calls that it failed. */
  failures: number;
  /** What stood in for it, by source. */
  fallback: Record<string, number>;
  /** Failures for which nothing did. */
  unserved: number;
}

/**
 * Something else for a call that failed. If nothing stands in, the primary's error is thrown, or its failed result is
 * the outcome. An alternative's error for which there is no fallback (a provider that declines) is thrown.
 */
export class Fallback<Q extends BoundedQueue<any> | undefined = undefined> {
  readonly [queueOf]?: Q;
  constructor(options: FallbackOptions<Q>);
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<FallbackOutcome<Q, Awaited<R>>>;
  /** `fn` with a fallback; arguments and `this` pass through, to alternatives too. */
  wrap<T, A extends unknown[], R>(
    fn: (this: T, ...args: A) => R,
  ): (this: T, ...args: A) => Promise<FallbackOutcome<Q, Awaited<R>>>;
  /** Those of the alternatives, by name. */
  readonly breakers: Record<string, CircuitBreaker>;
  stats(): FallbackStats;
}

/** What a fallback with the queue `Q` gives: a call that is queued has no value yet. */
export type FallbackOutcome<Q, R> = Outcome<Q extends undefined ? R : R | undefined>;
/** Says by a Fallback's type what its queue is. */
declare const queueOf: unique symbol;

export interface ResilienceOptions<F extends Fallback<any> | undefined = Fallback<any> | undefined> {
  /** With one, a call gives an Outcome in place of the function's result. */
  fallback?: F;
  /** A Timeout with `totalMs`; its `attemptMs` is then that of each attempt. */
  totalTimeout?: Timeout;
  retry?: RetryPolicy;
  breaker?: CircuitBreaker;
  /** In place of a breaker or within it. */
  throttle?: ClientThrottle;
  concurrency?: ConcurrencyLimiter;
  attemptTimeout?: Timeout;
}

/** What a call under `Resilience` gives. */
export type ResilienceResult<F, R> = F extends Fallback<infer Q> ? FallbackOutcome<Q, R> : R;

/**
 * A call under several policies. From the outside in they are always fallback, totalTimeout, retry, breaker,
 * throttle, concurrency, attemptTimeout, in whatever order they are given; each attempt is one call for breaker and
 * throttle. A permit of `concurrency` is held until the function itself has ended.
 */
export class Resilience<F extends Fallback<any> | undefined = undefined> {
  constructor(options: ResilienceOptions<F>);
  /** The signal that `fn` gets is that of its attempt; `args` come after it, and are all that alternatives get. */
  call<A extends unknown[], R>(
    fn: (signal: AbortSignal, ...args: A) => R,
    options?: { signal?: AbortSignal; args?: A },
  ): Promise<ResilienceResult<F, Awaited<R>>>;
  /** `fn` under all policies; arguments and `this` pass through, its signal is `Deadline.current.signal`. */
  wrap<T, A extends unknown[], R>(
    fn: (this: T, ...args: A) => R,
  ): (this: T, ...args: A) => Promise<ResilienceResult<F, Awaited<R>>>;
}

export interface ClientThrottleOptions extends Place {
  // <settings throttle>
  /** How many requests for each accepted one are tolerated; lower rejects sooner (1 to 1000; default 2). */
  k?: number;
  /** Over what requests and accepts are counted (100 ms to 86400000 ms; default 30000 ms). */
  windowMs?: number;
  /** Nothing is rejected below so many requests in the window (1 to 4294967295; default 10). */
  minCalls?: number;
  /** No probability of a rejection is higher (above 0 and up to 1; default 0.9). */
  maxRejection?: number;
  /** One call each so long passes in any case (1 ms to 86400000 ms; default 1000 ms). */
  forcePassMs?: number;
  // </settings>
  /**
   * Which errors mean that the backend refused (default: what a RetryPolicy retries); others mean that it did answer.
   * An AbortError, tidegate's own refusals, wrong arguments, answers to the program's own client (an HttpException
   * below 500) that it does not name, and what a Classifier ignores mean nothing. A predicate answers at once; what it
   * throws reaches the caller, with the backend's error as `cause`, and the backend refused. A Classifier that reads
   * results, such as `http()`, judges them too: a Response of status 503 is a refusal.
   */
  failureOn?: ErrorFilter;
  /** False lets every call pass and counts nothing; so does TIDEGATE_DISABLED=1 in the environment. */
  enabled?: boolean;
  /** Counts (`stats().wouldReject`) and rejects nothing. */
  dryRun?: boolean;
  /** For tests. */
  clock?: ManualClock;
}

/** Counts since a client throttle was made, and what its window holds. */
export interface ClientThrottleStats {
  // <stats throttle>
  /** Calls that the backend accepted. */
  accepted: number;
  /** Calls that the backend refused. */
  refused: number;
  /** Calls rejected here. */
  rejected: number;
  /** Calls that a dry run let through and that would have been rejected. */
  wouldReject: number;
  /** Calls that passed because one each `forcePassMs` does. */
  forced: number;
  /** Requests in the window, own rejections among them. */
  windowRequests: number;
  /** Of these, accepted. */
  windowAccepts: number;
  /** The probability of a rejection now. */
  probability: number;
  // </stats>
}

/**
 * Rejects calls by chance, the more of them the fewer the backend accepts: with probability
 * `(requests - k * accepts) / (requests + 1)`, at most `maxRejection`, and one call each `forcePassMs` passes in any
 * case. An alternative to a circuit breaker for a backend that is overloaded and not dead.
 */
export class ClientThrottle {
  constructor(options?: ClientThrottleOptions);
  /** Whether a call may be made. One that may reports once: `accepted()` or `refused()`. */
  tryAcquire(): boolean;
  accepted(): void;
  /** Overloaded, out of time, not there. */
  refused(): void;
  /** Calls `fn` and reports. @throws ThrottledError where the call is rejected */
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R;
  /** `fn` under this throttle; arguments and `this` pass through. */
  wrap<T, A extends unknown[], R>(fn: (this: T, ...args: A) => R): (this: T, ...args: A) => R;
  readonly name: string | undefined;
  readonly probability: number;
  /** Until the next call that passes in any case. */
  readonly retryAfterMs: number;
  stats(): ClientThrottleStats;
}

// <names priorities Priority>
export type Priority = 'critical' | 'high' | 'normal' | 'sheddable';
// </names>

export type SignalKind =
  | 'queueFill'
  | 'queueDelay'
  | 'inFlight'
  | 'cpu'
  | 'memory'
  | 'psiCpu'
  | 'psiMemory'
  | 'loopLag'
  | 'gauge';

/** `(value - start) / (full - start)`, from 0 to 1, is its pressure. Left out, the range is what is usual. */
export interface SignalOptions {
  kind: SignalKind;
  /** Default: that of its kind. */
  name?: string;
  start?: number;
  full?: number;
  /** Of `queueDelay` and `loopLag`, in place of `start`. */
  startMs?: number;
  fullMs?: number;
  /**
   * Gives the value, once an interval, in a call whose turn it is. What it throws, or what is no number, is no value
   * for that time: said once, and in `explain()`. Left out, the value is told with `tell`.
   */
  read?: BoundedQueue<any> | ConcurrencyLimiter | (() => number);
}

export type Signal = SignalKind | BoundedQueue<any> | ConcurrencyLimiter | SignalOptions;

export interface LoadShedderOptions extends Place {
  /**
   * What tells that there is too much to do; the largest pressure counts. Default `'cpu'`, `'memory'`, `'psiCpu'`,
   * `'psiMemory'` and `'loopLag'`, which `watch()` measures.
   */
  signals?: Signal[];
  // <settings shedder>
  /** At full pressure, the part of those who pass that is shed in addition each interval (0.001 to 1; default 0.05). */
  rise?: number;
  /** At no pressure, the part of all that passes in addition each interval (0.001 to 1; default 0.02). */
  fall?: number;
  /** The part of each class that passes in any case (0 to 1; default 0.01). */
  minAdmit?: number;
  /**
   * The pressure from which on, held for critical_after, critical calls are shed too (above 0 and up to 1; default 1).
   */
  criticalAt?: number;
  /**
   * How long the pressure must be at critical_at before critical calls are shed (0 ms to 3600000 ms; default 1000 ms).
   */
  criticalAfterMs?: number;
  /** For so long after full pressure no more pass than did (0 ms to 3600000 ms; default 1000 ms). */
  coolOffMs?: number;
  /** How often signals are read and the threshold moves (10 ms to 10000 ms; default 250 ms). */
  intervalMs?: number;
  /** How many CPUs there are to use; left out, what the system's files say (above 0 and up to 65536). */
  cpuLimit?: number;
  // </settings>
  /** Users have the same levels in all services with this key. */
  levelKey?: string;
  /** False lets every call pass and counts nothing; so does TIDEGATE_DISABLED=1 in the environment. */
  enabled?: boolean;
  /** Counts (`stats().wouldShed`) and refuses nothing. */
  dryRun?: boolean;
  /** For tests. */
  clock?: ManualClock;
}

/** A decision with its reasons. */
export interface Shed {
  allowed: boolean;
  /** The signal with the largest pressure, if any has some. */
  signal: string | undefined;
  /** Its pressure, 0 to 1. */
  pressure: number;
  /** For a refused call: until one like it passes if the pressure falls to 0 now. Else 0. */
  retryAfterMs: number;
}

/** Counts since a load shedder was made, and what its last step found. */
export interface ShedderStats {
  // <stats shedder>
  /** Calls that were admitted. */
  admitted: number;
  /** Calls that were refused, of each priority. */
  shed: Record<Priority, number>;
  /** Calls that a dry run let through and that would have been refused. */
  wouldShed: number;
  /** The largest pressure at the last step. */
  pressure: number;
  /** The part of the calls that the threshold refuses, by what was asked for of late. */
  shedShare: number;
  // </stats>
}

/**
 * Sheds load, the less important first, by as much as signals of too much work ask for. At pressure 1 the threshold
 * rises each interval until 5 % fewer of the calls that pass would have, at 0 it falls until 2 % of all more would
 * have. Nothing runs by itself: a call whose turn it is reads one signal.
 */
export class LoadShedder {
  constructor(options?: LoadShedderOptions);
  /**
   * Changes where the pressures of its signals begin and are full (milliseconds of what is a time), and how it answers
   * them; what is left out stays as it is, null is the default. The threshold goes on from where it is. In a named
   * scope for this process.
   */
  setConfig(changes: {
    ranges?: Record<string, readonly [start: number, full: number]>;
    rise?: number | null;
    fall?: number | null;
    minAdmit?: number | null;
    criticalAt?: number | null;
    criticalAfterMs?: number | null;
    coolOffMs?: number | null;
  }): void;
  /**
   * Whether a call may be served. `level` is its place within the class, from 0, the last to be shed, to 127: that of
   * its user (`levelOf`), so that his calls meet one fate. Where all are of one level they are shed by chance.
   */
  admit(priority?: Priority, level?: number): boolean;
  check(priority?: Priority, level?: number): Shed;
  /** @throws OverloadedError where the call is refused */
  enter(priority?: Priority, level?: number): void;
  /** 0 to 127: a keyed hash of the user and the hour, the same in all services with that `levelKey`. */
  levelOf(user: string | Uint8Array): number;
  /** Tells a signal its value: of `queueDelay` (ms) the least of an interval counts, of others the largest. */
  tell(signal: string, value: number): void;
  /** Reads the next signal, or moves the threshold, if it is time: for a loop, where calls are rare. */
  sample(): void;
  /**
   * Measures how late this event loop comes, each `periodMs` (default 20), and samples; its timer keeps neither process
   * nor shedder alive. @returns what ends it
   */
  watch(periodMs?: number): () => void;
  readonly name: string | undefined;
  /** The largest pressure of all signals at the last step, 0 to 1. */
  readonly pressure: number;
  /** How late event loops of this process come; `undefined`: nobody watches one. */
  readonly loopLag: { p99Ms: number; maxMs: number } | undefined;
  /** The state in words, a line for each thing that may hold it where it is; the text may change. */
  explain(): string[];
  stats(): ShedderStats;
}

/** What became of a call that a gate let in. */
export type GateOutcome = 'success' | 'failure' | 'dropped' | 'cancelled';
/** A part of a gate, by its kind. */
// <names gate_kinds GateKind>
export type GateKind = 'access' | 'deadline' | 'shedder' | 'queue' | 'breaker' | 'concurrency' | 'limit';
// </names>

export interface GateOptions {
  /** How many calls may come: limits by name, or a LimitSet. A RateLimiter takes a key under its name. */
  limits?: LimitSet | Record<string, TokenBucket | RateLimiter>;
  /** How many may be under way: a limiter, or an object of its name and it. */
  concurrency?: ConcurrencyLimiter | Record<string, ConcurrencyLimiter>;
  /** What is not taken when there is too much to do: a shedder, or an object of its name and it. */
  shedder?: LoadShedder | Record<string, LoadShedder>;
  /** Where calls put what is to be done, or an object of its name and it: none is let in while it takes nothing. */
  queue?: BoundedQueue<any> | Record<string, BoundedQueue<any>>;
  /** The circuit breakers of what calls depend on, by name. */
  dependencies?: Record<string, CircuitBreaker>;
  /** Addresses, networks and `key:…`: who passes without being counted, and who is always refused. */
  access?: { allow?: string[]; deny?: string[] };
  /**
   * After which outcomes a call's cost is given back to the limits. Default: none; who gives up a call could otherwise
   * make as many as he likes.
   */
  refundOn?: GateOutcome[];
  /** False lets every call in and counts nothing; so does TIDEGATE_DISABLED=1 in the environment. */
  enabled?: boolean;
  /** All parts count, none refuses. */
  dryRun?: boolean;
}

/** A call that wants to be let in. */
export interface GateRequest {
  /** A key for each RateLimiter among the limits, by its name; an access list looks at them too. */
  keys?: Record<string, string | Uint8Array>;
  /** For the shedder. Default `'normal'`. */
  priority?: Priority;
  /** What it takes of each limit. Default 1. */
  cost?: number;
  /** How long its caller still waits; what is over, or shorter than calls wait in the queue, is refused. */
  deadlineMs?: number;
  /** The same as a Deadline. */
  deadline?: Deadline;
  /** The names of those that it will call: it is refused while the circuit of one is open. */
  dependencies?: string[];
  /** The client's, for an access list. */
  address?: string;
  /** Its place within its class, 0 to 127: that of its user, `shedder.levelOf(user)`. */
  level?: number;
  /** The name of its partition of the concurrency limit; by default it belongs to none. */
  partition?: string;
}

/** What a part of a gate says of a call. */
export interface PartVerdict {
  kind: GateKind;
  name: string;
  /** Whether it would let the call in. Of a shedder that refuses some of such calls: whether it lets any in. */
  allowed: boolean;
  /** Until another try makes sense, `Infinity` for none; 0 where it is allowed. */
  retryAfterMs: number;
  /** How it stands, in words: for people, and the text may change. */
  detail: string;
}

/** Counts since a gate was made, of this thread's object. */
export interface GateStats {
  // <stats gate>
  /** Calls that were let in, with those of `wouldDeny`. */
  admitted: number;
  /** Calls that were refused. */
  denied: number;
  /** Calls that a dry run let in and would have refused. */
  wouldDeny: number;
  /** Those that were refused, by the kind of the part that the answer named. */
  deniedBy: Record<GateKind, number>;
  // </stats>
}

/**
 * Access list, load shedder, queue, circuit breakers, concurrency limit and rate limits as one decision: a refused call
 * takes nothing of any of them, an admitted one is charged once. The parts stay in use by themselves.
 */
export class Gate {
  constructor(name: string, options?: GateOptions);
  /** The answer names the part with the longest wait; nothing is thrown, and a refused call holds nothing. */
  admit(request?: GateRequest): Admission;
  /**
   * As `admit`.
   * @throws the error of the part that refused: RateLimitedError, CircuitOpenError, ConcurrencyLimitError,
   * QueueFullError, OverloadedError, TimeoutExceededError (its time is over) or AccessDeniedError
   */
  enter(request?: GateRequest): Admission;
  /** What each part says of such a call now; takes and counts nothing. */
  explain(request?: GateRequest): PartVerdict[];
  /**
   * `fn(admission)` if the call is let in; what it throws is thrown. `fallback` stands in where it is not, or fails: a
   * value, a function of the error, or a Fallback.
   */
  call<T, F = never>(
    fn: (admission: Admission) => T | Promise<T>,
    options?: GateRequest & { fallback?: F | ((error: unknown) => F | Promise<F>) | Fallback<any> },
  ): Promise<T | F>;
  stats(): GateStats;
  readonly name: string;
  readonly limits: LimitSet | undefined;
  readonly concurrency: ConcurrencyLimiter | undefined;
  readonly shedder: LoadShedder | undefined;
  readonly queue: BoundedQueue<any> | undefined;
  readonly dependencies: Record<string, CircuitBreaker>;
}

/**
 * A gate's answer to a call, and what the call holds: `finish()`, or `using admission = gate.enter(…)`, which says that
 * it was done. What one that is forgotten holds comes back when it is collected, and the log says so once.
 */
export class Admission {
  private constructor();
  /** Whether the call may be served. */
  readonly allowed: boolean;
  /** The name of the part that refused, the one with the longest wait; in a dry run of the one that would have. */
  readonly deniedBy: string | undefined;
  readonly kind: GateKind | undefined;
  /** Of a refusal: 403 of an access list, 504 of a deadline, 429 of a rate limit, else 503. */
  readonly status: number | undefined;
  /** Until another try makes sense: 0 when allowed, and where nobody waits for it any more; `Infinity`. */
  readonly retryAfterMs: number;
  /** The most tokens at once of the limit that decided; 0 where no limit was asked. */
  readonly limit: number;
  /** Tokens that are left of it. */
  readonly remaining: number;
  /** Until that limit is full again. */
  readonly resetAfterMs: number;
  /** How long to wait before acting on an admission; 0 without a leaky bucket. */
  readonly delayMs: number;
  /** The shedder's, at its last step; 0 without a shedder. */
  readonly pressure: number;
  readonly gate: Gate;
  /**
   * The call's own permit of a dependency, each time another: for one attempt. What was not reported when the admission
   * ends says nothing of the dependency.
   * @throws CircuitOpenError where the circuit refuses
   */
  breaker(dependency: string): Permit;
  /**
   * The call has ended: its permit goes back, with what became of it (default `'success'`); its cost too, if `refundOn`
   * says so. @returns whether this ended it; false the second time, and of a refusal
   */
  finish(outcome?: GateOutcome): boolean;
  /** `finish()`; where this Node has the symbols. */
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The right to run one call: `using permit = await limiter.acquire()`, or `release()` in a `finally`. One that is
 * forgotten is lost until its limiter is collected, its thread ends or its process dies.
 */
export class ConcurrencyPermit {
  private constructor();
  /** @returns whether this gave it back; false the second time, and for the permits of a limiter that is off */
  release(): boolean;
  /**
   * Gives it back; of an adaptive limiter the latency from asking for it to now counts, or `latencyMs` as you have
   * measured it.
   * @returns as `release()`; where it is false nothing counts
   */
  success(latencyMs?: number): boolean;
  /** Gives it back; the call says nothing of the latency. What `release()` does. */
  ignore(): boolean;
  /** Gives it back; the call timed out, or was refused downstream. */
  dropped(latencyMs?: number): boolean;
  /** `release()`; where this Node has the symbols. */
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface BoundedQueueOptions<T = unknown> {
  // <settings queue>
  /** The most items held (1 to 16777216). */
  capacity: number;
  /**
   * The fraction of the capacity at which pushes start to be refused; 1 turns watermarks off (above 0 and up to 1;
   * default 0.8).
   */
  highWatermark?: number;
  /** The fraction below which pushes are accepted again; below the high one (0 to 1; default 0.5). */
  lowWatermark?: number;
  /** What a push onto a full queue does: is refused, or takes the place of the oldest item (default 'reject'). */
  onFull?: 'reject' | 'drop_oldest';
  /** Items carry the time of their push, so that a pop can tell how long they waited (default false). */
  sojourn?: boolean;
  /**
   * The order of a lane: first in, first out; the same, and what waited too long is dropped under overload; newest
   * first under overload besides (default 'fifo').
   */
  discipline?: 'fifo' | 'codel' | 'adaptive_lifo';
  /**
   * The least wait of an interval that is overload, not of fifo; below the interval (0.001 ms to 3600000 ms; default 5
   * ms).
   */
  targetMs?: number;
  /** How often overload is judged, not of fifo (0.001 ms to 3600000 ms; default 100 ms). */
  intervalMs?: number;
  /** Lanes by urgency: 0 goes first, but one pop of 20 is of the others in turn (1 to 8; default 1). */
  lanes?: number;
  /** What waited longer is dropped when it comes to the front; none by default (0.001 ms to a year). */
  maxAgeMs?: number;
  // </settings>
  /**
   * Gets each item dropped, and why. What it throws reaches the pusher, whose item is in; of a pop, which goes on, and
   * of what it rejects with the log is told.
   */
  onDrop?: (item: T, reason: DropReason) => void;
  /** ms to tell refused producers (QueueFullError, Retry-After); left out: as `overloadRetryAfterMs` has it. */
  retryAfterMs?: number;
  /** For tests of sojourn times; waiting uses the machine's clock. */
  clock?: ManualClock;
}

/** Why an item that was accepted is not handed out. */
export type DropReason = 'oldest' | 'age' | 'codel' | 'deadline' | 'closed';

export interface QueueStats {
  // <stats queue>
  /** Items held now. */
  depth: number;
  /** Whether pushes are accepted now. */
  accepting: boolean;
  /** Items accepted. */
  pushed: number;
  /** Items popped or drained. */
  popped: number;
  /** Pushes refused, full or closed; a waiting form counts once, at its deadline. */
  rejected: number;
  /** Items dropped, for whatever reason: `pushed` is `popped`, `dropped` and `depth`, at any moment. */
  dropped: number;
  /** Of these, by their reasons: `oldest`. It had to make room for a newer one, as `onFull` says. */
  droppedOldest: number;
  /** Of these, by their reasons: `age`. It waited longer than `maxAgeMs`. */
  droppedAge: number;
  /** Of these, by their reasons: `codel`. The queue is overloaded, and it waited longer than twice the target. */
  droppedCodel: number;
  /** Of these, by their reasons: `deadline`. Its own deadline had passed. */
  droppedDeadline: number;
  /** Of these, by their reasons: `closed`. The queue was closed by `discard`. */
  droppedClosed: number;
  /**
   * The least delay of the interval that ended last, of the lane where it is the longest; `undefined` without a
   * discipline that measures it, and before the first. In milliseconds.
   */
  leastDelayMs: number | undefined;
  /** Whether that is overload. */
  overloaded: boolean;
  // </stats>
}

/** What a push says of its item. */
export interface PushOptions {
  /** 0, the most urgent and the default, to `lanes` - 1. */
  lane?: number;
  /** It is dropped when it comes to the front later than so many ms after the call. */
  deadlineMs?: number;
}

/**
 * ms to tell who finds a queue or a concurrency limit full, in whole seconds: the time that `depth` items or calls
 * take, where `done` were done in the last `windowMs`; 1 to 60 s, and up to a fifth more by `draw`, from 0 up to, but
 * not including, 1 (`Math.random()`; 0: no more). Less than a second tells no rate: 1 s. Where nothing was done in ten
 * seconds: 60 s.
 */
export function overloadRetryAfterMs(depth: number, done: number, windowMs: number, draw: number): number;

/**
 * A bounded queue with watermarks, lanes and disciplines. An item may be anything but `undefined`. Nothing accepted is
 * lost: an aborted or timed-out `pop` takes nothing with it.
 */
export class BoundedQueue<T = unknown> implements AsyncIterable<T> {
  constructor(options: BoundedQueueOptions<T>);
  /** Puts `item` in without waiting; false while it is full, above its watermark, or closed. */
  tryPush(item: T, options?: PushOptions): boolean;
  /** Waits for room. Rejects with QueueFullError at the timeout, QueueClosedError when closed. */
  push(item: T, options?: WaitOptions & PushOptions): Promise<void>;
  /** The next item, undefined when there is none. */
  tryPop(): T | undefined;
  /** The same with the ms that it waited here (0 unless `sojourn` is on). */
  tryPopTimed(): { item: T; sojournMs: number } | undefined;
  /** Waits for an item. Rejects with QueueEmptyError at the timeout, QueueClosedError when closed and empty. */
  pop(options?: WaitOptions): Promise<T>;
  /** Pops until the queue is closed and empty. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined>;
  /** Refuses pushes from now on; what was accepted can still be popped. */
  close(): void;
  /** Closes, and takes out everything that was accepted, by lanes, oldest first, whatever its age. */
  drain(): T[];
  /** Closes, and drops everything that was accepted (`'closed'`); tells how many items. */
  discard(): number;
  /** The part of the capacity that is in use, 0 to 1. */
  readonly fill: number;
  /**
   * The ms that everybody waits at least, as of the interval that ended last, in the lane where it is the longest; 0
   * while it is empty, undefined where it is not measured (`'fifo'`), or not yet.
   */
  readonly leastDelayMs: number | undefined;
  /** Whether that is overload. */
  readonly isOverloaded: boolean;
  /** Whether a push would be taken. */
  readonly isAccepting: boolean;
  readonly isClosed: boolean;
  /** The most items held. */
  readonly capacity: number;
  /** Items held. */
  readonly depth: number;
  /** ms to tell refused producers. */
  readonly retryAfterMs: number;
  stats(): QueueStats;
}

export interface ProcessorOptions<T = unknown> {
  /** The most items that are worked on at once (1 to 10000, default 10). */
  workers?: number;
  /** The most items that wait, those that wait for another attempt among them (default 5000). */
  capacity?: number;
  /** An item that waits for its next attempt holds no worker. */
  retry?: RetryPolicy;
  /**
   * Gets what failed for good. If it throws, rejects, or is over `timeoutMs`, that is said in the log and the item
   * counts as failed.
   */
  deadLetter?: (item: T, error: unknown, attempts: number) => unknown;
  /** ms for one attempt. What the handler does then counts for nothing, and its worker takes the next item. */
  timeoutMs?: number;
  /**
   * ms to tell who finds no room (QueueFullError, Retry-After); left out: as `overloadRetryAfterMs` has it of all that
   * is under way.
   */
  retryAfterMs?: number;
}

/** Where the items of a processor are: the first six add up to `accepted`, whenever one looks. */
export interface ProcessorStats {
  waiting: number;
  active: number;
  retrying: number;
  done: number;
  failed: number;
  dead: number;
  accepted: number;
  /** Accepted and taken back before they began. */
  withdrawn: number;
  /** Further attempts. */
  retries: number;
  /** Attempts that were cut. */
  timedOut: number;
  /** Attempts that were cut and still run. */
  stuck: number;
  /** Items that found no room. */
  rejected: number;
}

/** An item that a processor has accepted. */
export interface Job<T = unknown, R = unknown> {
  readonly item: T;
  /** What the handler gave, or its last error. A rejection that nobody takes ends no process. */
  readonly result: Promise<R>;
  /** Takes the item out, whose result rejects with an AbortError; false: it has begun. */
  cancel(): boolean;
}

/**
 * Works off items: at most `workers` at once, at most `capacity` waiting, none lost. Handlers run where the processor
 * was made: they see its AsyncLocalStorage, and no Deadline of whoever submits.
 */
export class Processor<T = any, R = any> {
  /**
   * @param handler gives the item's result or a promise of it. `signal` aborts at the timeout, and where a close is
   * out of time.
   */
  constructor(handler: (item: T, signal: AbortSignal) => R | PromiseLike<R>, options?: ProcessorOptions<T>);
  /** Waits for room: backpressure. Rejects with QueueFullError at the timeout, QueueClosedError when closed. */
  submit(item: T, options?: WaitOptions): Promise<Job<T, R>>;
  /** The same without a wait; undefined: there is no room. Throws QueueClosedError when closed. */
  trySubmit(item: T): Job<T, R> | undefined;
  /**
   * Accepts no more, and waits until all is worked off. `'give_back'` gives back what has not begun; what waits for
   * another attempt ends by its last error. After `timeoutMs` the rest is given back and attempts that run are cut;
   * their dead letters have a second more. From within a handler it does not wait. It may be called again.
   *
   * @returns the items that have not begun, in their order
   */
  close(options?: { drain?: true | 'give_back'; timeoutMs?: number }): Promise<T[]>;
  /** `close()`; where this Node has the symbol. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Items that wait, for their first or another attempt. */
  readonly depth: number;
  /** Whether `trySubmit` would take an item. */
  readonly isAccepting: boolean;
  readonly isClosed: boolean;
  readonly retryAfterMs: number;
  readonly workers: number;
  readonly capacity: number;
  stats(): ProcessorStats;
}

/**
 * `/readyz`: not ready once the pressure has been 1 for `afterMs`, in each process up to half of that longer, so that a
 * fleet does not go at once; ready again as soon as it falls. A source that throws or gives no number says nothing:
 * that is logged, and the service counts as ready.
 */
export class Readiness {
  /**
   * @param source an object with a `pressure` from 0 to 1, or a function that gives one
   * @param options.afterMs as those see it who ask, default 5000
   */
  constructor(
    source: { readonly pressure: number } | (() => number),
    options?: { afterMs?: number; clock?: ManualClock },
  );
  /** How it stands now. Whoever reads it looks at the source. */
  readonly isReady: boolean;
  /** The service ends: never ready again. */
  stop(): void;
  /** Answers with 200 or 503: for `node:http`, Express and Fastify. It needs no `this`. */
  handler(
    request: { method?: string },
    response: import('node:http').ServerResponse | { raw: import('node:http').ServerResponse },
  ): void;
}

/** What a scrape can read. */
export type Counted =
  | TokenBucket
  | RateLimiter
  | ConcurrencyLimiter
  | CircuitBreaker
  | BreakerRegistry
  | RetryBudget
  | ClientThrottle
  | LoadShedder
  | ClusterLimit
  | BoundedQueue<any>
  | Gate;

/** Values of one meaning; a counter's name is without `_total`. */
export interface MetricFamily {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  samples: { labels: Record<string, string>; value: number }[];
}

/**
 * Figures for Prometheus and its kin: what objects count, as a scrape reads it.
 *
 * Labels are names of objects, states, priorities and reasons, never keys: there are as many series as there are names.
 * Reading is on no decision's path.
 */
export class Metrics {
  /**
   * @param options.scope a named scope whose objects are all told of, with the counts of all their processes, so that
   *   any worker's page is the whole host's; default: that of the policy, else what TIDEGATE_SCOPE says, else none
   * @param options.policy of which all that is made is told of, as it is at each scrape, under the names of its file,
   *   and its reloads
   * @throws ArenaError when the scope cannot be used
   */
  constructor(options?: { scope?: string | HostScope | ProcessScope; policy?: Policy });
  /**
   * Tells of `object` from now on, which is kept. One that lives in the scope is told of once.
   *
   * @param options.name its label, default its own `name`; names of one class differ
   * @throws TypeError for what does not count; RangeError without a name, or with that of another object of its class
   */
  add(object: Counted, options?: { name?: string }): this;
  /** The page of this moment: Prometheus' text 0.0.4, or OpenMetrics 1.0. */
  render(format?: 'prometheus' | 'openmetrics'): string;
  /** The Content-Type of such a page. */
  contentType(format?: 'prometheus' | 'openmetrics'): string;
  /** The values of this moment, for bindings to other libraries. */
  families(): MetricFamily[];
  /**
   * Answers GET and HEAD with the page, in the format that Accept asks for: for `node:http`, Express and Fastify. It
   * needs no `this`.
   */
  handler(
    request: { method?: string; headers?: Record<string, string | string[] | undefined> },
    response: import('node:http').ServerResponse | { raw: import('node:http').ServerResponse },
  ): void;
}

/** A clock that moves only when told to, for tests. Moving it wakes those who wait on it. */
export class ManualClock {
  constructor(startNs?: bigint);
  /** Moves forward by `ms`. */
  advance(ms: number): void;
  /** Jumps, backwards too. */
  setNs(ns: bigint): void;
  readonly nowNs: bigint;
}

/**
 * A manual clock that goes as `Date` goes, for tests under the fake timers of jest, vitest, sinon or node:test: they
 * move `Date`, and no clock of a native library. `TidegateStore` and `TidegateThrottlerStorage` follow it by
 * themselves; with other objects call `follow()` after moving `Date`. Its `nowNs` counts from the year 1800, so that
 * dates before 1970 move it too; before 1800 and from 2384 on it stands still.
 * @throws TypeError where `Date.now` was replaced by what gives no number
 */
export class DateClock extends ManualClock {
  constructor();
  /** Moves it to where Date is now; backwards too. @throws TypeError as the constructor */
  follow(): void;
}

/**
 * Base of everything tidegate raises about its own state; a circuit breaker counts none as a failure but
 * TimeoutExceededError.
 */
export class TidegateError extends Error {
  constructor(message?: string, code?: string);
  readonly code: string;
}

/** A limit refused (`ERR_TIDEGATE_RATE_LIMITED`). */
export class RateLimitedError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** A circuit breaker refused (`ERR_TIDEGATE_CIRCUIT_OPEN`). */
export class CircuitOpenError extends TidegateError {
  constructor(breaker: string, retryAfterMs: number, trip?: BreakerTrip | null, ramping?: boolean);
  /** Its name. */
  readonly breaker: string;
  /** The calls by which it opened; null: opened by hand. */
  readonly trip: BreakerTrip | null;
  /** It has closed and lets calls back by degrees; this one was not among them. */
  readonly ramping: boolean;
  /** ms until a probe may be tried, `Infinity` while forced open. */
  readonly retryAfterMs: number;
}

/** Refused because there is too much to do (`ERR_TIDEGATE_OVERLOADED`). */
export class OverloadedError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** A gate's access list denies the client (`ERR_TIDEGATE_ACCESS_DENIED`). */
export class AccessDeniedError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** A client throttle rejected a call (`ERR_TIDEGATE_THROTTLED`): the backend refuses too many of them. */
export class ThrottledError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/**
 * A call failed and another attempt is not affordable (`ERR_TIDEGATE_RETRY_BUDGET_EXCEEDED`): `cause` is the last
 * error, `attempts` how many there were.
 */
export class RetryBudgetExceededError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number, attempts?: number, cause?: unknown);
  readonly retryAfterMs: number;
  readonly attempts: number;
  readonly cause: unknown;
}

/**
 * A call took too long (`ERR_TIDEGATE_TIMEOUT_EXCEEDED`): a failure of what was called. Its `name` is `'TimeoutError'`,
 * as that of the platform's own.
 */
export class TimeoutExceededError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** A concurrency limiter gave no permit (`ERR_TIDEGATE_CONCURRENCY_LIMIT`). */
export class ConcurrencyLimitError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** What can be wrong with memory that processes share. */
// <names arena_errors ArenaErrorKind>
export type ArenaErrorKind =
  | 'unsupported'
  | 'permission'
  | 'filesystem'
  | 'no_space'
  | 'foreign'
  | 'version'
  | 'clock'
  | 'shape'
  | 'settings'
  | 'full'
  | 'removed'
  | 'system';
// </names>

/**
 * An arena, or an object in it, could not be opened (`ERR_TIDEGATE_ARENA`): the message says what is wrong and how to
 * mend it.
 */
export class ArenaError extends TidegateError {
  constructor(message?: string, kind?: ArenaErrorKind);
  readonly kind: ArenaErrorKind;
}

/** One thing that is wrong with a policy. */
export interface PolicyProblem {
  /** Where, counted from 1; 0: of the file as a whole. */
  line: number;
  /** Which character of the line, counted from 1; 0 as the line. */
  column: number;
  /** Which setting: `'breakers.payment.cooldown'`; empty where it is none. */
  path: string;
  /** What is wrong, and what is allowed. */
  message: string;
  /** What was meant, perhaps. */
  hint?: string;
}

/** A policy that is wrong (`ERR_TIDEGATE_POLICY`): nothing of it was applied. Its message: a line for each problem. */
export class PolicyError extends TidegateError {
  constructor(message?: string, problems?: PolicyProblem[]);
  readonly problems: PolicyProblem[];
}

export type PolicySection = 'limits' | 'concurrency' | 'queues' | 'shedders' | 'breakers' | 'gates';

/** One thing that a reload has changed; as a text `limits.all.rate: "1/s" becomes "2/s"`. */
export interface PolicyChange {
  /** Of an object, or of one of its settings: `limits.client.rate`. */
  readonly path: string;
  /** What held before, as a file writes it; undefined: there was none. */
  readonly before: string | undefined;
  /** What holds now; undefined: nothing. */
  readonly after: string | undefined;
  toString(): string;
}

/** What a reload did. */
export interface PolicyReloaded {
  /** All of them in force. */
  changes: PolicyChange[];
  /** How many reloads of the policy succeeded. */
  generation: number;
}

export interface PolicyReloadOptions {
  /** Called with what each reload did; what it throws is a warning. */
  onReload?: (done: PolicyReloaded) => unknown;
}

/** What reloads a policy by itself, until `cancel()`, or the end of its `using`. */
export interface PolicyWatch {
  cancel(): void;
  [Symbol.dispose](): void;
}

/** Of a breaker of the file what no file can have; of a shedder a function for each of its gauges, by name. */
export interface PolicyFunctions
  extends Pick<CircuitBreakerOptions, 'failureOn' | 'failureResult' | 'slow' | 'ignore' | 'unreached' | 'classifier'>,
    Pick<RetryPolicyOptions, 'retryOn'> {}

/**
 * The objects of a policy file: each is made once, when it is asked for first, and everybody who asks for it by its
 * name gets the same. All mistakes of a file are thrown at once, as a PolicyError; of a file with one nothing is made.
 * `TIDEGATE_SCOPE` wins over the file's scope. In a named scope the file's settings win over those in force, unless
 * another process has put another policy in force since this one was read.
 */
export class Policy {
  private constructor();
  /** Of a file, UTF-8, at most 1 MiB. `clock`: of all objects in the scope of the process, for tests. */
  static load(path: string, options?: { clock?: ManualClock }): Policy;
  /** Of a text. */
  static parse(text: string, options?: { clock?: ManualClock }): Policy;
  /** The scope in force: `'process'`, `'host:orders'`. */
  readonly scope: string;
  /** 16 hexadecimal digits that tell what it says from what others do. */
  readonly hash: string;
  /** The same policy as TOML, with all its defaults filled in. */
  readonly text: string;
  /** How many reloads of this policy succeeded. */
  readonly generation: number;
  /** How many reloads of this policy changed nothing, for what was wrong with them. */
  readonly failedReloads: number;
  /**
   * The policy in force in the arena of its objects, which the last process that made or reloaded one has put there:
   * all that the arena has follows it, whatever this one's file says. `undefined` in the scope of the process, and
   * before the first object is made.
   */
  readonly inForce: { hash: string; generation: number } | undefined;
  /**
   * Reads its file again, or another text, and changes its objects to what it says now, all or nothing, in place, with
   * their state: rates, bursts and queues of limits, tiers, keys; a fixed concurrency limit up to what it was made
   * with; breakers as far as they have room; priorities of gates. What is added is made when it is asked for. What is
   * no longer there stays as it is for who holds it; a name that comes back is the same object. Calls under way
   * end under what they began with. In a named scope for all processes. A PolicyError says all that is wrong, and all
   * that needs a new object: nothing is changed then.
   */
  reload(text?: string): PolicyReloaded;
  /** `reload()` where the file is another than it was read last, by its time, number and size. */
  reloadIfChanged(): PolicyReloaded | undefined;
  /**
   * Looks at the file each `intervalMs` (2 s; 10 ms to a day), by a timer that keeps no process alive, and reloads it
   * when it is another, and the same at two looks in a row: none is read while it is written. A file that
   * is wrong is a warning, once, and changes nothing; so is a policy that another process has put in force.
   */
  watch(options?: PolicyReloadOptions & { intervalMs?: number }): PolicyWatch;
  /** Reloads the file at a signal, by default `SIGHUP`. A file that is wrong is a warning, and changes nothing. */
  reloadOn(signal?: string, options?: PolicyReloadOptions): PolicyWatch;
  /**
   * The figures of this moment of all that it has made, under the names of the file, and of its reloads; in a named
   * scope of all that is in its arena, with the counts of all processes: see `Metrics`.
   */
  metrics(format?: 'prometheus' | 'openmetrics'): string;
  /**
   * Gives functions, which no file can have, to what is made under a name: of a breaker and of its retry, or of the
   * gauges of a shedder. Before it is asked for. RangeError where there is no such object or function, or it is made
   * already.
   */
  bind(name: string, functions: PolicyFunctions | Record<string, () => number>): void;
  /** The names of a section. */
  names(section: PolicySection): string[];
  /**
   * A rate limit: with a `key` in the file a RateLimiter, else a TokenBucket. RangeError where there is none of this
   * name, as all that follow.
   */
  limit(name: string): TokenBucket | RateLimiter;
  /** A tier of a limit per key, for `check(key, n, tier)`. */
  tier(limit: string, name: string): Tier;
  concurrency(name: string): ConcurrencyLimiter;
  /** A queue of this process. */
  queue<T = unknown>(name: string): BoundedQueue<T>;
  /** A load shedder. Its loop lag is measured by `shedder.watch()`. */
  shedder(name: string): LoadShedder;
  breaker(name: string): CircuitBreaker;
  /** How calls of a breaker's dependency are made again, as its `retry` says; the budget is one for all who ask. */
  retry(name: string): RetryPolicy;
  gate(name: string): Gate;
}

/** A queue took no item (`ERR_TIDEGATE_QUEUE_FULL`). */
export class QueueFullError extends TidegateError {
  constructor(message?: string, retryAfterMs?: number);
  readonly retryAfterMs: number;
}

/** A queue is closed; for a pop: and empty (`ERR_TIDEGATE_QUEUE_CLOSED`). */
export class QueueClosedError extends TidegateError {
  constructor(message?: string);
}

/** A waiting pop reached its timeout (`ERR_TIDEGATE_QUEUE_EMPTY`). */
export class QueueEmptyError extends TidegateError {
  constructor(message?: string);
}
