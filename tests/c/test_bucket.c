/* Token bucket: what the border adds to the core; the algorithm itself is held by the vectors. */
#include <tidegate.h>

#include "check.h"

#define SECOND UINT64_C(1000000000)

static tg_clock *clock_;

static tg_bucket *bucket_of(const char *rate, uint64_t burst) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    config.rate = rate;
    config.burst = burst;
    config.clock = clock_;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    return bucket;
}

static void takes_its_burst_then_refills(void) {
    tg_bucket *bucket = bucket_of("10/s", 3);
    tg_decision decision = TG_DECISION_INIT;
    CHECK_EQ(tg_clock_set(clock_, 0), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 2), TG_OK);
    CHECK_EQ(tg_bucket_check(bucket, 1, &decision), TG_OK);
    CHECK(decision.allowed);
    CHECK_EQ(decision.limit, 3);
    CHECK_EQ(decision.remaining, 0);
    CHECK_EQ(decision.retry_after_ns, 0);
    CHECK_EQ(decision.reset_after_ns, 3 * SECOND / 10);
    CHECK_EQ(tg_bucket_check(bucket, 2, &decision), TG_DENIED);
    CHECK(!decision.allowed);
    CHECK_EQ(decision.retry_after_ns, 2 * SECOND / 10);
    CHECK_EQ(tg_bucket_peek(bucket, &decision), TG_DENIED);
    CHECK_EQ(decision.retry_after_ns, SECOND / 10);
    CHECK_EQ(tg_clock_advance(clock_, SECOND / 10), TG_OK);
    CHECK_EQ(tg_bucket_peek(bucket, &decision), TG_OK);
    CHECK_EQ(decision.remaining, 1);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_DENIED);
    tg_bucket_free(bucket);
}

static void a_cost_above_the_burst_is_never(void) {
    tg_bucket *bucket = bucket_of("10/s", 3);
    tg_decision decision = TG_DECISION_INIT;
    tg_ticket ticket = {1, 1};
    uint64_t wait = 0;
    CHECK_EQ(tg_bucket_check(bucket, 4, &decision), TG_DENIED);
    CHECK(decision.retry_after_ns == TG_NEVER);
    CHECK_EQ(tg_bucket_check(bucket, UINT32_MAX, &decision), TG_DENIED);
    CHECK_EQ(tg_bucket_reserve(bucket, 4, TG_NEVER, &ticket, &wait), TG_DENIED);
    CHECK(wait == TG_NEVER);
    CHECK(ticket.word == 0 && ticket.booking == 0);
    tg_bucket_free(bucket);
}

static void books_ahead_and_cancels(void) {
    tg_bucket *bucket = bucket_of("1/s", 1);
    tg_ticket ticket = {0, 0};
    uint64_t wait = 9;
    bool returned = false;
    CHECK_EQ(tg_bucket_reserve(bucket, 1, 0, NULL, &wait), TG_OK);
    CHECK_EQ(wait, 0);
    CHECK_EQ(tg_bucket_reserve(bucket, 1, SECOND / 2, &ticket, &wait), TG_DENIED);
    CHECK_EQ(wait, SECOND);
    CHECK_EQ(tg_bucket_reserve(bucket, 1, TG_NEVER, &ticket, &wait), TG_OK);
    CHECK_EQ(wait, SECOND);
    CHECK_EQ(tg_bucket_cancel(bucket, ticket, &returned), TG_OK);
    CHECK(returned);
    CHECK_EQ(tg_bucket_cancel(bucket, (tg_ticket){0, 0}, &returned), TG_OK); /* no booking */
    CHECK(!returned);
    CHECK_EQ(tg_bucket_cancel(bucket, ticket, NULL), TG_OK);
    tg_bucket_free(bucket);
}

static void gives_back_punishes_clears_and_changes(void) {
    tg_bucket *bucket = bucket_of("1/s", 5);
    tg_decision decision = TG_DECISION_INIT;
    tg_quota quota = TG_QUOTA_INIT;
    CHECK_EQ(tg_bucket_try_acquire(bucket, 5), TG_OK);
    CHECK_EQ(tg_bucket_refund(bucket, 2), TG_OK);
    CHECK_EQ(tg_bucket_peek(bucket, &decision), TG_OK);
    CHECK_EQ(decision.remaining, 2);
    CHECK_EQ(tg_bucket_penalize(bucket, 10 * SECOND), TG_OK);
    CHECK_EQ(tg_bucket_peek(bucket, &decision), TG_DENIED);
    CHECK_EQ(decision.remaining, 0);
    CHECK(decision.retry_after_ns >= 10 * SECOND);
    CHECK_EQ(tg_bucket_reset(bucket), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 5), TG_OK);
    quota.count = 120;
    quota.period_ns = 60 * SECOND;
    quota.burst = 7;
    CHECK_EQ(tg_bucket_set_quota(bucket, &quota), TG_OK);
    CHECK_EQ(tg_bucket_quota(bucket, &quota), TG_OK);
    CHECK(quota.count * SECOND == 2 * quota.period_ns); /* lowest terms */
    CHECK_EQ(quota.burst, 7);
    CHECK(quota.rate == NULL);
    CHECK_EQ(tg_bucket_peek(bucket, &decision), TG_DENIED); /* the level is kept: empty */
    CHECK_EQ(decision.limit, 7);
    tg_bucket_free(bucket);
}

