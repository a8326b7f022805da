/* Adaptive concurrency limit: reports, arguments, one estimate for all handles of a name. */
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>
#include "check.h"

#define MILLISECOND UINT64_C(1000000)

static tg_clock *manual;

static tg_concurrency *made(tg_adaptive_config config) {
    tg_concurrency *limit = NULL;
    CHECK_EQ(tg_clock_manual_new(UINT64_C(1000000000000), &manual), TG_OK);
    config.clock = manual;
    CHECK_EQ(tg_concurrency_new_adaptive(&config, &limit), TG_OK);
    return limit;
}

static uint32_t limit_of(const tg_concurrency *calls) {
    uint32_t limit = 0;
    CHECK_EQ(tg_concurrency_limit(calls, &limit), TG_OK);
    return limit;
}

/* As many calls at once as may be, each half a second, with this outcome. */
static void window(tg_concurrency *calls, int32_t outcome, uint64_t ns) {
    tg_concurrency_permit permits[64], refused;
    uint32_t count = limit_of(calls);
    for (uint32_t i = 0; i < count; i++) CHECK_EQ(tg_concurrency_try_acquire(calls, &permits[i]), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &refused), TG_DENIED);
    CHECK_EQ(tg_clock_advance(manual, 500 * MILLISECOND), TG_OK);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(tg_concurrency_report(calls, permits[i], outcome, ns), TG_OK);
        CHECK_EQ(tg_concurrency_report(calls, permits[i], outcome, ns), TG_NOT_HELD);
        CHECK_EQ(tg_concurrency_release(calls, permits[i]), TG_NOT_HELD);
    }
}

static void what_calls_report_moves_it(void) {
    tg_adaptive_config config = TG_ADAPTIVE_CONFIG_INIT;
    char text[1024];
    size_t length = 0;
    config.probe = 0;
    tg_concurrency *calls = made(config);
    CHECK_EQ(limit_of(calls), 20);
    window(calls, TG_CONCURRENCY_IGNORE, TG_NEVER);
    CHECK_EQ(limit_of(calls), 20);
    window(calls, TG_CONCURRENCY_SUCCESS, TG_NEVER);
    CHECK_EQ(limit_of(calls), 40);
    window(calls, TG_CONCURRENCY_DROPPED, 0);
    CHECK_EQ(limit_of(calls), 36);
    CHECK_EQ(tg_concurrency_explain(calls, NULL, 0, &length), TG_BUFFER);
    CHECK_EQ(tg_concurrency_explain(calls, text, sizeof text, &length), TG_OK);
    CHECK_EQ(strlen(text), length);
    CHECK(strstr(text, "limit: 36 of 1 to 1000, from 20\n") != NULL);
    CHECK_ERROR(tg_concurrency_set_limit(calls, 5), TG_CONFLICT, "limit");
    tg_concurrency_free(calls);
    tg_clock_free(manual);
}

static void arguments(void) {
    tg_adaptive_config config = TG_ADAPTIVE_CONFIG_INIT;
    tg_concurrency *calls = NULL;
    tg_concurrency_permit permit, none = {0, 0};
    config.algorithm = 4;
    CHECK_ERROR(tg_concurrency_new_adaptive(&config, &calls), TG_UNKNOWN_VALUE, "algorithm");
    config.algorithm = TG_ADAPTIVE_VEGAS;
    config.min_limit = 30;
    CHECK_ERROR(tg_concurrency_new_adaptive(&config, &calls), TG_CONFLICT, "initial_limit");
    config.initial_limit = 30;
    CHECK_EQ(tg_concurrency_new_adaptive(NULL, &calls), TG_NULL);
    CHECK_EQ(tg_concurrency_new_adaptive(&config, NULL), TG_NULL);
    CHECK_EQ(tg_concurrency_new_adaptive(&config, &calls), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(calls, &permit), TG_OK);
    CHECK_ERROR(tg_concurrency_report(calls, permit, 3, 0), TG_UNKNOWN_VALUE, "outcome");
    CHECK_ERROR(tg_concurrency_report(calls, permit, -1, 0), TG_UNKNOWN_VALUE, "outcome");
    CHECK_EQ(tg_concurrency_report(NULL, permit, 0, 0), TG_NULL);
    CHECK_EQ(tg_concurrency_report(calls, none, 0, 0), TG_NOT_HELD);
    CHECK_EQ(tg_concurrency_report(calls, permit, TG_CONCURRENCY_SUCCESS, UINT64_MAX - 1), TG_OK);
    tg_concurrency_free(calls);
}

static void one_name_is_one_estimate(void) {
    tg_adaptive_config config = TG_ADAPTIVE_CONFIG_INIT;
    tg_concurrency *one = NULL, *other = NULL;
    tg_concurrency_permit permits[20], refused;
    tg_arena *arena = NULL;
    CHECK_EQ(tg_arena_process("adaptive", &arena), TG_OK);
    config.arena = arena;
    config.name = "db";
    CHECK_EQ(tg_concurrency_new_adaptive(&config, &one), TG_OK);
    CHECK_EQ(tg_concurrency_new_adaptive(&config, &other), TG_OK);
    for (int i = 0; i < 20; i++) CHECK_EQ(tg_concurrency_try_acquire(i % 2 ? one : other, &permits[i]), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(one, &refused), TG_DENIED);
    CHECK_EQ(tg_concurrency_try_acquire(other, &refused), TG_DENIED);
    for (int i = 0; i < 20; i++) CHECK_EQ(tg_concurrency_report(one, permits[i], 0, TG_NEVER), TG_OK);
    tg_concurrency_free(one);
    tg_concurrency_free(other);
    tg_arena_free(arena);
}

int main(void) {
    RUN(what_calls_report_moves_it);
    RUN(arguments);
    RUN(one_name_is_one_estimate);
    return check_failed != 0;
}
