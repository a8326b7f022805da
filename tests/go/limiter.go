package tidegate

/*
#cgo noescape tg_limiter_new
#cgo nocallback tg_limiter_new
#cgo noescape tidegate_limiter_try_acquire
#cgo nocallback tidegate_limiter_try_acquire
#cgo noescape tidegate_limiter_check
#cgo nocallback tidegate_limiter_check
#cgo noescape tg_limiter_refund
#cgo nocallback tg_limiter_refund
#cgo noescape tg_limiter_penalize
#cgo nocallback tg_limiter_penalize
#cgo noescape tg_limiter_reset
#cgo nocallback tg_limiter_reset
#include <stdlib.h>
#include <tidegate.h>

static tg_limiter_config limiter_config(void) { return (tg_limiter_config)TG_LIMITER_CONFIG_INIT; }

// A _GoString_ is passed as it is, and spares the look at what an unsafe.Pointer points to (cgocheck).
static tg_status tidegate_limiter_try_acquire(const tg_limiter *limiter, _GoString_ key, uint32_t n) {
    return tg_limiter_try_acquire(limiter, _GoStringPtr(key), _GoStringLen(key), n);
}

static tg_decision tidegate_limiter_check(const tg_limiter *limiter, _GoString_ key, uint32_t n) {
    tg_decision decision = TG_DECISION_INIT;
    tg_limiter_check(limiter, _GoStringPtr(key), _GoStringLen(key), n, &decision);
    return decision;
}
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// Algorithm is how a RateLimiter counts.
type Algorithm int32

// The algorithms.
const (
	TokenBucket   Algorithm = C.TG_ALGORITHM_TOKEN_BUCKET
	FixedWindow   Algorithm = C.TG_ALGORITHM_FIXED_WINDOW
	SlidingWindow Algorithm = C.TG_ALGORITHM_SLIDING_WINDOW
	SlidingLog    Algorithm = C.TG_ALGORITHM_SLIDING_LOG
	LeakyBucket   Algorithm = C.TG_ALGORITHM_LEAKY_BUCKET
)

// RateLimiterOptions says what NewRateLimiter makes beside its rate; the zero value is a token bucket for each of up to
// 100,000 keys.
type RateLimiterOptions struct {
	Algorithm Algorithm
	Burst     uint32 // 0: the rate's count. Of a leaky bucket: one more than may wait.
	MaxKeys   int    // Live keys with a cell of their own; more share a sketch that may deny early. 0: 100,000.

	// A key that is denied BlockAfter times within BlockWithin is blocked for BlockDuration. 0: never.
	BlockAfter                 uint32
	BlockWithin, BlockDuration time.Duration
}

// RateLimiter is a limit for each key; safe for use by many goroutines. Its memory is fixed when it is made.
type RateLimiter struct{ handle *C.tg_limiter }

// NewRateLimiter makes one: NewRateLimiter("100/min", RateLimiterOptions{Burst: 20}), and In(arena, "users") behind for all
// processes.
func NewRateLimiter(rate string, options RateLimiterOptions, more ...Option) (*RateLimiter, error) {
	text := C.CString(rate)
	defer C.free(unsafe.Pointer(text))
	config := C.limiter_config()
	config.rate = text
	config.algorithm = C.int32_t(options.Algorithm)
	if options.Burst > 0 {
		config.burst = C.uint64_t(options.Burst)
	}
	if options.MaxKeys != 0 {
		config.max_keys = C.size_t(max(options.MaxKeys, 0))
	}
	config.block_after = C.uint32_t(options.BlockAfter)
	config.block_within_ns = C.uint64_t(max(options.BlockWithin, 0))
	config.block_duration_ns = C.uint64_t(max(options.BlockDuration, 0))
	defer put(more, &config.arena, &config.name, &config.on_conflict)()
	limiter := &RateLimiter{}
	if err := made(func() C.tg_status { return C.tg_limiter_new(&config, &limiter.handle) }); err != nil {
		return nil, err
	}
	runtime.AddCleanup(limiter, func(handle *C.tg_limiter) { C.tg_limiter_free(handle) }, limiter.handle)
	return limiter, nil
}

// A string is its bytes, copied by nobody.
func bytesOf(key string) (unsafe.Pointer, C.size_t) {
	return unsafe.Pointer(unsafe.StringData(key)), C.size_t(len(key))
}

// TryAcquire takes n of the key's limit or nothing. A leaky bucket admits here only what needs no delay.
func (l *RateLimiter) TryAcquire(key string, n uint32) bool {
	ok := C.tidegate_limiter_try_acquire(l.handle, key, C.uint32_t(n)) == C.TG_OK
	runtime.KeepAlive(l)
	return ok
}

// Check takes n of the key's limit or nothing, and tells what is left.
func (l *RateLimiter) Check(key string, n uint32) Decision {
	decision := C.tidegate_limiter_check(l.handle, key, C.uint32_t(n))
	runtime.KeepAlive(l)
	return decisionOf(&decision)
}

// Refund gives n back: for what should not have counted, such as a login that succeeded.
func (l *RateLimiter) Refund(key string, n uint32) {
	data, size := bytesOf(key)
	C.tg_limiter_refund(l.handle, data, size, C.uint32_t(n))
	runtime.KeepAlive(l)
}

// Penalize admits nothing of the key for that long.
func (l *RateLimiter) Penalize(key string, wait time.Duration) {
	data, size := bytesOf(key)
	C.tg_limiter_penalize(l.handle, data, size, C.uint64_t(max(wait, 0)), nil)
	runtime.KeepAlive(l)
}

// Reset makes the key as new.
func (l *RateLimiter) Reset(key string) {
	data, size := bytesOf(key)
	C.tg_limiter_reset(l.handle, data, size)
	runtime.KeepAlive(l)
}

// Len is how many keys are live (not idle) now; it looks at the whole table.
func (l *RateLimiter) Len() int {
	var keys C.size_t
	C.tg_limiter_len(l.handle, &keys)
	runtime.KeepAlive(l)
	return int(keys)
}