static void counts(void) {
    tg_bucket *bucket = bucket_of("1/s", 2);
    tg_bucket_snapshot snapshot = TG_BUCKET_SNAPSHOT_INIT;
    for (int i = 0; i < 5; i++) (void)tg_bucket_try_acquire(bucket, 1);
    CHECK_EQ(tg_bucket_stats(bucket, &snapshot), TG_OK);
    CHECK_EQ(snapshot.admitted, 2);
    CHECK_EQ(snapshot.denied, 3);
    tg_bucket_free(bucket);
}

static void every_at_form_takes_its_time_from_the_caller(void) {
    tg_bucket *bucket = bucket_of("1/s", 2);
    tg_decision decision = TG_DECISION_INIT;
    tg_quota quota = TG_QUOTA_INIT;
    tg_ticket ticket;
    uint64_t wait = 0;
    bool returned = false;
    uint64_t now = 100 * SECOND;
    CHECK_EQ(tg_bucket_try_acquire_at(bucket, now, 2), TG_OK);
    CHECK_EQ(tg_bucket_check_at(bucket, now, 1, &decision), TG_DENIED);
    CHECK_EQ(decision.retry_after_ns, SECOND);
    CHECK_EQ(tg_bucket_peek_at(bucket, now + SECOND, &decision), TG_OK);
    CHECK_EQ(tg_bucket_reserve_at(bucket, now, 1, TG_NEVER, &ticket, &wait), TG_OK);
    CHECK_EQ(wait, SECOND);
    CHECK_EQ(tg_bucket_cancel_at(bucket, now, ticket, &returned), TG_OK);
    CHECK(returned);
    CHECK_EQ(tg_bucket_refund_at(bucket, now, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire_at(bucket, now, 1), TG_OK);
    CHECK_EQ(tg_bucket_penalize_at(bucket, now, SECOND), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire_at(bucket, now + SECOND - 1, 0), TG_DENIED);
    CHECK_EQ(tg_bucket_reset_at(bucket, now), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire_at(bucket, now, 2), TG_OK);
    quota.rate = "2/s";
    CHECK_EQ(tg_bucket_set_quota_at(bucket, now, &quota), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire_at(bucket, now + SECOND / 2, 1), TG_OK);
    tg_bucket_free(bucket);
}

static void a_clock_that_steps_back_denies_early_and_never_crashes(void) {
    tg_bucket *bucket = bucket_of("1/s", 1);
    CHECK_EQ(tg_bucket_try_acquire_at(bucket, 1000 * SECOND, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire_at(bucket, 999 * SECOND, 1), TG_DENIED);
    (void)tg_bucket_try_acquire_at(bucket, 0, 1);
    CHECK(tg_bucket_try_acquire_at(bucket, UINT64_MAX, 1) >= 0);
    tg_bucket_free(bucket);
}

static void stripes_never_admit_more_than_the_whole(void) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    int admitted = 0;
    config.rate = "1/h";
    config.burst = 100;
    config.stripes = 4;
    config.clock = clock_;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    for (int i = 0; i < 200; i++) admitted += tg_bucket_try_acquire(bucket, 1) == TG_OK;
    CHECK_EQ(admitted, 100);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 26), TG_DENIED);
    tg_bucket_free(bucket);
}

