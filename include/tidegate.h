/*
 * tidegate: lock-free rate limiting, circuit breaking and backpressure. MIT OR Apache-2.0
 *
 * Generated from ffi/src: edit there and run ffi/gen-header.sh.
 *
 * The rules of this interface. A function's own comment tells what it does, and only what differs from them.
 *
 * - Names. Everything begins with tg_ or TG_, and the library exports nothing else.
 * - Answers. tg_status: 0 = done, > 0 = refused (an answer, not an error), < 0 = error. Values are fixed.
 *   tg_status_message() has a fixed text for each, tg_last_error_message() says what this thread's last error was
 *   about.
 * - Errors. A function that takes a pointer gives TG_NULL where it must not be NULL, one that takes a struct with its
 *   size TG_STRUCT_SIZE; what else it can give stands with it ("Errors:"). Any can give TG_PANIC: a bug inside, never
 *   an abort or an unwinding through your frames. After an error nothing was done, and nothing is written but what is
 *   said.
 * - Threads. Any call may run on any thread at any time, together with any other, on the same handle too, and does not
 *   block. What may wait says so ("Thread safety:"); making and freeing take memory and may wait for the system.
 *   *_free() must be the last call on its handle: no other call may be using it or waiting on it, then or later.
 * - Ownership. Arguments are borrowed during the call, with all that they point to. A handle that *_new(),
 *   tg_arena_open() or their like give is the caller's, to be freed with the *_free() of its kind, once; *_free(NULL)
 *   does nothing. An object shares its arena and its clock, a limit set its members, a gate its parts: their handles
 *   may be freed before or after it. What is otherwise says so ("Ownership:").
 * - Handles are opaque: tg_arena, tg_clock, tg_bucket, tg_limiter, tg_limit_set, tg_cluster_limit, tg_breaker,
 *   tg_registry, tg_queue, tg_concurrency, tg_retry_budget, tg_throttle, tg_shedder, tg_client_address,
 *   tg_access_list, tg_metrics, tg_gate, tg_policy.
 * - Structs. Settings and answers begin with size_t struct_size and have an INIT macro: always start from it
 *   (tg_decision d = TG_DECISION_INIT;). They grow only at their end: a program goes on to work with a later library.
 *   struct_size is the size of the struct in some version; a size that ends inside a field is TG_STRUCT_SIZE. Padding
 *   is zero.
 * - Values. Permits and tickets are two uint64_t passed by value, a tier is a few more; nothing needs to be freed. A
 *   permit is used up once it was reported or given back, and void once its object was reset or reclaimed it: either
 *   way it does nothing any more, and a call says so (TG_NOT_HELD) or ignores it, as told there.
 *   A tg_admission without a permit of a concurrency limit is not: a copy of it counts as another call, so keep one.
 * - Keys. A pointer to any bytes and how many: empty, long, with NUL, all are keys. NULL with length 0 is the empty
 *   key.
 * - Pointers. One that is not NULL must be good, and a text must end with NUL: no library can check that.
 * - Enums. They are passed in as int32_t, and an unknown value is an error.
 * - Time. Nanoseconds in uint64_t; UINT64_MAX (TG_NEVER) is "never", or as a timeout "for ever". Each operation that
 *   looks at the clock has a form ending in _at that takes the time instead, and is otherwise the same: any epoch, but
 *   one clock per object.
 * - Memory. A size that a caller sets and the system cannot give is TG_NO_MEMORY, and nothing was made;
 *   tg_last_error_message() names the setting to make smaller, and of a policy file the object. Where it says "memory",
 *   there is too little for an object of any size. Small allocations that every program needs (a handle, an error's
 *   text) end the process when they fail, as Rust's do.
 * - Cancellation. No call is a cancellation point: a thread cancelled with pthread_cancel() inside one, a waiting one
 *   too, goes on to its end, and the request stays pending. Threads of PTHREAD_CANCEL_ASYNCHRONOUS must not call
 *   anything here.
 * - Signals. No call is async-signal-safe, none installs a handler, blocks a signal or ends early because of one.
 * - errno. Calls may change it and never report by it.
 * - Scope. An object lives in memory of its own, or under a name in an arena (the arena of its config): threads and
 *   processes that open the same name in the same arena share it.
 * - Fork. After fork() the objects of the child are copies of their own; those in an arena of the machine stay shared,
 *   and permits belong to the process that acquired them.
 * - Change. A function never changes its meaning; a new meaning gets a new name. What came after version 0.1 says so
 *   ("Since:"). The soname carries MAJOR.MINOR while MAJOR is 0, then MAJOR: under one soname functions, values and
 *   fields are only added.
 *
 * Contents:
 *   1. Answers
 *   2. Clocks
 *   3. Arenas
 *   4. Rates, keys and decisions
 *   5. Token buckets
 *   6. Limits per key
 *   7. Several limits at once
 *   8. Limits of many machines
 *   9. Circuit breakers
 *   10. Concurrency limits
 *   11. Retries
 *   12. Load shedding
 *   13. Queues
 *   14. HTTP
 *   15. Gates
 *   16. Metrics
 *   17. Policies
 *   18. Layout
 */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header; tg_version() is that of the library. */
#define TG_VERSION "0.1.0"
#define TG_VERSION_MAJOR 0
#define TG_VERSION_MINOR 1
#define TG_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* ==================================================================================================================
 * 1. Answers
 *
 * What every call gives back, what its errors say, and which library it is.
 * ================================================================================================================== */

/** Nanoseconds that mean "never", or as a timeout "for ever". */
#define TG_NEVER UINT64_MAX

/**
 * What a call answered: 0 = done, > 0 = refused (an answer, not an error), < 0 = error (wrong arguments, or a bug).
 * A value never changes its meaning; later versions may add values.
 */
enum tg_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Done, admitted. */
    TG_OK = 0,
    /**
     * Refused: a rate limit has not enough tokens, a retry budget is empty, a client throttle rejects, or as many
     * calls are under way as a concurrency limit allows (from a waiting form: still so at the deadline).
     */
    TG_DENIED = 1,
    /** Refused: the circuit is open, or half-open with every probe taken. */
    TG_OPEN = 2,
    /** Refused: the queue is full or above its high watermark; from a waiting form: still so at the deadline. */
    TG_FULL = 3,
    /** Refused: the queue is closed; from a pop: closed and everything accepted has been taken out. */
    TG_CLOSED = 4,
    /**
     * Nothing there: the queue is empty (from a waiting form: still so at the deadline), no event is left to read, or
     * an arena has no object of that name.
     */
    TG_EMPTY = 5,
    /**
     * Nothing given back: the permit was given back before, taken back from a dead process, another process's, or
     * nobody's.
     */
    TG_NOT_HELD = 6,
    /** Refused: that was the last attempt of a call. */
    TG_EXHAUSTED = 7,
    /** Refused: the wait for another attempt would reach the deadline. */
    TG_LATE = 8,
    /** Refused: there is too much to do, and more important calls come first. */
    TG_SHED = 9,
    /** An item came out that the queue drops: it is the caller's, and the next call goes on. */
    TG_DROPPED = 10,
    /** Refused for good: the access list denies the client. */
    TG_FORBIDDEN = 11,
    /** Error: an argument that must not be NULL is NULL. */
    TG_NULL = -1,
    /** Error: tidegate panicked. That is a bug in tidegate; the process goes on. */
    TG_PANIC = -2,
    /** Error: a number outside what is allowed. */
    TG_OUT_OF_RANGE = -3,
    /** Error: a text that does not have the form it should. */
    TG_SYNTAX = -4,
    /** Error: two settings that exclude each other, or one that needs another. */
    TG_CONFLICT = -5,
    /** Error: struct_size does not fit: start from the struct's INIT macro. */
    TG_STRUCT_SIZE = -6,
    /** Error: a text that is not UTF-8. */
    TG_UTF8 = -7,
    /** Error: an int32_t that is none of its enum's values. */
    TG_UNKNOWN_VALUE = -8,
    /** Error: only a manual clock can be moved. */
    TG_NOT_MANUAL = -9,
    /** Error: a permit that no acquire has filled in. */
    TG_NO_PERMIT = -10,
    /** Error: an argument that is wrong in another way; see tg_last_error_message(). */
    TG_INVALID = -11,
    /** Error: the buffer is too small; *length tells what the text needs, without its NUL. */
    TG_BUFFER = -12,
    /** Error: the memory that a size asks for cannot be had. */
    TG_NO_MEMORY = -13,
    /** Error: this system has no arenas that processes share (Linux has). */
    TG_ARENA_UNSUPPORTED = -20,
    /**
     * Error: the arena's directory or file is somebody else's, a link, open to others, or may not be read or written.
     */
    TG_ARENA_PERMISSION = -21,
    /** Error: the directory lies on a filesystem that machines share, or that keeps no memory in common. */
    TG_ARENA_FILESYSTEM = -22,
    /** Error: no room for the arena, on the filesystem or in memory. */
    TG_ARENA_NO_SPACE = -23,
    /** Error: the file is not an arena, or not whole: short, resized, or written by something else. */
    TG_ARENA_FOREIGN = -24,
    /** Error: the file has another layout than its name says. */
    TG_ARENA_VERSION = -25,
    /** Error: this process's clock and the arena's differ. */
    TG_ARENA_CLOCK = -26,
    /** Error: an object of this name exists and is of another shape. */
    TG_ARENA_SHAPE = -27,
    /** Error: an object of this name exists and was declared with other settings; see tg_on_conflict. */
    TG_ARENA_SETTINGS = -28,
    /** Error: the arena is full: its bytes, its names or its places for processes. */
    TG_ARENA_FULL = -29,
    /** Error: the arena's file was removed or replaced while in use. */
    TG_ARENA_REMOVED = -30,
    /** Error: the system refused for another reason. */
    TG_ARENA_SYSTEM = -31,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_status tg_status;
#else
typedef int32_t tg_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A short, fixed text for `status` (any number: an unknown one is told as such). Not the place for details: see
 * tg_last_error_message().
 *
 * Ownership: static; never free it. Never NULL.
 */
const char *tg_status_message(int32_t status);

/**
 * What the latest failed call (status < 0) of this thread had to say: which argument was wrong, how, what is allowed.
 * Calls that succeed or are refused leave it as it is.
 *
 * Ownership: tidegate's; copy it before the next failing call on this thread. Never NULL, "" before any failure.
 * Thread safety: each thread has its own.
 */
const char *tg_last_error_message(void);

/**
 * The version of the library in use, as "major.minor.patch"; TG_VERSION is that of the header.
 *
 * Ownership: static; never free it. Never NULL.
 */
const char *tg_version(void);

/* ==================================================================================================================
 * 2. Clocks
 *
 * An object without a clock of its own reads the machine's. A manual one moves only when told to: for tests.
 * ================================================================================================================== */

/** A source of monotonic nanoseconds. */
typedef struct tg_clock tg_clock;

/**
 * Makes a handle to the machine's monotonic clock (what every object uses that is given no clock).
 *
 * Ownership: objects made with it keep what they need.
 */
tg_status tg_clock_monotonic_new(tg_clock **clock);

/**
 * Makes a clock that stands at start_ns nanoseconds and moves only through tg_clock_advance() and tg_clock_set(): for
 * tests.
 *
 * Ownership: objects made with it keep what they need.
 */
tg_status tg_clock_manual_new(uint64_t start_ns, tg_clock **clock);

/** Frees a clock; NULL is fine. Objects that were made with it go on. */
void tg_clock_free(tg_clock *clock);

/** Reads the clock: nanoseconds since an arbitrary, fixed moment. */
tg_status tg_clock_now(const tg_clock *clock, uint64_t *now_ns);

/**
 * Moves a manual clock forward; stops at the end of time (UINT64_MAX).
 *
 * Errors: TG_NOT_MANUAL.
 */
tg_status tg_clock_advance(const tg_clock *clock, uint64_t by_ns);

/**
 * Sets a manual clock to now_ns, backwards too.
 *
 * Errors: TG_NOT_MANUAL.
 */
tg_status tg_clock_set(const tg_clock *clock, uint64_t now_ns);

/* ==================================================================================================================
 * 3. Arenas
 *
 * Memory that objects live in under names, so that the threads of a process, or all processes of the machine,
 * share them.
 * ================================================================================================================== */

/**
 * What to do when an arena has an object of this name that was last declared with other settings (rate, burst,
 * thresholds) than mine. What tg_bucket_set_quota() and its like changed is not compared: it survives the restart of a
 * process that declares what it did before.
 */
enum tg_on_conflict
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** TG_ARENA_SETTINGS, with a sentence that names both. */
    TG_ON_CONFLICT_ERROR = 0,
    /** Take the object as it is. */
    TG_ON_CONFLICT_KEEP = 1,
    /** Change it to mine, for everybody. */
    TG_ON_CONFLICT_APPLY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_on_conflict tg_on_conflict;
#else
typedef int32_t tg_on_conflict;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Memory in which named objects live: of the machine for all its processes, or of this process for its threads. The
 * same name in the same arena is the same object, whoever opens it.
 */
typedef struct tg_arena tg_arena;

/** Which arena of this machine to open. Start from TG_ARENA_CONFIG_INIT and set name. */
typedef struct {
    /** sizeof(tg_arena_config) */
    size_t struct_size;
    /** 1 to 63 of A-Z a-z 0-9 . _ -. Must be set. Borrowed during the call, as all texts here. */
    const char *name;
    /** The directory of its file; NULL: TIDEGATE_DIR, else /dev/shm/tidegate-UID, which is made with mode 0700. */
    const char *path;
    /**
     * The group that may use the file as well (mode 0660), by name or number: for containers that run as different
     * users. NULL: only its owner may (mode 0600).
     */
    const char *group;
    /**
     * The most bytes it can take; it never grows. 0: what the file has; a new one gets what TIDEGATE_CAPACITY says in
     * the environment, else 256 MiB. Asking an existing arena for another is an error.
     */
    size_t capacity;
} tg_arena_config;

/** Initial values of tg_arena_config: its size, and the defaults. */
#define TG_ARENA_CONFIG_INIT \
    { sizeof(tg_arena_config), \
      NULL, NULL, NULL, 0 }

/**
 * Opens an arena of this machine, or makes it: every process that opens the same name in the same directory shares the
 * objects in it. It lives in a mapped file and outlasts its processes until the machine boots or the file is removed
 * (`tidegate rm`). Opened twice in a process it is one. Say what tg_arena_notices() has to say.
 *
 * Errors: TG_UTF8; TG_INVALID (a name that is none, a capacity that is none or another than the file's); TG_ARENA_*
 * (what stands in the way).
 */
tg_status tg_arena_open(const tg_arena_config *config, tg_arena **arena);

/**
 * Opens an arena of this process, or makes it: threads that share no pointers share its objects by name. After fork()
 * the child has a copy of its own. A new one has as many bytes as TIDEGATE_CAPACITY says in the environment, else 256
 * MiB of address space.
 *
 * Errors: TG_UTF8, TG_INVALID (a name that is none), TG_ARENA_NO_SPACE.
 */
tg_status tg_arena_process(const char *name, tg_arena **arena);

/**
 * tg_arena_process() with this many bytes of address space, whatever the environment says. It never grows.
 *
 * Errors: TG_UTF8, TG_INVALID (a name that is none, a capacity below 256 KiB or another than the arena has),
 * TG_ARENA_NO_SPACE.
 */
tg_status tg_arena_process_with_capacity(const char *name, size_t capacity, tg_arena **arena);

/**
 * Opens what one text says, the same in every language: "host:orders" (tg_arena_open()), "process:orders"
 * (tg_arena_process()), or "process" (private: *arena is NULL, which a config takes for memory of the object's own).
 * NULL: what TIDEGATE_SCOPE says in the environment, "process" where it says nothing.
 *
 * Errors: TG_UTF8; TG_INVALID (none of these forms); TG_ARENA_* as tg_arena_open().
 */
tg_status tg_arena_from_scope(const char *scope, tg_arena **arena);

/** Frees the handle; NULL is fine. The arena stays open as long as an object in it does. */
void tg_arena_free(tg_arena *arena);

/**
 * Makes a handle to the arena's clock, which its creator chose and everything in it lives by: what the `_at` forms of
 * objects in it take, and what an object outside needs to stand in one set with them.
 *
 * Ownership: to be freed with tg_clock_free(), before or after the arena.
 */
tg_status tg_arena_clock(const tg_arena *arena, tg_clock **clock);

/**
 * Writes what is worth saying once of this arena (another layout of it is in use by older programs, ...) and a NUL
 * into the size bytes of buffer: a line each, ended by \n; "" when there is nothing. *length (may be NULL): without
 * the NUL. `fputs(buffer, stderr);`
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_arena_notices(const tg_arena *arena, char *buffer, size_t size, size_t *length);

/**
 * Takes a name away: who has the object open goes on with it, who opens the name afresh makes a new one. Its bytes are
 * not given out again. TG_OK, or TG_EMPTY when there is no such name.
 *
 * Thread safety: may wait for who opens an object, in any process.
 * Errors: TG_UTF8, TG_ARENA_SYSTEM (the lock of the arena).
 */
tg_status tg_arena_remove(const tg_arena *arena, const char *name);

/* ==================================================================================================================
 * 4. Rates, keys and decisions
 *
 * What buckets and limiters take and give.
 * ================================================================================================================== */

/** As a burst: the count of the rate. */
#define TG_BURST_OF_RATE UINT64_MAX

/** As the queue of a leaky bucket: one less than the count of the rate. */
#define TG_QUEUE_OF_RATE UINT64_MAX

/** What a limit does with its decisions. */
enum tg_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Decides; off where the environment says TIDEGATE_DISABLED=1 (or true, yes, on) when the limit is made. */
    TG_MODE_ENFORCE = 0,
    /**
     * Decides, charges and counts, but refuses nothing: what it would have denied is in the snapshot's would_deny.
     * TIDEGATE_DISABLED switches it off as well.
     */
    TG_MODE_DRY_RUN = 1,
    /** Admits everything and touches nothing. */
    TG_MODE_DISABLED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_mode tg_mode;
#else
typedef int32_t tg_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** len bytes of any value, such as a key; NULL with length 0 is the empty text. */
typedef struct {
    /** The bytes. Borrowed during the call. */
    const void *data;
    /** How many. */
    size_t len;
} tg_bytes;

/** What a limit decided. Start from TG_DECISION_INIT. */
typedef struct {
    /** sizeof(tg_decision) */
    size_t struct_size;
    /** Whether the cost was taken (from a peek: would be). */
    bool allowed;
    /** The most tokens that can be taken at once (the burst). */
    uint32_t limit;
    /** Whole tokens left; 0 in debt or under a penalty. */
    uint32_t remaining;
    /** Nanoseconds until the same cost could be admitted: 0 when allowed, TG_NEVER when it exceeds the burst. */
    uint64_t retry_after_ns;
    /** Nanoseconds until the limit is back at its full burst. */
    uint64_t reset_after_ns;
    /** Nanoseconds to wait before acting on an admission: 0 for every algorithm but the leaky bucket. */
    uint64_t delay_ns;
} tg_decision;

/** Initial values of tg_decision: its size, and the defaults. */
#define TG_DECISION_INIT \
    { sizeof(tg_decision), \
      false, 0, 0, UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/** A rate and a burst. Start from TG_QUOTA_INIT. */
typedef struct {
    /** sizeof(tg_quota) */
    size_t struct_size;
    /** As in tg_bucket_config; NULL when read from tg_bucket_quota() or tg_limiter_quota(). */
    const char *rate;
    /** Tokens ... */
    uint64_t count;
    /** ... per this many nanoseconds. 0 both when rate is set. */
    uint64_t period_ns;
    /**
     * The most tokens at once; TG_BURST_OF_RATE: the count of the rate. Of a leaky bucket: one more than may wait.
     * Windows and logs have none.
     */
    uint64_t burst;
} tg_quota;

/** Initial values of tg_quota: its size, and the defaults. */
#define TG_QUOTA_INIT \
    { sizeof(tg_quota), \
      NULL, UINT64_C(0), UINT64_C(0), UINT64_MAX }

/* ==================================================================================================================
 * 5. Token buckets
 *
 * One limit for everybody.
 * ================================================================================================================== */

/** A token bucket: starts full, refills at its rate, holds at most its burst. */
typedef struct tg_bucket tg_bucket;

/** Settings of a token bucket. Start from TG_BUCKET_CONFIG_INIT; set rate, or count and period_ns. */
typedef struct {
    /** sizeof(tg_bucket_config) */
    size_t struct_size;
    /** "400/s", "100 per minute", "5 per 15 minutes"; NULL: see count. Borrowed during the call. */
    const char *rate;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Tokens ... */
    uint64_t count;
    /** ... per this many nanoseconds. 0 both when rate is set. */
    uint64_t period_ns;
    /** The most tokens at once, 1 .. 2^32 - 1; TG_BURST_OF_RATE: the count of the rate. */
    uint64_t burst;
    /**
     * 1: one word of state. k > 1: rate and burst are split over k words, so that many threads get in each other's way
     * less; a cost above burst / k is then never admitted.
     */
    uint64_t stripes;
    /** A new bucket's ramp: grows to its full limit over this time. 0: no ramp. */
    uint64_t warm_up_ns;
    /** The fraction of the limit that the ramp starts from, above 0 up to 1. 0: no ramp. */
    double warm_up_from;
    /** One of tg_mode. */
    int32_t mode;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena; without an arena it says nothing. Borrowed during the call. */
    const char *name;
} tg_bucket_config;

/** Initial values of tg_bucket_config: its size, and the defaults. */
#define TG_BUCKET_CONFIG_INIT \
    { sizeof(tg_bucket_config), \
      NULL, NULL, UINT64_C(0), UINT64_C(0), UINT64_MAX, UINT64_C(1), UINT64_C(0), 0.0, 0, 0, NULL, NULL }

/** Counts since a bucket was made. Start from TG_BUCKET_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_bucket_snapshot) */
    size_t struct_size;
    /** Calls admitted, without those of would_deny. */
    uint64_t admitted;
    /** Calls denied. */
    uint64_t denied;
    /** Calls that a dry run admitted and that would have been denied. */
    uint64_t would_deny;
} tg_bucket_snapshot;

