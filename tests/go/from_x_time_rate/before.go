package middleware

import (
	"net"
	"net/http"
	"sync"

	"golang.org/x/time/rate"
)

// Before limits each client to 10 requests a second with bursts of 20, by a map of x/time/rate limiters.
func Before(next http.Handler) http.Handler {
	var mu sync.Mutex
	limiters := map[string]*rate.Limiter{} // grows with every address that was ever seen
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		limiter, ok := limiters[client]
		if !ok {
			limiter = rate.NewLimiter(10, 20)
			limiters[client] = limiter
		}
		mu.Unlock()
		if !limiter.Allow() {
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}
