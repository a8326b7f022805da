package middleware

import (
	"math"
	"net"
	"net/http"
	"strconv"

	"tidegate.example/tidegate"
)

// After does the same by one tidegate.RateLimiter.
func After(next http.Handler) (http.Handler, error) {
	limit, err := tidegate.NewRateLimiter("10/s", tidegate.RateLimiterOptions{Burst: 20})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, _, _ := net.SplitHostPort(r.RemoteAddr)
		if decision := limit.Check(client, 1); !decision.Allowed {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(decision.RetryAfter.Seconds()))))
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