/** Initial values of tg_bucket_snapshot: its size, and the defaults. */
#define TG_BUCKET_SNAPSHOT_INIT \
    { sizeof(tg_bucket_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/** A booking made by tg_bucket_reserve(), by value. What is in it is tidegate's; all zero is no booking. */
typedef struct {
    /** Opaque. */
    uint64_t word;
    /** Opaque. */
    uint64_t booking;
} tg_ticket;

/**
 * Makes a full token bucket, or opens the one of that name in an arena.
 *
 * Errors: TG_UTF8; TG_SYNTAX (rate); TG_OUT_OF_RANGE (a rate or burst that cannot be had); TG_CONFLICT (neither or
 * both of rate and count, half a ramp, a clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (mode,
 * on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (other stripes or another ramp under the name),
 * TG_ARENA_SETTINGS (another rate or burst), TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_bucket_new(const tg_bucket_config *config, tg_bucket **bucket);

/** Frees a bucket; NULL is fine. */
void tg_bucket_free(tg_bucket *bucket);

/**
 * Takes n tokens, or nothing: TG_OK or TG_DENIED. n = 0 takes nothing and is denied only in debt or under a penalty.
 */
tg_status tg_bucket_try_acquire(const tg_bucket *bucket, uint32_t n);

/** tg_bucket_try_acquire() at now_ns nanoseconds of the bucket's clock. */
tg_status tg_bucket_try_acquire_at(const tg_bucket *bucket, uint64_t now_ns, uint32_t n);

/** Takes n tokens, or nothing, and tells what is left: TG_OK or TG_DENIED. */
tg_status tg_bucket_check(const tg_bucket *bucket, uint32_t n, tg_decision *decision);

/** tg_bucket_check() at now_ns nanoseconds of the bucket's clock. */
tg_status tg_bucket_check_at(const tg_bucket *bucket, uint64_t now_ns, uint32_t n, tg_decision *decision);

/**
 * Tells what tg_bucket_check() for one token would say, and takes nothing (so remaining is what is there now):
 * TG_OK or TG_DENIED.
 */
tg_status tg_bucket_peek(const tg_bucket *bucket, tg_decision *decision);

/** tg_bucket_peek() at now_ns nanoseconds of the bucket's clock. */
tg_status tg_bucket_peek_at(const tg_bucket *bucket, uint64_t now_ns, tg_decision *decision);

/** Tells how many calls were admitted and denied since the bucket was made. */
tg_status tg_bucket_stats(const tg_bucket *bucket, tg_bucket_snapshot *snapshot);

/** Gives n tokens back, never above full; does not shorten a penalty. */
tg_status tg_bucket_refund(const tg_bucket *bucket, uint32_t n);

/** tg_bucket_refund() at now_ns nanoseconds of the bucket's clock. */
tg_status tg_bucket_refund_at(const tg_bucket *bucket, uint64_t now_ns, uint32_t n);

/** Admits nothing before now + wait_ns; then the bucket refills from empty. */
tg_status tg_bucket_penalize(const tg_bucket *bucket, uint64_t wait_ns);

/** tg_bucket_penalize() at now_ns nanoseconds of the bucket's clock. */
tg_status tg_bucket_penalize_at(const tg_bucket *bucket, uint64_t now_ns, uint64_t wait_ns);

/**
 * Makes the bucket full again: ends a penalty, voids tickets.
 *
 * Thread safety: may wait for a tg_bucket_set_quota().
 */
tg_status tg_bucket_reset(const tg_bucket *bucket);

/**
 * tg_bucket_reset() at now_ns nanoseconds of the bucket's clock.
 *
 * Thread safety: may wait for a tg_bucket_set_quota().
 */
tg_status tg_bucket_reset_at(const tg_bucket *bucket, uint64_t now_ns);

/**
 * Changes rate and burst; the level is kept (rounded towards fewer tokens, clipped to the new burst), tickets are
 * void.
 *
 * Thread safety: may wait for another tg_bucket_set_quota(), in an arena of the machine for one of another process.
 * Errors: TG_UTF8, TG_SYNTAX, TG_OUT_OF_RANGE, TG_CONFLICT, as tg_bucket_new(); TG_CONFLICT also when the system
 * refuses an arena's lock. The quota is then unchanged.
 */
tg_status tg_bucket_set_quota(const tg_bucket *bucket, const tg_quota *quota);

/**
 * tg_bucket_set_quota() at now_ns nanoseconds of the bucket's clock.
 *
 * Thread safety: may wait for another tg_bucket_set_quota().
 */
tg_status tg_bucket_set_quota_at(const tg_bucket *bucket, uint64_t now_ns, const tg_quota *quota);

/** Tells the quota in force: count per period_ns in lowest terms, and burst. */
tg_status tg_bucket_quota(const tg_bucket *bucket, tg_quota *quota);

/**
 * Books n tokens ahead if the wait is at most max_wait_ns (TG_NEVER: as long as it takes). TG_OK: booked, act after
 * *wait_ns nanoseconds. TG_DENIED: nothing booked, *wait_ns is the wait it would have taken (TG_NEVER: n exceeds the
 * burst) and *ticket is all zero.
 *
 * Ownership: ticket may be NULL if it will never be cancelled.
 */
tg_status tg_bucket_reserve(const tg_bucket *bucket,
                            uint32_t n,
                            uint64_t max_wait_ns,
                            tg_ticket *ticket,
                            uint64_t *wait_ns);

/**
 * tg_bucket_reserve() at now_ns nanoseconds of the bucket's clock.
 *
 * Ownership: ticket may be NULL if it will never be cancelled.
 */
tg_status tg_bucket_reserve_at(const tg_bucket *bucket,
                               uint64_t now_ns,
                               uint32_t n,
                               uint64_t max_wait_ns,
                               tg_ticket *ticket,
                               uint64_t *wait_ns);

/**
 * Gives a booking back: nothing once its time to act has come, else its tokens minus what was booked behind it and is
 * still out (those were told their times). So the last booking comes back whole, then the one before it. A ticket
 * counts once, and as long as it is among the latest 256 that had to wait.
 * *returned (may be NULL) tells whether anything came back. Always TG_OK with a live bucket.
 *
 * Ownership: a ticket may be dropped without cancelling.
 */
tg_status tg_bucket_cancel(const tg_bucket *bucket, tg_ticket ticket, bool *returned);

/**
 * tg_bucket_cancel() at now_ns nanoseconds of the bucket's clock.
 *
 * Ownership: a ticket may be dropped without cancelling.
 */
tg_status tg_bucket_cancel_at(const tg_bucket *bucket, uint64_t now_ns, tg_ticket ticket, bool *returned);

/* ==================================================================================================================
 * 6. Limits per key
 *
 * One limit for each user, address or API key, in a table of fixed size.
 * ================================================================================================================== */

/** How a keyed limit counts. */
enum tg_algorithm
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Refills continuously, holds at most the burst. */
    TG_ALGORITHM_TOKEN_BUCKET = 0,
    /** At most the rate's count in a window that starts at the first hit. */
    TG_ALGORITHM_FIXED_WINDOW = 1,
    /** Two windows, the earlier one weighted by how much of it still counts. */
    TG_ALGORITHM_SLIDING_WINDOW = 2,
    /** Remembers every admission: exact, for small limits such as logins (at most 4096). */
    TG_ALGORITHM_SLIDING_LOG = 3,
    /** Paces: admits with a delay (delay_ns of the decision), with a bounded number waiting. */
    TG_ALGORITHM_LEAKY_BUCKET = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_algorithm tg_algorithm;
#else
typedef int32_t tg_algorithm;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** A limit for each key (user, address, API key), in a table of fixed size. */
typedef struct tg_limiter tg_limiter;

/** Settings of a keyed limit. Start from TG_LIMITER_CONFIG_INIT; set rate, or count and period_ns. */
typedef struct {
    /** sizeof(tg_limiter_config) */
    size_t struct_size;
    /** "100/min" for each key, as in tg_bucket_config; NULL: see count. Borrowed during the call. */
    const char *rate;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
     */
    const tg_clock *clock;
    /**
     * The fastest and largest quota that any key will ever have (a tier, tg_limiter_set_quota()): it decides the
     * resolution of time. NULL: the rate above. Borrowed during the call.
     */
    const tg_quota *fastest;
    /** Tokens ... */
    uint64_t count;
    /** ... per this many nanoseconds. 0 both when rate is set. */
    uint64_t period_ns;
    /** The most tokens at once, 1 .. 1,048,576; TG_BURST_OF_RATE: the count of the rate. Windows and logs have none. */
    uint64_t burst;
    /** Leaky bucket only: the most that may wait; TG_QUEUE_OF_RATE: one less than the count of the rate. */
    uint64_t queue;
    /**
     * How many live keys have a cell of their own, 1 .. 100 million; more share an overflow sketch, which may deny
     * early and never admits extra. Memory is fixed by it, whatever keys come.
     */
    size_t max_keys;
    /** The block_after-th denial of a key within this time (from the first of them) blocks the key. */
    uint64_t block_within_ns;
    /** For so long. */
    uint64_t block_duration_ns;
    /** Blocks grow up to this; 0: 64 times block_duration_ns, a year at most. */
    uint64_t block_max_ns;
    /** Each block that is not yet forgotten multiplies the next by this, >= 1; 2 by TG_LIMITER_CONFIG_INIT. */
    double block_growth;
    /** A new limiter's ramp: grows to its full limit over this time. 0: no ramp. */
    uint64_t warm_up_ns;
    /** The fraction of the limit that the ramp starts from, above 0 up to 1. 0: no ramp. */
    double warm_up_from;
    /** One of tg_algorithm. */
    int32_t algorithm;
    /** One of tg_mode. */
    int32_t mode;
    /** 0: keys are never blocked. */
    uint32_t block_after;
    /** Not 0: asks the kernel for huge pages under the table, for millions of keys. */
    uint32_t huge_pages;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena; without an arena it says nothing. Borrowed during the call. */
    const char *name;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
    /** 0. */
    uint32_t reserved;
} tg_limiter_config;

/** Initial values of tg_limiter_config: its size, and the defaults. */
#define TG_LIMITER_CONFIG_INIT \
    { sizeof(tg_limiter_config), \
      NULL, NULL, NULL, UINT64_C(0), UINT64_C(0), UINT64_MAX, UINT64_MAX, 100000, UINT64_C(0), UINT64_C(0), \
      UINT64_C(0), 2.0, UINT64_C(0), 0.0, 0, 0, 0, 0, NULL, NULL, 0, 0 }

/**
 * A quota made ready for one keyed limit by tg_limiter_tier(), by value: copy it, keep it, nothing needs to be freed.
 * What is in it is tidegate's; all zero is no tier.
 */
typedef struct {
    /** Opaque. */
    uint64_t owner;
    /** Opaque. */
    uint64_t word[7];
} tg_tier;

/** Counts since a keyed limit was made. Start from TG_LIMITER_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_limiter_snapshot) */
    size_t struct_size;
    /** Calls admitted. */
    uint64_t admitted;
    /** Calls denied. */
    uint64_t denied;
    /** Calls admitted by a dry run that would have been denied. */
    uint64_t would_deny;
    /** Idle keys that made room for others. */
    uint64_t evictions;
    /** Calls that were decided by the shared sketch, because their key found no room. */
    uint64_t overflowed;
    /** Blocks of keys that went on after being denied. */
    uint64_t blocked;
} tg_limiter_snapshot;

/** Initial values of tg_limiter_snapshot: its size, and the defaults. */
#define TG_LIMITER_SNAPSHOT_INIT \
    { sizeof(tg_limiter_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/**
 * Makes a keyed limit in which no key has used anything yet, or opens the one of that name in an arena.
 *
 * Errors: TG_UTF8; TG_SYNTAX (rate); TG_OUT_OF_RANGE (a number that cannot be had); TG_NO_MEMORY (for max_keys);
 * TG_CONFLICT (neither or both of rate and count, a burst for a window, a queue for anything but a leaky bucket, half
 * a block or ramp, a clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (algorithm, mode, on_conflict);
 * TG_INVALID (a name that is none); TG_ARENA_SHAPE (another algorithm, max_keys, block or ramp under the name),
 * TG_ARENA_SETTINGS (another rate, burst or fastest), TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_limiter_new(const tg_limiter_config *config, tg_limiter **limiter);

/** Frees a keyed limit; NULL is fine. A set made with it goes on. */
void tg_limiter_free(tg_limiter *limiter);

/**
 * Takes n from the limit of the key, or nothing: TG_OK or TG_DENIED. A leaky bucket admits here only what needs no
 * delay. A key is key_len bytes of any value; NULL with length 0 is the empty key, a key like any other.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_try_acquire(const tg_limiter *limiter, const void *key, size_t key_len, uint32_t n);

/** tg_limiter_try_acquire() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_try_acquire_at(const tg_limiter *limiter, uint64_t now_ns, const void *key, size_t key_len, uint32_t n);

/**
 * Takes n from the limit of the key, or nothing, and tells what is left: TG_OK or TG_DENIED. With a leaky bucket, wait
 * decision->delay_ns before acting on TG_OK.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_check(const tg_limiter *limiter, const void *key, size_t key_len, uint32_t n, tg_decision *decision);

/** tg_limiter_check() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_check_at(const tg_limiter *limiter,
                              uint64_t now_ns,
                              const void *key,
                              size_t key_len,
                              uint32_t n,
                              tg_decision *decision);

/**
 * Tells what tg_limiter_check() of one would say, and takes nothing (so remaining is what is there now): TG_OK or
 * TG_DENIED.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_peek(const tg_limiter *limiter, const void *key, size_t key_len, tg_decision *decision);

/** tg_limiter_peek() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_peek_at(const tg_limiter *limiter,
                             uint64_t now_ns,
                             const void *key,
                             size_t key_len,
                             tg_decision *decision);

/**
 * Gives n back to the key, never above full; does not shorten a penalty. For what should not have counted: a login
 * that succeeded, a request that was answered from a cache.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_refund(const tg_limiter *limiter, const void *key, size_t key_len, uint32_t n);

/**
 * tg_limiter_refund() at now_ns nanoseconds of the limiter's clock.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_refund_at(const tg_limiter *limiter, uint64_t now_ns, const void *key, size_t key_len, uint32_t n);

/**
 * Admits nothing of the key before now + wait_ns (a year at most); a penalty in force is only lengthened. After it a
 * token bucket refills from empty; the others start anew, and are held until what they counted before is over. *noted
 * (may be NULL) tells whether there was room: a key without a cell of its own is not penalised, for others share its
 * sketch.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_penalize(const tg_limiter *limiter, const void *key, size_t key_len, uint64_t wait_ns, bool *noted);

/** tg_limiter_penalize() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_penalize_at(const tg_limiter *limiter,
                                 uint64_t now_ns,
                                 const void *key,
                                 size_t key_len,
                                 uint64_t wait_ns,
                                 bool *noted);

/**
 * Makes the key as new: full again, no penalty, its blocks forgotten.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_reset(const tg_limiter *limiter, const void *key, size_t key_len);

/**
 * tg_limiter_reset() at now_ns nanoseconds of the limiter's clock.
 *
 * Errors: TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_limiter_reset_at(const tg_limiter *limiter, uint64_t now_ns, const void *key, size_t key_len);

/** Makes all keys as new; the counters stay. Takes time in proportion to max_keys. */
tg_status tg_limiter_reset_all(const tg_limiter *limiter);

/** tg_limiter_reset_all() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_reset_all_at(const tg_limiter *limiter, uint64_t now_ns);

/**
 * Changes the quota of the keys that have no tier. Each keeps the part that it has used; windows keep their counts.
 *
 * Thread safety: may wait for another tg_limiter_set_quota().
 * Errors: TG_UTF8, TG_SYNTAX, TG_CONFLICT as tg_limiter_new(); TG_OUT_OF_RANGE also when it is faster or larger than
 * the table was made for (fastest). The quota is then unchanged.
 */
tg_status tg_limiter_set_quota(const tg_limiter *limiter, const tg_quota *quota);

/**
 * TG_ALGORITHM_FIXED_WINDOW only: counts n hits of the key whatever the limit, for stores that judge by themselves.
 * *hits: those of the present window, these included; *reset_after_ns: until it ends, or 0 of a key that has none and
 * is only looked at (n = 0). Counts as far as the bits of the limit go (7 with a limit of 4 .. 7), and that number
 * stands for more; declare a larger fastest to count further.
 *
 * Ownership: hits and reset_after_ns may be NULL.
 * Errors: TG_OUT_OF_RANGE (key_len), TG_CONFLICT (another algorithm).
 */
tg_status tg_limiter_hit(const tg_limiter *limiter,
                         const void *key,
                         size_t key_len,
                         uint32_t n,
                         uint32_t *hits,
                         uint64_t *reset_after_ns);

/**
 * tg_limiter_hit() at now_ns nanoseconds of the limiter's clock.
 *
 * Ownership: hits and reset_after_ns may be NULL.
 */
tg_status tg_limiter_hit_at(const tg_limiter *limiter,
                            uint64_t now_ns,
                            const void *key,
                            size_t key_len,
                            uint32_t n,
                            uint32_t *hits,
                            uint64_t *reset_after_ns);

/**
 * TG_ALGORITHM_SLIDING_WINDOW only: the two counts behind a key's estimate, for stores that judge by themselves.
 * *previous and *current: of the window before and of this one; *left_ns: until this one ends. Takes nothing.
 *
 * Ownership: previous, current and left_ns may be NULL.
 * Errors: TG_OUT_OF_RANGE (key_len), TG_CONFLICT (another algorithm).
 */
tg_status tg_limiter_windows(const tg_limiter *limiter,
                             const void *key,
                             size_t key_len,
                             uint32_t *previous,
                             uint32_t *current,
                             uint64_t *left_ns);

/**
 * tg_limiter_windows() at now_ns nanoseconds of the limiter's clock.
 *
 * Ownership: previous, current and left_ns may be NULL.
 */
tg_status tg_limiter_windows_at(const tg_limiter *limiter,
                                uint64_t now_ns,
                                const void *key,
                                size_t key_len,
                                uint32_t *previous,
                                uint32_t *current,
                                uint64_t *left_ns);

/**
 * Makes a quota ready for keys or calls that have their own (free, pro, internal). Takes a few divisions: make it
 * once, use it for every call. A key whose quota changes keeps the part that it has used. In any order, quotas on one
 * key admit at one moment at most the largest of their bursts, and over time at most that for each of the shortest of
 * their times to fill. A limiter tells seven times to fill apart; a quota with an eighth gets a smaller burst.
 *
 * Ownership: the tier is a value, good until limiter is freed.
 * Errors: TG_UTF8, TG_SYNTAX, TG_CONFLICT as tg_limiter_new(); TG_OUT_OF_RANGE also when it is faster or larger than
 * the table was made for (fastest).
 */
tg_status tg_limiter_tier(const tg_limiter *limiter, const tg_quota *quota, tg_tier *tier);

/**
 * tg_limiter_try_acquire() by the quota of a tier. The key keeps one level, whatever tier it is asked by.
 *
 * Errors: as tg_limiter_try_acquire(); TG_INVALID (a tier of another limiter, or none).
 */
tg_status tg_limiter_try_acquire_tier(const tg_limiter *limiter,
                                      const void *key,
                                      size_t key_len,
                                      uint32_t n,
                                      const tg_tier *tier);

/** tg_limiter_try_acquire_tier() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_try_acquire_tier_at(const tg_limiter *limiter,
                                         uint64_t now_ns,
                                         const void *key,
                                         size_t key_len,
                                         uint32_t n,
                                         const tg_tier *tier);

/**
 * tg_limiter_check() by the quota of a tier. The key keeps one level, whatever tier it is asked by.
 *
 * Errors: as tg_limiter_check(); TG_INVALID (a tier of another limiter, or none).
 */
tg_status tg_limiter_check_tier(const tg_limiter *limiter,
                                const void *key,
                                size_t key_len,
                                uint32_t n,
                                const tg_tier *tier,
                                tg_decision *decision);

/** tg_limiter_check_tier() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_check_tier_at(const tg_limiter *limiter,
                                   uint64_t now_ns,
                                   const void *key,
                                   size_t key_len,
                                   uint32_t n,
                                   const tg_tier *tier,
                                   tg_decision *decision);

/**
 * tg_limiter_peek() by the quota of a tier.
 *
 * Errors: as tg_limiter_peek(); TG_INVALID (a tier of another limiter, or none).
 */
tg_status tg_limiter_peek_tier(const tg_limiter *limiter,
                               const void *key,
                               size_t key_len,
                               const tg_tier *tier,
                               tg_decision *decision);

/** tg_limiter_peek_tier() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_peek_tier_at(const tg_limiter *limiter,
                                  uint64_t now_ns,
                                  const void *key,
                                  size_t key_len,
                                  const tg_tier *tier,
                                  tg_decision *decision);

/**
 * tg_limiter_refund() by the quota of a tier, the one that the key was charged by.
 *
 * Errors: as tg_limiter_refund(); TG_INVALID (a tier of another limiter, or none).
 */
tg_status tg_limiter_refund_tier(const tg_limiter *limiter, const void *key, size_t key_len, uint32_t n, const tg_tier *tier);

/** tg_limiter_refund_tier() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_refund_tier_at(const tg_limiter *limiter,
                                    uint64_t now_ns,
                                    const void *key,
                                    size_t key_len,
                                    uint32_t n,
                                    const tg_tier *tier);

/** Tells the counts since the limiter was made. */
tg_status tg_limiter_stats(const tg_limiter *limiter, tg_limiter_snapshot *snapshot);

/**
 * Tells how many keys are live (not idle) now and have a cell of their own; those in the sketch do not count. May
 * exceed max_keys: the table has nearly four cells for each of these, because keys do not spread evenly, and turns
 * nobody away who finds one free. Takes time in proportion to max_keys.
 */
tg_status tg_limiter_len(const tg_limiter *limiter, size_t *keys);

/** tg_limiter_len() at now_ns nanoseconds of the limiter's clock. */
tg_status tg_limiter_len_at(const tg_limiter *limiter, uint64_t now_ns, size_t *keys);

/** Tells how many bytes it holds: the table, the sketch, and all else that grows with max_keys. It never changes. */
tg_status tg_limiter_memory(const tg_limiter *limiter, size_t *bytes);

/** Tells the quota of the keys that have no tier. */
tg_status tg_limiter_quota(const tg_limiter *limiter, tg_quota *quota);

/* ==================================================================================================================
 * 7. Several limits at once
 *
 * All or nothing: what one of them denies is taken from none.
 * ================================================================================================================== */

/** Several limits over different keys (user, address, endpoint, everybody), decided all or nothing. */
typedef struct tg_limit_set tg_limit_set;

/** One limit of a set: a name, and either a bucket (one for everybody: takes no key) or a limiter (one per key). */
typedef struct {
    /** Not empty, and no other member's. Copied. */
    const char *name;
    /** NULL when limiter is set. Shared. */
    const tg_bucket *bucket;
    /** NULL when bucket is set. Shared. */
    const tg_limiter *limiter;
} tg_limit_member;

/**
 * Makes one decision of several limits, in this order. Bucket and limiter stay in use by themselves: what they admit
 * alone and what the set admits is charged to one and the same state.
 *
 * Errors: TG_UTF8 (a name), TG_CONFLICT (no member, or more than 16; both or neither of bucket and limiter; a name
 * twice, or an empty one; different clocks).
 */
tg_status tg_limit_set_new(const tg_limit_member *members, size_t member_count, tg_limit_set **set);

/** Frees a set; NULL is fine. Its buckets and limiters go on. */
void tg_limit_set_free(tg_limit_set *set);

/** Tells how many members it has. */
tg_status tg_limit_set_len(const tg_limit_set *set, size_t *members);

/**
 * Tells the name of the member at place (from 0, in the order of tg_limit_set_new()), such as a denied_by.
 *
 * Ownership: *name is the set's, good until tg_limit_set_free().
 * Errors: TG_OUT_OF_RANGE (place).
 */
tg_status tg_limit_set_name(const tg_limit_set *set, int32_t place, const char **name);

/**
 * Takes n from every member, or nothing from any: TG_OK or TG_DENIED. keys: one for each limiter of the set, in order;
 * buckets take none. Allowed: decision is that of the member with the fewest left, with the longest delay_ns. Denied:
 * that of the member with the longest wait, and *denied_by (may be NULL) is its place, for tg_limit_set_name(); -1
 * otherwise.
 *
 * Thread safety: while one call is being denied it may make another deny; never does it let one more through.
 * Errors: TG_CONFLICT (more or fewer keys than limiters), TG_OUT_OF_RANGE (a length).
 */
tg_status tg_limit_set_check(const tg_limit_set *set,
                             const tg_bytes *keys,
                             size_t key_count,
                             uint32_t n,
                             tg_decision *decision,
                             int32_t *denied_by);

/** tg_limit_set_check() at now_ns nanoseconds of the members' clock. */
tg_status tg_limit_set_check_at(const tg_limit_set *set,
                                uint64_t now_ns,
                                const tg_bytes *keys,
                                size_t key_count,
                                uint32_t n,
                                tg_decision *decision,
                                int32_t *denied_by);

/**
 * tg_limit_set_check() that also tells each member's own decision, in order: an array of each_count structs, every one
 * started from TG_DECISION_INIT; with fewer than members, the first of them.
 *
 * Errors: as tg_limit_set_check(); TG_STRUCT_SIZE also for one of each.
 */
tg_status tg_limit_set_check_each(const tg_limit_set *set,
                                  const tg_bytes *keys,
                                  size_t key_count,
                                  uint32_t n,
                                  tg_decision *decision,
                                  int32_t *denied_by,
                                  tg_decision *each,
                                  size_t each_count);

/** tg_limit_set_check_each() at now_ns nanoseconds of the members' clock. */
tg_status tg_limit_set_check_each_at(const tg_limit_set *set,
                                     uint64_t now_ns,
                                     const tg_bytes *keys,
                                     size_t key_count,
                                     uint32_t n,
                                     tg_decision *decision,
                                     int32_t *denied_by,
                                     tg_decision *each,
                                     size_t each_count);

/**
 * Tells what tg_limit_set_check() would say, and takes nothing: TG_OK or TG_DENIED.
 *
 * Errors: as tg_limit_set_check().
 */
tg_status tg_limit_set_peek(const tg_limit_set *set,
                            const tg_bytes *keys,
                            size_t key_count,
                            uint32_t n,
                            tg_decision *decision,
                            int32_t *denied_by);

/** tg_limit_set_peek() at now_ns nanoseconds of the members' clock. */
tg_status tg_limit_set_peek_at(const tg_limit_set *set,
                               uint64_t now_ns,
                               const tg_bytes *keys,
                               size_t key_count,
                               uint32_t n,
                               tg_decision *decision,
                               int32_t *denied_by);

/**
 * Gives n back to every member, never above full.
 *
 * Errors: TG_CONFLICT (more or fewer keys than limiters), TG_OUT_OF_RANGE (a length).
 */
tg_status tg_limit_set_refund(const tg_limit_set *set, const tg_bytes *keys, size_t key_count, uint32_t n);

/** tg_limit_set_refund() at now_ns nanoseconds of the members' clock. */
tg_status tg_limit_set_refund_at(const tg_limit_set *set, uint64_t now_ns, const tg_bytes *keys, size_t key_count, uint32_t n);

/* ==================================================================================================================
 * 8. Limits of many machines
 *
 * One rate for all of them, spent from what an agent of each has leased from a store.
 * ================================================================================================================== */

/** What a machine does when its lease has ended and the store does not answer. */
enum tg_on_unreachable
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** It denies. */
    TG_ON_UNREACHABLE_DENY = 0,
    /** It admits its share, rate / hosts, for fallback_for_ns. */
    TG_ON_UNREACHABLE_LOCAL = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_on_unreachable tg_on_unreachable;
#else
typedef int32_t tg_on_unreachable;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A rate that many machines share. The processes of this one spend what its agent (`tidegate agent --store redis://…
 * --arena NAME`) has leased from Redis or Valkey: a decision asks nobody. Over any span of time all machines admit no
 * more than burst + rate * time, whatever happens to machines, store and network. Without an agent it denies, and
 * tg_cluster_limit_fault() says so.
 */
typedef struct tg_cluster_limit tg_cluster_limit;

/**
 * Settings of a cluster limit. Start from TG_CLUSTER_LIMIT_CONFIG_INIT; set arena, name, and rate or count and
 * period_ns. All but the quota and the mode must be the same on all machines.
 */
typedef struct {
    /** sizeof(tg_cluster_limit_config) */
    size_t struct_size;
    /** What all machines together may admit: "400/s", "5 per 15 minutes"; NULL: see count. Borrowed during the call. */
    const char *rate;
    /** Tokens ... */
    uint64_t count;
    /** ... per this many nanoseconds. 0 both when rate is set. */
    uint64_t period_ns;
    /** The most tokens at once, at least 2; TG_BURST_OF_RATE: the count of the rate. */
    uint64_t burst;
    /** The arena of this machine, in which its agent finds the limit. Shared. */
    const tg_arena *arena;
    /** Which limit it is; the same name is the same limit, on all machines. Borrowed during the call. */
    const char *name;
    /** From one question to the store to the next; 0: burst / rate / 4, within 10 to 100 ms. */
    uint64_t sync_ns;
    /** How long a machine may spend what it leased without hearing from the store; 0: 5 * sync_ns. */
    uint64_t lease_ns;
    /** How long to wait for the store. */
    uint64_t timeout_ns;
    /** For TG_ON_UNREACHABLE_LOCAL: how long a machine goes on with its share. */
    uint64_t fallback_for_ns;
    /** The most tokens that all machines hold at once; 0: half of the burst. */
    uint32_t max_outstanding;
    /** One of tg_on_unreachable. */
    int32_t on_unreachable;
    /** For TG_ON_UNREACHABLE_LOCAL: an upper bound of how many machines there are; else 0. */
    uint32_t hosts;
    /** One of tg_mode. */
    int32_t mode;
    /** One of tg_on_conflict. */
    int32_t on_conflict;
    /** 0. */
    uint32_t reserved;
} tg_cluster_limit_config;

/** Initial values of tg_cluster_limit_config: its size, and the defaults. */
#define TG_CLUSTER_LIMIT_CONFIG_INIT \
    { sizeof(tg_cluster_limit_config), \
      NULL, UINT64_C(0), UINT64_C(0), UINT64_MAX, NULL, NULL, UINT64_C(0), UINT64_C(0), UINT64_C(100000000), \
      UINT64_C(60000000000), 0, 0, 0, 0, 0, 0 }

/** A look at a cluster limit. Start from TG_CLUSTER_LIMIT_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_cluster_limit_snapshot) */
    size_t struct_size;
    /** Calls admitted, by all processes of this machine. */
    uint64_t admitted;
    /** Calls denied. */
    uint64_t denied;
    /** Calls that a dry run let through and that would have been denied. */
    uint64_t would_deny;
    /** Tokens that this machine may spend now. */
    uint64_t tokens;
    /** Nanoseconds until they are lost unless the store answers again; 0: they are, or there are none. */
    uint64_t expires_in_ns;
    /** What the store had left for all machines, by its latest answer. */
    uint64_t level;
    /** Tokens granted to this machine. */
    uint64_t granted;
    /** Questions to the store. */
    uint64_t syncs;
    /** Questions without an answer. */
    uint64_t errors;
    /** Questions that ran too late, or when the store's clock had leapt. */
    uint64_t late;
    /** Times that the store was another one, or had forgotten. */
    uint64_t epochs;
    /** How long the latest answer took. In nanoseconds. */
    uint64_t round_trip_ns;
    /** 1 or 0. Whether an agent keeps the lease. */
    uint64_t refilled;
} tg_cluster_limit_snapshot;

/** Initial values of tg_cluster_limit_snapshot: its size, and the defaults. */
#define TG_CLUSTER_LIMIT_SNAPSHOT_INIT \
    { sizeof(tg_cluster_limit_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/**
 * Makes a cluster limit in an arena, or opens the one of that name.
 *
 * Errors: TG_UTF8; TG_SYNTAX (rate); TG_OUT_OF_RANGE (a rate or burst that cannot be had, sync_ns, lease_ns,
 * timeout_ns, max_outstanding, hosts, fallback_for_ns, reserved); TG_CONFLICT (no arena, an arena without a name,
 * neither or both of rate and count, hosts without TG_ON_UNREACHABLE_LOCAL or the other way, a lease of less than two
 * syncs); TG_UNKNOWN_VALUE (on_unreachable, mode, on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE,
 * TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_cluster_limit_new(const tg_cluster_limit_config *config, tg_cluster_limit **limit);

/** Frees a cluster limit; NULL is fine. */
void tg_cluster_limit_free(tg_cluster_limit *limit);

/** Takes n tokens of what is leased (TG_OK), or nothing (TG_DENIED). */
tg_status tg_cluster_limit_try_acquire(const tg_cluster_limit *limit, uint32_t n);

/**
 * Takes n tokens (TG_OK), or nothing (TG_DENIED), and tells what this machine has left. retry_after_ns is the earliest
 * that the store's next answer could bring them.
 */
tg_status tg_cluster_limit_check(const tg_cluster_limit *limit, uint32_t n, tg_decision *decision);

/** Tells what all processes of this machine decided, and how it goes with the store. Some system calls. */
tg_status tg_cluster_limit_stats(const tg_cluster_limit *limit, tg_cluster_limit_snapshot *snapshot);

/**
 * Writes what is wrong, and a NUL, into the size bytes of buffer: an empty text where nothing is. Never the store's
 * URL. *length (may be NULL): without the NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_cluster_limit_fault(const tg_cluster_limit *limit, char *buffer, size_t size, size_t *length);

/* ==================================================================================================================
 * 9. Circuit breakers
 *
 * A dependency that fails or crawls: acquire a permit, call, report how it ended.
 * ================================================================================================================== */

/** What became of a call. */
enum tg_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** It worked. Slow when its duration reached slow_call_duration_ns. */
    TG_SUCCESS = 0,
    /** It failed. */
    TG_FAILURE = 1,
    /**
     * It says nothing about the dependency (a wrong argument, a local refusal): not counted; a probe slot is given
     * back.
     */
    TG_IGNORE = 2,
    /**
     * It never reached the dependency (no connection of the pool was free): a failure while closed; of a probe it says
     * nothing, and the slot is given back.
     */
    TG_UNREACHED = 3,
    /** It worked, and was slow, whatever its duration. */
    TG_SLOW = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_outcome tg_outcome;
#else
typedef int32_t tg_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Where a breaker stands. Later versions may add values. */
enum tg_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Calls pass and are counted. */
    TG_STATE_CLOSED = 0,
    /** Calls are refused until the cooldown ends. */
    TG_STATE_OPEN = 1,
    /** A few probes pass. */
    TG_STATE_HALF_OPEN = 2,
    /** Open by hand, until reset. */
    TG_STATE_FORCED_OPEN = 3,
    /** Switched off: calls pass and are not counted. */
    TG_STATE_DISABLED = 4,
    /** Calls pass and are counted, the circuit never opens. */
    TG_STATE_METRICS_ONLY = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_state tg_state;
#else
typedef int32_t tg_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** What an event tells. Later versions may add values. */
enum tg_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Now closed. */
    TG_EVENT_CLOSED = 0,
    /** Now open. */
    TG_EVENT_OPENED = 1,
    /** Now half-open. */
    TG_EVENT_HALF_OPENED = 2,
    /** Opened by hand. */
    TG_EVENT_FORCED_OPEN = 3,
    /** Switched off. */
    TG_EVENT_DISABLED = 4,
    /** Metrics only. */
    TG_EVENT_METRICS_ONLY = 5,
    /** A probe succeeded. */
    TG_EVENT_PROBE_SUCCEEDED = 6,
    /** A probe failed. */
    TG_EVENT_PROBE_FAILED = 7,
    /** A probe did not report within probe_timeout_ns. */
    TG_EVENT_PROBE_LOST = 8,
    /** Closed, and calls come back by degrees. */
    TG_EVENT_RAMP_STARTED = 9,
    /**
     * All calls pass again: the ramp's time is over, or it was ended by a reset. A trip or another switch tells of
     * itself.
     */
    TG_EVENT_RAMP_ENDED = 10,
    /** Its settings were changed. */
    TG_EVENT_CONFIGURED = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_event_kind tg_event_kind;
#else
typedef int32_t tg_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** A circuit breaker: closed, open, half-open. */
typedef struct tg_breaker tg_breaker;

/**
 * Circuit breakers by key: one for each host, tenant or operation, at most max_breakers of them, in memory that is
 * taken when the registry is made. Full, the closed one whose last call is the oldest makes room; one in any other
 * state never does. If none can, newcomers share one more breaker.
 */
typedef struct tg_registry tg_registry;

/** Settings of a circuit breaker. Start from TG_BREAKER_CONFIG_INIT, which holds the defaults. */
typedef struct {
    /** sizeof(tg_breaker_config) */
    size_t struct_size;
    /** For people, and its name in the arena; NULL: "default"; not "". Copied. */
    const char *name;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Rates are taken over the calls of the last so many nanoseconds; 0: over window_calls. */
    uint64_t window_duration_ns;
    /** A call that takes at least this long is slow; TG_NEVER: none is. */
    uint64_t slow_call_duration_ns;
    /** How long it stays open. */
    uint64_t cooldown_ns;
    /** No cooldown is longer than this; 0: 64 times cooldown_ns. */
    uint64_t max_cooldown_ns;
    /** A probe that has not reported by then is lost and its slot free again. */
    uint64_t probe_timeout_ns;
    /** Opens when failed / calls reaches this, 0 < rate <= 1. */
    double failure_rate_threshold;
    /** Opens when slow / calls reaches this, 0 < rate <= 1. */
    double slow_call_rate_threshold;
    /** Each opening from half-open multiplies the cooldown by this, >= 1. */
    double cooldown_backoff;
    /** The cooldown is lengthened by a random part of up to this fraction, 0 .. 1. */
    double cooldown_jitter;
    /** Rates are taken over the last so many calls; 0: see window_duration_ns. Both 0: the last 20 calls. */
    uint32_t window_calls;
    /** The rates say nothing below this many calls. */
    uint32_t min_calls;
    /** Opens at this many failures in a row, whatever the rates and min_calls; 0: off. */
    uint32_t consecutive_failures;
    /** How many probes a half-open cycle takes. */
    uint32_t probes;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
    /** 0. */
    uint32_t reserved;
    /** A trip within this time of closing counts as another opening in a row for the backoff; 0: the last cooldown. */
    uint64_t healthy_after_ns;
    /** After closing, calls come back by degrees over this time; 0: all pass at once. */
    uint64_t ramp_ns;
    /** Opens again when this share of a cycle's probes failed, 0 < rate <= 1; 0: failure_rate_threshold. */
    double probe_failure_rate_threshold;
    /** The chance of a call to pass right after closing, 0 < chance <= 1. */
    double ramp_from;
    /** How many probes may be under way together, at most probes; 0: all. */
    uint32_t probes_at_once;
    /** 0. */
    uint32_t reserved_too;
} tg_breaker_config;

/** Initial values of tg_breaker_config: its size, and the defaults. */
#define TG_BREAKER_CONFIG_INIT \
    { sizeof(tg_breaker_config), \
      NULL, NULL, UINT64_C(0), UINT64_MAX, UINT64_C(30000000000), UINT64_C(0), UINT64_C(60000000000), 0.5, \
      1.0, 1.0, 0.0, 0, 10, 0, 1, NULL, 0, 0, UINT64_C(0), UINT64_C(0), 0.0, 0.1, 0, 0 }

/**
 * The right to make one call, by value. What is in it is tidegate's; all zero is no permit. Report it once: it is then
 * used up. It is void once the circuit has changed its state or its breaker is freed, a probe's also once it is lost:
 * a report is then dropped. A probe's permit that is used up or void stays so. Any other that is reported again counts
 * again, and means something again when the circuit is in the same state 65535 transitions later: forget it once it is
 * reported.
 */
typedef struct {
    /** Opaque. */
    uint64_t word;
    /** Opaque. */
    uint64_t started_ns;
} tg_permit;

/** A look at a breaker. Start from TG_BREAKER_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_breaker_snapshot) */
    size_t struct_size;
    /** Where it stands. One of tg_state. */
    int32_t state;
    /** Calls in the window. */
    uint32_t calls;
    /** Failed calls in the window. */
    uint32_t failed;
    /** Slow calls in the window. */
    uint32_t slow;
    /** failed / calls, 0 without calls. */
    double failure_rate;
    /** slow / calls, 0 without calls. */
    double slow_call_rate;
    /** Calls refused since the breaker was made. */
    uint64_t rejected;
    /** How often it opened by itself since it was made. */
    uint64_t opened;
    /** Nanoseconds until a probe may be tried; 0 when not open, TG_NEVER while forced open. */
    uint64_t retry_after_ns;
    /**
     * 1 once it has opened by itself: the window above begins empty with every state, the trip_ fields keep what last
     * opened it.
     */
    uint32_t has_trip;
    /** The calls by which it last opened: its window as of the call that opened it, or the probes that did. */
    uint32_t trip_calls;
    /** Those of them that failed. */
    uint32_t trip_failed;
    /** Those of them that were slow. */
    uint32_t trip_slow;
    /** 1 or 0. Closed, and calls come back by degrees: until somebody asks for one after the ramp's end. */
    uint32_t ramping;
    /** 0. */
    uint32_t reserved;
} tg_breaker_snapshot;

/** Initial values of tg_breaker_snapshot: its size, and the defaults. */
#define TG_BREAKER_SNAPSHOT_INIT \
    { sizeof(tg_breaker_snapshot), \
      0, 0, 0, 0, 0.0, 0.0, UINT64_C(0), UINT64_C(0), UINT64_C(0), 0, 0, 0, 0, 0, 0 }

/** A transition, or the outcome of a probe. Start from TG_EVENT_INIT. */
typedef struct {
    /** sizeof(tg_event) */
    size_t struct_size;
    /** One of tg_event_kind. */
    int32_t kind;
    /** Running number from 0; a gap means that events were overwritten before they were read. */
    uint64_t seq;
    /** Clock nanoseconds (millisecond resolution). */
    uint64_t at_ns;
    /** Of TG_EVENT_OPENED: 1, and the calls by which it opened. Otherwise 0. */
    uint32_t has_trip;
    /** Those calls. */
    uint32_t trip_calls;
    /** Those of them that failed. */
    uint32_t trip_failed;
    /** Those of them that were slow. */
    uint32_t trip_slow;
} tg_event;

/** Initial values of tg_event: its size, and the defaults. */
#define TG_EVENT_INIT \
    { sizeof(tg_event), \
      0, UINT64_C(0), UINT64_C(0), 0, 0, 0, 0 }

/** Other settings for some keys. */
typedef struct {
    /**
     * Which keys: * stands for any bytes. Of the patterns that mean a key the one with the most bytes other than stars
     * holds, of equals the first. Copied.
     */
    tg_bytes pattern;
    /** All of their settings, as for tg_registry_config's breakers. Borrowed during the call. */
    const tg_breaker_config *breakers;
} tg_registry_override;

/** Settings of a registry. Start from TG_REGISTRY_CONFIG_INIT, which holds the defaults. */
typedef struct {
    /** sizeof(tg_registry_config) */
    size_t struct_size;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena; without an arena it says nothing. Borrowed during the call. */
    const char *name;
    /**
     * Settings of its breakers, of which name, clock, arena and on_conflict say nothing here; NULL: the defaults. They
     * decide how much room each has, see tg_breaker_set_config(). Borrowed during the call.
     */
    const tg_breaker_config *breakers;
    /** An array of overrides_len; NULL with 0. Borrowed during the call. */
    const tg_registry_override *overrides;
    /** How many. */
    size_t overrides_len;
    /** How many keys can have a breaker, 1 .. 65536. */
    uint32_t max_breakers;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
} tg_registry_config;

/** Initial values of tg_registry_config: its size, and the defaults. */
#define TG_REGISTRY_CONFIG_INIT \
    { sizeof(tg_registry_config), \
      NULL, NULL, NULL, NULL, NULL, 0, 1024, 0 }

/** A look at a registry. Start from TG_REGISTRY_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_registry_snapshot) */
    size_t struct_size;
    /** Keys that have a breaker. */
    uint64_t breakers;
    /** How many can have one. */
    uint64_t max_breakers;
    /** Breakers that made room for others since the registry was made. */
    uint64_t evicted;
    /** How often a key found no room and shared the overflow breaker. */
    uint64_t overflowed;
} tg_registry_snapshot;

/** Initial values of tg_registry_snapshot: its size, and the defaults. */
#define TG_REGISTRY_SNAPSHOT_INIT \
    { sizeof(tg_registry_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/**
 * What the end of a call says of the dependency, for every policy that it is under: tg_breaker_report_classified();
 * tg_retry_next() takes retry_after_ns, after a TG_FAILURE or TG_UNREACHED; tg_throttle_report() takes whether outcome
 * is neither of these, after anything but TG_IGNORE. Start from TG_CLASSIFIED_INIT.
 */
typedef struct {
    /** sizeof(tg_classified) */
    size_t struct_size;
    /** How long the server wants to be left alone; 0: it said nothing. */
    uint64_t retry_after_ns;
    /** One of tg_outcome. */
    int32_t outcome;
    /** 0. */
    uint32_t reserved;
} tg_classified;

/** Initial values of tg_classified: its size, and the defaults. */
#define TG_CLASSIFIED_INIT \
    { sizeof(tg_classified), \
      UINT64_C(0), 0, 0 }

/**
 * Makes a closed circuit breaker, or opens the one of that name in an arena.
 *
 * Errors: TG_UTF8 (name), TG_SYNTAX (an empty name), TG_OUT_OF_RANGE (a rate outside 0 .. 1, a cooldown of 0, ...),
 * TG_NO_MEMORY (for window_calls or probes), TG_CONFLICT (both windows, a clock beside an arena, an arena without a
 * name); TG_UNKNOWN_VALUE (on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (a window of the other kind
 * under the name), TG_ARENA_SETTINGS (other thresholds or times), TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_breaker_new(const tg_breaker_config *config, tg_breaker **breaker);

/**
 * Changes all settings of a breaker, for all who share it: *config as for tg_breaker_new(), of which name, clock,
 * arena and on_conflict say nothing here. State, permits, probes that are out, the present cooldown and the calls in
 * the window stay; each report goes by the settings before or by those after. The change judges nothing by itself.
 *
 * Errors: as tg_breaker_new(); TG_CONFLICT (a window of the other kind), TG_OUT_OF_RANGE (what it has had no room for
 * since it was made: more window_calls than it was made with or 992, a window_duration_ns of less than half or more
 * than five times, more probes than it was made with or 16); TG_ARENA_* (the system refuses the arena's lock). Nothing
 * is changed then.
 */
tg_status tg_breaker_set_config(const tg_breaker *breaker, const tg_breaker_config *config);

/** tg_breaker_set_config() at now_ns nanoseconds of the breaker's clock, which the event carries. */
tg_status tg_breaker_set_config_at(const tg_breaker *breaker, uint64_t now_ns, const tg_breaker_config *config);

/**
 * Tells the settings in force: *config is filled in but for name, clock and arena, which are NULL, and on_conflict,
 * which is 0. Change some of it and give it to tg_breaker_set_config().
 */
tg_status tg_breaker_get_config(const tg_breaker *breaker, tg_breaker_config *config);

/**
 * Frees a breaker; NULL is fine. Permits still out are void. One that a registry gave stays in the registry, and its
 * permits good: freed is this handle, once for each time that it was given.
 */
void tg_breaker_free(tg_breaker *breaker);

/**
 * Asks for one call. TG_OK: *permit is filled in, make the call and report it. TG_OPEN: do not call; *retry_after_ns
 * (may be NULL) tells when a probe may be tried (TG_NEVER: forced open), and *permit is all zero; trip_calls and the
 * fields after it of tg_breaker_stats() tell what opened it, and ramping that it
 * is closed and lets calls back by degrees.
 */
tg_status tg_breaker_acquire(const tg_breaker *breaker, tg_permit *permit, uint64_t *retry_after_ns);

/**
 * tg_breaker_acquire() at now_ns nanoseconds of the breaker's clock, by a draw of 0 to below 1: in a ramp the call
 * passes where it is below the chance. Otherwise it plays no part.
 *
 * Errors: TG_OUT_OF_RANGE (draw); nothing is acquired then.
 */
tg_status tg_breaker_acquire_at(const tg_breaker *breaker,
                                uint64_t now_ns,
                                double draw,
                                tg_permit *permit,
                                uint64_t *retry_after_ns);

/**
 * Tells where the breaker stands: one of tg_state. It still reads TG_STATE_OPEN after the cooldown, until somebody
 * acquires a probe.
 */
tg_status tg_breaker_state(const tg_breaker *breaker, int32_t *state);

/** Tells the nanoseconds until a probe may be tried: 0 when calls pass, TG_NEVER while forced open. */
tg_status tg_breaker_retry_after(const tg_breaker *breaker, uint64_t *retry_after_ns);

/** tg_breaker_retry_after() at now_ns nanoseconds of the breaker's clock. */
tg_status tg_breaker_retry_after_at(const tg_breaker *breaker, uint64_t now_ns, uint64_t *retry_after_ns);

/** Tells the window's counts and the totals. */
tg_status tg_breaker_stats(const tg_breaker *breaker, tg_breaker_snapshot *snapshot);

/** tg_breaker_stats() at now_ns nanoseconds of the breaker's clock. */
tg_status tg_breaker_stats_at(const tg_breaker *breaker, uint64_t now_ns, tg_breaker_snapshot *snapshot);

/**
 * Reads the oldest event whose number is at least from: TG_OK, or TG_EMPTY when there is none. To follow a breaker:
 * `while (tg_breaker_next_event(breaker, next, &event) == TG_OK) next = event.seq + 1;`
 *
 * Thread safety: each follower keeps its own number.
 */
tg_status tg_breaker_next_event(const tg_breaker *breaker, uint64_t from, tg_event *event);

/** Opens the circuit until tg_breaker_reset(). Permits still out are void. */
tg_status tg_breaker_force_open(const tg_breaker *breaker);

/** tg_breaker_force_open() at now_ns nanoseconds of the breaker's clock. */
tg_status tg_breaker_force_open_at(const tg_breaker *breaker, uint64_t now_ns);

/** Lets every call pass and counts nothing, until tg_breaker_reset(). Permits still out are void. */
tg_status tg_breaker_disable(const tg_breaker *breaker);

/** tg_breaker_disable() at now_ns nanoseconds of the breaker's clock. */
tg_status tg_breaker_disable_at(const tg_breaker *breaker, uint64_t now_ns);

/** Counts and never opens, until tg_breaker_reset(). Permits still out are void. */
tg_status tg_breaker_metrics_only(const tg_breaker *breaker);

/** tg_breaker_metrics_only() at now_ns nanoseconds of the breaker's clock. */
tg_status tg_breaker_metrics_only_at(const tg_breaker *breaker, uint64_t now_ns);

/** Closes the circuit, with an empty window and the first cooldown. Permits still out are void. */
tg_status tg_breaker_reset(const tg_breaker *breaker);

/** tg_breaker_reset() at now_ns nanoseconds of the breaker's clock. */
tg_status tg_breaker_reset_at(const tg_breaker *breaker, uint64_t now_ns);

/**
 * Makes a registry, or opens the one of that name in an arena: one object with all of its breakers.
 *
 * Errors: TG_UTF8 (name); TG_OUT_OF_RANGE (max_breakers, a setting of its breakers or of a pattern's, a pattern's
 * window or probes for which they have no room); TG_NO_MEMORY (for max_breakers); TG_SYNTAX (an empty pattern);
 * TG_CONFLICT (a pattern given twice, both windows, a clock beside an arena, an arena without a name);
 * TG_UNKNOWN_VALUE (on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (another max_breakers, a window of
 * the other kind under the name), TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_registry_new(const tg_registry_config *config, tg_registry **registry);

/** Frees a registry; NULL is fine. Breakers that it gave stay good until each is freed. */
void tg_registry_free(tg_registry *registry);

/**
 * Gives the breaker of a key, made where it has none; the shared one where there is no room. It goes with all
 * tg_breaker_*() functions and stands for its key: after it has made room, its next call goes to the key's breaker of
 * then, made anew where there is none.
 *
 * Ownership: *breaker is the caller's, to be freed with tg_breaker_free(), once for each time that it was given.
 * Thread safety: a key without a breaker waits for others who make or remove one, in an arena in other processes too.
 */
tg_status tg_registry_get(const tg_registry *registry, const void *key, size_t key_len, tg_breaker **breaker);

/**
 * tg_registry_get() at now_ns nanoseconds of the registry's clock: only who makes a breaker needs it.
 *
 * Ownership: as there.
 */
tg_status tg_registry_get_at(const tg_registry *registry,
                             uint64_t now_ns,
                             const void *key,
                             size_t key_len,
                             tg_breaker **breaker);

/**
 * Gives the breaker of a key: TG_EMPTY, and *breaker is left alone, when it has none. Never makes one.
 *
 * Ownership: as for tg_registry_get().
 */
tg_status tg_registry_peek(const tg_registry *registry, const void *key, size_t key_len, tg_breaker **breaker);

/**
 * Takes a key's breaker away, whatever its state; TG_EMPTY: it has none. Outcomes of calls that are under way are
 * dropped; handles of the key begin a new breaker with their next call.
 *
 * Errors: TG_ARENA_* (the system refuses the arena's lock).
 * Thread safety: waits as tg_registry_get() does.
 */
tg_status tg_registry_remove(const tg_registry *registry, const void *key, size_t key_len);

/**
 * Gives the breaker that keys share for which there is no room.
 *
 * Ownership: as for tg_registry_get().
 */
tg_status tg_registry_overflow(const tg_registry *registry, tg_breaker **breaker);

/**
 * Tells one key after the other, all but those that share: TG_OK, or TG_EMPTY when there is none any more. *at says
 * where to go on and is 0 in the beginning; others may come and go meanwhile:
 * `while (tg_registry_next(registry, &at, key, sizeof key, &key_len, NULL) == TG_OK) ...`
 *
 * The first key_size bytes of the key are written to key, without a NUL, and *key_len is how many it has. Keys of up
 * to 256 bytes are known whole, of longer ones the first 240. key may be NULL with 0; key_len and breaker may be NULL.
 *
 * Ownership: *breaker as for tg_registry_get(), if it is not NULL.
 */
tg_status tg_registry_next(const tg_registry *registry,
                           size_t *at,
                           void *key,
                           size_t key_size,
                           size_t *key_len,
                           tg_breaker **breaker);

/**
 * Gives the keys that a pattern means other settings, whether they have a breaker or get one: *config as for
 * tg_breaker_set_config(), pattern as in tg_registry_override; of several the one that says most of a key holds. "*"
 * changes the shared breaker as well. In an arena the change is for all who opened the registry, for breakers that
 * stand and for those that any of them makes later; 16 patterns of up to 64 bytes can be changed there.
 *
 * Errors: as tg_registry_new(); TG_OUT_OF_RANGE (in an arena: a pattern too many or too long). Nothing is changed
 * then.
 * Thread safety: waits as tg_registry_get() does.
 */
tg_status tg_registry_set_config(const tg_registry *registry,
                                 const void *pattern,
                                 size_t pattern_len,
                                 const tg_breaker_config *config);

/**
 * Tells the settings that a pattern has, or that a new one begins with: those of the pattern that says most, of equals
 * the first, among those that mean all of its keys; without one those of all. Fills *config in as
 * tg_breaker_get_config() does: change some of it and give it to tg_registry_set_config(), so that the others stay.
 *
 * Errors: TG_SYNTAX (an empty pattern); TG_ARENA_* (the system refuses the arena's lock).
 * Thread safety: waits as tg_registry_get() does.
 */
tg_status tg_registry_get_config(const tg_registry *registry,
                                 const void *pattern,
                                 size_t pattern_len,
                                 tg_breaker_config *config);

/** tg_registry_set_config() at now_ns nanoseconds of the registry's clock, which the events carry. */
tg_status tg_registry_set_config_at(const tg_registry *registry,
                                    uint64_t now_ns,
                                    const void *pattern,
                                    size_t pattern_len,
                                    const tg_breaker_config *config);

/** Tells how full it is. */
tg_status tg_registry_stats(const tg_registry *registry, tg_registry_snapshot *snapshot);

/**
 * Reports what became of a call: one of tg_outcome, and how long it took (TG_NEVER: the time since it was acquired).
 * A report that comes too late (the circuit has changed meanwhile) is dropped.
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
 */
tg_status tg_breaker_report(const tg_breaker *breaker, tg_permit permit, int32_t outcome, uint64_t duration_ns);

/**
 * tg_breaker_report() at now_ns nanoseconds of the breaker's clock.
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
 */
tg_status tg_breaker_report_at(const tg_breaker *breaker,
                               uint64_t now_ns,
                               tg_permit permit,
                               int32_t outcome,
                               uint64_t duration_ns);

/**
 * Reports a failure that came with the server's own Retry-After: if it opens the circuit, the cooldown lasts that long
 * (at least cooldown_ns, at most max_cooldown_ns).
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT.
 */
tg_status tg_breaker_report_retry_after(const tg_breaker *breaker, tg_permit permit, uint64_t retry_after_ns);

/**
 * tg_breaker_report_retry_after() at now_ns nanoseconds of the breaker's clock.
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT.
 */
tg_status tg_breaker_report_retry_after_at(const tg_breaker *breaker,
                                           uint64_t now_ns,
                                           tg_permit permit,
                                           uint64_t retry_after_ns);

/**
 * Reports what became of a call as a classifier says, see tg_classify_http() or fill it in, and how long it took
 * (TG_NEVER: the time since it was acquired). What the server asks for is the cooldown, as for
 * tg_breaker_report_retry_after(), if this report opens the circuit, whatever the outcome.
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
 */
tg_status tg_breaker_report_classified(const tg_breaker *breaker,
                                       tg_permit permit,
                                       const tg_classified *classified,
                                       uint64_t duration_ns);

/**
 * tg_breaker_report_classified() at now_ns nanoseconds of the breaker's clock.
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
 */
tg_status tg_breaker_report_classified_at(const tg_breaker *breaker,
                                          uint64_t now_ns,
                                          tg_permit permit,
                                          const tg_classified *classified,
                                          uint64_t duration_ns);

/**
 * Gives a permit back without an outcome (the call was cancelled, or never made): neutral, a probe slot returns.
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT.
 */
tg_status tg_breaker_release(const tg_breaker *breaker, tg_permit permit);

/**
 * tg_breaker_release() at now_ns nanoseconds of the breaker's clock.
 *
 * Ownership: uses the permit up.
 * Errors: TG_NO_PERMIT.
 */
tg_status tg_breaker_release_at(const tg_breaker *breaker, uint64_t now_ns, tg_permit permit);

/* ==================================================================================================================
 * 10. Concurrency limits
 *
 * At most so many calls at once: acquire a permit, call, release it.
 * ================================================================================================================== */

/** How an adaptive limit moves. */
enum tg_adaptive_algorithm
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** The median against the latency of an unloaded call, which is probed for. The one to take. */
    TG_ADAPTIVE_GRADIENT = 0,
    /**
     * Netflix's Gradient2Limit, for those who migrate; its defaults there: min_limit 20, max_limit 200, tolerance 1.5,
     * window_ns 1 s, samples 10.
     */
    TG_ADAPTIVE_GRADIENT2 = 1,
    /** Netflix's VegasLimit, for those who migrate; its defaults there: window_ns 1 s, samples 10. */
    TG_ADAPTIVE_VEGAS = 2,
    /**
     * Netflix's AIMDLimit, for those who migrate; its defaults there: min_limit 20, max_limit 200, window_ns 1 s,
     * samples 10.
     */
    TG_ADAPTIVE_AIMD = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_adaptive_algorithm tg_adaptive_algorithm;
#else
typedef int32_t tg_adaptive_algorithm;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** What became of a call that held a permit. */
enum tg_concurrency_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** It was done; its latency counts. */
    TG_CONCURRENCY_SUCCESS = 0,
    /** It says nothing of the latency. */
    TG_CONCURRENCY_IGNORE = 1,
    /** It timed out, or was refused downstream. */
    TG_CONCURRENCY_DROPPED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_concurrency_outcome tg_concurrency_outcome;
#else
typedef int32_t tg_concurrency_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Who of those that wait is served first. */
enum tg_concurrency_order
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Who has waited longest. */
    TG_ORDER_FIFO = 0,
    /** Who came last: under a lasting overload those who are served have waited little, and the oldest time out. */
    TG_ORDER_LIFO = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_concurrency_order tg_concurrency_order;
#else
typedef int32_t tg_concurrency_order;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** At most so many calls at once: each holds a permit while it runs. */
typedef struct tg_concurrency tg_concurrency;

/**
 * A partition of a concurrency limit. It is guaranteed share * limit places, rounded down. What it leaves unused is
 * lent to whoever asks, and called back when a call within the guarantee is refused: from then on what becomes free is
 * kept for it, for 5 s, less and less.
 */
typedef struct {
    /** 1 to 32 bytes, no other partition's. Copied. */
    const char *name;
    /** Above 0, at most 1; of all partitions together at most 1. */
    double share;
} tg_partition;

/** Settings of a concurrency limit. Start from TG_CONCURRENCY_CONFIG_INIT and set limit. */
typedef struct {
    /** sizeof(tg_concurrency_config) */
    size_t struct_size;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Waiting always uses the
     * machine's. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena; without an arena it says nothing. Borrowed during the call. */
    const char *name;
    /** The most at once, 1 .. max_limit. Must be set. */
    uint32_t limit;
    /** What tg_concurrency_set_limit() may raise it to, at most 4096: a place for each is kept. 0: the limit. */
    uint32_t max_limit;
    /** One of tg_mode. */
    int32_t mode;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
    /** The most that wait at once in this process, 1 .. 1000000: who comes then is refused at once. 0: any number. */
    uint32_t max_waiting;
    /** Who of those that wait in this process is served first: one of tg_concurrency_order. */
    int32_t order;
    /**
     * An array of partitions_len, at most 8; NULL with 0. With some, max_waiting holds for each. Borrowed during the
     * call.
     */
    const tg_partition *partitions;
    /** How many. */
    size_t partitions_len;
    /**
     * An array of priority_len names of partitions, the first first: each may starve those behind it, and those that
     * are not in it, of all but their guarantee. NULL with 0. Borrowed during the call.
     */
    const char *const *priority;
    /** How many. */
    size_t priority_len;
} tg_concurrency_config;

/** Initial values of tg_concurrency_config: its size, and the defaults. */
#define TG_CONCURRENCY_CONFIG_INIT \
    { sizeof(tg_concurrency_config), \
      NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, 0, NULL, 0 }

/**
 * Settings of an adaptive concurrency limit. Start from TG_ADAPTIVE_CONFIG_INIT, which holds the defaults of
 * TG_ADAPTIVE_GRADIENT.
 */
typedef struct {
    /** sizeof(tg_adaptive_config) */
    size_t struct_size;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Waiting always uses the
     * machine's. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena; without an arena it says nothing. Borrowed during the call. */
    const char *name;
    /** How many times the latency of an unloaded call the median may be. */
    double tolerance;
    /** TG_ADAPTIVE_AIMD: what a drop leaves of the limit. */
    double backoff_ratio;
    /** The limit moves once in so long. */
    uint64_t window_ns;
    /** A window with fewer than samples ends after so long. */
    uint64_t max_window_ns;
    /** After so long without an unloaded look a saturated limit probes, up to 15 % later. */
    uint64_t probe_every_ns;
    /** A median above it always lowers the limit and teaches nothing; 0: none. */
    uint64_t max_latency_ns;
    /** The latency of an unloaded call, where it is known: it is not measured then; 0: it is. */
    uint64_t base_ns;
    /** TG_ADAPTIVE_AIMD: a mean latency above it is a drop. */
    uint64_t timeout_ns;
    /** The limit never falls below. */
    uint32_t min_limit;
    /** Where it begins. */
    uint32_t initial_limit;
    /** It never rises above, at most 4096: a place for each is kept. */
    uint32_t max_limit;
    /** A window that is long enough ends with so many samples. */
    uint32_t samples;
    /** A window with fewer changes nothing. */
    uint32_t min_samples;
    /** Whether the latency of an unloaded call is probed for; 0: not. */
    uint32_t probe;
    /** The least limit of a probe; 0: min_limit. */
    uint32_t probe_floor;
    /** One of tg_adaptive_algorithm. */
    int32_t algorithm;
    /** One of tg_mode. */
    int32_t mode;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
    /** The most that wait at once in this process, 1 .. 1000000: who comes then is refused at once. 0: any number. */
    uint32_t max_waiting;
    /** Who of those that wait in this process is served first: one of tg_concurrency_order. */
    int32_t order;
    /**
     * An array of partitions_len, at most 8; NULL with 0. With some, max_waiting holds for each. Borrowed during the
     * call.
     */
    const tg_partition *partitions;
    /** How many. */
    size_t partitions_len;
    /**
     * An array of priority_len names of partitions, the first first: each may starve those behind it, and those that
     * are not in it, of all but their guarantee. NULL with 0. Borrowed during the call.
     */
    const char *const *priority;
    /** How many. */
    size_t priority_len;
} tg_adaptive_config;

/** Initial values of tg_adaptive_config: its size, and the defaults. */
#define TG_ADAPTIVE_CONFIG_INIT \
    { sizeof(tg_adaptive_config), \
      NULL, NULL, NULL, 2.0, 0.9, UINT64_C(500000000), UINT64_C(5000000000), UINT64_C(60000000000), \
      UINT64_C(0), UINT64_C(0), UINT64_C(5000000000), 1, 20, 1000, 20, 5, 1, 0, 0, 0, 0, 0, 0, NULL, 0, \
      NULL, 0 }

/** The right to run one call, by value. What is in it is tidegate's; all zero is nobody's. Give it back once. */
typedef struct {
    /** Opaque. */
    uint64_t word;
    /** Opaque. */
    uint64_t cell;
} tg_concurrency_permit;

/** A look at a partition. Start from TG_PARTITION_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_partition_snapshot) */
    size_t struct_size;
    /** Its share of the limit. */
    double share;
    /** Calls admitted. */
    uint64_t admitted;
    /** Calls that got no permit, at once or after a wait. */
    uint64_t denied;
    /** Calls admitted by a dry run that would have been denied. */
    uint64_t would_deny;
    /** The places that it is guaranteed of the limit in force. */
    uint32_t guaranteed;
    /** Permits that it holds now. */
    uint32_t in_use;
    /**
     * Places beside those that are kept for it now, as calls of it have been refused: nobody else has more of what is
     * free.
     */
    uint32_t called_back;
    /** 0. */
    uint32_t reserved;
} tg_partition_snapshot;

/** Initial values of tg_partition_snapshot: its size, and the defaults. */
#define TG_PARTITION_SNAPSHOT_INIT \
    { sizeof(tg_partition_snapshot), \
      0.0, UINT64_C(0), UINT64_C(0), UINT64_C(0), 0, 0, 0, 0 }

/** A look at a concurrency limit. Start from TG_CONCURRENCY_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_concurrency_snapshot) */
    size_t struct_size;
    /** The limit in force. */
    uint32_t limit;
    /** Permits held now. */
    uint32_t in_use;
    /** Calls admitted. */
    uint64_t admitted;
    /** Calls that got no permit: refused, timed_out and cancelled together. */
    uint64_t denied;
    /** Calls admitted by a dry run that would have been denied. */
    uint64_t would_deny;
    /** Permits taken back from processes that died (host scope). */
    uint64_t reclaimed;
    /** Calls refused without a wait. */
    uint64_t refused;
    /** Waits that ended at their deadline. */
    uint64_t timed_out;
    /** Waits that were given up before: a future dropped, a task cancelled, a signal aborted. In C none can be. */
    uint64_t cancelled;
    /**
     * Calls that wait now; in a named scope those of all processes, as each said when it last looked, in the last
     * second.
     */
    uint64_t waiting;
    /** The longest wait so far, of those that have ended and of those who wait now. In nanoseconds. */
    uint64_t longest_wait_ns;
} tg_concurrency_snapshot;

/** Initial values of tg_concurrency_snapshot: its size, and the defaults. */
#define TG_CONCURRENCY_SNAPSHOT_INIT \
    { sizeof(tg_concurrency_snapshot), \
      0, 0, UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), \
      UINT64_C(0), UINT64_C(0) }

/**
 * Makes a concurrency limit, or opens the one of that name in an arena.
 *
 * Errors: TG_UTF8; TG_OUT_OF_RANGE (limit, max_limit, partitions, priority); TG_NO_MEMORY (for limit or max_limit);
 * TG_CONFLICT (a clock beside an arena, an arena without a name, a sum of shares above 1, a name twice);
 * TG_UNKNOWN_VALUE (order, mode, on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (another max_limit or
 * other partitions under the name), TG_ARENA_SETTINGS (another limit, other shares), TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_concurrency_new(const tg_concurrency_config *config, tg_concurrency **concurrency);

/**
 * Frees a concurrency limit; NULL is fine. Permits still out are void with it; those of an arena stay
 * held until they are given back through another handle of this process, or the process ends.
 */
void tg_concurrency_free(tg_concurrency *concurrency);

/**
 * Makes a concurrency limit that follows what calls report, or opens the one of that name in an arena: all processes
 * feed one estimate and obey one limit. Take and wait for permits as of any other; give each back by
 * tg_concurrency_report(). tg_concurrency_set_limit() does not change it: TG_CONFLICT.
 *
 * Errors: TG_UTF8; TG_OUT_OF_RANGE; TG_NO_MEMORY (for max_limit); TG_CONFLICT (limits that contradict each other, a
 * clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (algorithm, order, mode, on_conflict); TG_INVALID
 * (a name that is none); TG_ARENA_SHAPE (another max_limit or other partitions under the name, or a fixed limit),
 * TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_concurrency_new_adaptive(const tg_adaptive_config *config, tg_concurrency **concurrency);

/**
 * Gives a permit back and says what became of the call, one of tg_concurrency_outcome: TG_OK, or TG_NOT_HELD and
 * nothing counts, as of tg_concurrency_release(). ns: its latency as you have measured it, waiting for the permit
 * included; TG_NEVER: from asking for the permit to now (after tg_concurrency_poll(): from the look that gave it). A
 * plain tg_concurrency_release() says TG_CONCURRENCY_IGNORE. A limit that is not adaptive forgets what it is told.
 *
 * Thread safety: not only the one that took it.
 * Errors: TG_UNKNOWN_VALUE (outcome): the permit is still held.
 */
tg_status tg_concurrency_report(const tg_concurrency *concurrency,
                                tg_concurrency_permit permit,
                                int32_t outcome,
                                uint64_t ns);

/**
 * Writes what holds an adaptive limit where it is and a NUL into the size bytes of buffer: a line for each thing,
 * ended by \n, for people; "" of a fixed one. *length (may be NULL): without the NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_concurrency_explain(const tg_concurrency *concurrency, char *buffer, size_t size, size_t *length);

/**
 * The number of the partition of a name: its place in the config's array, counted from 1. The numbers hold as long as
 * the limit does.
 *
 * Errors: TG_UTF8; TG_OUT_OF_RANGE (there is none of that name).
 */
tg_status tg_concurrency_partition(const tg_concurrency *concurrency, const char *partition, uint32_t *number);

/**
 * tg_concurrency_try_acquire() for a call of a partition, by its number; 0: of none, which is guaranteed nothing.
 * Within the guarantee it is denied only while others hold what was lent to them; what is given back after that is
 * kept for the partition.
 *
 * Thread safety: does not wait for a permit.
 * Errors: TG_OUT_OF_RANGE (partition).
 */
tg_status tg_concurrency_try_acquire_in(const tg_concurrency *concurrency,
                                        uint32_t partition,
                                        tg_concurrency_permit *permit);

/**
 * tg_concurrency_poll() for a call of a partition. Within the guarantee only those who wait for the same partition
 * come first.
 *
 * Thread safety: does not wait for a permit.
 * Errors: TG_OUT_OF_RANGE (partition).
 */
tg_status tg_concurrency_poll_in(const tg_concurrency *concurrency, uint32_t partition, tg_concurrency_permit *permit);

/**
 * tg_concurrency_acquire() for a call of a partition. Each partition has an order of its own, and max_waiting of its
 * own; within the guarantee nobody waits for another partition's turn.
 *
 * Thread safety: blocks up to timeout_ns.
 * Errors: TG_OUT_OF_RANGE (partition).
 */
tg_status tg_concurrency_acquire_in(const tg_concurrency *concurrency,
                                    uint32_t partition,
                                    uint64_t timeout_ns,
                                    tg_concurrency_permit *permit);

/**
 * Tells what a partition has now, and its counts since the limit was made.
 *
 * Errors: TG_OUT_OF_RANGE (partition: 0 is none).
 */
tg_status tg_concurrency_partition_stats(const tg_concurrency *concurrency,
                                         uint32_t partition,
                                         tg_partition_snapshot *snapshot);

/**
 * Takes a permit without waiting. TG_OK: *permit is filled in, to be given back with tg_concurrency_release().
 * TG_DENIED: as many calls are under way as may be, and *permit is all zero.
 *
 * Thread safety: does not wait for a permit.
 */
tg_status tg_concurrency_try_acquire(const tg_concurrency *concurrency, tg_concurrency_permit *permit);

/**
 * tg_concurrency_try_acquire() for who waits without holding a thread (an event loop, a coroutine) and looks again
 * after some milliseconds: a look in vain does not count as denied, and those who wait in tg_concurrency_acquire()
 * come first. When you give up, let tg_concurrency_try_acquire() look last, so that the wait counts once.
 *
 * Thread safety: does not wait for a permit.
 */
tg_status tg_concurrency_poll(const tg_concurrency *concurrency, tg_concurrency_permit *permit);

/**
 * Takes a permit, waiting up to timeout_ns for one (0: not at all, TG_NEVER: for ever), in the config's order among
 * the threads of this process, and among processes by which has waited longest, 10 ms give or take: TG_OK, or
 * TG_DENIED (none at the deadline, or at once where max_waiting others wait) and *permit is all zero.
 *
 * Thread safety: blocks up to timeout_ns.
 */
tg_status tg_concurrency_acquire(const tg_concurrency *concurrency, uint64_t timeout_ns, tg_concurrency_permit *permit);

/**
 * Gives a permit back: TG_OK, or TG_NOT_HELD and nothing happens when it was given back before, was taken back from a
 * dead process, belongs to another process (the parent of a fork), or is nobody's: all zero, as a disabled limit and a
 * dry run beyond its limit give them out.
 *
 * Thread safety: not only the one that took it.
 */
tg_status tg_concurrency_release(const tg_concurrency *concurrency, tg_concurrency_permit permit);

/** Tells the limit in force. */
tg_status tg_concurrency_limit(const tg_concurrency *concurrency, uint32_t *limit);

/**
 * Changes the limit, for all who share it: 1 up to the config's max_limit. Permits above a lower one stay until they
 * are given back.
 *
 * Thread safety: may wait for another tg_concurrency_set_limit().
 * Errors: TG_OUT_OF_RANGE.
 */
tg_status tg_concurrency_set_limit(const tg_concurrency *concurrency, uint32_t limit);

/** Tells how many permits are held now. */
tg_status tg_concurrency_in_use(const tg_concurrency *concurrency, uint32_t *permits);

/** Tells the permits held now and the counts since the limit was made. */
tg_status tg_concurrency_stats(const tg_concurrency *concurrency, tg_concurrency_snapshot *snapshot);

/* ==================================================================================================================
 * 11. Retries
 *
 * The wait between attempts, how many retries are affordable, and rejecting by chance what the backend refuses.
 * ================================================================================================================== */

/**
 * How waits are spread, so that clients that failed together do not come back together; tg_backoff_delay() has the
 * formulas.
 */
enum tg_jitter
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Not at all. */
    TG_JITTER_NONE = 0,
    /** From nothing up to the whole wait. The default. */
    TG_JITTER_FULL = 1,
    /** Half of the wait, and up to the other half. */
    TG_JITTER_EQUAL = 2,
    /** From the base up to three times the wait before. */
    TG_JITTER_DECORRELATED = 3,
    /** A smooth spread without peaks. */
    TG_JITTER_SMOOTH = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_jitter tg_jitter;
#else
typedef int32_t tg_jitter;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Retries that the callers of one dependency can afford: each call pays in a fraction of one, time pays in a little,
 * each retry takes a whole one out. Over any span of t seconds, calls and retries being those within it,
 *
 *     retries <= max(1, min_per_second * ttl) + ratio * calls + min_per_second * t
 *
 * under any interleaving of threads and processes, and any order of clock readings.
 */
typedef struct tg_retry_budget tg_retry_budget;

/**
 * Rejects calls by chance, the more of them the fewer the backend accepts: with probability
 * (requests - k * accepts) / (requests + 1) over the last window_ns, at most max_rejection, and one call each
 * force_pass_ns passes in any case (Google, "Site Reliability Engineering", chapter 21). Its own rejections count as
 * requests.
 */
typedef struct tg_throttle tg_throttle;

/**
 * Settings of retries: plain numbers, kept by the program. Start from TG_RETRY_CONFIG_INIT, which holds the defaults.
 */
typedef struct {
    /** sizeof(tg_retry_config) */
    size_t struct_size;
    /** The wait that grows. */
    uint64_t base_ns;
    /** No wait is longer, but for a server's own word. */
    uint64_t max_delay_ns;
    /** All attempts and waits together: a wait that would reach its end is not begun. 0: none. */
    uint64_t deadline_ns;
    /** A server's Retry-After counts up to so much. */
    uint64_t max_retry_after_ns;
    /** What each retry multiplies the wait by, >= 1. */
    double factor;
    /** How often the call is made at most, the first time included. */
    uint32_t attempts;
    /** One of tg_jitter. */
    int32_t jitter;
} tg_retry_config;

/** Initial values of tg_retry_config: its size, and the defaults. */
#define TG_RETRY_CONFIG_INIT \
    { sizeof(tg_retry_config), \
      UINT64_C(100000000), UINT64_C(5000000000), UINT64_C(0), UINT64_C(60000000000), 2.0, 3, 1 }

/** Settings of a retry budget. Start from TG_RETRY_BUDGET_CONFIG_INIT, which holds the defaults. */
typedef struct {
    /** sizeof(tg_retry_budget_config) */
    size_t struct_size;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena, that of the dependency; without an arena it says nothing. Borrowed during the call. */
    const char *name;
    /** Retries that each call pays in, 0 .. 1. */
    double ratio;
    /** Retries that each second pays in, 0 .. 10000, for programs with few calls. */
    double min_per_second;
    /** No more than what seconds pay in for so long is saved up, but always one retry. */
    uint64_t ttl_ns;
    /** One of tg_mode. */
    int32_t mode;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
} tg_retry_budget_config;

/** Initial values of tg_retry_budget_config: its size, and the defaults. */
#define TG_RETRY_BUDGET_CONFIG_INIT \
    { sizeof(tg_retry_budget_config), \
      NULL, NULL, NULL, 0.2, 10.0, UINT64_C(10000000000), 0, 0 }

/** A look at a retry budget. Start from TG_RETRY_BUDGET_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_retry_budget_snapshot) */
    size_t struct_size;
    /** Whole retries that could be withdrawn now. */
    uint64_t balance;
    /** Calls paid in. */
    uint64_t deposited;
    /** Retries paid for, without those of would_deny. */
    uint64_t withdrawn;
    /** Retries refused. */
    uint64_t denied;
    /** Retries that a dry run let through and that would have been refused. */
    uint64_t would_deny;
} tg_retry_budget_snapshot;

