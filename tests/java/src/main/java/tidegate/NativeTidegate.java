package tidegate;

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.Structure.FieldOrder;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;

/** The part of tidegate.h that the Java classes use, as JNA maps it. Unsigned numbers come as signed ones of their size. */
interface NativeTidegate extends Library {
    NativeTidegate LIBRARY = Native.load("tidegate", NativeTidegate.class);

    int TG_OK = 0;
    int TG_SUCCESS = 0;
    int TG_FAILURE = 1;
    /** The first of the statuses TG_ARENA_*, which go down from here. */
    int TG_ARENA_UNSUPPORTED = -20;
    /** UINT64_MAX. */
    long TG_NEVER = -1;
    long TG_BURST_OF_RATE = -1;

    /** tg_arena_config, as TG_ARENA_CONFIG_INIT leaves it. */
    @FieldOrder({"struct_size", "name", "path", "group", "capacity"})
    class ArenaConfig extends Structure {
        public long struct_size;
        public String name;
        public String path;
        public String group;
        public long capacity;

        public ArenaConfig() {
            setStringEncoding("UTF-8");
            struct_size = size();
        }
    }

    /** tg_bucket_config, as TG_BUCKET_CONFIG_INIT leaves it. */
    @FieldOrder({"struct_size", "rate", "clock", "count", "period_ns", "burst", "stripes", "warm_up_ns", "warm_up_from", "mode",
        "on_conflict", "arena", "name"})
    class BucketConfig extends Structure {
        public long struct_size;
        public String rate;
        public Pointer clock;
        public long count;
        public long period_ns;
        public long burst = TG_BURST_OF_RATE;
        public long stripes = 1;
        public long warm_up_ns;
        public double warm_up_from;
        public int mode;
        public int on_conflict;
        public Pointer arena;
        public String name;

        public BucketConfig() {
            setStringEncoding("UTF-8");
            struct_size = size();
        }
    }

    /** tg_decision. */
    @FieldOrder({"struct_size", "allowed", "limit", "remaining", "retry_after_ns", "reset_after_ns", "delay_ns"})
    class Decision extends Structure {
        public long struct_size;
        public byte allowed;
        public int limit;
        public int remaining;
        public long retry_after_ns;
        public long reset_after_ns;
        public long delay_ns;

        public Decision() {
            struct_size = size();
        }
    }

    /** tg_limiter_config, as TG_LIMITER_CONFIG_INIT leaves it. */
    @FieldOrder({"struct_size", "rate", "clock", "fastest", "count", "period_ns", "burst", "queue", "max_keys", "block_within_ns",
        "block_duration_ns", "block_max_ns", "block_growth", "warm_up_ns", "warm_up_from", "algorithm", "mode", "block_after",
        "huge_pages", "arena", "name", "on_conflict", "reserved"})
    class LimiterConfig extends Structure {
        public long struct_size;
        public String rate;
        public Pointer clock;
        public Pointer fastest;
        public long count;
        public long period_ns;
        public long burst = TG_BURST_OF_RATE;
        public long queue = TG_BURST_OF_RATE;
        public long max_keys = 100_000;
        public long block_within_ns;
        public long block_duration_ns;
        public long block_max_ns;
        public double block_growth = 1.0;
        public long warm_up_ns;
        public double warm_up_from;
        public int algorithm;
        public int mode;
        public int block_after;
        public int huge_pages;
        public Pointer arena;
        public String name;
        public int on_conflict;
        public int reserved;

        public LimiterConfig() {
            setStringEncoding("UTF-8");
            struct_size = size();
        }
    }

    /** tg_limit_member. */
    @FieldOrder({"name", "bucket", "limiter"})
    class LimitMember extends Structure {
        public String name;
        public Pointer bucket;
        public Pointer limiter;

        public LimitMember() {
            setStringEncoding("UTF-8");
        }
    }

    /** tg_bytes. */
    @FieldOrder({"data", "len"})
    class Bytes extends Structure {
        public Pointer data;
        public long len;
    }

    /** tg_breaker_config, as TG_BREAKER_CONFIG_INIT leaves it. */
    @FieldOrder({"struct_size", "name", "clock", "window_duration_ns", "slow_call_duration_ns", "cooldown_ns", "max_cooldown_ns",
        "probe_timeout_ns", "failure_rate_threshold", "slow_call_rate_threshold", "cooldown_backoff", "cooldown_jitter",
        "window_calls", "min_calls", "consecutive_failures", "probes", "arena", "on_conflict", "reserved"})
    class BreakerConfig extends Structure {
        public long struct_size;
        public String name;
        public Pointer clock;
        public long window_duration_ns;
        public long slow_call_duration_ns = TG_NEVER;
        public long cooldown_ns = 30_000_000_000L;
        public long max_cooldown_ns;
        public long probe_timeout_ns = 60_000_000_000L;
        public double failure_rate_threshold = 0.5;
        public double slow_call_rate_threshold = 1.0;
        public double cooldown_backoff = 1.0;
        public double cooldown_jitter;
        public int window_calls;
        public int min_calls = 10;
        public int consecutive_failures;
        public int probes = 1;
        public Pointer arena;
        public int on_conflict;
        public int reserved;

