/* Clocks. */
#include <tidegate.h>

#include "check.h"

static void manual_clock_moves_only_when_told(void) {
    tg_clock *clock = NULL;
    uint64_t now = 1;
    CHECK_EQ(tg_clock_manual_new(5, &clock), TG_OK);
    CHECK_EQ(tg_clock_now(clock, &now), TG_OK);
    CHECK_EQ(now, 5);
    CHECK_EQ(tg_clock_advance(clock, 10), TG_OK);
    CHECK_EQ(tg_clock_now(clock, &now), TG_OK);
    CHECK_EQ(now, 15);
    CHECK_EQ(tg_clock_set(clock, 3), TG_OK); /* backwards */
    CHECK_EQ(tg_clock_now(clock, &now), TG_OK);
    CHECK_EQ(now, 3);
    CHECK_EQ(tg_clock_advance(clock, UINT64_MAX), TG_OK); /* stops at the end of time */
    CHECK_EQ(tg_clock_now(clock, &now), TG_OK);
    CHECK(now == UINT64_MAX);
    tg_clock_free(clock);
}

static void monotonic_clock_runs_and_cannot_be_moved(void) {
    tg_clock *clock = NULL;
    uint64_t first = 0, then = 0;
    CHECK_EQ(tg_clock_monotonic_new(&clock), TG_OK);
    CHECK_EQ(tg_clock_now(clock, &first), TG_OK);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(tg_clock_now(clock, &then), TG_OK);
        CHECK(then >= first);
    }
    do CHECK_EQ(tg_clock_now(clock, &then), TG_OK);
    while (then == first); /* it must move some time */
    CHECK_ERROR(tg_clock_advance(clock, 1), TG_NOT_MANUAL, "tg_clock_manual_new()");
    CHECK_ERROR(tg_clock_set(clock, 1), TG_NOT_MANUAL, "tg_clock_manual_new()");
    tg_clock_free(clock);
}

static void null_is_an_error(void) {
    tg_clock *clock = NULL;
    uint64_t now = 7;
    CHECK_ERROR(tg_clock_manual_new(0, NULL), TG_NULL, "clock:");
    CHECK_ERROR(tg_clock_monotonic_new(NULL), TG_NULL, "clock:");
    CHECK_ERROR(tg_clock_now(NULL, &now), TG_NULL, "clock:");
    CHECK_EQ(now, 7);
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    CHECK_ERROR(tg_clock_now(clock, NULL), TG_NULL, "now_ns:");
    CHECK_ERROR(tg_clock_advance(NULL, 1), TG_NULL, "clock:");
    CHECK_ERROR(tg_clock_set(NULL, 1), TG_NULL, "clock:");
    tg_clock_free(clock);
    tg_clock_free(NULL);
}

static void objects_outlive_the_clock_handle(void) {
    tg_clock *clock = NULL;
    tg_bucket *bucket = NULL;
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    config.rate = "1/s";
    config.clock = clock;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    tg_clock_free(clock);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_DENIED); /* time stands still */
    tg_bucket_free(bucket);
}

int main(void) {
    RUN(manual_clock_moves_only_when_told);
    RUN(monotonic_clock_runs_and_cannot_be_moved);
    RUN(null_is_an_error);
    RUN(objects_outlive_the_clock_handle);
    return check_failed != 0;
}