/** Initial values of tg_retry_budget_snapshot: its size, and the defaults. */
#define TG_RETRY_BUDGET_SNAPSHOT_INIT \
    { sizeof(tg_retry_budget_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/** Settings of a client throttle. Start from TG_THROTTLE_CONFIG_INIT, which holds the defaults. */
typedef struct {
    /** sizeof(tg_throttle_config) */
    size_t struct_size;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena, that of the dependency; without an arena it says nothing. Borrowed during the call. */
    const char *name;
    /** How many requests for each accepted one are tolerated, 1 .. 1000: lower rejects sooner. */
    double k;
    /** No probability is higher, 0 < p <= 1. */
    double max_rejection;
    /** Over what requests and accepts are counted, in ten slices. */
    uint64_t window_ns;
    /** One call each so long passes in any case. */
    uint64_t force_pass_ns;
    /** Nothing is rejected below so many requests in the window. */
    uint32_t min_calls;
    /** One of tg_mode. */
    int32_t mode;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
    /** 0. */
    uint32_t reserved;
} tg_throttle_config;

/** Initial values of tg_throttle_config: its size, and the defaults. */
#define TG_THROTTLE_CONFIG_INIT \
    { sizeof(tg_throttle_config), \
      NULL, NULL, NULL, 2.0, 0.9, UINT64_C(30000000000), UINT64_C(1000000000), 10, 0, 0, 0 }

/** A look at a client throttle. Start from TG_THROTTLE_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_throttle_snapshot) */
    size_t struct_size;
    /** Calls that the backend accepted. */
    uint64_t accepted;
    /** Calls that the backend refused. */
    uint64_t refused;
    /** Calls rejected here. */
    uint64_t rejected;
    /** Calls that a dry run let through and that would have been rejected. */
    uint64_t would_reject;
    /** Calls that passed because one each force_pass_ns does. */
    uint64_t forced;
    /** Requests in the window, own rejections among them. */
    uint64_t window_requests;
    /** Of these, accepted. */
    uint64_t window_accepts;
    /** The probability of a rejection now. */
    double probability;
} tg_throttle_snapshot;

/** Initial values of tg_throttle_snapshot: its size, and the defaults. */
#define TG_THROTTLE_SNAPSHOT_INIT \
    { sizeof(tg_throttle_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), 0.0 }

/**
 * Tells the wait before retry n (the first is 0) in *ns, by these formulas; d is base_ns * factor^n, at most
 * max_delay_ns:
 *
 * | TG_JITTER_NONE         | d                                                                             |
 * | TG_JITTER_FULL         | draw * d                                                                      |
 * | TG_JITTER_EQUAL        | d / 2 + draw * d / 2                                                          |
 * | TG_JITTER_DECORRELATED | base_ns + draw * (3 * the wait before - base_ns), at most max_delay_ns (AWS)  |
 * | TG_JITTER_SMOOTH       | (f(t) - f(t before)) * base_ns / 1.4, t = n + draw,                           |
 * |                        | f(t) = 2^t * tanh(sqrt(4 * t)), at most max_delay_ns (Polly)                  |
 *
 * draw is a random number from 0 up to, but not including, 1, another one for each call; anything else counts as 1.
 * previous is what TG_JITTER_DECORRELATED and TG_JITTER_SMOOTH go on from: set it to 0 before the first wait of a call
 * and leave it alone then. No n overflows.
 *
 * Errors: TG_OUT_OF_RANGE, TG_UNKNOWN_VALUE (jitter).
 */
tg_status tg_backoff_delay(const tg_retry_config *config, uint64_t n, double draw, double *previous, uint64_t *ns);

/**
 * Tells what follows a failed attempt, the attempts-th of its call (the first is 1), elapsed_ns after the first began.
 * TG_OK: another one after *wait_ns. TG_EXHAUSTED: that was the last. TG_LATE: the wait would reach the deadline. Both
 * leave
 * *wait_ns alone: give up, with the error that there is.
 *
 * retry_after_ns is what the server told (Retry-After), 0 for nothing; it wins when it is longer than the wait, as far
 * as max_retry_after_ns. draw and previous are those of tg_backoff_delay().
 *
 * Whether the failure is one to retry is yours to say: never a cancellation, wrong arguments, an open circuit
 * (TG_OPEN), or what cannot be sent twice. With a budget ask tg_retry_budget_try_withdraw() after a TG_OK and before
 * the wait:
 *
 *     while (!(ok = call(&error, &told_ns)) && may_be_retried(error)
 *            && tg_retry_next(&config, ++attempts, draw(), &previous, told_ns, now() - start, &wait) == TG_OK
 *            && tg_retry_budget_try_withdraw(budget) == TG_OK) sleep_ns(wait);
 *
 * Errors: TG_OUT_OF_RANGE, TG_UNKNOWN_VALUE (jitter).
 */
tg_status tg_retry_next(const tg_retry_config *config,
                        uint64_t attempts,
                        double draw,
                        double *previous,
                        uint64_t retry_after_ns,
                        uint64_t elapsed_ns,
                        uint64_t *wait_ns);

/**
 * Makes a retry budget, or opens the one of that name in an arena.
 *
 * Errors: TG_UTF8; TG_OUT_OF_RANGE (ratio, min_per_second, ttl_ns); TG_CONFLICT (a clock
 * beside an arena, an arena without a name); TG_UNKNOWN_VALUE (mode, on_conflict); TG_INVALID (a name that is none);
 * TG_ARENA_SHAPE (one of 0 and one of more per second under the name), TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_retry_budget_new(const tg_retry_budget_config *config, tg_retry_budget **budget);

/** Frees a retry budget; NULL is fine. */
void tg_retry_budget_free(tg_retry_budget *budget);

/**
 * A call is made: pays in its fraction of a retry. Once a call, whatever becomes of it and however often it is tried.
 */
tg_status tg_retry_budget_deposit(const tg_retry_budget *budget);

/** tg_retry_budget_deposit() at now_ns of its clock. */
tg_status tg_retry_budget_deposit_at(const tg_retry_budget *budget, uint64_t now_ns);

/**
 * Takes a whole retry out: TG_OK, or TG_DENIED and nothing is taken. When the retry is decided, before the wait for
 * it.
 */
tg_status tg_retry_budget_try_withdraw(const tg_retry_budget *budget);

/** tg_retry_budget_try_withdraw() at now_ns of its clock. */
tg_status tg_retry_budget_try_withdraw_at(const tg_retry_budget *budget, uint64_t now_ns);

/** Tells how many whole retries could be withdrawn now. */
tg_status tg_retry_budget_balance(const tg_retry_budget *budget, uint64_t *retries);

/** tg_retry_budget_balance() at now_ns of its clock. */
tg_status tg_retry_budget_balance_at(const tg_retry_budget *budget, uint64_t now_ns, uint64_t *retries);

/**
 * Tells how long it takes until a retry could be withdrawn if no call paid in before: 0 now, TG_NEVER where time pays
 * nothing in.
 */
tg_status tg_retry_budget_retry_after(const tg_retry_budget *budget, uint64_t *ns);

/** tg_retry_budget_retry_after() at now_ns of its clock. */
tg_status tg_retry_budget_retry_after_at(const tg_retry_budget *budget, uint64_t now_ns, uint64_t *ns);

/** Tells the balance and the counts since the budget was made. */
tg_status tg_retry_budget_stats(const tg_retry_budget *budget, tg_retry_budget_snapshot *snapshot);

/** tg_retry_budget_stats() at now_ns of its clock. */
tg_status tg_retry_budget_stats_at(const tg_retry_budget *budget, uint64_t now_ns, tg_retry_budget_snapshot *snapshot);

/**
 * Makes a client throttle, or opens the one of that name in an arena.
 *
 * Errors: TG_UTF8; TG_OUT_OF_RANGE (k, max_rejection, window_ns, force_pass_ns, min_calls,
 * reserved); TG_CONFLICT (a clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (mode, on_conflict);
 * TG_INVALID (a name that is none); TG_ARENA_SHAPE (another window_ns under the name), TG_ARENA_SETTINGS,
 * TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_throttle_new(const tg_throttle_config *config, tg_throttle **throttle);

/** Frees a client throttle; NULL is fine. */
void tg_throttle_free(tg_throttle *throttle);

/**
 * Asks whether a call may be made: TG_OK, and it reports once with tg_throttle_report(); TG_DENIED, and it does not.
 */
tg_status tg_throttle_try_acquire(const tg_throttle *throttle);

/**
 * tg_throttle_try_acquire() at now_ns of its clock, by a random number from 0 up to, but not including, 1:
 * the call is rejected when that is below the probability, or no number.
 */
tg_status tg_throttle_try_acquire_at(const tg_throttle *throttle, uint64_t now_ns, double draw);

/**
 * Reports a call that passed: accepted is 0 where the backend refused it (overloaded, out of time, not there), else it
 * did not. A call that
 * was cancelled or said nothing about the backend reports nothing.
 */
tg_status tg_throttle_report(const tg_throttle *throttle, int32_t accepted);

/** tg_throttle_report() at now_ns of its clock. */
tg_status tg_throttle_report_at(const tg_throttle *throttle, uint64_t now_ns, int32_t accepted);

/** Tells the probability with which a call would be rejected now. */
tg_status tg_throttle_probability(const tg_throttle *throttle, double *probability);

/** tg_throttle_probability() at now_ns of its clock. */
tg_status tg_throttle_probability_at(const tg_throttle *throttle, uint64_t now_ns, double *probability);

/** Tells how long it takes until the next call that passes in any case. */
tg_status tg_throttle_retry_after(const tg_throttle *throttle, uint64_t *ns);

/** tg_throttle_retry_after() at now_ns of its clock. */
tg_status tg_throttle_retry_after_at(const tg_throttle *throttle, uint64_t now_ns, uint64_t *ns);

/** Tells the counts since the throttle was made, and what its window holds. */
tg_status tg_throttle_stats(const tg_throttle *throttle, tg_throttle_snapshot *snapshot);

/** tg_throttle_stats() at now_ns of its clock. */
tg_status tg_throttle_stats_at(const tg_throttle *throttle, uint64_t now_ns, tg_throttle_snapshot *snapshot);

/* ==================================================================================================================
 * 12. Load shedding
 *
 * Too much to do: the less important is refused first.
 * ================================================================================================================== */

/** What a call is worth. */
enum tg_priority
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Shed last, and only while the pressure has been at critical_at for critical_after_ns. */
    TG_PRIORITY_CRITICAL = 0,
    /** What users wait for. */
    TG_PRIORITY_HIGH = 1,
    /** In between. */
    TG_PRIORITY_NORMAL = 2,
    /** What can be done later, or again. */
    TG_PRIORITY_SHEDDABLE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_priority tg_priority;
#else
typedef int32_t tg_priority;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a signal measures. Those of the system's files are read by the shedder, the others are told with
 * tg_shedder_tell(), loop lag with tg_shedder_tell_lag().
 */
enum tg_signal_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Depth of a queue / capacity. Usual range .5 to .8. */
    TG_SIGNAL_QUEUE_FILL = 0,
    /** Seconds that items waited in a queue, of an interval the least. .005 to .02. */
    TG_SIGNAL_QUEUE_DELAY = 1,
    /** Calls under way / limit. .9 to 1. */
    TG_SIGNAL_IN_FLIGHT = 2,
    /** CPU time / what the cgroup may use, from the system's files. .8 to .95. */
    TG_SIGNAL_CPU = 3,
    /** Memory in use / what the cgroup may use, from the system's files. .85 to .95. */
    TG_SIGNAL_MEMORY = 4,
    /** "some avg10" of the kernel's CPU pressure, from the system's files. 20 to 60. */
    TG_SIGNAL_PSI_CPU = 5,
    /** "full avg10" of the kernel's memory pressure, from the system's files. 1 to 10. */
    TG_SIGNAL_PSI_MEMORY = 6,
    /** Seconds that an event loop comes late, p99. .02 to .2. */
    TG_SIGNAL_LOOP_LAG = 7,
    /** A number of one's own. No usual range. */
    TG_SIGNAL_GAUGE = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_signal_kind tg_signal_kind;
#else
typedef int32_t tg_signal_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Refuses calls when there is too much to do, the less important first. Each signal has a pressure,
 * (value - start) / (full - start) from 0 to 1, and the largest counts: at 1 the threshold rises each interval until
 * 5 % fewer of the calls that pass would have, at 0 it falls until 2 % of all more would have.
 */
typedef struct tg_shedder tg_shedder;

/** A signal of a shedder. */
typedef struct {
    /** NULL: that of its kind ("queue_fill"). No other signal's. Copied. */
    const char *name;
    /** Where its pressure begins; 0 with full = 0: its usual range. */
    double start;
    /** Where it is full. */
    double full;
    /** One of tg_signal_kind. */
    int32_t kind;
    /** 0. */
    uint32_t reserved;
} tg_signal;

/** Settings of a load shedder. Start from TG_SHEDDER_CONFIG_INIT, which holds the defaults, and give it signals. */
typedef struct {
    /** sizeof(tg_shedder_config) */
    size_t struct_size;
    /**
     * The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
     */
    const tg_clock *clock;
    /** Where its state lives; NULL: in memory of its own. Shared. */
    const tg_arena *arena;
    /** Its name in the arena; without an arena it says nothing. Borrowed during the call. */
    const char *name;
    /** 1 to 16. CPU signals need one beside them that tells of a server which waits. Borrowed during the call. */
    const tg_signal *signals;
    /** How many. */
    size_t signal_count;
    /** Users have the same levels in all services with this key; NULL: none. Borrowed during the call. */
    const char *level_key;
    /** At pressure 1, the part of those who pass that is shed in addition each interval. */
    double rise;
    /** At pressure 0, the part of all that passes in addition each interval. */
    double fall;
    /** The part of each class that passes in any case. */
    double min_admit;
    /** From this pressure on, held for critical_after_ns, critical calls are shed too. */
    double critical_at;
    /** How many CPUs there are to use; 0: what the system's files say. */
    double cpu_limit;
    /** See critical_at. */
    uint64_t critical_after_ns;
    /** For so long after full pressure no more pass than did. */
    uint64_t cool_off_ns;
    /** How often signals are read and the threshold moves. */
    uint64_t interval_ns;
    /** One of tg_mode. */
    int32_t mode;
    /** One of tg_on_conflict; without an arena it says nothing. */
    int32_t on_conflict;
} tg_shedder_config;

/** Initial values of tg_shedder_config: its size, and the defaults. */
#define TG_SHEDDER_CONFIG_INIT \
    { sizeof(tg_shedder_config), \
      NULL, NULL, NULL, NULL, 0, NULL, 0.05, 0.02, 0.01, 1.0, 0.0, UINT64_C(1000000000), \
      UINT64_C(1000000000), UINT64_C(250000000), 0, 0 }

/** A decision with its reasons. Start from TG_SHED_DECISION_INIT. */
typedef struct {
    /** sizeof(tg_shed_decision) */
    size_t struct_size;
    /** The largest pressure of all signals at the last step, 0 to 1. */
    double pressure;
    /** For a refused call: time until one like it passes if the pressure falls to 0 now. Else 0. */
    uint64_t retry_after_ns;
    /** The place in the config of the signal with that pressure; -1: none has any. */
    int32_t signal;
    /** 1 or 0. */
    int32_t allowed;
} tg_shed_decision;

/** Initial values of tg_shed_decision: its size, and the defaults. */
#define TG_SHED_DECISION_INIT \
    { sizeof(tg_shed_decision), \
      0.0, UINT64_C(0), 0, 0 }

/** A look at a load shedder. Start from TG_SHEDDER_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_shedder_snapshot) */
    size_t struct_size;
    /** Calls that were admitted. */
    uint64_t admitted;
    /**
     * Calls that were refused, of each priority: critical. Shed last, and only while the pressure has been at
     * critical_at for critical_after_ns.
     */
    uint64_t shed_critical;
    /** Calls that were refused, of each priority: high. What users wait for. */
    uint64_t shed_high;
    /** Calls that were refused, of each priority: normal. Where nothing is said. */
    uint64_t shed_normal;
    /** Calls that were refused, of each priority: sheddable. What can be done later, or again. */
    uint64_t shed_sheddable;
    /** Calls that a dry run let through and that would have been refused. */
    uint64_t would_shed;
    /** The largest pressure at the last step. */
    double pressure;
    /** The part of the calls that the threshold refuses, by what was asked for of late. */
    double shed_share;
} tg_shedder_snapshot;

