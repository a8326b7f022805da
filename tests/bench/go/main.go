// The Go rows, one JSON object a line: each contender is timed once a round, in turn.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A burst that no round empties, and a rate that refills little of it: every call is admitted.
const (
	perSecond = 1_000_000
	burst     = 1_000_000_000
	batch     = 2 * time.Millisecond
	// Keys need to come round several times in a batch: a shorter one measures how caches fill up after the contender before.
	keyedBatch = 10 * batch
)

type contender struct {
	name string
	make func() func(times int)
}

type target struct {
	Of   string  `json:"of"`
	Most float64 `json:"most"`
}

type row struct {
	work       string
	threads    int
	batch      time.Duration
	targets    []target
	contenders []contender
}

func main() {
	rounds := 151
	if slices.Contains(os.Args[1:], "--quick") {
		rounds = 31
	}
	buckets := []contender{
		{"tidegate", tidegateBucket},
		{"x/time/rate", xTimeRate},
		{"failsafe-go", failsafeLimiter},
		{"empty cgo call", emptyCall},
	}
	keyed := []contender{
		{"tidegate", tidegateKeyed},
		{"x/time/rate, map and mutex", xTimeRateKeyed},
		{"empty cgo call", emptyCall},
	}
	breakers := []contender{
		{"tidegate", tidegateBreaker},
		{"gobreaker", goBreaker},
		{"failsafe-go", failsafeBreaker},
		{"empty cgo call", emptyCall},
	}
	adaptive := []contender{
		{"tidegate", tidegateAdaptive},
		{"failsafe-go", failsafeAdaptive},
		{"tidegate over cgo", tidegateAdaptiveOverCgo},
		{"empty cgo call", emptyCall},
	}
	for threads := 1; threads <= 2; threads++ {
		measure(row{fmt.Sprintf("bucket over cgo, %d thread(s), admit", threads), threads, batch, []target{{"x/time/rate", 0.8}}, buckets}, rounds)
		measure(row{fmt.Sprintf("keyed over cgo, 10 k keys, %d thread(s), admit", threads), threads, keyedBatch, []target{{"x/time/rate, map and mutex", 0.6}}, keyed}, rounds)
		measure(row{fmt.Sprintf("breaker over cgo, acquire + result, %d thread(s)", threads), threads, batch, []target{{"gobreaker", 0.7}}, breakers}, rounds)
		measure(row{fmt.Sprintf("adaptive limit called from C, acquire + success, %d thread(s)", threads), threads, batch, []target{{"failsafe-go", 0.25}}, adaptive}, rounds)
	}
}

func measure(r row, rounds int) {
	fmt.Fprintln(os.Stderr, " ", r.work)
	ns := map[string][]float64{}
	times := make([]int, len(r.contenders))
	bodies := make([]func(int), len(r.contenders))
	for i, c := range r.contenders {
		bodies[i] = c.make()
		for times[i] = 100; ; times[i] *= 2 {
			if each := timed(bodies[i], times[i], r.threads) * float64(r.threads); each*float64(times[i]) > float64(r.batch)/4 {
				times[i] = max(100, int(float64(r.batch)/each))
				break
			}
		}
	}
	for round := range rounds {
		for turn := range r.contenders {
			i := (round + turn) % len(r.contenders)
			each := timed(bodies[i], times[i], r.threads)
			ns[r.contenders[i].name] = append(ns[r.contenders[i].name], math.Round(each*100)/100)
		}
	}
	floor := r.contenders[len(r.contenders)-1].name
	out, err := json.Marshal(map[string]any{
		"binding": "go", "work": r.work, "tidegate": r.contenders[0].name, "floor": floor, "floors": []string{floor}, "targets": r.targets, "ns": ns,
	})
	must(err == nil, "rows are plain values")
	fmt.Println(string(out))
}

// timed gives nanoseconds an operation: from the first start to the last end, over the operations of all threads.
func timed(body func(int), times, threads int) float64 {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(threads)
	done.Add(threads)
	for range threads {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			body(times/16 + 1)
			ready.Done()
			<-start
			body(times)
			done.Done()
		}()
	}
	ready.Wait()
	began := time.Now()
	close(start)
	done.Wait()
	return float64(time.Since(began).Nanoseconds()) / float64(times*threads)
}

func must(holds bool, what string) {
	if !holds {
		panic("expected " + what)
	}
}
