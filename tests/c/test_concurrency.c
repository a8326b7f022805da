/* Concurrency limit: permits out and back, waiting, switches, arguments. */
#include <tidegate.h>

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MILLISECOND = 1000000 };
#define MINUTE UINT64_C(60000000000)

static tg_concurrency *at_most(uint32_t limit, uint32_t max_limit, int32_t mode) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency *concurrency = NULL;
    config.limit = limit;
    config.max_limit = max_limit;
    config.mode = mode;
    CHECK_EQ(tg_concurrency_new(&config, &concurrency), TG_OK);
    return concurrency;
}

static uint32_t in_use(const tg_concurrency *concurrency) {
    uint32_t permits = UINT32_MAX;
    CHECK_EQ(tg_concurrency_in_use(concurrency, &permits), TG_OK);
    return permits;
}

static void permits_go_out_up_to_the_limit_and_come_back(void) {
    tg_concurrency *calls = at_most(2, 0, TG_MODE_ENFORCE);
    tg_concurrency_permit one, two, three = {7, 7};
    tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
    CHECK_EQ(tg_concurrency_try_acquire(calls, &one), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &two), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &three), TG_DENIED);
    CHECK(!three.word && !three.cell);
    CHECK_EQ(tg_concurrency_acquire(calls, 0, &three), TG_DENIED);
    CHECK_EQ(tg_concurrency_acquire(calls, MILLISECOND, &three), TG_DENIED);
    CHECK_EQ(in_use(calls), 2);
    CHECK_EQ(tg_concurrency_release(calls, one), TG_OK);
    CHECK_EQ(tg_concurrency_release(calls, one), TG_NOT_HELD);
    CHECK_EQ(tg_concurrency_release(calls, three), TG_NOT_HELD); /* all zero */
    CHECK_EQ(in_use(calls), 1);
    CHECK_EQ(tg_concurrency_acquire(calls, TG_NEVER, &three), TG_OK);
    CHECK_EQ(tg_concurrency_release(calls, one), TG_NOT_HELD); /* another's by now */
    CHECK_EQ(in_use(calls), 2);
    CHECK_EQ(tg_concurrency_stats(calls, &snapshot), TG_OK);
    CHECK_EQ(snapshot.limit, 2);
    CHECK_EQ(snapshot.in_use, 2);
    CHECK_EQ(snapshot.admitted, 3);
    CHECK_EQ(snapshot.denied, 3);
    CHECK_EQ(snapshot.would_deny, 0);
    CHECK_EQ(snapshot.reclaimed, 0);
    CHECK_EQ(snapshot.refused, 2);
    CHECK_EQ(snapshot.timed_out, 1);
    CHECK_EQ(snapshot.cancelled, 0);
    CHECK_EQ(snapshot.waiting, 0);
    CHECK(snapshot.longest_wait_ns >= MILLISECOND);

    CHECK_EQ(tg_concurrency_poll(calls, &one), TG_DENIED); /* looks, and is not counted */
    CHECK(!one.word && !one.cell);
    CHECK_EQ(tg_concurrency_release(calls, two), TG_OK);
    CHECK_EQ(tg_concurrency_poll(calls, &one), TG_OK);
    CHECK_EQ(tg_concurrency_stats(calls, &snapshot), TG_OK);
    CHECK_EQ(snapshot.admitted, 4);
    CHECK_EQ(snapshot.denied, 3);
    tg_concurrency_free(calls);
}

static void the_limit_moves_between_one_and_its_most(void) {
    tg_concurrency *calls = at_most(1, 3, TG_MODE_ENFORCE);
    tg_concurrency_permit permit[3], refused;
    uint32_t limit = 0;
    CHECK_EQ(tg_concurrency_try_acquire(calls, &permit[0]), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &refused), TG_DENIED);
    CHECK_EQ(tg_concurrency_set_limit(calls, 3), TG_OK);
    CHECK_EQ(tg_concurrency_limit(calls, &limit), TG_OK);
    CHECK_EQ(limit, 3);
    for (int i = 1; i < 3; i++) CHECK_EQ(tg_concurrency_try_acquire(calls, &permit[i]), TG_OK);
    CHECK_EQ(tg_concurrency_set_limit(calls, 1), TG_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(in_use(calls), 3 - i);
        CHECK_EQ(tg_concurrency_release(calls, permit[i]), TG_OK);
        CHECK_EQ(tg_concurrency_try_acquire(calls, &refused), TG_DENIED);
    }
    CHECK_EQ(tg_concurrency_release(calls, permit[2]), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &permit[2]), TG_OK);
    CHECK_ERROR(tg_concurrency_set_limit(calls, 0), TG_OUT_OF_RANGE, "limit");
    CHECK_ERROR(tg_concurrency_set_limit(calls, 4), TG_OUT_OF_RANGE, "limit");
    CHECK_EQ(tg_concurrency_limit(calls, &limit), TG_OK);
    CHECK_EQ(limit, 1);
    tg_concurrency_free(calls);
}