/** Initial values of tg_shedder_snapshot: its size, and the defaults. */
#define TG_SHEDDER_SNAPSHOT_INIT \
    { sizeof(tg_shedder_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), 0.0, 0.0 }

/**
 * Makes a load shedder, or opens the one of that name in an arena.
 *
 * Errors: TG_UTF8; TG_OUT_OF_RANGE (rise, fall, min_admit, critical_at, cpu_limit, critical_after_ns, cool_off_ns,
 * interval_ns, a signal's range, more than 16 of them); TG_CONFLICT (no signal, a CPU signal without one that tells
 * of a server which waits, a name twice, a gauge without a range, a clock beside an arena, an arena without a name);
 * TG_UNKNOWN_VALUE (kind, mode, on_conflict); TG_SYNTAX, TG_INVALID (a name that is none); TG_ARENA_SHAPE (other
 * signals under the name), TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
 */
tg_status tg_shedder_new(const tg_shedder_config *config, tg_shedder **shedder);

/** Frees a load shedder; NULL is fine. */
void tg_shedder_free(tg_shedder *shedder);

/**
 * Asks whether a call may be served: TG_OK, or TG_SHED. priority is one of tg_priority; level its place within the
 * class, from 0, the last to be shed, to 127: tg_shedder_level_of() its user. Whose turn it is reads a file.
 *
 * Errors: TG_UNKNOWN_VALUE (priority), TG_OUT_OF_RANGE (level).
 */
