import type { BoundedQueue, CircuitBreaker, ConcurrencyLimiter } from '../index.js';

/** What pauses: a queue while it accepts nothing, an open breaker, a limiter by the part of its limit in use. */
export type PressureSource =
  | BoundedQueue<any>
  | ConcurrencyLimiter
  | CircuitBreaker
  | { readonly pressure: number | boolean }
  | (() => number | boolean);

export interface PauseOptions {
  /** The least pause. A pause throws away what was fetched ahead, so short ones cost the broker. Default 2000. */
  minPauseMs?: number;
  /** The number of a source from which on it is paused. Default 1. */
  pauseAt?: number;
  /** The number down to which it must fall again. Default 0.5. */
  resumeAt?: number;
}

export interface Pausing {
  /** Whether the source has paused it. */
  readonly isPaused: boolean;
  /** How many times the source has paused it. */
  readonly pauses: number;
}

/** A consumer of kafkajs. */
export interface KafkajsConsumer {
  run(config?: any): Promise<void>;
  subscribe(subscription: any): Promise<void>;
  pause(topics: any): any;
  resume(topics: any): void;
  paused(): { topic: string; partitions: number[] }[];
  readonly events: { GROUP_JOIN: any };
  on(event: any, listener: any): unknown;
  stop(): Promise<void>;
  disconnect(): Promise<void>;
}

/** A consumer of `KafkaJS` of `@confluentinc/kafka-javascript`. */
export interface ConfluentConsumer {
  run(config?: any): Promise<void>;
  subscribe(subscription: any): Promise<void>;
  pause(topics: any): any;
  resume(topics: any): void;
  paused(): { topic: string; partitions: number[] }[];
  assignment(): { topic: string; partition: number }[];
  committed(partitions?: any, timeout?: number): Promise<unknown>;
  disconnect(): Promise<void>;
}

export type PausableConsumer = KafkajsConsumer | ConfluentConsumer;

/**
 * The consumer, which pauses all its partitions while `source` is under pressure. Run, pause and resume through what it
 * gives. In `eachBatch` call `isStale()` before each message and leave the loop when it is true. A partition of
 * Confluent's client is paused at its next batch; its `partitionsConsumedConcurrently` must be 1 (RangeError).
 */
export function pauseWhen<C extends PausableConsumer>(
  consumer: C,
  source: PressureSource,
  options?: PauseOptions,
): C & Pausing;

/** How far a group is behind: what the broker holds against what was committed. */
export class Lag {
  constructor(
    admin: {
      fetchOffsets(options: any): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>;
      fetchTopicOffsets(topic: string): Promise<{ partition: number; low: string; high: string }[]>;
    },
    /** `everyMs`: how old an answer may be, default 5000. */
    options: { groupId: string; topics: string[]; everyMs?: number },
  );
  /** The sum of the last answer; NaN while there is none, also after brokers could not be asked. */
  readonly total: number;
  /** The last answer for each partition. */
  readonly partitions: { topic: string; partition: number; behind: number }[];
  /** Asks the brokers if the last answer is older than `everyMs`, and gives the sum. */
  refresh(): Promise<number>;
}
