/* The operations of a concurrency limit, for vectors.h. They know no time; a case runs in memory of its own, then in an arena. */
#ifndef VECTORS_CONCURRENCY_H
#define VECTORS_CONCURRENCY_H

#include <pthread.h>
#include <stdatomic.h>

#include "vectors.h"

static inline void new_concurrency(uint32_t limit, uint32_t max_limit, int32_t mode_of_limit, uint32_t max_waiting, int32_t order) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    tg_arena *arena = NULL; /* a new one for each case: the last object in it goes with its case */
    config.limit = limit;
    config.max_limit = max_limit;
    config.mode = mode_of_limit;
    config.max_waiting = max_waiting;
    config.order = order;
    config.name = "vector";
    if (mode == AT) CHECK_EQ(tg_arena_process("vectors", &arena), TG_OK);
    config.arena = arena;
    CHECK_EQ(tg_concurrency_new(&config, &concurrency), TG_OK);
    tg_arena_free(arena);
}

static inline void concurrency_try_acquire(tg_concurrency_permit *permit, bool granted) {
    tg_concurrency_permit p;
    STEP(CHECK_EQ(tg_concurrency_try_acquire(concurrency, &p), granted ? TG_OK : TG_DENIED); if (granted) *permit = p);
}

static inline void concurrency_release(tg_concurrency_permit permit, bool released) {
    STEP(CHECK_EQ(tg_concurrency_release(concurrency, permit), released ? TG_OK : TG_NOT_HELD));
}

/* One who waits, in a thread of its own: in C a wait cannot be given up. Every case ends without one. */
typedef struct {
    pthread_t thread;
    tg_concurrency_permit permit;
    tg_status status;
    atomic_bool is_over;
} waiter;

static inline void *wait_for_permit(void *of_waiter) {
    waiter *w = of_waiter;
    w->status = tg_concurrency_acquire(concurrency, UINT64_C(60000000000), &w->permit);
    atomic_store(&w->is_over, true);
    return NULL;
}

static inline uint64_t waiting_now(void) {
    tg_concurrency_snapshot s = TG_CONCURRENCY_SNAPSHOT_INIT;
    CHECK_EQ(tg_concurrency_stats(concurrency, &s), TG_OK);
    return s.waiting;
}

static inline void concurrency_wait(waiter *w, bool waits) {
    uint64_t others = waiting_now();
    STEP(CHECK_EQ(pthread_create(&w->thread, NULL, wait_for_permit, w), 0);
         while (!atomic_load(&w->is_over) && waiting_now() == others) {}
         if (!waits) { CHECK_EQ(pthread_join(w->thread, NULL), 0); CHECK_EQ(w->status, TG_DENIED); });
}

static inline void concurrency_take(waiter *w, tg_concurrency_permit *permit, bool granted) {
    STEP(if (granted) {
             CHECK_EQ(pthread_join(w->thread, NULL), 0);
             CHECK_EQ(w->status, TG_OK);
             *permit = w->permit;
         } else CHECK(!atomic_load(&w->is_over)));
}

static inline void concurrency_set_limit(uint32_t limit) { STEP(CHECK_EQ(tg_concurrency_set_limit(concurrency, limit), TG_OK)); }

static inline void concurrency_in_use(uint32_t expected) {
    uint32_t permits = UINT32_MAX;
    STEP(CHECK_EQ(tg_concurrency_in_use(concurrency, &permits), TG_OK); CHECK_EQ(permits, expected));
}

static inline void concurrency_stats(uint32_t limit, uint32_t in_use, uint64_t admitted, uint64_t denied, uint64_t would_deny) {
    tg_concurrency_snapshot s = TG_CONCURRENCY_SNAPSHOT_INIT;
    STEP(CHECK_EQ(tg_concurrency_stats(concurrency, &s), TG_OK); CHECK_EQ(s.limit, limit); CHECK_EQ(s.in_use, in_use);
         CHECK_EQ(s.admitted, admitted); CHECK_EQ(s.denied, denied); CHECK_EQ(s.would_deny, would_deny));
}

/* Has no _at forms: both runs set the clock, the second through an arena's. */
static inline void new_adaptive(tg_adaptive_config config) {
    config.clock = clock_;
    CHECK_EQ(tg_concurrency_new_adaptive(&config, &concurrency), TG_OK);
}

static inline void adaptive_try_acquire(uint64_t now, tg_concurrency_permit *permit, bool granted) {
    at(now);
    concurrency_try_acquire(permit, granted);
}

static inline void adaptive_report(uint64_t now, tg_concurrency_permit permit, int32_t outcome, uint64_t ns, bool released) {
    at(now);
    STEP(CHECK_EQ(tg_concurrency_report(concurrency, permit, outcome, ns), released ? TG_OK : TG_NOT_HELD));
}

static inline void adaptive_limit(uint32_t expected, uint32_t in_use) {
    uint32_t limit = 0;
    STEP(CHECK_EQ(tg_concurrency_limit(concurrency, &limit), TG_OK); CHECK_EQ(limit, expected));
    concurrency_in_use(in_use);
}

/* Of a manual clock, as the fading of what is demanded is what its cases are about. */
static inline void new_partitioned(tg_concurrency_config config) {
    config.clock = clock_;
    CHECK_EQ(tg_concurrency_new(&config, &concurrency), TG_OK);
}

static inline void partitioned_try_acquire(uint64_t now, uint32_t partition, tg_concurrency_permit *permit, bool granted) {
    tg_concurrency_permit p;
    at(now);
    STEP(CHECK_EQ(tg_concurrency_try_acquire_in(concurrency, partition, &p), granted ? TG_OK : TG_DENIED); if (granted) *permit = p);
}

static inline void partitioned_look(uint64_t now, uint32_t partition, const uint64_t expected[5]) {
    tg_partition_snapshot s = TG_PARTITION_SNAPSHOT_INIT;
    at(now);
    STEP(CHECK_EQ(tg_concurrency_partition_stats(concurrency, partition, &s), TG_OK); CHECK_EQ(s.guaranteed, expected[0]);
         CHECK_EQ(s.in_use, expected[1]); CHECK_EQ(s.called_back, expected[2]); CHECK_EQ(s.admitted, expected[3]);
         CHECK_EQ(s.denied, expected[4]));
}

#endif
