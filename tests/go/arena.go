package tidegate

/*
#include <stdlib.h>
#include <tidegate.h>

static tg_arena_config arena_config(void) { return (tg_arena_config)TG_ARENA_CONFIG_INIT; }
*/
import "C"

import (
	"runtime"
	"strings"
	"unsafe"
)

// Arena is memory in which named objects live, shared by every process of the machine that opens it (or, made by
// ArenaFromScope("process:…"), by this process alone). Safe for use by many goroutines.
type Arena struct{ handle *C.tg_arena }

// ArenaOptions says which file OpenArena opens or makes; the zero value is 16 MiB in TIDEGATE_DIR, or else in a folder of this
// user's own in shared memory.
type ArenaOptions struct {
	Path     string // The folder of the file.
	Group    string // A group that may use it as well, by name or number.
	Capacity int    // Bytes, when it is made; it never grows.
}

// OpenArena opens the arena of this machine with that name, or makes it.
func OpenArena(name string, options ArenaOptions) (*Arena, error) {
	config := C.arena_config()
	for _, text := range []struct {
		from string
		to   **C.char
	}{{name, &config.name}, {options.Path, &config.path}, {options.Group, &config.group}} {
		if text.from != "" {
			*text.to = C.CString(text.from)
			defer C.free(unsafe.Pointer(*text.to))
		}
	}
	config.capacity = C.size_t(max(options.Capacity, 0))
	return opened(func(handle **C.tg_arena) C.tg_status { return C.tg_arena_open(&config, handle) })
}

// ArenaFromScope opens what one text says: "host:orders" for the machine, "process:orders" for this process, "process" for
// none (a nil arena, which In takes for private memory). "": what TIDEGATE_SCOPE says.
func ArenaFromScope(scope string) (*Arena, error) {
	var text *C.char
	if scope != "" {
		text = C.CString(scope)
		defer C.free(unsafe.Pointer(text))
	}
	return opened(func(handle **C.tg_arena) C.tg_status { return C.tg_arena_from_scope(text, handle) })
}

func opened(open func(handle **C.tg_arena) C.tg_status) (*Arena, error) {
	arena := &Arena{}
	if err := made(func() C.tg_status { return open(&arena.handle) }); err != nil || arena.handle == nil {
		return nil, err
	}
	runtime.AddCleanup(arena, func(handle *C.tg_arena) { C.tg_arena_free(handle) }, arena.handle)
	return arena, nil
}

// Notices are sentences worth logging once, such as that older programs use another layout of this arena.
func (a *Arena) Notices() []string {
	defer runtime.KeepAlive(a)
	text := make([]byte, 256)
	for {
		var length C.size_t
		status := C.tg_arena_notices(a.handle, (*C.char)(unsafe.Pointer(&text[0])), C.size_t(len(text)), &length)
		if status != C.TG_BUFFER {
			return strings.FieldsFunc(string(text[:length]), func(r rune) bool { return r == '\n' })
		}
		text = make([]byte, length+1)
	}
}

// Remove takes a name away, and says whether there was one: who has the object open goes on with it, who opens the name afresh
// makes a new one.
func (a *Arena) Remove(name string) (removed bool, err error) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	err = made(func() C.tg_status {
		status := C.tg_arena_remove(a.handle, text)
		removed = status == C.TG_OK
		return status
	})
	runtime.KeepAlive(a)
	return removed, err
}

// Conflict says what to do when an object exists and was last declared with other settings than mine.
type Conflict int32

// The answers to a conflict.
const (
	ConflictError Conflict = C.TG_ON_CONFLICT_ERROR // An *Error that names both.
	ConflictKeep  Conflict = C.TG_ON_CONFLICT_KEEP  // Take it as it is.
	ConflictApply Conflict = C.TG_ON_CONFLICT_APPLY // Change it to mine, for everybody.
)

// Option says where an object lives.
type Option func(*place)

// In puts an object in an arena: who opens the same name there, in any process, has the same object. A nil arena is memory of
// its own.
func In(arena *Arena, name string) Option {
	return func(p *place) { p.arena, p.name = arena, name }
}

// OnConflict is ConflictError unless it is said.
func OnConflict(conflict Conflict) Option {
	return func(p *place) { p.conflict = conflict }
}

type place struct {
	arena    *Arena
	name     string
	conflict Conflict
}

// put fills a config's fields in, and hands back what is to be called once the config was used.
func put(options []Option, arena **C.tg_arena, name **C.char, onConflict *C.int32_t) (done func()) {
	var p place
	for _, option := range options {
		option(&p)
	}
	*onConflict = C.int32_t(p.conflict)
	if p.arena == nil {
		return func() {}
	}
	*arena, *name = p.arena.handle, C.CString(p.name)
	text := *name
	return func() {
		C.free(unsafe.Pointer(text))
		runtime.KeepAlive(p.arena)
	}
}
