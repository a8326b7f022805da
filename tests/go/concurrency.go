package tidegate

/*
#cgo noescape tg_concurrency_new
#cgo nocallback tg_concurrency_new
#cgo noescape tg_concurrency_try_acquire
#cgo nocallback tg_concurrency_try_acquire
#cgo noescape tg_concurrency_poll
#cgo nocallback tg_concurrency_poll
#cgo noescape tg_concurrency_release
#cgo nocallback tg_concurrency_release
#include <tidegate.h>

static tg_concurrency_config concurrency_config(void) { return (tg_concurrency_config)TG_CONCURRENCY_CONFIG_INIT; }
*/
import "C"

import (
	"context"
	"runtime"
	"time"
)

// ConcurrencyLimiter allows so many calls at once; safe for use by many goroutines.
type ConcurrencyLimiter struct {
	handle *C.tg_concurrency
	turn   chan struct{} // Held by who waits at the front.
	freed  chan struct{} // Something was given back here.
	shared bool          // Others give back too, unseen.
}

// Permit is the right to run one call. Give it back once; the second time nothing happens.
type Permit struct {
	limiter *ConcurrencyLimiter
	permit  C.tg_concurrency_permit
}

// NewConcurrencyLimiter makes a limit of so many calls at once, 1 to 4096. In an arena the permits of a process that dies come
// back.
func NewConcurrencyLimiter(limit uint32, options ...Option) (*ConcurrencyLimiter, error) {
	config := C.concurrency_config()
	config.limit = C.uint32_t(limit)
	defer put(options, &config.arena, &config.name, &config.on_conflict)()
	limiter := &ConcurrencyLimiter{turn: make(chan struct{}, 1), freed: make(chan struct{}, 1), shared: config.arena != nil}
	if err := made(func() C.tg_status { return C.tg_concurrency_new(&config, &limiter.handle) }); err != nil {
		return nil, err
	}
	runtime.AddCleanup(limiter, func(handle *C.tg_concurrency) { C.tg_concurrency_free(handle) }, limiter.handle)
	return limiter, nil
}

// TryAcquire takes a permit, if there is one.
func (l *ConcurrencyLimiter) TryAcquire() (permit Permit, ok bool) {
	permit.limiter = l
	ok = C.tg_concurrency_try_acquire(l.handle, &permit.permit) == C.TG_OK
	runtime.KeepAlive(l)
	return permit, ok
}

// Acquire waits for a permit until ctx is over, first come first served in this process; holds no thread meanwhile. Where there
// is one it takes it even if ctx is over.
func (l *ConcurrencyLimiter) Acquire(ctx context.Context) (Permit, error) {
	select {
	case l.turn <- struct{}{}:
		permit, ok := l.wait(ctx)
		<-l.turn
		if ok {
			return permit, nil
		}
	case <-ctx.Done():
	}
	// The last look, which counts as denied.
	if permit, ok := l.TryAcquire(); ok {
		return permit, nil
	}
	return Permit{}, ctx.Err()
}

// wait is for the one at the front.
func (l *ConcurrencyLimiter) wait(ctx context.Context) (Permit, bool) {
	// What other processes give back wakes nobody here.
	const shortest, longest = time.Millisecond, 10 * time.Millisecond
	permit := Permit{limiter: l}
	var again <-chan time.Time
	for pause := shortest; ctx.Err() == nil; pause = min(2*pause, longest) {
		if C.tg_concurrency_poll(l.handle, &permit.permit) == C.TG_OK {
			return permit, true
		}
		if l.shared {
			again = time.After(pause)
		}
		select {
		case <-l.freed:
		case <-again:
		case <-ctx.Done():
		}
	}
	return permit, false
}

// Release gives the permit back; false when there was nothing to give back.
func (p Permit) Release() bool {
	if p.limiter == nil {
		return false
	}
	ok := C.tg_concurrency_release(p.limiter.handle, p.permit) == C.TG_OK
	runtime.KeepAlive(p.limiter)
	if ok {
		select {
		case p.limiter.freed <- struct{}{}:
		default: // The news is out already.
		}
	}
	return ok
}

// InUse is how many permits are held now, by all who share the limit.
func (l *ConcurrencyLimiter) InUse() int {
	var permits C.uint32_t
	C.tg_concurrency_in_use(l.handle, &permits)
	runtime.KeepAlive(l)
	return int(permits)
}