        public BreakerConfig() {
            setStringEncoding("UTF-8");
            struct_size = size();
        }
    }

    /** tg_permit, by value. */
    @FieldOrder({"word", "started_ns"})
    class Permit extends Structure {
        public long word;
        public long started_ns;

        static final class ByValue extends Permit implements Structure.ByValue {}

        ByValue byValue() {
            ByValue copy = new ByValue();
            copy.word = word;
            copy.started_ns = started_ns;
            return copy;
        }
    }

    /** tg_concurrency_config, as TG_CONCURRENCY_CONFIG_INIT leaves it. */
    @FieldOrder({"struct_size", "clock", "arena", "name", "limit", "max_limit", "mode", "on_conflict"})
    class ConcurrencyConfig extends Structure {
        public long struct_size;
        public Pointer clock;
        public Pointer arena;
        public String name;
        public int limit;
        public int max_limit;
        public int mode;
        public int on_conflict;

        public ConcurrencyConfig() {
            setStringEncoding("UTF-8");
            struct_size = size();
        }
    }

    /** tg_concurrency_permit, by value. */
    @FieldOrder({"word", "cell"})
    class ConcurrencyPermit extends Structure {
        public long word;
        public long cell;

        static final class ByValue extends ConcurrencyPermit implements Structure.ByValue {}

        ByValue byValue() {
            ByValue copy = new ByValue();
            copy.word = word;
            copy.cell = cell;
            return copy;
        }
    }

    /** tg_queue_config, as TG_QUEUE_CONFIG_INIT leaves it. */
    @FieldOrder({"struct_size", "clock", "capacity", "high_watermark", "low_watermark", "on_full", "sojourn"})
    class QueueConfig extends Structure {
        public long struct_size;
        public Pointer clock;
        public long capacity;
        public double high_watermark = 0.8;
        public double low_watermark = 0.5;
        public int on_full;
        public int sojourn;

        public QueueConfig() {
            struct_size = size();
        }
    }

    String tg_version();

    String tg_status_message(int status);

    String tg_last_error_message();

    int tg_arena_open(ArenaConfig config, PointerByReference arena);

    int tg_arena_from_scope(String scope, PointerByReference arena);

    int tg_arena_remove(Pointer arena, String name);

    void tg_arena_free(Pointer arena);

    int tg_concurrency_new(ConcurrencyConfig config, PointerByReference concurrency);

    void tg_concurrency_free(Pointer concurrency);

    int tg_concurrency_acquire(Pointer concurrency, long timeoutNs, ConcurrencyPermit permit);

    int tg_concurrency_release(Pointer concurrency, ConcurrencyPermit.ByValue permit);

    int tg_concurrency_in_use(Pointer concurrency, IntByReference permits);

    int tg_bucket_new(BucketConfig config, PointerByReference bucket);

    void tg_bucket_free(Pointer bucket);

    int tg_bucket_try_acquire(Pointer bucket, int n);

    int tg_bucket_check(Pointer bucket, int n, Decision decision);

    int tg_limiter_new(LimiterConfig config, PointerByReference limiter);

    void tg_limiter_free(Pointer limiter);

    int tg_limiter_try_acquire(Pointer limiter, byte[] key, long keyLength, int n);

    int tg_limiter_check(Pointer limiter, byte[] key, long keyLength, int n, Decision decision);

    int tg_limiter_refund(Pointer limiter, byte[] key, long keyLength, int n);

    int tg_limiter_penalize(Pointer limiter, byte[] key, long keyLength, long waitNs, Pointer noted);

    int tg_limiter_reset(Pointer limiter, byte[] key, long keyLength);

    int tg_limit_set_new(LimitMember[] members, long count, PointerByReference set);

    void tg_limit_set_free(Pointer set);

    int tg_limit_set_check(Pointer set, Bytes[] keys, long count, int n, Decision decision, IntByReference deniedBy);

    int tg_breaker_new(BreakerConfig config, PointerByReference breaker);

    void tg_breaker_free(Pointer breaker);

    int tg_breaker_acquire(Pointer breaker, Permit permit, LongByReference retryAfterNs);

    int tg_breaker_report(Pointer breaker, Permit.ByValue permit, int outcome, long durationNs);

    int tg_queue_new(QueueConfig config, PointerByReference queue);

    void tg_queue_free(Pointer queue);

    int tg_queue_push(Pointer queue, Pointer item, long timeoutNs, PointerByReference dropped);

    int tg_queue_pop(Pointer queue, long timeoutNs, PointerByReference item);

    int tg_queue_close(Pointer queue);
}