static void a_dry_run_admits_and_a_disabled_limit_touches_nothing(void) {
    tg_concurrency_permit permit[3];
    tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
    tg_concurrency *calls = at_most(1, 0, TG_MODE_DRY_RUN);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_concurrency_try_acquire(calls, &permit[i]), TG_OK);
    CHECK_EQ(tg_concurrency_stats(calls, &snapshot), TG_OK);
    CHECK_EQ(snapshot.would_deny, 2);
    CHECK_EQ(snapshot.denied, 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_concurrency_release(calls, permit[i]), i ? TG_NOT_HELD : TG_OK);
    CHECK_EQ(in_use(calls), 0);
    tg_concurrency_free(calls);
    calls = at_most(1, 0, TG_MODE_DISABLED);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_concurrency_acquire(calls, TG_NEVER, &permit[i]), TG_OK);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_concurrency_release(calls, permit[i]), TG_NOT_HELD);
    CHECK_EQ(in_use(calls), 0);
    tg_concurrency_free(calls);
}

static void *wait_for_one(void *concurrency) {
    tg_concurrency_permit permit;
    tg_status status = tg_concurrency_acquire(concurrency, MINUTE, &permit);
    if (status == TG_OK) status = tg_concurrency_release(concurrency, permit);
    return status == TG_OK ? concurrency : NULL;
}

static void waiters_are_woken(void) {
    tg_concurrency *calls = at_most(1, 0, TG_MODE_ENFORCE);
    tg_concurrency_permit permit;
    pthread_t waiter[4];
    CHECK_EQ(tg_concurrency_try_acquire(calls, &permit), TG_OK);
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&waiter[i], NULL, wait_for_one, calls), 0);
    tg_concurrency_permit none;
    CHECK_EQ(tg_concurrency_acquire(calls, 20 * MILLISECOND, &none), TG_DENIED);
    CHECK_EQ(tg_concurrency_release(calls, permit), TG_OK);
    for (int i = 0; i < 4; i++) {
        void *got = NULL;
        CHECK_EQ(pthread_join(waiter[i], &got), 0);
        CHECK(got == calls);
    }
    CHECK_EQ(in_use(calls), 0);
    tg_concurrency_free(calls);
}

static void only_so_many_wait(void) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
    tg_concurrency *calls = NULL;
    tg_concurrency_permit permit, none;
    pthread_t waiter[2];
    config.limit = 1;
    config.max_waiting = 2;
    CHECK_EQ(tg_concurrency_new(&config, &calls), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &permit), TG_OK);
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&waiter[i], NULL, wait_for_one, calls), 0);
    while (tg_concurrency_stats(calls, &snapshot) == TG_OK && snapshot.waiting < 2) {
    }
    CHECK_EQ(tg_concurrency_acquire(calls, TG_NEVER, &none), TG_DENIED);
    CHECK_EQ(tg_concurrency_stats(calls, &snapshot), TG_OK);
    CHECK_EQ(snapshot.refused, 1);
    CHECK_EQ(snapshot.timed_out, 0);
    CHECK_EQ(tg_concurrency_release(calls, permit), TG_OK);
    for (int i = 0; i < 2; i++) {
        void *got = NULL;
        CHECK_EQ(pthread_join(waiter[i], &got), 0);
        CHECK(got == calls);
    }
    tg_concurrency_free(calls);
}

typedef struct {
    tg_concurrency *calls;
    int number, *next, *served;
    uint64_t timeout_ns;
} in_line;

static void *be_served(void *of_line) {
    in_line *line = of_line;
    tg_concurrency_permit permit;
    tg_status status = tg_concurrency_acquire(line->calls, line->timeout_ns, &permit);
    if (status == TG_OK) {
        line->served[(*line->next)++] = line->number; /* one holds the permit at a time */
        status = tg_concurrency_release(line->calls, permit);
    }
    return status == TG_OK ? line : NULL;
}

/* The oldest times out and takes nothing along. */
static void the_newest_come_first(void) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
    tg_concurrency *calls = NULL;
    tg_concurrency_permit permit;
    pthread_t thread[4];
    in_line line[4];
    int next = 0, served[4] = {-1, -1, -1, -1};
    config.limit = 1;
    config.order = TG_ORDER_LIFO;
    CHECK_EQ(tg_concurrency_new(&config, &calls), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &permit), TG_OK);
    for (int i = 0; i < 4; i++) {
        line[i] = (in_line){calls, i, &next, served, i == 0 ? 10 * MILLISECOND : MINUTE};
        CHECK_EQ(pthread_create(&thread[i], NULL, be_served, &line[i]), 0);
        while (tg_concurrency_stats(calls, &snapshot) == TG_OK && snapshot.waiting + snapshot.timed_out < (uint64_t)i + 1) {
        }
    }
    CHECK_EQ(pthread_join(thread[0], NULL), 0);
    CHECK_EQ(tg_concurrency_release(calls, permit), TG_OK);
    for (int i = 1; i < 4; i++) {
        void *got = NULL;
        CHECK_EQ(pthread_join(thread[i], &got), 0);
        CHECK(got == &line[i]);
    }
    for (int i = 0; i < 3; i++) CHECK_EQ(served[i], 3 - i);
    CHECK_EQ(tg_concurrency_stats(calls, &snapshot), TG_OK);
    CHECK_EQ(snapshot.timed_out, 1);
    CHECK_EQ(in_use(calls), 0);
    tg_concurrency_free(calls);
    config.order = 2;
    CHECK_ERROR(tg_concurrency_new(&config, &calls), TG_UNKNOWN_VALUE, "order: 2");
}