static void wrong_settings_are_told(void) {
    tg_bucket *bucket = NULL;
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_CONFLICT, "rate: not set");
    config.rate = "400/s";
    config.count = 400;
    config.period_ns = SECOND;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_CONFLICT, "rate: set beside count");
    config.count = config.period_ns = 0;
    config.burst = 0;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_OUT_OF_RANGE, "burst");
    config.burst = UINT64_C(1) << 32;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_OUT_OF_RANGE, "burst");
    config.burst = TG_BURST_OF_RATE;

    static const char *const BAD[] = {"", "fast", "400", "400/", "/s", "-1/s", "400/parsec", "nan/s", "1e999/s", "400/s;", ";"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        tg_status status;
        config.rate = BAD[i];
        status = tg_bucket_new(&config, &bucket);
        if (status != TG_SYNTAX && status != TG_OUT_OF_RANGE) printf("# \"%s\" gave %d\n", BAD[i], (int)status);
        CHECK(status == TG_SYNTAX || status == TG_OUT_OF_RANGE);
        CHECK(strlen(tg_last_error_message()) > 10);
    }
    config.rate = "0/s";
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_OUT_OF_RANGE, "");
    config.rate = "\xff\xfe/s";
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_UTF8, "rate:");

    config.rate = NULL;
    config.count = 0;
    config.period_ns = SECOND;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_OUT_OF_RANGE, "rate of zero");
    config.count = 1;
    config.period_ns = 0;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_OUT_OF_RANGE, "period");
    config.count = UINT64_MAX; /* faster than can be had */
    config.period_ns = 1;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_OUT_OF_RANGE, "");
    config.count = 1;
    config.period_ns = SECOND;
    config.stripes = 0;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_OUT_OF_RANGE, "stripes");
    config.stripes = 2; /* burst is 1 */
    CHECK(tg_bucket_new(&config, &bucket) < 0);
    config.stripes = UINT64_MAX;
    CHECK(tg_bucket_new(&config, &bucket) < 0);
    CHECK(bucket == NULL); /* an error writes nothing */
}

static void null_is_an_error(void) {
    tg_bucket *bucket = bucket_of("1/s", 1);
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_decision decision = TG_DECISION_INIT;
    tg_quota quota = TG_QUOTA_INIT;
    tg_bucket_snapshot snapshot = TG_BUCKET_SNAPSHOT_INIT;
    tg_ticket ticket = {0, 0};
    uint64_t wait = 0;
    config.rate = "1/s";
    CHECK_ERROR(tg_bucket_new(NULL, &bucket), TG_NULL, "config:");
    CHECK_ERROR(tg_bucket_new(&config, NULL), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_try_acquire(NULL, 1), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_try_acquire_at(NULL, 0, 1), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_check(NULL, 1, &decision), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_check_at(NULL, 0, 1, &decision), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_check(bucket, 1, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_bucket_check_at(bucket, 0, 1, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_bucket_peek(NULL, &decision), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_peek(bucket, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_bucket_peek_at(NULL, 0, &decision), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_peek_at(bucket, 0, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_bucket_reserve(NULL, 1, 0, &ticket, &wait), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_reserve(bucket, 1, 0, &ticket, NULL), TG_NULL, "wait_ns:");
    CHECK_ERROR(tg_bucket_reserve_at(NULL, 0, 1, 0, &ticket, &wait), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_reserve_at(bucket, 0, 1, 0, &ticket, NULL), TG_NULL, "wait_ns:");
    CHECK_ERROR(tg_bucket_cancel(NULL, ticket, NULL), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_cancel_at(NULL, 0, ticket, NULL), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_refund(NULL, 1), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_refund_at(NULL, 0, 1), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_penalize(NULL, 1), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_penalize_at(NULL, 0, 1), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_reset(NULL), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_reset_at(NULL, 0), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_set_quota(NULL, &quota), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_set_quota(bucket, NULL), TG_NULL, "quota:");
    CHECK_ERROR(tg_bucket_set_quota_at(NULL, 0, &quota), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_set_quota_at(bucket, 0, NULL), TG_NULL, "quota:");
    CHECK_ERROR(tg_bucket_quota(NULL, &quota), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_quota(bucket, NULL), TG_NULL, "quota:");
    CHECK_ERROR(tg_bucket_stats(NULL, &snapshot), TG_NULL, "bucket:");
    CHECK_ERROR(tg_bucket_stats(bucket, NULL), TG_NULL, "snapshot:");
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_OK); /* none of them took the token */
    tg_bucket_free(bucket);
    tg_bucket_free(NULL);
}

int main(void) {
    CHECK_EQ(tg_clock_manual_new(0, &clock_), TG_OK);
    RUN(takes_its_burst_then_refills);
    RUN(a_cost_above_the_burst_is_never);
    RUN(books_ahead_and_cancels);
    RUN(gives_back_punishes_clears_and_changes);
    RUN(counts);
    RUN(every_at_form_takes_its_time_from_the_caller);
    RUN(a_clock_that_steps_back_denies_early_and_never_crashes);
    RUN(stripes_never_admit_more_than_the_whole);
    RUN(wrong_settings_are_told);
    RUN(null_is_an_error);
    tg_clock_free(clock_);
    return check_failed != 0;
}
