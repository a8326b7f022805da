package bench;

import com.google.common.util.concurrent.RateLimiter;
import com.netflix.concurrency.limits.Limit;
import com.netflix.concurrency.limits.Limiter;
import com.netflix.concurrency.limits.limiter.SimpleLimiter;
import io.github.bucket4j.Bandwidth;
import io.github.bucket4j.Bucket;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowType;
import io.github.resilience4j.ratelimiter.RateLimiterConfig;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.byref.PointerByReference;

/** What is measured: each loops over one operation on its own object. */
final class Contenders {
    /** A burst that no round empties, and a rate that refills little of it: every call is admitted. */
    private static final int BURST = 1_000_000_000;

    private static final int PER_SECOND = 1_000_000;

    private Contenders() {}

    interface Body {
        /** Does the operation so often; the count of admissions keeps the compiler from leaving it out. */
        long run(int times);
    }

    static Body tidegateBucket() {
        PointerByReference out = new PointerByReference();
        must(Native.LIBRARY.tg_bucket_new(new Native.BucketConfig(PER_SECOND, BURST), out) == Native.TG_OK, "a valid bucket");
        Pointer bucket = out.getValue();
        Native library = Native.LIBRARY;
        return times -> {
            long admitted = 0;
            for (int i = 0; i < times; i++) {
                if (library.tg_bucket_try_acquire(bucket, 1) == Native.TG_OK) {
                    admitted++;
                }
            }
            return admitted;
        };
    }

    static Body bucket4j() {
        Bandwidth limit = Bandwidth.builder().capacity(BURST).refillGreedy(PER_SECOND, Duration.ofSeconds(1)).build();
        Bucket bucket = Bucket.builder().addLimit(limit).build();
        return times -> {
            long admitted = 0;
            for (int i = 0; i < times; i++) {
                if (bucket.tryConsume(1)) {
                    admitted++;
                }
            }
            return admitted;
        };
    }

    /** Its burst is one second of permits, so its rate is the highest: it still refuses some. */
    static Body guava() {
        RateLimiter limiter = RateLimiter.create(BURST);
        return times -> {
            long asked = 0;
            for (int i = 0; i < times; i++) {
                limiter.tryAcquire();
                asked++;
            }
            return asked;
        };
    }

    static Body resilience4jLimiter() {
        RateLimiterConfig config =
                RateLimiterConfig.custom()
                        .limitForPeriod(BURST)
                        .limitRefreshPeriod(Duration.ofSeconds(1))
                        .timeoutDuration(Duration.ZERO)
                        .build();
        var limiter = io.github.resilience4j.ratelimiter.RateLimiter.of("bench", config);
        return times -> {
            long admitted = 0;
            for (int i = 0; i < times; i++) {
                if (limiter.acquirePermission()) {
                    admitted++;
                }
            }
            return admitted;
        };
    }

    static Body tidegateBreaker(Duration window) {
        PointerByReference out = new PointerByReference();
        must(Native.LIBRARY.tg_breaker_new(new Native.BreakerConfig(window.toNanos()), out) == Native.TG_OK, "a valid breaker");
        Pointer breaker = out.getValue();
        Native library = Native.LIBRARY;
        return times -> {
            Pointer permit = Memory.allocateDirect(Runtime.getSystemRuntime(), 16);
            long admitted = 0;
            for (int i = 0; i < times; i++) {
                if (library.tg_breaker_acquire(breaker, permit, null) == Native.TG_OK) {
                    long word = permit.getLong(0);
                    library.tg_breaker_report(breaker, word, permit.getLong(8), Native.TG_SUCCESS, Native.TG_NEVER);
                    admitted++;
                }
            }
            return admitted;
        };
    }

    static Body resilience4jBreaker(Duration window) {
        boolean timed = !window.isZero();
        CircuitBreakerConfig config =
                CircuitBreakerConfig.custom()
                        .slidingWindowType(timed ? SlidingWindowType.TIME_BASED : SlidingWindowType.COUNT_BASED)
                        .slidingWindowSize(timed ? (int) window.toSeconds() : 20)
                        .minimumNumberOfCalls(10)
                        .build();
        CircuitBreaker breaker = CircuitBreaker.of("bench", config);
        return times -> {
            long admitted = 0;
            for (int i = 0; i < times; i++) {
                if (breaker.tryAcquirePermission()) {
                    long start = breaker.getCurrentTimestamp();
                    breaker.onSuccess(breaker.getCurrentTimestamp() - start, TimeUnit.NANOSECONDS);
                    admitted++;
                }
            }
            return admitted;
        };
    }

    static Body tidegateAdaptive() {
        Native.Loops loops = Native.Loops.LIBRARY;
        Pointer limit = loops.bench_adaptive_new();
        must(limit != null, "a valid limit");
        return times -> loops.bench_adaptive_run(limit, times);
    }

    static Body netflix(Limit limit) {
        SimpleLimiter<Void> limiter = SimpleLimiter.<Void>newBuilder().limit(limit).build();
        return times -> {
            long admitted = 0;
            for (int i = 0; i < times; i++) {
                Optional<Limiter.Listener> permit = limiter.acquire(null);
                if (permit.isPresent()) {
                    permit.get().onSuccess();
                    admitted++;
                }
            }
            return admitted;
        };
    }

    static void must(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException("expected " + what);
        }
    }
}