tg_status tg_shedder_admit(const tg_shedder *shedder, int32_t priority, uint32_t level);

/**
 * tg_shedder_admit() at now_ns of its clock, by a random number from 0 up to, but not including, 1: refused where it
 * is not below the part of its level that passes, or is no number.
 */
tg_status tg_shedder_admit_at(const tg_shedder *shedder, uint64_t now_ns, int32_t priority, uint32_t level, double draw);

/** tg_shedder_admit() with its reasons. */
tg_status tg_shedder_check(const tg_shedder *shedder, int32_t priority, uint32_t level, tg_shed_decision *decision);

/** tg_shedder_check() at now_ns of its clock, by a random number. */
tg_status tg_shedder_check_at(const tg_shedder *shedder,
                              uint64_t now_ns,
                              int32_t priority,
                              uint32_t level,
                              double draw,
                              tg_shed_decision *decision);

/** Tells the level of a user: a keyed hash of user and hour, the same in all services with that level_key. */
tg_status tg_shedder_level_of(const tg_shedder *shedder, const void *user, size_t user_len, uint32_t *level);

/** tg_shedder_level_of() at unix_s seconds since 1970. */
tg_status tg_shedder_level_of_at(const tg_shedder *shedder,
                                 uint64_t unix_s,
                                 const void *user,
                                 size_t user_len,
                                 uint32_t *level);

