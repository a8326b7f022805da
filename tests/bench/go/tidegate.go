package main

/*
#cgo pkg-config: tidegate
// No call keeps a Go pointer or calls back into Go: with this a call costs no move to the heap and no callback frame.
#cgo noescape nothing
#cgo nocallback nothing
#cgo noescape tg_bucket_try_acquire
#cgo nocallback tg_bucket_try_acquire
#cgo noescape limiter_try_acquire
#cgo nocallback limiter_try_acquire
#cgo noescape tg_breaker_acquire
#cgo nocallback tg_breaker_acquire
#cgo noescape tg_breaker_report
#cgo nocallback tg_breaker_report
#cgo noescape tg_concurrency_try_acquire
#cgo nocallback tg_concurrency_try_acquire
#cgo noescape tg_concurrency_report
#cgo nocallback tg_concurrency_report
#cgo noescape permits_in_c
#cgo nocallback permits_in_c
#include <tidegate.h>

static void nothing(void) {}

static tg_bucket *new_bucket(uint64_t per_second, uint64_t burst) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    config.count = per_second;
    config.period_ns = 1000000000;
    config.burst = burst;
    tg_bucket *bucket = NULL;
    return tg_bucket_new(&config, &bucket) == TG_OK ? bucket : NULL;
}

static tg_limiter *new_limiter(uint64_t per_second, uint64_t burst) {
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    config.count = per_second;
    config.period_ns = 1000000000;
    config.burst = burst;
    config.max_keys = 20000; // twice the keys that come
    tg_limiter *limiter = NULL;
    return tg_limiter_new(&config, &limiter) == TG_OK ? limiter : NULL;
}

static tg_status limiter_try_acquire(const tg_limiter *limiter, _GoString_ key, uint32_t n) {
    return tg_limiter_try_acquire(limiter, _GoStringPtr(key), _GoStringLen(key), n);
}

static tg_breaker *new_breaker(void) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    return tg_breaker_new(&config, &breaker) == TG_OK ? breaker : NULL;
}

static tg_concurrency *new_adaptive(void) {
    tg_adaptive_config config = TG_ADAPTIVE_CONFIG_INIT;
    tg_concurrency *limit = NULL;
    return tg_concurrency_new_adaptive(&config, &limit) == TG_OK ? limit : NULL;
}

// What a caller pays that is not Go.
static uint64_t permits_in_c(const tg_concurrency *limit, uint64_t times) {
    uint64_t admitted = 0;
    tg_concurrency_permit permit;
    for (uint64_t i = 0; i < times; i++) {
        if (tg_concurrency_try_acquire(limit, &permit) == TG_OK) {
            admitted += tg_concurrency_report(limit, permit, TG_CONCURRENCY_SUCCESS, TG_NEVER) == TG_OK;
        }
    }
    return admitted;
}
*/
import "C"

// emptyCall is the floor: what cgo charges for a call that does nothing.
func emptyCall() func(int) {
	return func(times int) {
		for range times {
			C.nothing()
		}
	}
}

func tidegateBucket() func(int) {
	bucket := C.new_bucket(perSecond, burst)
	must(bucket != nil, "a valid bucket")
	must(C.tg_bucket_try_acquire(bucket, 1) == C.TG_OK, "a full bucket admits")
	return func(times int) {
		for range times {
			C.tg_bucket_try_acquire(bucket, 1)
		}
	}
}

func tidegateKeyed() func(int) {
	limiter := C.new_limiter(perSecondOfKey, burstOfKey)
	must(limiter != nil, "a valid limiter")
	return known(func(key string) {
		C.limiter_try_acquire(limiter, key, 1)
	})
}

func tidegateBreaker() func(int) {
	breaker := C.new_breaker()
	must(breaker != nil, "a valid breaker")
	return func(times int) {
		for range times {
			var permit C.tg_permit
			must(C.tg_breaker_acquire(breaker, &permit, nil) == C.TG_OK, "a closed breaker admits")
			C.tg_breaker_report(breaker, permit, C.TG_SUCCESS, C.TG_NEVER)
		}
	}
}

func tidegateAdaptive() func(int) {
	limit := newAdaptive()
	return func(times int) {
		must(C.permits_in_c(limit, C.uint64_t(times)) == C.uint64_t(times), "a permit for each")
	}
}

func tidegateAdaptiveOverCgo() func(int) {
	limit := newAdaptive()
	return func(times int) {
		for range times {
			var permit C.tg_concurrency_permit
			must(C.tg_concurrency_try_acquire(limit, &permit) == C.TG_OK, "a permit is to be had")
			C.tg_concurrency_report(limit, permit, C.TG_CONCURRENCY_SUCCESS, C.TG_NEVER)
		}
	}
}

func newAdaptive() *C.tg_concurrency {
	limit := C.new_adaptive()
	must(limit != nil, "a valid limit")
	return limit
}
