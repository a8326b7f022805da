/* One function per operation of tests/vectors; vectors_to_c.py writes the calls. Each case runs twice: through the plain
 * forms on a manual clock, and through the _at forms (a concurrency limit: in an arena). */
#ifndef VECTORS_H
#define VECTORS_H

#include <tidegate.h>

#include "check.h"

enum { PLAIN, AT, MODES };
static int mode;
static int step; /* of the running case, from 0 */
static tg_clock *clock_;
static tg_bucket *bucket;
static tg_breaker *breaker;
static tg_registry *registry;
static tg_queue *queue;
static tg_limiter *limiter;
static tg_limit_set *set;
static tg_concurrency *concurrency;
static tg_retry_budget *budget;
static tg_throttle *throttle;
static tg_shedder *shedder;
static tg_limit_member members[16]; /* of the set */
static size_t member_count;
static tg_breaker *held[64]; /* of the registry */
static size_t held_count;

#define WITH_CONTEXT(failures_before) \
    do { \
        if (check_failures > (failures_before)) printf("#   at step %d, %s\n", step, mode == AT ? "_at forms, or in an arena" : "plain forms"); \
        step++; \
    } while (0)

/* At most the first failure of a case is worth reading: the rest follows from it. */
#define STEP(body) \
    do { \
        int before = check_failures; \
        if (before) return; \
        body; \
        WITH_CONTEXT(before); \
    } while (0)

static void start(uint64_t start_ns) {
    step = 0;
    CHECK_EQ(tg_clock_manual_new(start_ns, &clock_), TG_OK);
}

/* Unless an earlier member is the very same. */
static void free_member(size_t place) {
    tg_limit_member member = members[place];
    for (size_t i = 0; i < place; i++) {
        if (members[i].bucket == member.bucket && members[i].limiter == member.limiter) return;
    }
    tg_bucket_free((tg_bucket *)member.bucket);
    tg_limiter_free((tg_limiter *)member.limiter);
}

static void finish(void) {
    tg_bucket_free(bucket);
    tg_breaker_free(breaker);
    while (held_count > 0) tg_breaker_free(held[--held_count]);
    tg_registry_free(registry);
    tg_queue_free(queue);
    tg_limiter_free(limiter);
    tg_limit_set_free(set);
    tg_concurrency_free(concurrency);
    tg_retry_budget_free(budget);
    tg_throttle_free(throttle);
    tg_shedder_free(shedder);
    while (member_count > 0) free_member(--member_count);
    tg_clock_free(clock_);
    bucket = NULL;
    breaker = NULL;
    registry = NULL;
    queue = NULL;
    limiter = NULL;
    set = NULL;
    concurrency = NULL;
    budget = NULL;
    throttle = NULL;
    shedder = NULL;
    clock_ = NULL;
}

static void at(uint64_t now) { CHECK_EQ(tg_clock_set(clock_, now), TG_OK); }

/* The form of this mode; the plain one needs the clock to be there. */
#define CALL(now, plain, with_time) (mode == AT ? (with_time) : (at(now), (plain)))

/* token bucket */

static inline void new_bucket(uint64_t count, uint64_t period_ns, uint64_t burst) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    config.count = count;
    config.period_ns = period_ns;
    config.burst = burst;
    config.clock = clock_;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
}

static inline void try_acquire(uint64_t now, uint32_t n, bool ok) {
    STEP(CHECK_EQ(CALL(now, tg_bucket_try_acquire(bucket, n), tg_bucket_try_acquire_at(bucket, now, n)), ok ? TG_OK : TG_DENIED));
}

static inline void same_decision(const tg_decision *d, const tg_decision *expected) {
    CHECK_EQ(d->allowed, expected->allowed);
    CHECK_EQ(d->limit, expected->limit);
    CHECK_EQ(d->remaining, expected->remaining);
    CHECK_EQ(d->retry_after_ns, expected->retry_after_ns);
    CHECK_EQ(d->reset_after_ns, expected->reset_after_ns);
    CHECK_EQ(d->delay_ns, expected->delay_ns);
}

static inline void check(uint64_t now, uint32_t n, tg_decision expected) {
    tg_decision d = TG_DECISION_INIT;
    STEP(CHECK_EQ(CALL(now, tg_bucket_check(bucket, n, &d), tg_bucket_check_at(bucket, now, n, &d)), expected.allowed ? TG_OK : TG_DENIED);
         same_decision(&d, &expected));
}