/**
 * Tells a signal its value: of a queue's delay (seconds) the least of an interval counts, of others the largest. What
 * is no number is no value.
 *
 * Errors: TG_CONFLICT (there is no such signal, or it is read from the system's files); TG_UTF8.
 */
tg_status tg_shedder_tell(const tg_shedder *shedder, const char *signal, double value);

/** tg_shedder_tell() at now_ns of its clock. */
tg_status tg_shedder_tell_at(const tg_shedder *shedder, uint64_t now_ns, const char *signal, double value);

/** Tells that a tick of an event loop came late_ns late; they come each period_ns. */
tg_status tg_shedder_tell_lag(const tg_shedder *shedder, uint64_t late_ns, uint64_t period_ns);

/**
 * Reads the next signal, or moves the threshold, if it is time: for a loop, where calls are rare. Once each 20 ms is
 * often enough.
 */
tg_status tg_shedder_sample(const tg_shedder *shedder);

/** tg_shedder_sample() at now_ns of its clock. */
tg_status tg_shedder_sample_at(const tg_shedder *shedder, uint64_t now_ns);

/** Tells the largest pressure of all signals at the last step, 0 to 1. */
tg_status tg_shedder_pressure(const tg_shedder *shedder, double *pressure);

/** tg_shedder_pressure() at now_ns of its clock. */
tg_status tg_shedder_pressure_at(const tg_shedder *shedder, uint64_t now_ns, double *pressure);

/** Tells the counts since the shedder was made, and what its last step found. */
tg_status tg_shedder_stats(const tg_shedder *shedder, tg_shedder_snapshot *snapshot);

/** tg_shedder_stats() at now_ns of its clock. */
tg_status tg_shedder_stats_at(const tg_shedder *shedder, uint64_t now_ns, tg_shedder_snapshot *snapshot);

/**
 * Writes the state in words: a line for pressure, threshold, cool-off, each signal (one that is off says why) and the
 * limits of the cgroup. For people, and the text may change. *length is that of the text, without its NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_shedder_explain(const tg_shedder *shedder, char *buffer, size_t size, size_t *length);

/* ==================================================================================================================
 * 13. Queues
 *
 * Work that is accepted and not yet done: bounded, with watermarks.
 * ================================================================================================================== */

/** What a push onto a full queue does. */
enum tg_on_full
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Refuses the new item; also from the high watermark on, until the depth falls below the low one. */
    TG_REJECT = 0,
    /** Takes the new item and hands the oldest back; watermarks then only steer tg_queue_is_accepting(). */
    TG_DROP_OLDEST = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_on_full tg_on_full;
#else
typedef int32_t tg_on_full;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** The order of a lane, and what overload does. */
enum tg_discipline
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** First in, first out. */
    TG_FIFO = 0,
    /**
     * First in, first out. Once nobody of an interval waited less than the target, whoever waited longer than twice
     * the target is dropped, until somebody waits less.
     */
    TG_CODEL = 1,
    /** As TG_CODEL, judged by the oldest item, and the newest is served first meanwhile. */
    TG_ADAPTIVE_LIFO = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_discipline tg_discipline;
#else
typedef int32_t tg_discipline;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Why an accepted item was not handed out. */
enum tg_drop_reason
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** It had to make room for a newer one, by TG_DROP_OLDEST. */
    TG_DROPPED_OLDEST = 0,
    /** It waited longer than max_age_ns. */
    TG_DROPPED_AGE = 1,
    /** The queue is overloaded, and it waited longer than twice the target. */
    TG_DROPPED_CODEL = 2,
    /** Its own deadline had passed. */
    TG_DROPPED_DEADLINE = 3,
    /** The queue was closed, by tg_queue_discard(). */
    TG_DROPPED_CLOSED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_drop_reason tg_drop_reason;
#else
typedef int32_t tg_drop_reason;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** A bounded queue of pointers, for any number of producers and consumers, with watermarks, lanes and disciplines. */
typedef struct tg_queue tg_queue;

/** Settings of a queue. Start from TG_QUEUE_CONFIG_INIT and set capacity. */
typedef struct {
    /** sizeof(tg_queue_config) */
    size_t struct_size;
    /**
     * For sojourn times; NULL: the machine's monotonic clock. Waiting always uses the machine's. Borrowed during the
     * call.
     */
    const tg_clock *clock;
    /** The most items held, 1 .. 2^24. Must be set. */
    size_t capacity;
    /** Fraction of the capacity at which pushes start to be refused, low < high <= 1; 1.0 turns watermarks off. */
    double high_watermark;
    /** Fraction below which pushes are accepted again. */
    double low_watermark;
    /** One of tg_on_full. */
    int32_t on_full;
    /** Not 0: items carry the time of their push, so that tg_queue_try_pop_timed() can tell how long they waited. */
    uint32_t sojourn;
    /** One of tg_discipline. With another than TG_FIFO, pops may answer TG_DROPPED. */
    int32_t discipline;
    /** Lanes by urgency, 1 .. 8: lane 0 goes first, but one pop of 20 is of the others in turn. */
    uint32_t lanes;
    /** The least delay that is overload where a whole interval has none below it; below interval_ns. */
    uint64_t target_ns;
    /** How often overload is judged. */
    uint64_t interval_ns;
    /** What waited longer is dropped when it comes to the front; 0: nothing is. Pops may answer TG_DROPPED. */
    uint64_t max_age_ns;
} tg_queue_config;

/** Initial values of tg_queue_config: its size, and the defaults. */
#define TG_QUEUE_CONFIG_INIT \
    { sizeof(tg_queue_config), \
      NULL, 0, 0.8, 0.5, 0, 0, 0, 1, UINT64_C(5000000), UINT64_C(100000000), UINT64_C(0) }

/** A look at a queue. Start from TG_QUEUE_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_queue_snapshot) */
    size_t struct_size;
    /** Items held now. */
    size_t depth;
    /** Whether pushes are accepted now. */
    bool accepting;
    /** Items accepted. */
    uint64_t pushed;
    /** Items popped or drained. */
    uint64_t popped;
    /** Pushes refused, full or closed; a waiting form counts once, at its deadline. */
    uint64_t rejected;
    /** Items dropped, for whatever reason: pushed is popped, dropped and depth, at any moment. */
    uint64_t dropped;
    /** Of these, by their reasons: oldest. It had to make room for a newer one, as on_full says. */
    uint64_t dropped_oldest;
    /** Of these, by their reasons: age. It waited longer than max_age_ns. */
    uint64_t dropped_age;
    /** Of these, by their reasons: codel. The queue is overloaded, and it waited longer than twice the target. */
    uint64_t dropped_codel;
    /** Of these, by their reasons: deadline. Its own deadline had passed. */
    uint64_t dropped_deadline;
    /** Of these, by their reasons: closed. The queue was closed by discard. */
    uint64_t dropped_closed;
    /**
     * The least delay of the interval that ended last, of the lane where it is the longest; TG_NEVER without a
     * discipline that measures it, and before the first. In nanoseconds.
     */
    uint64_t least_delay_ns;
    /** 1 or 0. Whether that is overload. */
    uint64_t overloaded;
} tg_queue_snapshot;

