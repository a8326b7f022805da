package tidegate

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func limiter(t testing.TB, rate string, options RateLimiterOptions) *RateLimiter {
	t.Helper()
	limiter, err := NewRateLimiter(rate, options)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func TestEachKeyHasItsOwnLimit(t *testing.T) {
	users := limiter(t, "2/h", RateLimiterOptions{})
	for _, key := range []string{"ann", "ben", "", "\x00", "a\x00b", "\xff\xfe", strings.Repeat("k", 1<<20), strings.Repeat("k", 1<<20-1)} {
		for i := range 2 {
			if decision := users.Check(key, 1); !decision.Allowed || decision.Limit != 2 || decision.Remaining != uint32(1-i) {
				t.Fatalf("%.10q: %+v", key, decision)
			}
		}
		if users.TryAcquire(key, 1) {
			t.Fatalf("%.10q: admitted twice its limit", key)
		}
		decision := users.Check(key, 1)
		if decision.Allowed || decision.RetryAfter <= 0 || decision.RetryAfter > time.Hour {
			t.Fatalf("%.10q: %+v", key, decision)
		}
	}
	if users.Len() != 8 {
		t.Fatalf("%d live keys", users.Len())
	}
	users.Refund("ann", 1)
	if !users.TryAcquire("ann", 1) || users.TryAcquire("ann", 1) {
		t.Fatal("a refund gives one back")
	}
	users.Reset("ann")
	if !users.TryAcquire("ann", 2) {
		t.Fatal("a reset gives all back")
	}
	users.Penalize("cay", time.Hour)
	if users.TryAcquire("cay", 1) {
		t.Fatal("admitted under a penalty")
	}
}

func TestManyGoroutinesShareAKeysLimit(t *testing.T) {
	users := limiter(t, "1000/h", RateLimiterOptions{})
	var admitted [4]atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range 4000 {
				if users.TryAcquire(fmt.Sprint("user ", i%4), 1) {
					admitted[i%4].Add(1)
				}
			}
		}()
	}
	wait.Wait()
	for i := range admitted {
		if admitted[i].Load() != 1000 {
			t.Fatalf("admitted %d of 1000 to user %d", admitted[i].Load(), i)
		}
	}
}

func TestEveryAlgorithm(t *testing.T) {
	for _, algorithm := range []Algorithm{TokenBucket, FixedWindow, SlidingWindow, SlidingLog, LeakyBucket} {
		users := limiter(t, "3/h", RateLimiterOptions{Algorithm: algorithm})
		for i := range 3 {
			decision := users.Check("ann", 1)
			if !decision.Allowed {
				t.Fatalf("algorithm %d: %+v", algorithm, decision)
			}
			if delayed := decision.Delay > 0; delayed != (algorithm == LeakyBucket && i > 0) {
				t.Fatalf("algorithm %d: %+v", algorithm, decision)
			}
		}
		if users.TryAcquire("ann", 1) {
			t.Fatalf("algorithm %d admitted four of three", algorithm)
		}
	}
}

func TestBlocksWhoGoesOn(t *testing.T) {
	logins := limiter(t, "1/s", RateLimiterOptions{BlockAfter: 3, BlockWithin: time.Hour, BlockDuration: 24 * time.Hour})
	for range 1000 {
		logins.TryAcquire("ann", 1)
	}
	if decision := logins.Check("ann", 1); decision.Allowed || decision.RetryAfter < 23*time.Hour {
		t.Fatalf("%+v", decision)
	}
	if !logins.TryAcquire("ben", 1) {
		t.Fatal("one key's block is no other's")
	}
}

func TestALimitSetTakesAllOrNothing(t *testing.T) {
	users, addresses := limiter(t, "2/h", RateLimiterOptions{}), limiter(t, "3/h", RateLimiterOptions{})
	everyone, err := NewBucket("100/h", 0)
	if err != nil {
		t.Fatal(err)
	}
	limits, err := NewLimitSet(Member{Name: "user", Limiter: users}, Member{Name: "address", Limiter: addresses}, Member{Name: "everyone", Bucket: everyone})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if decision, deniedBy, err := limits.Check(1, "ann", "home"); !decision.Allowed || deniedBy != "" || err != nil {
			t.Fatalf("%+v %q %v", decision, deniedBy, err)
		}
	}
	if decision, deniedBy, err := limits.Check(1, "ann", "home"); decision.Allowed || deniedBy != "user" || err != nil {
		t.Fatalf("%+v %q %v", decision, deniedBy, err)
	}
	if _, deniedBy, _ := limits.Check(2, "ben", "home"); deniedBy != "address" {
		t.Fatalf("denied by %q", deniedBy)
	}
	if decision := everyone.Check(0); decision.Remaining != 98 {
		t.Fatalf("a denial took something: %+v", decision)
	}
	if decision, _, err := limits.Check(1, strings.Repeat("long", 1000), ""); !decision.Allowed || err != nil {
		t.Fatalf("%+v %v", decision, err)
	}
	var wrong *Error
	for _, keys := range [][]string{{}, {"ann"}, {"ann", "home", "more"}, make([]string, 17), make([]string, 100)} {
		if _, _, err := limits.Check(1, keys...); !errors.As(err, &wrong) || !strings.Contains(wrong.Message, "keys") {
			t.Fatalf("%d keys: %v", len(keys), err)
		}
	}
}

func TestWrongLimitsAreTold(t *testing.T) {
	var wrong *Error
	for _, options := range []RateLimiterOptions{
		{MaxKeys: -1}, {Algorithm: 9}, {Algorithm: FixedWindow, Burst: 5}, {BlockAfter: 3},
	} {
		if _, err := NewRateLimiter("3/h", options); !errors.As(err, &wrong) {
			t.Fatalf("%+v: %v", options, err)
		}
	}
	if _, err := NewRateLimiter("fast", RateLimiterOptions{}); !errors.As(err, &wrong) || !strings.Contains(wrong.Message, "rate") {
		t.Fatalf("%v", err)
	}
	if _, err := NewLimitSet(); !errors.As(err, &wrong) {
		t.Fatalf("%v", err)
	}
	if _, err := NewLimitSet(Member{Name: "nothing"}); !errors.As(err, &wrong) || !strings.Contains(wrong.Message, "nothing") {
		t.Fatalf("%v", err)
	}
}

// The cost of a keyed call over cgo, 10,000 users in turn: go test -bench .
func BenchmarkRateLimiterTryAcquire(b *testing.B) {
	users := limiter(b, "100000/s", RateLimiterOptions{Burst: 10_000})
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%011d", i)
	}
	i := 0
	for b.Loop() {
		users.TryAcquire(keys[i], 1)
		if i++; i == len(keys) {
			i = 0
		}
	}
}