static inline void peek(uint64_t now, tg_decision expected) {
    tg_decision d = TG_DECISION_INIT;
    STEP(CHECK_EQ(CALL(now, tg_bucket_peek(bucket, &d), tg_bucket_peek_at(bucket, now, &d)), expected.allowed ? TG_OK : TG_DENIED);
         same_decision(&d, &expected));
}

/* What is refused names nothing: *ticket (as *permit below) keeps what it had. */
static inline void reserve(uint64_t now, uint32_t n, uint64_t max_wait, tg_ticket *ticket, bool booked, uint64_t wait_or_retry) {
    uint64_t wait = 0;
    tg_ticket t;
    STEP(CHECK_EQ(CALL(now, tg_bucket_reserve(bucket, n, max_wait, &t, &wait), tg_bucket_reserve_at(bucket, now, n, max_wait, &t, &wait)), booked ? TG_OK : TG_DENIED);
         CHECK_EQ(wait, wait_or_retry); if (booked) *ticket = t);
}

static inline void cancel(uint64_t now, tg_ticket ticket, bool expected) {
    bool returned = false;
    STEP(CHECK_EQ(CALL(now, tg_bucket_cancel(bucket, ticket, &returned), tg_bucket_cancel_at(bucket, now, ticket, &returned)), TG_OK);
         CHECK_EQ(returned, expected));
}

static inline void refund(uint64_t now, uint32_t n) {
    STEP(CHECK_EQ(CALL(now, tg_bucket_refund(bucket, n), tg_bucket_refund_at(bucket, now, n)), TG_OK));
}

static inline void penalize(uint64_t now, uint64_t wait) {
    STEP(CHECK_EQ(CALL(now, tg_bucket_penalize(bucket, wait), tg_bucket_penalize_at(bucket, now, wait)), TG_OK));
}

static inline void reset_bucket(uint64_t now) {
    STEP(CHECK_EQ(CALL(now, tg_bucket_reset(bucket), tg_bucket_reset_at(bucket, now)), TG_OK));
}

static inline void set_quota(uint64_t now, uint64_t count, uint64_t period_ns, uint64_t burst) {
    tg_quota quota = TG_QUOTA_INIT;
    quota.count = count;
    quota.period_ns = period_ns;
    quota.burst = burst;
    STEP(CHECK_EQ(CALL(now, tg_bucket_set_quota(bucket, &quota), tg_bucket_set_quota_at(bucket, now, &quota)), TG_OK));
}

/* circuit breaker */

static inline void new_breaker(tg_breaker_config config) {
    config.clock = clock_;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
}

static inline void set_config(uint64_t now, tg_breaker_config config) {
    STEP(CHECK_EQ(CALL(now, tg_breaker_set_config(breaker, &config), tg_breaker_set_config_at(breaker, now, &config)), TG_OK));
}

static inline void acquire(uint64_t now, tg_permit *permit, bool granted, uint64_t retry_after_ns) {
    uint64_t retry = 0;
    tg_permit p;
    STEP(CHECK_EQ(CALL(now, tg_breaker_acquire(breaker, &p, &retry), tg_breaker_acquire_at(breaker, now, 0, &p, &retry)), granted ? TG_OK : TG_OPEN);
         CHECK_EQ(retry, retry_after_ns); if (granted) *permit = p);
}

/* Only the form with a time takes a draw. */
static inline void acquire_with(uint64_t now, double draw, tg_permit *permit, bool granted, uint64_t retry_after_ns, uint32_t ramping) {
    uint64_t retry = 0;
    tg_permit p;
    tg_breaker_snapshot s = TG_BREAKER_SNAPSHOT_INIT;
    STEP(at(now); CHECK_EQ(tg_breaker_acquire_at(breaker, now, draw, &p, &retry), granted ? TG_OK : TG_OPEN);
         CHECK_EQ(retry, retry_after_ns); CHECK_EQ(tg_breaker_stats_at(breaker, now, &s), TG_OK);
         if (granted) *permit = p; else CHECK_EQ(s.ramping, ramping));
}

