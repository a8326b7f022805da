package main

import (
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

func xTimeRate() func(int) {
	limiter := rate.NewLimiter(perSecond, burst)
	must(limiter.Allow(), "a full bucket admits")
	return func(times int) {
		for range times {
			limiter.Allow()
		}
	}
}

// xTimeRateKeyed is what services write: a map of limiters behind a mutex.
func xTimeRateKeyed() func(int) {
	var mu sync.Mutex
	limiters := map[string]*rate.Limiter{}
	return known(func(key string) {
		mu.Lock()
		limiter, ok := limiters[key]
		if !ok {
			limiter = rate.NewLimiter(perSecondOfKey, burstOfKey)
			limiters[key] = limiter
		}
		mu.Unlock()
		limiter.Allow()
	})
}

func failsafeLimiter() func(int) {
	// A bursty limiter counts executions in a period.
	limiter := ratelimiter.NewBursty[any](burst, time.Hour)
	must(limiter.TryAcquirePermit(), "a fresh limiter admits")
	return func(times int) {
		for range times {
			limiter.TryAcquirePermit()
		}
	}
}

func goBreaker() func(int) {
	breaker := gobreaker.NewCircuitBreaker[bool](gobreaker.Settings{Name: "bench"})
	works := func() (bool, error) { return true, nil }
	return func(times int) {
		for range times {
			_, err := breaker.Execute(works)
			must(err == nil, "a closed breaker admits")
		}
	}
}

func failsafeBreaker() func(int) {
	breaker := circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(10, 20).Build()
	return func(times int) {
		for range times {
			must(breaker.TryAcquirePermit(), "a closed breaker admits")
			breaker.RecordSuccess()
		}
	}
}

func failsafeAdaptive() func(int) {
	limiter := adaptivelimiter.NewWithDefaults[any]()
	return func(times int) {
		for range times {
			permit, ok := limiter.TryAcquirePermit()
			must(ok, "a permit is to be had")
			permit.Record()
		}
	}
}
