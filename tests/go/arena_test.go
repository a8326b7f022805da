package tidegate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// This test's own program, run again by exec, is the other process.
func TestMain(m *testing.M) {
	if folder := os.Getenv("TIDEGATE_TEST_OTHER_PROCESS"); folder != "" {
		otherProcess(folder)
	}
	os.Exit(m.Run())
}

type shared struct {
	arena   *Arena
	bucket  *Bucket
	users   *RateLimiter
	breaker *Breaker
	calls   *ConcurrencyLimiter
}

func open(folder string) (s shared, err error) {
	if s.arena, err = OpenArena("orders", ArenaOptions{Path: folder}); err != nil {
		return s, err
	}
	var wrong [4]error
	s.bucket, wrong[0] = NewBucket("10/h", 0, In(s.arena, "door"))
	s.users, wrong[1] = NewRateLimiter("3/h", RateLimiterOptions{MaxKeys: 1000}, In(s.arena, "users"))
	s.breaker, wrong[2] = NewBreaker(3, time.Hour, In(s.arena, "payment"))
	s.calls, wrong[3] = NewConcurrencyLimiter(2, In(s.arena, "calls"))
	return s, errors.Join(wrong[:]...)
}

// Takes 4 of 10, 2 of ann's 3, fails twice of three times, and holds both permits until it is killed.
func otherProcess(folder string) {
	s, err := open(folder)
	if err == nil {
		_, one := s.calls.TryAcquire()
		_, two := s.calls.TryAcquire()
		if !one || !two || !s.bucket.TryAcquire(4) || !s.users.TryAcquire("ann", 2) {
			err = errors.New("denied")
		}
		for range 2 {
			s.breaker.Call(func() error { return errors.New("down") })
		}
	}
	fmt.Println("done", err)
	select {}
}

func folderOfArenas(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "tidegate-go-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func TestTwoProcessesObeyTheSameLimits(t *testing.T) {
	folder := folderOfArenas(t)
	s, err := open(folder)
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "TIDEGATE_TEST_OTHER_PROCESS="+folder)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Process.Kill()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "done <nil>\n" {
		t.Fatalf("%q", line)
	}

	if s.bucket.TryAcquire(7) || !s.bucket.TryAcquire(6) {
		t.Fatal("the bucket is not the other's")
	}
	if s.users.TryAcquire("ann", 2) || !s.users.TryAcquire("ann", 1) {
		t.Fatal("the limiter is not the other's")
	}
	s.breaker.Call(func() error { return errors.New("down") })
	var open *OpenError
	if err := s.breaker.Call(func() error { return nil }); !errors.As(err, &open) {
		t.Fatalf("the breaker is not the other's: %v", err)
	}

	if _, ok := s.calls.TryAcquire(); ok || s.calls.InUse() != 2 {
		t.Fatalf("the concurrency limit is not the other's: %d in use", s.calls.InUse())
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.calls.Acquire(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v", err)
	}
	other.Process.Kill()
	other.Wait()
	late, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	permit, err := s.calls.Acquire(late)
	if err != nil || s.calls.InUse() != 1 {
		t.Fatalf("a dead process's permits come back: %v, %d in use", err, s.calls.InUse())
	}
	if !permit.Release() || permit.Release() {
		t.Fatal("a permit is given back once")
	}
}

func TestWhatStandsInTheWayOfAnArenaIsTold(t *testing.T) {
	folder := folderOfArenas(t)
	arena, err := OpenArena("orders", ArenaOptions{Path: folder, Capacity: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if notices := arena.Notices(); len(notices) != 0 {
		t.Fatalf("%q", notices)
	}
	bucket, err := NewBucket("10/h", 0, In(arena, "door"))
	if err != nil {
		t.Fatal(err)
	}
	var wrong *Error
	if _, err := NewBucket("20/h", 0, In(arena, "door")); !errors.As(err, &wrong) || wrong.Status != -28 || !strings.Contains(err.Error(), "door") {
		t.Fatalf("%v", err)
	}
	if kept, err := NewBucket("20/h", 0, In(arena, "door"), OnConflict(ConflictKeep)); err != nil || kept.Check(1).Limit != 10 {
		t.Fatalf("%v", err)
	}
	if _, err := NewBucket("20/h", 0, In(arena, "door"), OnConflict(ConflictApply)); err != nil || bucket.Check(1).Limit != 20 {
		t.Fatalf("%v", err)
	}
	if _, err := NewConcurrencyLimiter(1, In(arena, "door")); !errors.As(err, &wrong) || wrong.Status != -27 {
		t.Fatalf("%v", err)
	}
	for _, name := range []string{"", "a/b"} {
		if _, err := OpenArena(name, ArenaOptions{Path: folder}); !errors.As(err, &wrong) {
			t.Fatalf("%q: %v", name, err)
		}
	}
	if removed, err := arena.Remove("door"); !removed || err != nil {
		t.Fatalf("%v %v", removed, err)
	}
	if removed, err := arena.Remove("door"); removed || err != nil {
		t.Fatalf("%v %v", removed, err)
	}
}

func TestOneTextSaysWhere(t *testing.T) {
	for scope, private := range map[string]bool{"process": true, "process:go": false} {
		arena, err := ArenaFromScope(scope)
		if err != nil || (arena == nil) != private {
			t.Fatalf("%q: %v %v", scope, arena, err)
		}
		if arena != nil {
			arena.Remove("door") // of an earlier run in this process
		}
		one, err := NewBucket("1/h", 0, In(arena, "door"))
		if err != nil {
			t.Fatal(err)
		}
		two, err := NewBucket("1/h", 0, In(arena, "door"))
		if err != nil {
			t.Fatal(err)
		}
		if !one.TryAcquire(1) || two.TryAcquire(1) != private {
			t.Fatalf("%q", scope)
		}
	}
	t.Setenv("TIDEGATE_SCOPE", "somewhere")
	var wrong *Error
	if _, err := ArenaFromScope(""); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "TIDEGATE_SCOPE") {
		t.Fatalf("%v", err)
	}
}

func TestAConcurrencyLimitHoldsAmongGoroutines(t *testing.T) {
	calls, err := NewConcurrencyLimiter(3)
	if err != nil {
		t.Fatal(err)
	}
	var now, most atomic.Int64
	var wait sync.WaitGroup
	for range 20 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 200 {
				permit, err := calls.Acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				now.Add(-1)
				permit.Release()
			}
		}()
	}
	wait.Wait()
	if most.Load() > 3 || calls.InUse() != 0 {
		t.Fatalf("%d at once, %d still out", most.Load(), calls.InUse())
	}
	for range 3 {
		calls.TryAcquire()
	}
	over, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := calls.Acquire(over); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if _, err := NewConcurrencyLimiter(0); err == nil {
		t.Fatal("a limit of none")
	}
	if (Permit{}).Release() {
		t.Fatal("no permit is nobody's")
	}
}