static inline void report(uint64_t now, tg_permit permit, int32_t outcome, uint64_t duration, uint64_t retry_after) {
    tg_classified said = TG_CLASSIFIED_INIT;
    said.outcome = outcome;
    said.retry_after_ns = retry_after;
    if (retry_after == 0)
        STEP(CHECK_EQ(CALL(now, tg_breaker_report(breaker, permit, outcome, duration), tg_breaker_report_at(breaker, now, permit, outcome, duration)), TG_OK));
    else
        STEP(CHECK_EQ(CALL(now, tg_breaker_report_classified(breaker, permit, &said, duration),
                           tg_breaker_report_classified_at(breaker, now, permit, &said, duration)), TG_OK));
}

static inline void report_retry_after(uint64_t now, tg_permit permit, uint64_t retry) {
    STEP(CHECK_EQ(CALL(now, tg_breaker_report_retry_after(breaker, permit, retry), tg_breaker_report_retry_after_at(breaker, now, permit, retry)), TG_OK));
}

static inline void release(uint64_t now, tg_permit permit) {
    STEP(CHECK_EQ(CALL(now, tg_breaker_release(breaker, permit), tg_breaker_release_at(breaker, now, permit)), TG_OK));
}

static inline void state(uint64_t now, int32_t expected) {
    int32_t actual = -1;
    STEP(at(now); CHECK_EQ(tg_breaker_state(breaker, &actual), TG_OK); CHECK_EQ(actual, expected));
}

static inline void stats(uint64_t now, uint32_t calls, uint32_t failed, uint32_t slow, uint32_t has_trip,
                         uint32_t trip_calls, uint32_t trip_failed, uint32_t trip_slow, uint32_t ramping) {
    tg_breaker_snapshot s = TG_BREAKER_SNAPSHOT_INIT;
    STEP(CHECK_EQ(CALL(now, tg_breaker_stats(breaker, &s), tg_breaker_stats_at(breaker, now, &s)), TG_OK);
         CHECK_EQ(s.calls, calls); CHECK_EQ(s.failed, failed); CHECK_EQ(s.slow, slow);
         CHECK_EQ(s.has_trip, has_trip); CHECK_EQ(s.trip_calls, trip_calls);
         CHECK_EQ(s.trip_failed, trip_failed); CHECK_EQ(s.trip_slow, trip_slow); CHECK_EQ(s.ramping, ramping));
}

static inline void events(uint64_t now, uint64_t since, const tg_event *expected, size_t count) {
    tg_event e = TG_EVENT_INIT;
    STEP(at(now); for (size_t i = 0; i < count; i++, since = e.seq + 1) {
        CHECK_EQ(tg_breaker_next_event(breaker, since, &e), TG_OK);
        CHECK_EQ(e.kind, expected[i].kind); CHECK_EQ(e.seq, expected[i].seq); CHECK_EQ(e.at_ns, expected[i].at_ns);
        CHECK_EQ(e.has_trip, expected[i].has_trip); CHECK_EQ(e.trip_calls, expected[i].trip_calls);
        CHECK_EQ(e.trip_failed, expected[i].trip_failed); CHECK_EQ(e.trip_slow, expected[i].trip_slow);
    } CHECK_EQ(tg_breaker_next_event(breaker, since, &e), TG_EMPTY));
}

static inline void retry_after(uint64_t now, uint64_t expected) {
    uint64_t actual = 0;
    STEP(CHECK_EQ(CALL(now, tg_breaker_retry_after(breaker, &actual), tg_breaker_retry_after_at(breaker, now, &actual)), TG_OK);
         CHECK_EQ(actual, expected));
}

