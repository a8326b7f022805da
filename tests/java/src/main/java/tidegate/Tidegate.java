package tidegate;

import static tidegate.NativeTidegate.LIBRARY;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** A bucket, a breaker and a queue over libtidegate: an example of linking, thin and complete enough to protect a service. */
public final class Tidegate {
    private Tidegate() {}

    /** The version of the library in use. */
    public static String version() {
        return LIBRARY.tg_version();
    }

    static Pointer made(int status, PointerByReference handle) {
        if (status < 0) {
            var message = LIBRARY.tg_status_message(status) + ": " + LIBRARY.tg_last_error_message();
            throw status <= NativeTidegate.TG_ARENA_UNSUPPORTED ? new ArenaException(status, message) : new IllegalArgumentException(message);
        }
        return handle.getValue();
    }

    /** An arena, or an object in it, that cannot be opened: {@code status} is one of TG_ARENA_*. */
    public static final class ArenaException extends RuntimeException {
        public final int status;

        ArenaException(int status, String message) {
            super(message);
            this.status = status;
        }
    }

    /** A token bucket; safe for many threads, but close it when none uses it any more. */
    public static final class Bucket implements AutoCloseable {
        final Pointer handle;

        public Bucket(String rate, long burst) {
            this(rate, burst, null);
        }

        public Bucket(String rate, long burst, Arena.Place place) {
            var config = new NativeTidegate.BucketConfig();
            Arena.Place.put(place, config);
            config.rate = rate;
            config.burst = burst;
            var made = new PointerByReference();
            handle = made(LIBRARY.tg_bucket_new(config, made), made);
        }

        public boolean tryAcquire(int n) {
            return LIBRARY.tg_bucket_try_acquire(handle, n) == NativeTidegate.TG_OK;
        }

        /** How long to wait when refused; zero when admitted. */
        public Duration check(int n) {
            var decision = new NativeTidegate.Decision();
            LIBRARY.tg_bucket_check(handle, n, decision);
            return Duration.ofNanos(decision.retry_after_ns & Long.MAX_VALUE);
        }

        @Override
        public void close() {
            LIBRARY.tg_bucket_free(handle);
        }
    }

    /** A refusal by an open circuit. */
    public static final class CircuitOpenException extends Exception {
        public final Duration retryAfter;

        CircuitOpenException(long retryAfterNs) {
            super("circuit open");
            retryAfter = Duration.ofNanos(retryAfterNs & Long.MAX_VALUE);
        }
    }

    /** A circuit breaker; safe for many threads, but close it when none uses it any more. */
    public static final class Breaker implements AutoCloseable {
        private final Pointer handle;

        public Breaker(int consecutiveFailures, Duration cooldown) {
            this(consecutiveFailures, cooldown, null);
        }

        public Breaker(int consecutiveFailures, Duration cooldown, Arena.Place place) {
            var config = new NativeTidegate.BreakerConfig();
            Arena.Place.put(place, config);
            config.consecutive_failures = consecutiveFailures;
            config.cooldown_ns = cooldown.toNanos();
            var made = new PointerByReference();
            handle = made(LIBRARY.tg_breaker_new(config, made), made);
        }

        public <T> T call(Callable<T> call) throws Exception {
            var permit = new NativeTidegate.Permit();
            var retryAfter = new LongByReference();
            if (LIBRARY.tg_breaker_acquire(handle, permit, retryAfter) != NativeTidegate.TG_OK) {
                throw new CircuitOpenException(retryAfter.getValue());
            }
            int outcome = NativeTidegate.TG_FAILURE;
            try {
                T result = call.call();
                outcome = NativeTidegate.TG_SUCCESS;
                return result;
            } finally {
                LIBRARY.tg_breaker_report(handle, permit.byValue(), outcome, NativeTidegate.TG_NEVER);
            }
        }

        @Override
        public void close() {
            LIBRARY.tg_breaker_free(handle);
        }
    }

    /** A bounded queue. The objects stay in Java; C carries their numbers and never follows them. */
    public static final class BoundedQueue<T> implements AutoCloseable {
        private final Pointer handle;
        private final ConcurrentHashMap<Long, T> items = new ConcurrentHashMap<>();
        private final AtomicLong last = new AtomicLong();

        public BoundedQueue(int capacity) {
            var config = new NativeTidegate.QueueConfig();
            config.capacity = capacity;
            var made = new PointerByReference();
            handle = made(LIBRARY.tg_queue_new(config, made), made);
        }

        /** False when full or closed. */
        public boolean tryPush(T item) {
            long number = last.incrementAndGet();
            items.put(number, item);
            boolean taken = LIBRARY.tg_queue_push(handle, new Pointer(number), 0, null) == NativeTidegate.TG_OK;
            if (!taken) {
                items.remove(number);
            }
            return taken;
        }

        /** Nothing when still empty at the deadline, or closed and empty. */
        public Optional<T> pop(Duration timeout) {
            var item = new PointerByReference();
            if (LIBRARY.tg_queue_pop(handle, timeout.toNanos(), item) != NativeTidegate.TG_OK) {
                return Optional.empty();
            }
            return Optional.of(items.remove(Pointer.nativeValue(item.getValue())));
        }

        /** Refuses what comes; what was accepted can still be popped. */
        public void shut() {
            LIBRARY.tg_queue_close(handle);
        }

        @Override
        public void close() {
            LIBRARY.tg_queue_free(handle);
        }
    }
}