/** Initial values of tg_queue_snapshot: its size, and the defaults. */
#define TG_QUEUE_SNAPSHOT_INIT \
    { sizeof(tg_queue_snapshot), \
      0, false, UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/** What a push says of its item. Start from TG_QUEUE_PUSH_OPTIONS_INIT. */
typedef struct {
    /** sizeof(tg_queue_push_options) */
    size_t struct_size;
    /**
     * It is dropped when it comes to the front later than so long after the call; TG_NEVER: it has no deadline. After
     * the first item that has one, pops may answer TG_DROPPED.
     */
    uint64_t deadline_ns;
    /** Its lane, below the queue's lanes: 0 is the most urgent. */
    uint32_t lane;
    /** 0. */
    uint32_t reserved;
} tg_queue_push_options;

/** Initial values of tg_queue_push_options: its size, and the defaults. */
#define TG_QUEUE_PUSH_OPTIONS_INIT \
    { sizeof(tg_queue_push_options), \
      UINT64_MAX, 0, 0 }

/** What came out of a queue. Start from TG_QUEUE_TAKEN_INIT. */
typedef struct {
    /** sizeof(tg_queue_taken) */
    size_t struct_size;
    /** NULL unless the answer was TG_OK or TG_DROPPED. */
    void *item;
    /** How long an item that is not dropped waited; 0 unless sojourn is on. */
    uint64_t sojourn_ns;
    /** Of TG_DROPPED: one of tg_drop_reason. -1 otherwise. */
    int32_t reason;
    /** 0. */
    uint32_t reserved;
} tg_queue_taken;

/** Initial values of tg_queue_taken: its size, and the defaults. */
#define TG_QUEUE_TAKEN_INIT \
    { sizeof(tg_queue_taken), \
      NULL, UINT64_C(0), -1, 0 }

/**
 * Makes an empty queue.
 *
 * Errors: TG_OUT_OF_RANGE (capacity 0, a watermark outside 0 .. 1, ...), TG_NO_MEMORY (for capacity), TG_CONFLICT (low
 * not below high, target_ns not below interval_ns), TG_UNKNOWN_VALUE (on_full, discipline).
 */
tg_status tg_queue_new(const tg_queue_config *config, tg_queue **queue);

/**
 * Frees a queue; NULL is fine. Close it, join whoever waits on it and tg_queue_drain() it first: items still inside
 * are forgotten, for tidegate does not know how to free them.
 *
 * Ownership: takes queue, not the items.
 */
void tg_queue_free(tg_queue *queue);

/** Refuses pushes from now on and wakes all who wait; what was accepted can still be popped. Closing twice is fine. */
tg_status tg_queue_close(const tg_queue *queue);

/** Tells whether the queue was closed. */
tg_status tg_queue_is_closed(const tg_queue *queue, bool *closed);

/** Tells whether a push would be accepted: not closed, not full, not above the watermark. */
tg_status tg_queue_is_accepting(const tg_queue *queue, bool *accepting);

/** Tells how many items it holds now. */
tg_status tg_queue_depth(const tg_queue *queue, size_t *depth);

/** Tells the depth and the counts since the queue was made. */
tg_status tg_queue_stats(const tg_queue *queue, tg_queue_snapshot *snapshot);

/**
 * Puts an item in without waiting: TG_OK, TG_FULL or TG_CLOSED. With TG_DROP_OLDEST, *dropped is the item that had to
 * go, or NULL; otherwise dropped may be NULL.
 *
 * Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
 * Thread safety: does not wait for room.
 * Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item.
 */
tg_status tg_queue_try_push(const tg_queue *queue, void *item, void **dropped);

/**
 * tg_queue_try_push() at now_ns nanoseconds of the queue's clock.
 *
 * Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
 * Thread safety: does not wait for room.
 * Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item.
 */
tg_status tg_queue_try_push_at(const tg_queue *queue, uint64_t now_ns, void *item, void **dropped);

/**
 * Puts an item in, waiting up to timeout_ns for room (0: not at all, TG_NEVER: for ever): TG_OK, TG_FULL (still full
 * at the deadline) or TG_CLOSED. dropped as in tg_queue_try_push().
 *
 * Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
 * Thread safety: blocks up to timeout_ns.
 * Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item.
 */
tg_status tg_queue_push(const tg_queue *queue, void *item, uint64_t timeout_ns, void **dropped);

/**
 * tg_queue_try_push() into a lane, or with a deadline.
 *
 * Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
 * Thread safety: does not wait for room.
 * Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item. TG_OUT_OF_RANGE (lane).
 */
tg_status tg_queue_try_push_with(const tg_queue *queue,
                                 void *item,
                                 const tg_queue_push_options *options,
                                 void **dropped);

/**
 * tg_queue_try_push_with() at now_ns nanoseconds of the queue's clock.
 *
 * Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
 * Thread safety: does not wait for room.
 * Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item. TG_OUT_OF_RANGE (lane).
 */
tg_status tg_queue_try_push_with_at(const tg_queue *queue,
                                    uint64_t now_ns,
                                    void *item,
                                    const tg_queue_push_options *options,
                                    void **dropped);

/**
 * tg_queue_push() into a lane, or with a deadline, which counts from the call.
 *
 * Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
 * Thread safety: blocks up to timeout_ns.
 * Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item. TG_OUT_OF_RANGE (lane).
 */
tg_status tg_queue_push_with(const tg_queue *queue,
                             void *item,
                             const tg_queue_push_options *options,
                             uint64_t timeout_ns,
                             void **dropped);

/**
 * Takes the next item without waiting: TG_OK, TG_EMPTY, or TG_CLOSED when the queue is closed and everything accepted
 * has been taken out. A queue with a discipline, max_age_ns or deadlines also answers TG_DROPPED: *item is one that it
 * drops, to be freed or told about, and the next call goes on. tg_queue_take() tells the reason too.
 *
 * Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
 * Thread safety: does not wait for an item.
 */
tg_status tg_queue_try_pop(const tg_queue *queue, void **item);

/**
 * tg_queue_try_pop() that also tells how many nanoseconds the item waited (0 unless sojourn is on).
 *
 * Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
 * Thread safety: does not wait for an item.
 */
tg_status tg_queue_try_pop_timed(const tg_queue *queue, void **item, uint64_t *sojourn_ns);

/**
 * tg_queue_try_pop_timed() at now_ns nanoseconds of the queue's clock.
 *
 * Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
 * Thread safety: does not wait for an item.
 */
tg_status tg_queue_try_pop_timed_at(const tg_queue *queue, uint64_t now_ns, void **item, uint64_t *sojourn_ns);

/**
 * Takes the next item, waiting up to timeout_ns for one (0: not at all, TG_NEVER: for ever): TG_OK, TG_EMPTY (still
 * empty at the deadline), TG_CLOSED when the queue is closed and everything accepted has been taken out, or TG_DROPPED
 * as in tg_queue_try_pop().
 *
 * Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
 * Thread safety: blocks up to timeout_ns.
 */
tg_status tg_queue_pop(const tg_queue *queue, uint64_t timeout_ns, void **item);

/**
 * tg_queue_pop() that tells sojourn and, of TG_DROPPED, the reason.
 *
 * Ownership: taken->item is the caller's after TG_OK and TG_DROPPED.
 * Thread safety: blocks up to timeout_ns.
 */
tg_status tg_queue_take(const tg_queue *queue, uint64_t timeout_ns, tg_queue_taken *taken);

/**
 * tg_queue_take() without waiting, at now_ns nanoseconds of the queue's clock.
 *
 * Ownership: taken->item is the caller's after TG_OK and TG_DROPPED.
 * Thread safety: does not wait for an item.
 */
tg_status tg_queue_try_take_at(const tg_queue *queue, uint64_t now_ns, tg_queue_taken *taken);

/**
 * Closes the queue and takes the oldest item of the most urgent lane out, whatever its age: TG_OK, or TG_CLOSED when
 * nothing is left. Loop until TG_CLOSED: `while (tg_queue_drain(queue, &item) == TG_OK) free(item);`
 *
 * Ownership: *item is the caller's after TG_OK, and NULL otherwise.
 * Thread safety: waits only for a push that is half done.
 */
tg_status tg_queue_drain(const tg_queue *queue, void **item);

/**
 * tg_queue_drain() of items that nobody will handle: they count as dropped, TG_DROPPED_CLOSED, not as popped.
 *
 * Ownership: *item is the caller's after TG_OK, and NULL otherwise.
 * Thread safety: waits only for a push that is half done.
 */
tg_status tg_queue_discard(const tg_queue *queue, void **item);

/* ==================================================================================================================
 * 14. HTTP
 *
 * Who a client is behind proxies, who is never limited or always refused, and what a client is told.
 * ================================================================================================================== */

/** What an access list says of a client. */
enum tg_verdict
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** It is on no list: the limits decide. */
    TG_VERDICT_LIMIT = 0,
    /** It passes without being counted. */
    TG_VERDICT_ALLOW = 1,
    /** It is refused without being counted. */
    TG_VERDICT_DENY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_verdict tg_verdict;
#else
typedef int32_t tg_verdict;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Why a request was refused: the problem types of draft-ietf-httpapi-ratelimit-headers-10. */
enum tg_problem
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** A quota is used up: 429. */
    TG_PROBLEM_QUOTA_EXCEEDED = 0,
    /** The service protects itself (a full queue, an open circuit): 503. */
    TG_PROBLEM_TEMPORARY_REDUCED_CAPACITY = 1,
    /** The client is blocked for a while: 429. */
    TG_PROBLEM_ABNORMAL_USAGE_DETECTED = 2,
    /** The client is on a deny list: 403. */
    TG_PROBLEM_FORBIDDEN = 3,
    /** What the request needs did not answer in time: 504. */
    TG_PROBLEM_TIMEOUT = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_problem tg_problem;
#else
typedef int32_t tg_problem;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Addresses, networks and keys that are allowed or denied without being counted. */
typedef struct tg_access_list tg_access_list;

/** Finds the client of a request: the socket's peer, unless that is a proxy you trust. */
typedef struct tg_client_address tg_client_address;

/** How the ends of HTTP calls are judged. Start from TG_HTTP_CLASSIFIER_INIT. */
typedef struct {
    /** sizeof(tg_http_classifier) */
    size_t struct_size;
    /** No server is left alone for longer, whatever it asks for. */
    uint64_t max_retry_after_ns;
    /**
     * A success that took at least this long is slow; TG_NEVER: that is left to the breaker's own
     * slow_call_duration_ns.
     */
    uint64_t slow_call_duration_ns;
} tg_http_classifier;

/** Initial values of tg_http_classifier: its size, and the defaults. */
#define TG_HTTP_CLASSIFIER_INIT \
    { sizeof(tg_http_classifier), \
      UINT64_C(300000000000), UINT64_MAX }

/** How an HTTP call ended. Start from TG_HTTP_ANSWER_INIT. */
typedef struct {
    /** sizeof(tg_http_answer) */
    size_t struct_size;
    /**
     * Retry-After, seconds or a date; NULL for a field that is not there. Borrowed during the call, as the next two.
     */
    const char *retry_after;
    /** Retry-After-Ms. */
    const char *retry_after_ms;
    /** Date. */
    const char *date;
    /** The time, for a date in an answer without a Date. */
    uint64_t now_unix_ms;
    /** How long the call took. */
    uint64_t duration_ns;
    /** The status code; 0: there came no answer. */
    int32_t status;
    /** Without an answer: the system's number of the error (errno), where there is one. */
    int32_t os_error;
    /** 0. */
    uint64_t reserved;
} tg_http_answer;

/** Initial values of tg_http_answer: its size, and the defaults. */
#define TG_HTTP_ANSWER_INIT \
    { sizeof(tg_http_answer), \
      NULL, NULL, NULL, UINT64_C(0), UINT64_C(0), 0, 0, UINT64_C(0) }

/**
 * Whose word is taken for a client's address. Start from TG_CLIENT_ADDRESS_CONFIG_INIT: nobody's, only the socket's.
 */
typedef struct {
    /** sizeof(tg_client_address_config) */
    size_t struct_size;
    /**
     * The proxies: networks ("10.0.0.0/8"), addresses, "loopback", "private", or "unix" (a peer without an address).
     */
    const char *const *trusted;
    /** How many. */
    size_t trusted_count;
    /** The one header that they write: "forwarded", "x-real-ip", ...; NULL: "x-forwarded-for". */
    const char *header;
    /** How many leading bits of an IPv4 address make the key, 1 .. 32. */
    uint32_t ipv4_prefix;
    /** How many of an IPv6 address, 1 .. 128; a site has a /64 of them at least. */
    uint32_t ipv6_prefix;
} tg_client_address_config;

/** Initial values of tg_client_address_config: its size, and the defaults. */
#define TG_CLIENT_ADDRESS_CONFIG_INIT \
    { sizeof(tg_client_address_config), \
      NULL, 0, NULL, 32, 64 }

/** What a client is told of a decision. Start from TG_RATELIMIT_STATUS_INIT. */
typedef struct {
    /** sizeof(tg_ratelimit_status) */
    size_t struct_size;
    /** Seconds until the limit is full again, but after a refusal not more than retry_after_s (X-RateLimit-Reset). */
    uint64_t reset_s;
    /** Seconds for Retry-After, at least 1; 0 when admitted: no such field is sent. */
    uint64_t retry_after_s;
    /** The most that can be taken at once (X-RateLimit-Limit). */
    uint32_t limit;
    /** What is left (X-RateLimit-Remaining). */
    uint32_t remaining;
} tg_ratelimit_status;

/** Initial values of tg_ratelimit_status: its size, and the defaults. */
#define TG_RATELIMIT_STATUS_INIT \
    { sizeof(tg_ratelimit_status), \
      UINT64_C(0), UINT64_C(0), 0, 0 }

/**
 * Makes an access list. An entry is an address, a network ("203.0.113.0/24"), or "key:" and an exact key. The most
 * specific entry that fits decides (a key before any network, a longer prefix before a shorter); on both lists:
 * denied.
 *
 * Errors: TG_UTF8, TG_SYNTAX (an entry).
 */
tg_status tg_access_list_new(const char *const *allow,
                             size_t allow_count,
                             const char *const *deny,
                             size_t deny_count,
                             tg_access_list **list);

/** Frees an access list; NULL is fine. */
void tg_access_list_free(tg_access_list *list);

/**
 * Tells what is said of a client: *verdict is one of tg_verdict. address: as a text; NULL or no address: no network
 * fits. key: one that the client cannot make up; NULL with length 0: none.
 *
 * Errors: TG_UTF8 (address), TG_OUT_OF_RANGE (key_len).
 */
tg_status tg_access_list_verdict(const tg_access_list *list,
                                 const char *address,
                                 const void *key,
                                 size_t key_len,
                                 int32_t *verdict);

/**
 * Tells what the end of an HTTP call says of the dependency: TG_FAILURE for 429 and what is not within 100 to 499;
 * TG_UNREACHED without an answer where no socket or port of this machine was free (EMFILE, ENFILE, EADDRNOTAVAIL),
 * TG_IGNORE where the caller made a mistake (EINVAL), else TG_FAILURE; TG_SLOW for another answer that took
 * slow_call_duration_ns, else TG_SUCCESS. retry_after_ns is what a 429 or 503 asks for; what cannot be read, whatever
 * its bytes, asks for nothing. A call that you cancelled is not to be judged: tg_breaker_release() it.
 *
 *     tg_http_answer answer = TG_HTTP_ANSWER_INIT;
 *     answer.status = fetch(&answer.duration_ns);
 *     if (tg_classify_http(&classifier, &answer, &classified) == TG_OK)
 *         tg_breaker_report_classified(breaker, permit, &classified, answer.duration_ns);
 *
 * Errors: TG_OUT_OF_RANGE (status is not within 0 to 65535, reserved is not 0).
 */
tg_status tg_classify_http(const tg_http_classifier *classifier, const tg_http_answer *answer, tg_classified *classified);

/**
 * Makes a resolver of client addresses.
 *
 * Errors: TG_UTF8; TG_SYNTAX (trusted, header); TG_OUT_OF_RANGE (a prefix).
 */
tg_status tg_client_address_new(const tg_client_address_config *config, tg_client_address **clients);

/** Frees a resolver; NULL is fine. */
void tg_client_address_free(tg_client_address *clients);

/**
 * Tells which header's lines tg_client_address_key() wants, in lower case; NULL when nobody is trusted and none is
 * read.
 *
 * Ownership: *name is the resolver's, good until tg_client_address_free().
 */
tg_status tg_client_address_header(const tg_client_address *clients, const char **name);

/**
 * Names the client of a request by a key for a limiter: "192.0.2.1", "2001:db8::/64". From a trusted peer on, the
 * lines are walked from the right, and the first address that is not trusted itself is the client; what a client wrote
 * itself is never believed, and what cannot be read ends the walk. A peer that is no address is its own key.
 *
 * peer: the socket's, as a text, with or without a port; NULL: none. lines: the values of the header's lines as they
 * came, in order. *length (may be NULL) is the key's, without its NUL; 64 bytes of buffer hold every address.
 *
 * Ownership: the key is written to the caller's buffer of buffer_size bytes.
 * Errors: TG_UTF8 (peer), TG_OUT_OF_RANGE (a length); TG_BUFFER (too small: nothing is written but *length).
 */
tg_status tg_client_address_key(const tg_client_address *clients,
                                const char *peer,
                                const tg_bytes *lines,
                                size_t line_count,
                                char *buffer,
                                size_t buffer_size,
                                size_t *length);

/**
 * The value of one policy of a RateLimit-Policy field: "per-user";q=100;w=60. Several are joined by ", ".
 *
 * name: printable ASCII, 1 .. 128 characters. unit: that of costs ("content-bytes"); NULL: requests. quota: the most
 * at once (the decision's limit). window_ns: the time in which all of it comes back; TG_NEVER: not told.
 * partition_key: what the quota is counted per, NULL where clients shall not see it; left out when longer than 64
 * bytes. *length (may be NULL) is the text's, without its NUL.
 *
 * Ownership: the text is written to the caller's buffer of buffer_size bytes.
 * Errors: TG_UTF8, TG_SYNTAX (name, unit), TG_OUT_OF_RANGE (a length); TG_BUFFER (too small: nothing is written but
 * *length).
 */
tg_status tg_http_rate_limit_policy(const char *name,
                                    const char *unit,
                                    uint32_t quota,
                                    uint64_t window_ns,
                                    const tg_bytes *partition_key,
                                    char *buffer,
                                    size_t buffer_size,
                                    size_t *length);

/**
 * The value of one policy's state in a RateLimit field: "per-user";r=12;t=30. Several are joined by ", ". name,
 * partition_key and *length as in tg_http_rate_limit_policy().
 *
 * Ownership: the text is written to the caller's buffer of buffer_size bytes.
 * Errors: TG_UTF8, TG_SYNTAX (name), TG_OUT_OF_RANGE (a length); TG_BUFFER (too small: nothing is written but
 * *length).
 */
tg_status tg_http_rate_limit(const char *name,
                             const tg_ratelimit_status *told,
                             const tg_bytes *partition_key,
                             char *buffer,
                             size_t buffer_size,
                             size_t *length);

/**
 * The body of a refusal, to be sent as application/problem+json (RFC 9457). problem: one of tg_problem. status: the
 * one it is sent with, 0: the problem's own. detail: for people; NULL: the problem's own. violated: the names of the
 * policies that refused (a denied_by's); none: not told. Every text is escaped. *length (may be NULL) is the body's,
 * without its NUL.
 *
 * Ownership: the body is written to the caller's buffer of buffer_size bytes.
 * Errors: TG_UTF8, TG_UNKNOWN_VALUE (problem), TG_OUT_OF_RANGE (status above 999); TG_BUFFER (too small: nothing is
 * written but *length).
 */
tg_status tg_http_problem(int32_t problem,
                          uint32_t status,
                          const char *detail,
                          const char *const *violated,
                          size_t violated_count,
                          char *buffer,
                          size_t buffer_size,
                          size_t *length);

/**
 * Puts a decision into whole seconds, rounded up. TG_NEVER becomes an hour: a number must be said. jitter: 0, or the
 * fraction (up to 1) that times are lengthened by at most, drawn anew each time, so that clients do not return
 * together.
 *
 * Errors: TG_OUT_OF_RANGE (jitter).
 */
tg_status tg_http_tell(const tg_decision *decision, double jitter, tg_ratelimit_status *told);

/**
 * Seconds for Retry-After of a refusal by a full queue or concurrency limit: the time that depth items or calls take,
 * where done were done in the last window_ns; 1 to 60, and up to a fifth more by draw (from 0 up to 1; 0: no more). A
 * window of less than a second tells no rate: 1. Where nothing was done in ten seconds: 60.
 *
 * done is the difference of two readings of what has left (popped; admitted - in_use), the earlier one kept at a
 * refusal about ten seconds ago: depth and counts stand in the stats of the queue and of the limiter.
 */
uint64_t tg_http_overload_retry_after(uint64_t depth, uint64_t done, uint64_t window_ns, double draw);

/* ==================================================================================================================
 * 15. Gates
 *
 * All of the above as one decision: what one part refuses takes nothing of the others.
 * ================================================================================================================== */

/** What kind of part refused. */
enum tg_gate_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** The access list: HTTP status 403. */
    TG_GATE_ACCESS = 0,
    /** The call's own time is over, or shorter than calls wait in the queue: 504. */
    TG_GATE_DEADLINE = 1,
    /** The load shedder: 503. */
    TG_GATE_SHEDDER = 2,
    /** The queue takes nothing now: 503. */
    TG_GATE_QUEUE = 3,
    /** The circuit of a dependency is open: 503. */
    TG_GATE_BREAKER = 4,
    /** The concurrency limit is reached: 503. */
    TG_GATE_CONCURRENCY = 5,
    /** A rate limit: 429. */
    TG_GATE_LIMIT = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_gate_kind tg_gate_kind;
#else
typedef int32_t tg_gate_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** What became of a call that was let in. */
enum tg_gate_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** It was done: for an adaptive concurrency limit its latency counts. */
    TG_GATE_SUCCESS = 0,
    /** It failed, which says nothing of the latency. */
    TG_GATE_FAILURE = 1,
    /** It timed out, or was refused by what it called. */
    TG_GATE_DROPPED = 2,
    /** It was given up before its end. */
    TG_GATE_CANCELLED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_gate_outcome tg_gate_outcome;
#else
typedef int32_t tg_gate_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Access list, load shedder, queue, circuit breakers, concurrency limit and rate limits as one decision: a refused
 * call takes nothing of any of them, an admitted one is charged once.
 */
typedef struct tg_gate tg_gate;

/** What calls may depend on. */
typedef struct {
    /** Not empty, and no other dependency's. Copied. */
    const char *name;
    /** Its breaker. Shared. */
    const tg_breaker *breaker;
} tg_gate_dependency;

/**
 * What a gate is made of. Start from TG_GATE_CONFIG_INIT; a part that is NULL does not stand in it. Handles are
 * shared: what is asked of them elsewhere counts for the same limits.
 */
typedef struct {
    /** sizeof(tg_gate_config) */
    size_t struct_size;
    /** Its name. Copied. */
    const char *name;
    /** Who passes without being counted, and who is always refused. Copied. */
    const tg_access_list *access;
    /** What is not taken when there is too much to do. Shared. */
    const tg_shedder *shedder;
    /** Its name in refusals; NULL: "shedder". Copied. */
    const char *shedder_name;
    /** Where the calls put what is to be done: none is let in while it takes nothing. Shared. */
    const tg_queue *queue;
    /** Its name in refusals; NULL: "queue". Copied. */
    const char *queue_name;
    /** How many calls may be under way. Shared. */
    const tg_concurrency *concurrency;
    /** Its name in refusals; NULL: "concurrency". Copied. */
    const char *concurrency_name;
    /** How many calls may come. Shared. */
    const tg_limit_set *limits;
    /** What calls may depend on, at most 64. Borrowed during the call, each breaker is shared. */
    const tg_gate_dependency *dependencies;
    /** How many. */
    size_t dependency_count;
    /**
     * After which outcomes a call's cost is given back to the limits: a bit 1 << TG_GATE_... for each of
     * tg_gate_outcome. 0: none; who gives up a call could otherwise make as many as it likes.
     */
    uint32_t refund_on;
    /** One of tg_mode. */
    int32_t mode;
} tg_gate_config;

/** Initial values of tg_gate_config: its size, and the defaults. */
#define TG_GATE_CONFIG_INIT \
    { sizeof(tg_gate_config), \
      NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0 }

/** A call that wants to be let in. Start from TG_GATE_REQUEST_INIT. */
typedef struct {
    /** sizeof(tg_gate_request) */
    size_t struct_size;
    /** One for each limiter of the limits, in order; an access list looks at them too. Borrowed during the call. */
    const tg_bytes *keys;
    /** How many. */
    size_t key_count;
    /** The client's address, for an access list; NULL or no address: no network fits. Borrowed during the call. */
    const char *address;
    /** How long the caller still waits; TG_NEVER: without an end. 0 is over. */
    uint64_t deadline_ns;
    /** What it will call: bit n for the nth dependency of the config. */
    uint64_t dependencies;
    /** What it takes of each limit. */
    uint32_t cost;
    /** Its place within its class, 0 to 127: tg_shedder_level_of() its user. */
    uint32_t level;
    /** One of tg_priority. */
    int32_t priority;
    /** Its partition of the concurrency limit, tg_concurrency_partition(); 0: none. */
    uint32_t partition;
} tg_gate_request;

/** Initial values of tg_gate_request: its size, and the defaults. */
#define TG_GATE_REQUEST_INIT \
    { sizeof(tg_gate_request), \
      NULL, 0, NULL, UINT64_MAX, UINT64_C(0), 1, 0, 2, 0 }

/**
 * A gate's answer to a call, and what the call holds. Start from TG_ADMISSION_INIT, and keep one of a call: see
 * tg_gate_finish() of copies.
 */
typedef struct {
    /** sizeof(tg_admission) */
    size_t struct_size;
    /** Opaque: what the call holds, until tg_gate_finish(). */
    uint64_t held[19];
    /** Time until another try makes sense: 0 when allowed, and where nobody waits for it any more; TG_NEVER. */
    uint64_t retry_after_ns;
    /** Time until the limit that decided is full again. */
    uint64_t reset_after_ns;
    /** Time to wait before acting on an admission; 0 without a leaky bucket. */
    uint64_t delay_ns;
    /** The shedder's pressure at its last step, 0 to 1; 0 without a shedder. */
    double pressure;
    /**
     * The most tokens at once of the limit that decided: of the one that refused, else of the one with the fewest
     * left; 0 where no limit was asked.
     */
    uint32_t limit;
    /** Tokens that are left of it. */
    uint32_t remaining;
    /**
     * What kind of part refused, the one with the longest wait (one of tg_gate_kind); -1: none. In a dry run what
     * would have.
     */
    int32_t kind;
    /** Which of its kind: the place of the dependency, or of the member of the limits. */
    uint32_t place;
    /** The HTTP status of a refusal; 0 when allowed. */
    uint32_t http_status;
    /** What it took of each limit. */
    uint32_t cost;
    /** 1 or 0. */
    int32_t allowed;
    /** 0. */
    uint32_t reserved;
} tg_admission;

/** Initial values of tg_admission: its size, and the defaults. */
#define TG_ADMISSION_INIT \
    { sizeof(tg_admission), \
      { 0 }, UINT64_C(0), UINT64_C(0), UINT64_C(0), 0.0, 0, 0, -1, 0, 0, 0, 0, 0 }

/** Counts since a gate was made. Start from TG_GATE_SNAPSHOT_INIT. */
typedef struct {
    /** sizeof(tg_gate_snapshot) */
    size_t struct_size;
    /** Calls that were let in, with those of would_deny. */
    uint64_t admitted;
    /** Calls that were refused. */
    uint64_t denied;
    /** Calls that a dry run let in and would have refused. */
    uint64_t would_deny;
    /**
     * Those that were refused, by the kind of the part that the answer named: access. The access list: the client is
     * on its deny list.
     */
    uint64_t denied_access;
    /**
     * Those that were refused, by the kind of the part that the answer named: deadline. The call's own time is over,
     * or shorter than calls wait behind the gate.
     */
    uint64_t denied_deadline;
    /** Those that were refused, by the kind of the part that the answer named: shedder. The load shedder. */
    uint64_t denied_shedder;
    /** Those that were refused, by the kind of the part that the answer named: queue. The queue takes nothing now. */
    uint64_t denied_queue;
    /**
     * Those that were refused, by the kind of the part that the answer named: breaker. The circuit of a dependency is
     * open.
     */
    uint64_t denied_breaker;
    /**
     * Those that were refused, by the kind of the part that the answer named: concurrency. The concurrency limit is
     * reached.
     */
    uint64_t denied_concurrency;
    /** Those that were refused, by the kind of the part that the answer named: limit. A rate limit. */
    uint64_t denied_limit;
} tg_gate_snapshot;

/** Initial values of tg_gate_snapshot: its size, and the defaults. */
#define TG_GATE_SNAPSHOT_INIT \
    { sizeof(tg_gate_snapshot), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0), \
      UINT64_C(0), UINT64_C(0), UINT64_C(0) }

/**
 * Makes a gate.
 *
 * Errors: TG_NULL (name, the name or breaker of a dependency); TG_UTF8; TG_SYNTAX (an empty name); TG_CONFLICT (a
 * dependency's name that is empty or comes twice, more than 64 of them); TG_UNKNOWN_VALUE (refund_on, mode).
 */
tg_status tg_gate_new(const tg_gate_config *config, tg_gate **gate);

/** Frees a gate; NULL is fine. Its parts go on; what calls still hold of them must be finished before. */
void tg_gate_free(tg_gate *gate);

/**
 * Asks for a call: first a look at all parts without a write, then the taking. TG_OK, and what the call holds stands
 * in *admission until tg_gate_finish(); or the refusal of the part with the longest wait: TG_FORBIDDEN (access list),
 * TG_LATE (deadline), TG_SHED, TG_FULL (queue), TG_OPEN (a dependency's circuit), TG_DENIED (concurrency limit, rate
 * limits), and nothing was taken. The circuits of its dependencies are looked at only: ask tg_breaker_acquire() for
 * each call to them.
 *
 * Ownership: what was in *admission before is overwritten, not given back.
 * Errors: TG_CONFLICT (more or fewer keys than limiters, a partition without a concurrency limit); TG_OUT_OF_RANGE (a
 * length, level, bits of dependencies, partition); TG_UNKNOWN_VALUE (priority); TG_UTF8 (address).
 */
tg_status tg_gate_admit(const tg_gate *gate, const tg_gate_request *request, tg_admission *admission);

/**
 * tg_gate_admit() at now_ns of the gate's clock, which is that of its limits, else of the first part that has one; by
 * a random number from 0 up to, but not including, 1, for a shedder. Parts on another clock read that.
 */
tg_status tg_gate_admit_at(const tg_gate *gate,
                           uint64_t now_ns,
                           const tg_gate_request *request,
                           double draw,
                           tg_admission *admission);

/**
 * The call has ended: its permit goes back, with what became of it (one of tg_gate_outcome); its cost too, if
 * refund_on says so. TG_OK, or TG_NOT_HELD, and nothing happens: it was finished before, was refused, or belongs to
 * the parent of this process. On any thread, by one at a time.
 *
 * Keep one tg_admission of a call, do not copy it: a permit goes back once, even of a copy, but without a concurrency
 * limit a copy counts as another call, and its cost is given back again.
 *
 * Errors: TG_UNKNOWN_VALUE (outcome).
 */
tg_status tg_gate_finish(const tg_gate *gate, tg_admission *admission, int32_t outcome);

/** tg_gate_finish() at now_ns of the limits' clock. */
tg_status tg_gate_finish_at(const tg_gate *gate, uint64_t now_ns, tg_admission *admission, int32_t outcome);

/**
 * Tells the name of the part that *admission names: TG_OK, or TG_EMPTY where it names none.
 *
 * Ownership: *name is the gate's, good until tg_gate_free().
 * Errors: TG_OUT_OF_RANGE (a place that the gate does not have).
 */
tg_status tg_gate_denied_by(const tg_gate *gate, const tg_admission *admission, const char **name);

/**
 * Writes the refusal in words: "limiter "client" (100/min) refused 1 token: try again in 0.5 s". *length is that of
 * the text, without its NUL; TG_EMPTY, and no text, where *admission is no refusal.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_gate_refusal(const tg_gate *gate, const tg_admission *admission, char *buffer, size_t size, size_t *length);

/**
 * Writes what every part says of such a call now, a line each: "limit "client" allows: 3 of 5 left". Takes and counts
 * nothing. For people, and the text may change. *length is that of the text, without its NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: as tg_gate_admit(); TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_gate_explain(const tg_gate *gate,
                          const tg_gate_request *request,
                          char *buffer,
                          size_t size,
                          size_t *length);

/** Tells the counts since the gate was made, of this process. */
tg_status tg_gate_stats(const tg_gate *gate, tg_gate_snapshot *snapshot);

