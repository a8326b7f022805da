package main

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// A key's limit that no run empties.
const (
	perSecondOfKey = 100_000
	burstOfKey     = 10_000
)

// 10,000 keys of 17 bytes in random order, each text in a place of its own, as those of requests are.
var keys = func() []string {
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%012d", i)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}()

var started atomic.Int64

// known makes a body that calls with one key after the other, of which none is new any more; each time it begins elsewhere.
func known(call func(key string)) func(int) {
	for _, key := range keys {
		call(key)
	}
	return func(times int) {
		at := int(started.Add(1)*7919) % len(keys)
		for range times {
			call(keys[at])
			if at++; at == len(keys) {
				at = 0
			}
		}
	}
}
