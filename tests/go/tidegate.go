// Package tidegate shows how Go links libtidegate: a thin cgo layer over tidegate.h. Build it with PKG_CONFIG_PATH pointing
// at the installed tidegate.pc.
package tidegate

/*
#cgo pkg-config: tidegate
// No call keeps a Go pointer or calls back into Go, so their arguments may stay on the Go stack: this is what makes a call cheap.
#cgo noescape tg_bucket_new
#cgo nocallback tg_bucket_new
#cgo noescape tg_bucket_try_acquire
#cgo nocallback tg_bucket_try_acquire
#cgo noescape tg_bucket_check
#cgo nocallback tg_bucket_check
#cgo noescape tg_bucket_reserve
#cgo nocallback tg_bucket_reserve
#cgo noescape tg_bucket_cancel
#cgo nocallback tg_bucket_cancel
#cgo noescape tg_breaker_new
#cgo nocallback tg_breaker_new
#cgo noescape tg_breaker_acquire
#cgo nocallback tg_breaker_acquire
#cgo noescape tg_breaker_report
#cgo nocallback tg_breaker_report
#cgo noescape tg_queue_new
#cgo nocallback tg_queue_new
#cgo noescape tidegate_queue_push
#cgo nocallback tidegate_queue_push
#cgo noescape tidegate_queue_pop
#cgo nocallback tidegate_queue_pop
#include <stdlib.h>
#include <tidegate.h>

static tg_bucket_config bucket_config(void) { return (tg_bucket_config)TG_BUCKET_CONFIG_INIT; }
static tg_breaker_config breaker_config(void) { return (tg_breaker_config)TG_BREAKER_CONFIG_INIT; }
static tg_queue_config queue_config(void) { return (tg_queue_config)TG_QUEUE_CONFIG_INIT; }
static tg_decision decision_init(void) { return (tg_decision)TG_DECISION_INIT; }

// The items are cgo handles, numbers that C carries as pointers and never follows.
static tg_status tidegate_queue_push(const tg_queue *queue, uintptr_t item, uint64_t timeout_ns) {
    return tg_queue_push(queue, (void *)item, timeout_ns, NULL);
}
static tg_status tidegate_queue_pop(const tg_queue *queue, uint64_t timeout_ns, uintptr_t *item) {
    void *taken = NULL;
    tg_status status = tg_queue_pop(queue, timeout_ns, &taken);
    *item = (uintptr_t)taken;
    return status;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/cgo"
	"time"
	"unsafe"
)

// What a full or closed queue says.
var (
	ErrFull   = errors.New("tidegate: queue full")
	ErrClosed = errors.New("tidegate: queue closed")
	ErrEmpty  = errors.New("tidegate: queue empty")
)

// OpenError is a refusal by an open circuit.
type OpenError struct{ RetryAfter time.Duration }

func (e *OpenError) Error() string {
	return fmt.Sprintf("tidegate: circuit open, retry after %v", e.RetryAfter)
}

// Error is a wrong argument, an arena that cannot be opened (Status -20 and below), or a bug in tidegate.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// made locks the goroutine to its thread while a constructor runs, for the error text belongs to the thread.
func made(construct func() C.tg_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if status := construct(); status < 0 {
		return &Error{int(status), C.GoString(C.tg_last_error_message())}
	}
	return nil
}

func duration(ns C.uint64_t) time.Duration {
	if ns > math.MaxInt64 {
		return math.MaxInt64 // "never"
	}
	return time.Duration(ns)
}

// Version of the library in use.
func Version() string { return C.GoString(C.tg_version()) }

// Bucket is a token bucket; safe for use by many goroutines.
type Bucket struct{ handle *C.tg_bucket }

// NewBucket makes a full bucket: NewBucket("400/s", 800), or NewBucket("400/s", 800, In(arena, "door")) for all processes;
// burst 0 is the rate's count.
func NewBucket(rate string, burst uint32, options ...Option) (*Bucket, error) {
	text := C.CString(rate)
	defer C.free(unsafe.Pointer(text))
	config := C.bucket_config()
	config.rate = text
	if burst > 0 {
		config.burst = C.uint64_t(burst)
	}
	defer put(options, &config.arena, &config.name, &config.on_conflict)()
	bucket := &Bucket{}
	if err := made(func() C.tg_status { return C.tg_bucket_new(&config, &bucket.handle) }); err != nil {
		return nil, err
	}
	runtime.AddCleanup(bucket, func(handle *C.tg_bucket) { C.tg_bucket_free(handle) }, bucket.handle)
	return bucket, nil
}

// TryAcquire takes n tokens or nothing.
func (b *Bucket) TryAcquire(n uint32) bool {
	ok := C.tg_bucket_try_acquire(b.handle, C.uint32_t(n)) == C.TG_OK
	runtime.KeepAlive(b)
	return ok
}

// Decision is what a limit answered.
type Decision struct {
	Allowed                       bool
	Limit, Remaining              uint32
	RetryAfter, ResetAfter, Delay time.Duration
}

func decisionOf(d *C.tg_decision) Decision {
	return Decision{
		Allowed: bool(d.allowed), Limit: uint32(d.limit), Remaining: uint32(d.remaining),
		RetryAfter: duration(d.retry_after_ns), ResetAfter: duration(d.reset_after_ns), Delay: duration(d.delay_ns),
	}
}

// Check takes n tokens or nothing, and tells what is left.
func (b *Bucket) Check(n uint32) Decision {
	d := C.decision_init()
	C.tg_bucket_check(b.handle, C.uint32_t(n), &d)
	runtime.KeepAlive(b)
	return decisionOf(&d)
}

// Wait takes n tokens as soon as they are there; holds no thread meanwhile. An error when ctx is over or would be before
// then, or when n exceeds the burst: what a cancelled wait has booked is given back, but for what was booked behind it.
func (b *Bucket) Wait(ctx context.Context, n uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	longest := C.uint64_t(C.TG_NEVER)
	if deadline, ok := ctx.Deadline(); ok {
		longest = C.uint64_t(max(time.Until(deadline), 0))
	}
	var ticket C.tg_ticket
	var wait C.uint64_t
	if C.tg_bucket_reserve(b.handle, C.uint32_t(n), longest, &ticket, &wait) != C.TG_OK {
		runtime.KeepAlive(b)
		if wait == C.TG_NEVER {
			return fmt.Errorf("tidegate: %d exceeds the burst", n)
		}
		return context.DeadlineExceeded
	}
	if wait > 0 {
		timer := time.NewTimer(duration(wait))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			C.tg_bucket_cancel(b.handle, ticket, nil)
			runtime.KeepAlive(b)
			return ctx.Err()
		}
	}
	runtime.KeepAlive(b)
	return nil
}

// Breaker is a circuit breaker; safe for use by many goroutines.
type Breaker struct{ handle *C.tg_breaker }

// NewBreaker makes a closed breaker that opens at so many failures in a row (or at half of the last 20 calls).
func NewBreaker(consecutiveFailures uint32, cooldown time.Duration, options ...Option) (*Breaker, error) {
	config := C.breaker_config()
	config.consecutive_failures = C.uint32_t(consecutiveFailures)
	config.cooldown_ns = C.uint64_t(max(cooldown, 0))
	defer put(options, &config.arena, &config.name, &config.on_conflict)()
	breaker := &Breaker{}
	if err := made(func() C.tg_status { return C.tg_breaker_new(&config, &breaker.handle) }); err != nil {
		return nil, err
	}
	runtime.AddCleanup(breaker, func(handle *C.tg_breaker) { C.tg_breaker_free(handle) }, breaker.handle)
	return breaker, nil
}

// Call runs f if the circuit lets it; an error or a panic of f is a failure, an *OpenError means that f was not called.
func (b *Breaker) Call(f func() error) error {
	var permit C.tg_permit
	var retryAfter C.uint64_t
	if C.tg_breaker_acquire(b.handle, &permit, &retryAfter) != C.TG_OK {
		runtime.KeepAlive(b)
		return &OpenError{duration(retryAfter)}
	}
	outcome := C.int32_t(C.TG_FAILURE)
	defer func() {
		C.tg_breaker_report(b.handle, permit, outcome, C.TG_NEVER)
		runtime.KeepAlive(b)
	}()
	err := f()
	if err == nil {
		outcome = C.TG_SUCCESS
	}
	return err
}

// Queue is a bounded queue; safe for use by many goroutines.
type Queue[T any] struct{ handle *C.tg_queue }

// NewQueue makes an empty queue that refuses from 80 % full until below 50 %. Close and drain it when done.
func NewQueue[T any](capacity int) (*Queue[T], error) {
	config := C.queue_config()
	config.capacity = C.size_t(max(capacity, 0))
	queue := &Queue[T]{}
	if err := made(func() C.tg_status { return C.tg_queue_new(&config, &queue.handle) }); err != nil {
		return nil, err
	}
	runtime.AddCleanup(queue, func(handle *C.tg_queue) { C.tg_queue_free(handle) }, queue.handle)
	return queue, nil
}

// TryPush puts an item in, or says ErrFull or ErrClosed.
func (q *Queue[T]) TryPush(item T) error {
	handle := cgo.NewHandle(item)
	status := C.tidegate_queue_push(q.handle, C.uintptr_t(handle), 0)
	runtime.KeepAlive(q)
	if status == C.TG_OK {
		return nil
	}
	handle.Delete()
	if status == C.TG_CLOSED {
		return ErrClosed
	}
	return ErrFull
}

// Pop takes the oldest item, waiting up to timeout for one. A wait holds a thread: keep it short, or few.
func (q *Queue[T]) Pop(timeout time.Duration) (item T, err error) {
	var taken C.uintptr_t
	status := C.tidegate_queue_pop(q.handle, C.uint64_t(max(timeout, 0)), &taken)
	runtime.KeepAlive(q)
	switch status {
	case C.TG_OK:
		handle := cgo.Handle(taken)
		defer handle.Delete()
		return handle.Value().(T), nil
	case C.TG_CLOSED:
		return item, ErrClosed
	default:
		return item, ErrEmpty
	}
}

// Close refuses pushes from now on; what was accepted can still be popped.
func (q *Queue[T]) Close() {
	C.tg_queue_close(q.handle)
	runtime.KeepAlive(q)
}