#define SWITCH(name) \
    static inline void breaker_##name(uint64_t now) { \
        STEP(CHECK_EQ(CALL(now, tg_breaker_##name(breaker), tg_breaker_##name##_at(breaker, now)), TG_OK)); \
    }
SWITCH(force_open)
SWITCH(disable)
SWITCH(metrics_only)
SWITCH(reset)

/* bounded queue; item k is the address of byte k + 1 */

static char items[4096];
#define ITEM(k) ((void *)&items[(k) + 1])
#define NO_ITEM NULL

static inline void new_queue(size_t capacity, double high, double low, int32_t on_full, uint32_t sojourn,
                             int32_t discipline, uint64_t target, uint64_t interval, uint32_t lanes, uint64_t max_age) {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    config.discipline = discipline;
    config.target_ns = target;
    config.interval_ns = interval;
    config.lanes = lanes;
    config.max_age_ns = max_age;
    config.capacity = capacity;
    config.high_watermark = high;
    config.low_watermark = low;
    config.on_full = on_full;
    config.sojourn = sojourn;
    config.clock = clock_;
    CHECK_EQ(tg_queue_new(&config, &queue), TG_OK);
}

static inline void try_push(uint64_t now, void *item, tg_status result, void *expected) {
    void *dropped = &mode;
    STEP(CHECK_EQ(CALL(now, tg_queue_try_push(queue, item, &dropped), tg_queue_try_push_at(queue, now, item, &dropped)), result);
         CHECK(dropped == expected));
}

static inline void try_push_with(uint64_t now, void *item, uint32_t lane, uint64_t deadline, tg_status result, void *expected) {
    void *dropped = &mode;
    tg_queue_push_options options = TG_QUEUE_PUSH_OPTIONS_INIT;
    options.lane = lane;
    options.deadline_ns = deadline;
    STEP(CHECK_EQ(CALL(now, tg_queue_try_push_with(queue, item, &options, &dropped),
                       tg_queue_try_push_with_at(queue, now, item, &options, &dropped)), result);
         CHECK(dropped == expected));
}

/* an item that a queue drops, and why */
typedef struct drop {
    void *item;
    int32_t reason;
} drop;

static inline void try_pop(uint64_t now, tg_status result, void *expected, bool timed, uint64_t sojourn, size_t count, const drop *drops) {
    void *item = &mode;
    uint64_t waited = 0;
    for (size_t n = 0; n < count; n++) {
        tg_queue_taken taken = TG_QUEUE_TAKEN_INIT;
        STEP(CHECK_EQ(CALL(now, tg_queue_take(queue, 0, &taken), tg_queue_try_take_at(queue, now, &taken)), TG_DROPPED);
             CHECK(taken.item == drops[n].item); CHECK_EQ(taken.reason, drops[n].reason));
    }
    STEP(CHECK_EQ(CALL(now, timed ? tg_queue_try_pop_timed(queue, &item, &waited) : tg_queue_try_pop(queue, &item), tg_queue_try_pop_timed_at(queue, now, &item, &waited)), result);
         CHECK(item == expected); if (timed) CHECK_EQ(waited, sojourn));
}

static inline void load(uint64_t now, uint64_t least_delay, bool overloaded) {
    tg_queue_snapshot snapshot = TG_QUEUE_SNAPSHOT_INIT;
    STEP(at(now); CHECK_EQ(tg_queue_stats(queue, &snapshot), TG_OK); CHECK_EQ(snapshot.least_delay_ns, least_delay);
         CHECK_EQ(snapshot.overloaded, overloaded));
}

static inline void counts(uint64_t now, uint64_t popped, const uint64_t dropped[5]) {
    tg_queue_snapshot it = TG_QUEUE_SNAPSHOT_INIT;
    STEP(at(now); CHECK_EQ(tg_queue_stats(queue, &it), TG_OK); CHECK_EQ(it.popped, popped);
         CHECK_EQ(it.dropped_oldest, dropped[0]); CHECK_EQ(it.dropped_age, dropped[1]); CHECK_EQ(it.dropped_codel, dropped[2]);
         CHECK_EQ(it.dropped_deadline, dropped[3]); CHECK_EQ(it.dropped_closed, dropped[4]);
         CHECK_EQ(it.pushed, it.popped + it.dropped + it.depth));
}

static inline void depth(uint64_t now, size_t expected) {
    size_t actual = 0;
    STEP(at(now); CHECK_EQ(tg_queue_depth(queue, &actual), TG_OK); CHECK_EQ(actual, expected));
}

static inline void is_accepting(uint64_t now, bool expected) {
    bool actual = !expected;
    STEP(at(now); CHECK_EQ(tg_queue_is_accepting(queue, &actual), TG_OK); CHECK_EQ(actual, expected));
}

static inline void close_queue(uint64_t now) { STEP(at(now); CHECK_EQ(tg_queue_close(queue), TG_OK)); }

static inline void drain(uint64_t now, size_t count, void *const *expected) {
    void *item = NULL;
    size_t got = 0;
    STEP(at(now); while (tg_queue_drain(queue, &item) == TG_OK) {
        CHECK(got < count && item == expected[got]);
        got++;
    } CHECK_EQ(got, count));
}

static inline void discard(uint64_t now, size_t count, const drop *expected) {
    void *item = NULL;
    size_t got = 0;
    STEP(at(now); while (tg_queue_discard(queue, &item) == TG_OK) {
        CHECK(got < count && item == expected[got].item);
        got++;
    } CHECK_EQ(got, count));
}

#endif
