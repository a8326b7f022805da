package bench;

import jnr.ffi.LibraryLoader;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.Struct;
import jnr.ffi.annotations.In;
import jnr.ffi.annotations.Out;
import jnr.ffi.byref.PointerByReference;
import jnr.ffi.types.int32_t;
import jnr.ffi.types.u_int32_t;
import jnr.ffi.types.u_int64_t;

/** The part of tidegate.h that is measured, over jnr-ffi. */
public interface Native {
    int TG_OK = 0;
    int TG_SUCCESS = 0;
    long TG_NEVER = -1;

    Native LIBRARY = LibraryLoader.create(Native.class).failImmediately().load("tidegate");

    /** Loops in C over the adaptive limit: src/main/c. */
    interface Loops {
        Loops LIBRARY = LibraryLoader.create(Loops.class).failImmediately().load("tidegate-bench");

        Pointer bench_adaptive_new();

        long bench_adaptive_run(Pointer limit, long times);
    }

    int tg_bucket_new(@In BucketConfig config, @Out PointerByReference bucket);

    int tg_bucket_try_acquire(Pointer bucket, @u_int32_t int n);

    int tg_breaker_new(@In BreakerConfig config, @Out PointerByReference breaker);

    int tg_breaker_acquire(Pointer breaker, Pointer permit, Pointer retryAfterNs);

    /** The permit, two 64-bit numbers by value, travels on x86-64 and AArch64 as two arguments would. */
    int tg_breaker_report(
            Pointer breaker, @u_int64_t long word, @u_int64_t long startedNs, @int32_t int outcome, @u_int64_t long durationNs);

    /** tg_bucket_config. */
    final class BucketConfig extends Struct {
        final size_t structSize = new size_t();
        final Pointer rate = new Pointer();
        final Pointer clock = new Pointer();
        final u_int64_t count = new u_int64_t();
        final u_int64_t periodNs = new u_int64_t();
        final u_int64_t burst = new u_int64_t();
        final u_int64_t stripes = new u_int64_t();

        BucketConfig(long perSecond, long most) {
            super(Runtime.getSystemRuntime());
            structSize.set(Struct.size(this));
            count.set(perSecond);
            periodNs.set(1_000_000_000L);
            burst.set(most);
            stripes.set(1);
        }
    }

    /** tg_breaker_config, as TG_BREAKER_CONFIG_INIT has it. */
    final class BreakerConfig extends Struct {
        final size_t structSize = new size_t();
        final Pointer name = new Pointer();
        final Pointer clock = new Pointer();
        final u_int64_t windowDurationNs = new u_int64_t();
        final u_int64_t slowCallDurationNs = new u_int64_t();
        final u_int64_t cooldownNs = new u_int64_t();
        final u_int64_t maxCooldownNs = new u_int64_t();
        final u_int64_t probeTimeoutNs = new u_int64_t();
        final Double failureRateThreshold = new Double();
        final Double slowCallRateThreshold = new Double();
        final Double cooldownBackoff = new Double();
        final Double cooldownJitter = new Double();
        final u_int32_t windowCalls = new u_int32_t();
        final u_int32_t minCalls = new u_int32_t();
        final u_int32_t consecutiveFailures = new u_int32_t();
        final u_int32_t probes = new u_int32_t();

        /** A window of calls, or of nanoseconds where {@code windowNs} is not 0. */
        BreakerConfig(long windowNs) {
            super(Runtime.getSystemRuntime());
            structSize.set(Struct.size(this));
            windowDurationNs.set(windowNs);
            slowCallDurationNs.set(TG_NEVER);
            cooldownNs.set(30_000_000_000L);
            probeTimeoutNs.set(60_000_000_000L);
            failureRateThreshold.set(0.5);
            slowCallRateThreshold.set(1.0);
            cooldownBackoff.set(1.0);
            minCalls.set(10);
            probes.set(1);
        }
    }
}
