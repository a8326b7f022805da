package middleware

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestBothAnswerTheSame(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	after, err := After(ok)
	if err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]http.Handler{"before": Before(ok), "after": after} {
		for _, client := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
			answers, retryAfter := map[int]int{}, ""
			for range 1000 {
				request := httptest.NewRequest("GET", "/", nil)
				request.RemoteAddr = client
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, request)
				answers[recorder.Code]++
				if recorder.Code == http.StatusTooManyRequests {
					retryAfter = recorder.Header().Get("Retry-After")
				}
			}
			// The burst at least; more only as time refilled it.
			if answers[200] < 20 || answers[200]+answers[429] != 1000 || answers[429] == 0 {
				t.Fatalf("%s, %s: %v", name, client, answers)
			}
			if name == "after" && retryAfter != "1" {
				t.Fatalf("Retry-After: %q", retryAfter)
			}
		}
	}
}

// The page shows these very files.
func TestThePageShowsTheCode(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before.go", "after.go"} {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, shown, _ := strings.Cut(string(code), "\n)\n\n")
		if !strings.Contains(string(page), "```go\n"+shown+"```") {
			t.Fatalf("README.md does not show %s", name)
		}
	}
}