/* ==================================================================================================================
 * 16. Metrics
 *
 * What objects count, as Prometheus reads it.
 * ================================================================================================================== */

/** How a page is written. */
enum tg_metrics_format
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Prometheus' text, "text/plain; version=0.0.4; charset=utf-8". */
    TG_METRICS_PROMETHEUS = 0,
    /** OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8". */
    TG_METRICS_OPENMETRICS = 1,
    /** An array of families: [{"name", "type", "help", "samples": [{"labels", "value"}]}]. */
    TG_METRICS_JSON = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tg_metrics_format tg_metrics_format;
#else
typedef int32_t tg_metrics_format;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A page of figures, as a scrape reads it: objects are read into it at the call that adds them, and it is written.
 * Nothing of it stands on a decision's path.
 *
 * Thread safety: calls on one page wait for each other.
 */
typedef struct tg_metrics tg_metrics;

/** Makes an empty page: one for each scrape. */
tg_status tg_metrics_new(tg_metrics **metrics);

/** Frees a page; NULL is fine. */
void tg_metrics_free(tg_metrics *metrics);

/**
 * Reads all objects of an arena, with the counts of all its processes, the dead included: any worker's page is the
 * whole host's. Those that were read already are left out, so is one whose record is damaged.
 */
tg_status tg_metrics_add_arena(const tg_metrics *metrics, const tg_arena *arena);

/**
 * Reads a bucket that lives in memory of its own, under the label name.
 *
 * Errors: TG_CONFLICT (another bucket has the name), TG_SYNTAX (an empty one), TG_UTF8.
 */
tg_status tg_metrics_add_bucket(const tg_metrics *metrics, const char *name, const tg_bucket *bucket);

/** As tg_metrics_add_bucket(). */
tg_status tg_metrics_add_limiter(const tg_metrics *metrics, const char *name, const tg_limiter *limiter);

/** As tg_metrics_add_bucket(). */
tg_status tg_metrics_add_concurrency(const tg_metrics *metrics, const char *name, const tg_concurrency *concurrency);

/** As tg_metrics_add_bucket(). */
tg_status tg_metrics_add_breaker(const tg_metrics *metrics, const char *name, const tg_breaker *breaker);

/** As tg_metrics_add_bucket(). Its breakers are counted by their states. */
tg_status tg_metrics_add_registry(const tg_metrics *metrics, const char *name, const tg_registry *registry);

/** As tg_metrics_add_bucket(). */
tg_status tg_metrics_add_retry_budget(const tg_metrics *metrics, const char *name, const tg_retry_budget *budget);

/** As tg_metrics_add_bucket(). */
tg_status tg_metrics_add_throttle(const tg_metrics *metrics, const char *name, const tg_throttle *throttle);

/** As tg_metrics_add_bucket(). */
tg_status tg_metrics_add_shedder(const tg_metrics *metrics, const char *name, const tg_shedder *shedder);

/** As tg_metrics_add_bucket(). */
tg_status tg_metrics_add_queue(const tg_metrics *metrics, const char *name, const tg_queue *queue);

/** As tg_metrics_add_bucket(). What it counts is this process's. */
tg_status tg_metrics_add_gate(const tg_metrics *metrics, const char *name, const tg_gate *gate);

/**
 * Writes the page and a NUL into the size bytes of buffer. format is one of tg_metrics_format; *length (may be NULL):
 * without the NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_UNKNOWN_VALUE (format); TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_metrics_render(const tg_metrics *metrics, int32_t format, char *buffer, size_t size, size_t *length);

/* ==================================================================================================================
 * 17. Policies
 *
 * All of the above in one TOML file, for all languages.
 * ================================================================================================================== */

/**
 * The objects of a policy file, for all languages: each is made once, and who asks for it by its name gets a handle of
 * the same. TIDEGATE_SCOPE in the environment wins over the file's scope.
 */
typedef struct tg_policy tg_policy;

/**
 * Reads a policy file and makes its objects. Of a file with a mistake nothing is made.
 *
 * Errors: TG_UTF8 (path); TG_SYNTAX (the file is wrong or cannot be read: tg_last_error_message() tells all that is, a
 * line each, "orders.toml:3:7: limits.client.rate: ..."); TG_NO_MEMORY (nothing else is wrong than that one of its
 * sizes cannot be had, which the message names); TG_CONFLICT and the like of a queue.
 */
tg_status tg_policy_load(const char *path, tg_policy **policy);

/**
 * tg_policy_load() of a text.
 *
 * Errors: as there.
 */
tg_status tg_policy_parse(const char *text, tg_policy **policy);

/**
 * Writes all that is wrong with a policy's text as a JSON array of {"line", "column", "path", "message", "hint"},
 * lines and columns counted from 1, hint null where nothing is near; "[]" of a valid one. *length is that of the text,
 * without its NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_UTF8; TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_policy_check(const char *text, char *buffer, size_t size, size_t *length);

/**
 * Writes what a policy says as JSON: each object's settings as they were written, times in nanoseconds as texts under
 * names that end in _ns. *length is that of the text, without its NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_policy_json(const tg_policy *policy, char *buffer, size_t size, size_t *length);

/**
 * Writes a policy as TOML with all its defaults filled in. *length is that of the text, without its NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length.
 * Errors: TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_policy_toml(const tg_policy *policy, char *buffer, size_t size, size_t *length);

/**
 * Reads the file of tg_policy_load() again and changes the objects to what it says, all or nothing: in place, with
 * their state, rates, bursts, tiers, a fixed concurrency limit up to what it was made with, the settings of breakers.
 * What is added is made; who holds what is no longer there keeps it.
 *
 * Thread safety: calls on one policy wait for each other.
 *
 * Errors: as tg_policy_load(); TG_SYNTAX too for changes that need a new object, and for a policy of no file. Nothing
 * is changed then.
 */
tg_status tg_policy_reload(const tg_policy *policy);

/**
 * Writes the figures of all objects of a policy, and of its reloads, in one of tg_metrics_format; in a named scope
 * those of all objects of its arena, with the counts of all processes. Queues are told of by tg_metrics_add_queue().
 * *length is that of the text, without its NUL.
 *
 * Ownership: buffer may be NULL when size is 0, to ask for the length, which the next scrape may exceed.
 * Errors: TG_UNKNOWN_VALUE (format); TG_BUFFER (too few bytes; nothing is written but *length).
 */
tg_status tg_policy_metrics(const tg_policy *policy, int32_t format, char *buffer, size_t size, size_t *length);

/** Frees a policy; NULL is fine. Objects that were asked for go on. */
void tg_policy_free(tg_policy *policy);

/**
 * Gives a limit of everybody together: one without a key.
 *
 * Ownership: the handle is the caller's, to be freed; the bucket is the policy's as well.
 * Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT (it is one per key); TG_UTF8.
 */
tg_status tg_policy_bucket(const tg_policy *policy, const char *name, tg_bucket **bucket);

/**
 * Gives a limit per key.
 *
 * Ownership: as of tg_policy_bucket().
 * Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT (it has no keys); TG_UTF8.
 */
tg_status tg_policy_limiter(const tg_policy *policy, const char *name, tg_limiter **limiter);

/**
 * Gives a concurrency limit.
 *
 * Ownership: as of tg_policy_bucket().
 * Errors: TG_OUT_OF_RANGE (there is none of this name); TG_UTF8.
 */
tg_status tg_policy_concurrency(const tg_policy *policy, const char *name, tg_concurrency **concurrency);

/**
 * Gives a queue.
 *
 * Ownership: as of tg_policy_bucket().
 * Errors: TG_OUT_OF_RANGE (there is none of this name); TG_UTF8.
 */
tg_status tg_policy_queue(const tg_policy *policy, const char *name, tg_queue **queue);

/**
 * Gives a load shedder. Loop lag is told to it: tg_shedder_tell().
 *
 * Ownership: as of tg_policy_bucket().
 * Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT (in a named scope another object has its name);
 * TG_UTF8.
 */
tg_status tg_policy_shedder(const tg_policy *policy, const char *name, tg_shedder **shedder);

/**
 * Gives a circuit breaker.
 *
 * Ownership: as of tg_policy_bucket().
 * Errors: TG_OUT_OF_RANGE (there is none of this name); TG_UTF8.
 */
tg_status tg_policy_breaker(const tg_policy *policy, const char *name, tg_breaker **breaker);

/**
 * Gives a gate. Its dependencies are numbered as the file lists them.
 *
 * Ownership: as of tg_policy_bucket().
 * Errors: TG_OUT_OF_RANGE (there is none of this name); TG_CONFLICT as of tg_policy_shedder(); TG_UTF8.
 */
tg_status tg_policy_gate(const tg_policy *policy, const char *name, tg_gate **gate);

#ifdef __cplusplus
}
#endif

/* ==================================================================================================================
 * 18. Layout
 *
 * Compiles where the compiler lays structs out as the library does.
 * ================================================================================================================== */

#if defined(__cplusplus)
#define TG_ASSERT(what, name) static_assert(what, #name)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define TG_ASSERT(what, name) _Static_assert(what, #name)
#else
#define TG_ASSERT(what, name) typedef char tg_assert_##name[(what) ? 1 : -1]
#endif

TG_ASSERT(offsetof(tg_arena_config, struct_size) == 0, tg_arena_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_arena_config, capacity) + sizeof(((tg_arena_config *)0)->capacity)
        == sizeof(tg_arena_config),
    tg_arena_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_arena_config) == 40, tg_arena_config_has_its_size);
TG_ASSERT(offsetof(tg_bucket_config, struct_size) == 0, tg_bucket_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_bucket_config, name) + sizeof(((tg_bucket_config *)0)->name)
        == sizeof(tg_bucket_config),
    tg_bucket_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_bucket_config) == 96, tg_bucket_config_has_its_size);
TG_ASSERT(offsetof(tg_quota, struct_size) == 0, tg_quota_starts_with_its_size);
TG_ASSERT(offsetof(tg_quota, burst) + sizeof(((tg_quota *)0)->burst)
        == sizeof(tg_quota),
    tg_quota_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_quota) == 40, tg_quota_has_its_size);
TG_ASSERT(offsetof(tg_decision, struct_size) == 0, tg_decision_starts_with_its_size);
TG_ASSERT(offsetof(tg_decision, delay_ns) + sizeof(((tg_decision *)0)->delay_ns)
        == sizeof(tg_decision),
    tg_decision_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_decision) == 48, tg_decision_has_its_size);
TG_ASSERT(offsetof(tg_bucket_snapshot, struct_size) == 0, tg_bucket_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_bucket_snapshot, would_deny) + sizeof(((tg_bucket_snapshot *)0)->would_deny)
        == sizeof(tg_bucket_snapshot),
    tg_bucket_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_bucket_snapshot) == 32, tg_bucket_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_limiter_config, struct_size) == 0, tg_limiter_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_limiter_config, reserved) + sizeof(((tg_limiter_config *)0)->reserved)
        == sizeof(tg_limiter_config),
    tg_limiter_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_limiter_config) == 160, tg_limiter_config_has_its_size);
TG_ASSERT(offsetof(tg_limiter_snapshot, struct_size) == 0, tg_limiter_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_limiter_snapshot, blocked) + sizeof(((tg_limiter_snapshot *)0)->blocked)
        == sizeof(tg_limiter_snapshot),
    tg_limiter_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_limiter_snapshot) == 56, tg_limiter_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_breaker_config, struct_size) == 0, tg_breaker_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_breaker_config, reserved_too) + sizeof(((tg_breaker_config *)0)->reserved_too)
        == sizeof(tg_breaker_config),
    tg_breaker_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_breaker_config) == 168, tg_breaker_config_has_its_size);
TG_ASSERT(offsetof(tg_breaker_snapshot, struct_size) == 0, tg_breaker_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_breaker_snapshot, reserved) + sizeof(((tg_breaker_snapshot *)0)->reserved)
        == sizeof(tg_breaker_snapshot),
    tg_breaker_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_breaker_snapshot) == 88, tg_breaker_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_event, struct_size) == 0, tg_event_starts_with_its_size);
TG_ASSERT(offsetof(tg_event, trip_slow) + sizeof(((tg_event *)0)->trip_slow)
        == sizeof(tg_event),
    tg_event_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_event) == 48, tg_event_has_its_size);
TG_ASSERT(offsetof(tg_classified, struct_size) == 0, tg_classified_starts_with_its_size);
TG_ASSERT(offsetof(tg_classified, reserved) + sizeof(((tg_classified *)0)->reserved)
        == sizeof(tg_classified),
    tg_classified_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_classified) == 24, tg_classified_has_its_size);
TG_ASSERT(offsetof(tg_http_classifier, struct_size) == 0, tg_http_classifier_starts_with_its_size);
TG_ASSERT(offsetof(tg_http_classifier, slow_call_duration_ns) + sizeof(((tg_http_classifier *)0)->slow_call_duration_ns)
        == sizeof(tg_http_classifier),
    tg_http_classifier_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_http_classifier) == 24, tg_http_classifier_has_its_size);
TG_ASSERT(offsetof(tg_http_answer, struct_size) == 0, tg_http_answer_starts_with_its_size);
TG_ASSERT(offsetof(tg_http_answer, reserved) + sizeof(((tg_http_answer *)0)->reserved)
        == sizeof(tg_http_answer),
    tg_http_answer_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_http_answer) == 64, tg_http_answer_has_its_size);
TG_ASSERT(offsetof(tg_queue_config, struct_size) == 0, tg_queue_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_queue_config, max_age_ns) + sizeof(((tg_queue_config *)0)->max_age_ns)
        == sizeof(tg_queue_config),
    tg_queue_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_queue_config) == 80, tg_queue_config_has_its_size);
TG_ASSERT(offsetof(tg_queue_snapshot, struct_size) == 0, tg_queue_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_queue_snapshot, overloaded) + sizeof(((tg_queue_snapshot *)0)->overloaded)
        == sizeof(tg_queue_snapshot),
    tg_queue_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_queue_snapshot) == 112, tg_queue_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_queue_push_options, struct_size) == 0, tg_queue_push_options_starts_with_its_size);
TG_ASSERT(offsetof(tg_queue_push_options, reserved) + sizeof(((tg_queue_push_options *)0)->reserved)
        == sizeof(tg_queue_push_options),
    tg_queue_push_options_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_queue_push_options) == 24, tg_queue_push_options_has_its_size);
TG_ASSERT(offsetof(tg_queue_taken, struct_size) == 0, tg_queue_taken_starts_with_its_size);
TG_ASSERT(offsetof(tg_queue_taken, reserved) + sizeof(((tg_queue_taken *)0)->reserved)
        == sizeof(tg_queue_taken),
    tg_queue_taken_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_queue_taken) == 32, tg_queue_taken_has_its_size);
TG_ASSERT(offsetof(tg_concurrency_config, struct_size) == 0, tg_concurrency_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_concurrency_config, priority_len) + sizeof(((tg_concurrency_config *)0)->priority_len)
        == sizeof(tg_concurrency_config),
    tg_concurrency_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_concurrency_config) == 88, tg_concurrency_config_has_its_size);
TG_ASSERT(offsetof(tg_adaptive_config, struct_size) == 0, tg_adaptive_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_adaptive_config, priority_len) + sizeof(((tg_adaptive_config *)0)->priority_len)
        == sizeof(tg_adaptive_config),
    tg_adaptive_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_adaptive_config) == 176, tg_adaptive_config_has_its_size);
TG_ASSERT(offsetof(tg_concurrency_snapshot, struct_size) == 0, tg_concurrency_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_concurrency_snapshot, longest_wait_ns) + sizeof(((tg_concurrency_snapshot *)0)->longest_wait_ns)
        == sizeof(tg_concurrency_snapshot),
    tg_concurrency_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_concurrency_snapshot) == 88, tg_concurrency_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_partition_snapshot, struct_size) == 0, tg_partition_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_partition_snapshot, reserved) + sizeof(((tg_partition_snapshot *)0)->reserved)
        == sizeof(tg_partition_snapshot),
    tg_partition_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_partition_snapshot) == 56, tg_partition_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_retry_config, struct_size) == 0, tg_retry_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_retry_config, jitter) + sizeof(((tg_retry_config *)0)->jitter)
        == sizeof(tg_retry_config),
    tg_retry_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_retry_config) == 56, tg_retry_config_has_its_size);
TG_ASSERT(offsetof(tg_registry_config, struct_size) == 0, tg_registry_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_registry_config, on_conflict) + sizeof(((tg_registry_config *)0)->on_conflict)
        == sizeof(tg_registry_config),
    tg_registry_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_registry_config) == 64, tg_registry_config_has_its_size);
TG_ASSERT(offsetof(tg_registry_snapshot, struct_size) == 0, tg_registry_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_registry_snapshot, overflowed) + sizeof(((tg_registry_snapshot *)0)->overflowed)
        == sizeof(tg_registry_snapshot),
    tg_registry_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_registry_snapshot) == 40, tg_registry_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_retry_budget_config, struct_size) == 0, tg_retry_budget_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_retry_budget_config, on_conflict) + sizeof(((tg_retry_budget_config *)0)->on_conflict)
        == sizeof(tg_retry_budget_config),
    tg_retry_budget_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_retry_budget_config) == 64, tg_retry_budget_config_has_its_size);
TG_ASSERT(offsetof(tg_retry_budget_snapshot, struct_size) == 0, tg_retry_budget_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_retry_budget_snapshot, would_deny) + sizeof(((tg_retry_budget_snapshot *)0)->would_deny)
        == sizeof(tg_retry_budget_snapshot),
    tg_retry_budget_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_retry_budget_snapshot) == 48, tg_retry_budget_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_throttle_config, struct_size) == 0, tg_throttle_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_throttle_config, reserved) + sizeof(((tg_throttle_config *)0)->reserved)
        == sizeof(tg_throttle_config),
    tg_throttle_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_throttle_config) == 80, tg_throttle_config_has_its_size);
TG_ASSERT(offsetof(tg_throttle_snapshot, struct_size) == 0, tg_throttle_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_throttle_snapshot, probability) + sizeof(((tg_throttle_snapshot *)0)->probability)
        == sizeof(tg_throttle_snapshot),
    tg_throttle_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_throttle_snapshot) == 72, tg_throttle_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_cluster_limit_config, struct_size) == 0, tg_cluster_limit_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_cluster_limit_config, reserved) + sizeof(((tg_cluster_limit_config *)0)->reserved)
        == sizeof(tg_cluster_limit_config),
    tg_cluster_limit_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_cluster_limit_config) == 112, tg_cluster_limit_config_has_its_size);
TG_ASSERT(offsetof(tg_cluster_limit_snapshot, struct_size) == 0, tg_cluster_limit_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_cluster_limit_snapshot, refilled) + sizeof(((tg_cluster_limit_snapshot *)0)->refilled)
        == sizeof(tg_cluster_limit_snapshot),
    tg_cluster_limit_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_cluster_limit_snapshot) == 112, tg_cluster_limit_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_shedder_config, struct_size) == 0, tg_shedder_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_shedder_config, on_conflict) + sizeof(((tg_shedder_config *)0)->on_conflict)
        == sizeof(tg_shedder_config),
    tg_shedder_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_shedder_config) == 128, tg_shedder_config_has_its_size);
TG_ASSERT(offsetof(tg_shed_decision, struct_size) == 0, tg_shed_decision_starts_with_its_size);
TG_ASSERT(offsetof(tg_shed_decision, allowed) + sizeof(((tg_shed_decision *)0)->allowed)
        == sizeof(tg_shed_decision),
    tg_shed_decision_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_shed_decision) == 32, tg_shed_decision_has_its_size);
TG_ASSERT(offsetof(tg_shedder_snapshot, struct_size) == 0, tg_shedder_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_shedder_snapshot, shed_share) + sizeof(((tg_shedder_snapshot *)0)->shed_share)
        == sizeof(tg_shedder_snapshot),
    tg_shedder_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_shedder_snapshot) == 72, tg_shedder_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_gate_config, struct_size) == 0, tg_gate_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_gate_config, mode) + sizeof(((tg_gate_config *)0)->mode)
        == sizeof(tg_gate_config),
    tg_gate_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_gate_config) == 104, tg_gate_config_has_its_size);
TG_ASSERT(offsetof(tg_gate_request, struct_size) == 0, tg_gate_request_starts_with_its_size);
TG_ASSERT(offsetof(tg_gate_request, partition) + sizeof(((tg_gate_request *)0)->partition)
        == sizeof(tg_gate_request),
    tg_gate_request_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_gate_request) == 64, tg_gate_request_has_its_size);
TG_ASSERT(offsetof(tg_admission, struct_size) == 0, tg_admission_starts_with_its_size);
TG_ASSERT(offsetof(tg_admission, reserved) + sizeof(((tg_admission *)0)->reserved)
        == sizeof(tg_admission),
    tg_admission_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_admission) == 224, tg_admission_has_its_size);
TG_ASSERT(offsetof(tg_gate_snapshot, struct_size) == 0, tg_gate_snapshot_starts_with_its_size);
TG_ASSERT(offsetof(tg_gate_snapshot, denied_limit) + sizeof(((tg_gate_snapshot *)0)->denied_limit)
        == sizeof(tg_gate_snapshot),
    tg_gate_snapshot_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_gate_snapshot) == 88, tg_gate_snapshot_has_its_size);
TG_ASSERT(offsetof(tg_client_address_config, struct_size) == 0, tg_client_address_config_starts_with_its_size);
TG_ASSERT(offsetof(tg_client_address_config, ipv6_prefix) + sizeof(((tg_client_address_config *)0)->ipv6_prefix)
        == sizeof(tg_client_address_config),
    tg_client_address_config_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_client_address_config) == 40, tg_client_address_config_has_its_size);
TG_ASSERT(offsetof(tg_ratelimit_status, struct_size) == 0, tg_ratelimit_status_starts_with_its_size);
TG_ASSERT(offsetof(tg_ratelimit_status, remaining) + sizeof(((tg_ratelimit_status *)0)->remaining)
        == sizeof(tg_ratelimit_status),
    tg_ratelimit_status_has_no_padding_at_its_end);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_ratelimit_status) == 32, tg_ratelimit_status_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_ticket) == 16, tg_ticket_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_tier) == 64, tg_tier_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_bytes) == 16, tg_bytes_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_limit_member) == 24, tg_limit_member_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_partition) == 16, tg_partition_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_signal) == 32, tg_signal_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_gate_dependency) == 16, tg_gate_dependency_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_permit) == 16, tg_permit_has_its_size);
TG_ASSERT(sizeof(void *) != 8 || sizeof(tg_concurrency_permit) == 16, tg_concurrency_permit_has_its_size);

#undef TG_ASSERT

#endif /* TIDEGATE_H */
