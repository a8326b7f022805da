package tidegate;

import static tidegate.NativeTidegate.LIBRARY;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * A limit for each key in a table of fixed size; safe for many threads, but close it when none uses it any more. A key is its
 * UTF-8.
 */
public final class RateLimiter implements AutoCloseable {
    /** How it counts; the order is that of tg_algorithm. */
    public enum Algorithm { TOKEN_BUCKET, FIXED_WINDOW, SLIDING_WINDOW, SLIDING_LOG, LEAKY_BUCKET }

    /** What a limit answered. {@code retryAfter} is Long.MAX_VALUE nanoseconds for "never". */
    public record Decision(
            boolean allowed, int limit, int remaining, Duration retryAfter, Duration resetAfter, Duration delay) {
        static Decision of(NativeTidegate.Decision from) {
            return new Decision(
                    from.allowed != 0, from.limit, from.remaining, time(from.retry_after_ns), time(from.reset_after_ns), time(from.delay_ns));
        }

        private static Duration time(long ns) {
            return Duration.ofNanos(ns & Long.MAX_VALUE);
        }
    }

    final Pointer handle;

    /** {@code new RateLimiter("100/min")}: a token bucket for each of up to 100,000 live keys. */
    public RateLimiter(String rate) {
        this(rate, Algorithm.TOKEN_BUCKET, 100_000);
    }

    public RateLimiter(String rate, Algorithm algorithm, long maxKeys) {
        this(rate, algorithm, maxKeys, null);
    }

    public RateLimiter(String rate, Algorithm algorithm, long maxKeys, Arena.Place place) {
        var config = new NativeTidegate.LimiterConfig();
        Arena.Place.put(place, config);
        config.rate = rate;
        config.algorithm = algorithm.ordinal();
        config.max_keys = maxKeys;
        var made = new PointerByReference();
        handle = Tidegate.made(LIBRARY.tg_limiter_new(config, made), made);
    }

    static byte[] bytes(String key) {
        return key.getBytes(StandardCharsets.UTF_8);
    }

    /** Takes n of the key's limit or nothing. A leaky bucket admits here only what needs no delay. */
    public boolean tryAcquire(String key, int n) {
        byte[] bytes = bytes(key);
        return LIBRARY.tg_limiter_try_acquire(handle, bytes, bytes.length, n) == NativeTidegate.TG_OK;
    }

    /** Takes n of the key's limit or nothing, and tells what is left. */
    public Decision check(String key, int n) {
        byte[] bytes = bytes(key);
        var decision = new NativeTidegate.Decision();
        LIBRARY.tg_limiter_check(handle, bytes, bytes.length, n, decision);
        return Decision.of(decision);
    }

    /** Gives n back: for what should not have counted, such as a login that succeeded. */
    public void refund(String key, int n) {
        byte[] bytes = bytes(key);
        LIBRARY.tg_limiter_refund(handle, bytes, bytes.length, n);
    }

    /** Admits nothing of the key for that long. */
    public void penalize(String key, Duration wait) {
        byte[] bytes = bytes(key);
        LIBRARY.tg_limiter_penalize(handle, bytes, bytes.length, Math.max(wait.toNanos(), 0), null);
    }

    /** Makes the key as new. */
    public void reset(String key) {
        byte[] bytes = bytes(key);
        LIBRARY.tg_limiter_reset(handle, bytes, bytes.length);
    }

    @Override
    public void close() {
        LIBRARY.tg_limiter_free(handle);
    }
}