static atomic_int under_way, most;

static void *call_often(void *concurrency) {
    for (int i = 0; i < 2000; i++) {
        tg_concurrency_permit permit;
        if (i % 4 == 0) {
            if (tg_concurrency_try_acquire(concurrency, &permit) != TG_OK) continue;
        } else if (tg_concurrency_acquire(concurrency, MINUTE, &permit) != TG_OK) {
            return NULL;
        }
        int now = atomic_fetch_add(&under_way, 1) + 1, seen = atomic_load(&most);
        while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
        }
        atomic_fetch_sub(&under_way, 1);
        if (tg_concurrency_release(concurrency, permit) != TG_OK) return NULL;
    }
    return concurrency;
}

static void threads_never_exceed_the_limit(void) {
    tg_concurrency *calls = at_most(2, 0, TG_MODE_ENFORCE);
    pthread_t thread[6];
    for (int i = 0; i < 6; i++) CHECK_EQ(pthread_create(&thread[i], NULL, call_often, calls), 0);
    for (int i = 0; i < 6; i++) {
        void *fine = NULL;
        CHECK_EQ(pthread_join(thread[i], &fine), 0);
        CHECK(fine == calls);
    }
    CHECK(atomic_load(&most) <= 2);
    CHECK_EQ(in_use(calls), 0);
    tg_concurrency_free(calls);
}

static void wrong_arguments_are_told(void) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency *calls = NULL;
    tg_concurrency_permit permit = {0, 0};
    tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
    uint32_t number = 0;
    CHECK_ERROR(tg_concurrency_new(NULL, &calls), TG_NULL, "config");
    CHECK_ERROR(tg_concurrency_new(&config, NULL), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_new(&config, &calls), TG_OUT_OF_RANGE, "limit"); /* must be set */
    config.limit = 4097;
    CHECK_ERROR(tg_concurrency_new(&config, &calls), TG_OUT_OF_RANGE, "limit");
    config.limit = 3;
    config.max_limit = 2;
    CHECK_ERROR(tg_concurrency_new(&config, &calls), TG_CONFLICT, "max_limit");
    config.max_limit = 0;
    config.mode = 3;
    CHECK_ERROR(tg_concurrency_new(&config, &calls), TG_UNKNOWN_VALUE, "mode");
    config.mode = 0;
    config.on_conflict = -1;
    CHECK_ERROR(tg_concurrency_new(&config, &calls), TG_UNKNOWN_VALUE, "on_conflict");
    CHECK(!calls);
    CHECK_ERROR(tg_concurrency_try_acquire(NULL, &permit), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_poll(NULL, &permit), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_acquire(NULL, 0, &permit), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_release(NULL, permit), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_limit(NULL, &number), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_set_limit(NULL, 1), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_in_use(NULL, &number), TG_NULL, "concurrency");
    CHECK_ERROR(tg_concurrency_stats(NULL, &snapshot), TG_NULL, "concurrency");
    calls = at_most(1, 0, TG_MODE_ENFORCE);
    CHECK_ERROR(tg_concurrency_try_acquire(calls, NULL), TG_NULL, "permit");
    CHECK_ERROR(tg_concurrency_poll(calls, NULL), TG_NULL, "permit");
    CHECK_ERROR(tg_concurrency_acquire(calls, 0, NULL), TG_NULL, "permit");
    CHECK_ERROR(tg_concurrency_limit(calls, NULL), TG_NULL, "limit");
    CHECK_ERROR(tg_concurrency_in_use(calls, NULL), TG_NULL, "permits");
    CHECK_ERROR(tg_concurrency_stats(calls, NULL), TG_NULL, "snapshot");
    for (uint64_t i = 1; i < 100; i++) { /* made up: nobody's */
        tg_concurrency_permit made_up = {i * UINT64_C(0x9e3779b97f4a7c15), i % 5 ? i : UINT64_MAX};
        CHECK_EQ(tg_concurrency_release(calls, made_up), TG_NOT_HELD);
    }
    CHECK_EQ(tg_concurrency_try_acquire(calls, &permit), TG_OK); /* the refused calls took nothing */
    tg_concurrency_free(calls);
    tg_concurrency_free(NULL);
}

int main(void) {
    RUN(permits_go_out_up_to_the_limit_and_come_back);
    RUN(the_limit_moves_between_one_and_its_most);
    RUN(a_dry_run_admits_and_a_disabled_limit_touches_nothing);
    RUN(waiters_are_woken);
    RUN(only_so_many_wait);
    RUN(the_newest_come_first);
    RUN(threads_never_exceed_the_limit);
    RUN(wrong_arguments_are_told);
    return check_failed != 0;
}
