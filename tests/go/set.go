package tidegate

/*
#cgo noescape tidegate_set_check
#cgo nocallback tidegate_set_check
#include <stdlib.h>
#include <tidegate.h>

enum { TIDEGATE_MOST_KEYS = 16 };

typedef struct {
    tg_status status;
    int32_t denied_by;
    tg_decision decision;
} tidegate_verdict;

// The keys come as one text and their lengths, for cgo lets no Go pointer lie in an array of C's.
static tidegate_verdict tidegate_set_check(const tg_limit_set *set, const char *text, const size_t *lengths, size_t count, uint32_t n) {
    tidegate_verdict verdict = {TG_OK, -1, TG_DECISION_INIT};
    tg_bytes keys[TIDEGATE_MOST_KEYS + 1];
    for (size_t i = 0; i < count && i <= TIDEGATE_MOST_KEYS; i++) {
        keys[i].data = text;
        keys[i].len = lengths[i];
        text += lengths[i];
    }
    verdict.status = tg_limit_set_check(set, keys, count, n, &verdict.decision, &verdict.denied_by);
    return verdict;
}
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Member is one limit of a LimitSet: a name, and a Bucket (for everybody) or a RateLimiter (takes a key).
type Member struct {
	Name    string
	Bucket  *Bucket
	Limiter *RateLimiter
}

// LimitSet decides several limits as one, all or nothing; safe for use by many goroutines.
type LimitSet struct {
	handle *C.tg_limit_set
	names  []string
}

// NewLimitSet makes one of members, which stay in use by themselves.
func NewLimitSet(members ...Member) (*LimitSet, error) {
	array := make([]C.tg_limit_member, max(len(members), 1))
	set := &LimitSet{names: make([]string, len(members))}
	for i, member := range members {
		array[i].name = C.CString(member.Name)
		defer C.free(unsafe.Pointer(array[i].name))
		if member.Bucket != nil {
			array[i].bucket = member.Bucket.handle
		}
		if member.Limiter != nil {
			array[i].limiter = member.Limiter.handle
		}
		set.names[i] = member.Name
	}
	err := made(func() C.tg_status { return C.tg_limit_set_new(&array[0], C.size_t(len(members)), &set.handle) })
	runtime.KeepAlive(members)
	if err != nil {
		return nil, err
	}
	runtime.AddCleanup(set, func(handle *C.tg_limit_set) { C.tg_limit_set_free(handle) }, set.handle)
	return set, nil
}

// Check takes n from every member or nothing from any. keys: one for each RateLimiter, in order. deniedBy is the name of the
// member that denied, "" when allowed.
func (s *LimitSet) Check(n uint32, keys ...string) (decision Decision, deniedBy string, err error) {
	var lengths [C.TIDEGATE_MOST_KEYS + 1]C.size_t
	var room [128]byte
	text := room[:0]
	for i, key := range keys[:min(len(keys), len(lengths))] {
		lengths[i] = C.size_t(len(key))
		text = append(text, key...)
	}
	check := func() C.tidegate_verdict {
		first := (*C.char)(unsafe.Pointer(unsafe.SliceData(text)))
		return C.tidegate_set_check(s.handle, first, &lengths[0], C.size_t(len(keys)), C.uint32_t(n))
	}
	verdict := check()
	if verdict.status < 0 { // the wrong number of keys, which takes nothing: once more for the text
		return Decision{}, "", made(func() C.tg_status { return check().status })
	}
	runtime.KeepAlive(s)
	if verdict.denied_by >= 0 {
		deniedBy = s.names[verdict.denied_by]
	}
	return decisionOf(&verdict.decision), deniedBy, nil
}
