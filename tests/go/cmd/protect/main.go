// Protect a handler in Go: limit → queue → breaker, with the C library underneath.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"tidegate.example/tidegate"
)

func main() {
	limit, err := tidegate.NewBucket("100/s", 20)
	check(err)
	breaker, err := tidegate.NewBreaker(5, time.Minute)
	check(err)
	queue, err := tidegate.NewQueue[string](10)
	check(err)

	answers := map[int]int{}
	for i := range 50 {
		switch {
		case !limit.TryAcquire(1):
			answers[429]++
		case queue.TryPush(fmt.Sprintf("order %d", i)) != nil:
			answers[503]++
		default:
			answers[202]++
		}
	}
	queue.Close()

	down := errors.New("provider down")
	paid, failed, notTried := 0, 0, 0
	for {
		if _, err := queue.Pop(time.Second); err != nil {
			break
		}
		var open *tidegate.OpenError
		switch err := breaker.Call(func() error { return down }); {
		case errors.As(err, &open):
			notTried++
		case err != nil:
			failed++
		default:
			paid++
		}
	}
	fmt.Printf("tidegate %s: answers %v; %d paid, %d failed, %d not tried\n", tidegate.Version(), answers, paid, failed, notTried)
	if answers[202] != 8 || answers[429] == 0 || answers[503] == 0 || failed != 5 || notTried != 3 {
		os.Exit(1)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
