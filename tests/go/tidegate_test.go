package tidegate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBucketAdmitsItsBurstOnce(t *testing.T) {
	bucket, err := NewBucket("1/h", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var admitted atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 1000 {
				if bucket.TryAcquire(1) {
					admitted.Add(1)
				}
			}
		}()
	}
	wait.Wait()
	if admitted.Load() != 1000 {
		t.Fatalf("admitted %d of a burst of 1000", admitted.Load())
	}
	decision := bucket.Check(1)
	if decision.Allowed || decision.Limit != 1000 || decision.RetryAfter <= 0 || decision.RetryAfter > time.Hour {
		t.Fatalf("%+v", decision)
	}
}

func TestAWaitEndsWithItsTokensOrItsContext(t *testing.T) {
	bucket, err := NewBucket("1000/s", 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // each but the first waits a millisecond
		if err := bucket.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := bucket.Wait(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "burst") {
		t.Fatalf("%v", err)
	}
	slow, err := NewBucket("1/h", 1)
	if err != nil {
		t.Fatal(err)
	}
	if !slow.TryAcquire(1) {
		t.Fatal("a full bucket admits")
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := slow.Wait(soon, 1); err != context.DeadlineExceeded {
		t.Fatalf("%v", err)
	}
	before := slow.Check(1).RetryAfter
	cancelled, stop := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, stop)
	if err := slow.Wait(cancelled, 1); err != context.Canceled {
		t.Fatalf("%v", err)
	}
	if after := slow.Check(1).RetryAfter; after > before {
		t.Fatalf("a cancelled wait kept what it had booked: %v, then %v", before, after)
	}
}

func TestWrongArgumentsAreTold(t *testing.T) {
	var wrong *Error
	if _, err := NewBucket("fast", 0); !errors.As(err, &wrong) || !strings.Contains(wrong.Message, "rate") {
		t.Fatalf("%v", err)
	}
	if _, err := NewBreaker(1, 0); !errors.As(err, &wrong) || !strings.Contains(wrong.Message, "cooldown") {
		t.Fatalf("%v", err)
	}
	if _, err := NewQueue[int](0); !errors.As(err, &wrong) || !strings.Contains(wrong.Message, "capacity") {
		t.Fatalf("%v", err)
	}
}

func TestBreakerOpensAndCloses(t *testing.T) {
	breaker, err := NewBreaker(3, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for range 3 {
		if err := breaker.Call(func() error { return broken }); err != broken {
			t.Fatal(err)
		}
	}
	var open *OpenError
	deadline := time.Now().Add(time.Minute)
	called := false
	for !called && time.Now().Before(deadline) {
		err := breaker.Call(func() error { called = true; return nil })
		if err != nil && !errors.As(err, &open) {
			t.Fatal(err)
		}
	}
	if !called {
		t.Fatal("never probed")
	}
	if err := breaker.Call(func() error { return nil }); err != nil {
		t.Fatalf("not closed after its probe: %v", err)
	}
}

func TestAPanicIsAFailure(t *testing.T) {
	breaker, err := NewBreaker(1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = breaker.Call(func() error { panic("broken") })
	}()
	var open *OpenError
	if err := breaker.Call(func() error { return nil }); !errors.As(err, &open) || open.RetryAfter <= 59*time.Minute {
		t.Fatalf("%v", err)
	}
}

func TestQueueKeepsEveryAcceptedItem(t *testing.T) {
	queue, err := NewQueue[int](10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Pop(0); err != ErrEmpty {
		t.Fatal(err)
	}
	accepted := 0
	for i := range 20 {
		if err := queue.TryPush(i); err == nil {
			accepted++
		} else if err != ErrFull {
			t.Fatal(err)
		}
	}
	if accepted != 8 {
		t.Fatalf("accepted %d, the high watermark is 8", accepted)
	}
	queue.Close()
	if err := queue.TryPush(99); err != ErrClosed {
		t.Fatal(err)
	}
	for i := range accepted {
		if item, err := queue.Pop(time.Minute); err != nil || item != i {
			t.Fatal(item, err)
		}
	}
	if _, err := queue.Pop(time.Minute); err != ErrClosed {
		t.Fatal(err)
	}
}

func TestQueueBetweenGoroutines(t *testing.T) {
	queue, err := NewQueue[int](16)
	if err != nil {
		t.Fatal(err)
	}
	sum := make(chan int)
	go func() {
		total := 0
		for {
			item, err := queue.Pop(time.Minute)
			if err != nil {
				sum <- total
				return
			}
			total += item
		}
	}()
	for i := 1; i <= 1000; i++ {
		for queue.TryPush(i) == ErrFull {
			time.Sleep(time.Microsecond)
		}
	}
	queue.Close()
	if total := <-sum; total != 500500 {
		t.Fatalf("%d", total)
	}
}

func TestVersion(t *testing.T) {
	if strings.Count(Version(), ".") != 2 {
		t.Fatal(Version())
	}
}

// The cost of a call over cgo: go test -bench .
func BenchmarkBucketTryAcquire(b *testing.B) {
	bucket, err := NewBucket("100000000/s", 4294967295)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		bucket.TryAcquire(1)
	}
}

func BenchmarkBreakerCall(b *testing.B) {
	breaker, err := NewBreaker(5, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	succeed := func() error { return nil }
	for b.Loop() {
		_ = breaker.Call(succeed)
	}
}
