/* Structs that start with their size: older and newer callers, and what lies behind the struct. */
#include <tidegate.h>

#include "check.h"

#include <stdlib.h>

/* A caller whose header is newer than the library: the same struct with one more field. */
#define NEWER(type) \
    struct { \
        type known; \
        uint64_t fresh; \
    }

#define REFUSES_ODD_SIZES(type, value, call) \
    do { \
        static const size_t ODD[] = {0, 1, sizeof(size_t), sizeof(type) - 1, 4097, SIZE_MAX}; \
        for (size_t i = 0; i < sizeof ODD / sizeof *ODD; i++) { \
            (value).struct_size = ODD[i]; \
            CHECK_ERROR(call, TG_STRUCT_SIZE, #type); \
        } \
        (value).struct_size = sizeof(type); \
    } while (0)

static tg_bucket *bucket_;
static tg_breaker *breaker_;
static tg_queue *queue_;

static void odd_sizes_are_refused(void) {
    tg_bucket_config bucket = TG_BUCKET_CONFIG_INIT;
    tg_breaker_config breaker = TG_BREAKER_CONFIG_INIT;
    tg_queue_config queue = TG_QUEUE_CONFIG_INIT;
    tg_quota quota = TG_QUOTA_INIT;
    tg_decision decision = TG_DECISION_INIT;
    tg_bucket_snapshot bucket_snapshot = TG_BUCKET_SNAPSHOT_INIT;
    tg_breaker_snapshot breaker_snapshot = TG_BREAKER_SNAPSHOT_INIT;
    tg_queue_snapshot queue_snapshot = TG_QUEUE_SNAPSHOT_INIT;
    tg_event event = TG_EVENT_INIT;
    tg_bucket *b = NULL;
    tg_breaker *c = NULL;
    tg_queue *q = NULL;
    bucket.rate = quota.rate = "1/s";
    queue.capacity = 1;
    REFUSES_ODD_SIZES(tg_bucket_config, bucket, tg_bucket_new(&bucket, &b));
    REFUSES_ODD_SIZES(tg_breaker_config, breaker, tg_breaker_new(&breaker, &c));
    REFUSES_ODD_SIZES(tg_queue_config, queue, tg_queue_new(&queue, &q));
    REFUSES_ODD_SIZES(tg_quota, quota, tg_bucket_set_quota(bucket_, &quota));
    REFUSES_ODD_SIZES(tg_quota, quota, tg_bucket_quota(bucket_, &quota));
    REFUSES_ODD_SIZES(tg_decision, decision, tg_bucket_check(bucket_, 1, &decision));
    REFUSES_ODD_SIZES(tg_decision, decision, tg_bucket_peek(bucket_, &decision));
    REFUSES_ODD_SIZES(tg_bucket_snapshot, bucket_snapshot, tg_bucket_stats(bucket_, &bucket_snapshot));
    REFUSES_ODD_SIZES(tg_breaker_snapshot, breaker_snapshot, tg_breaker_stats(breaker_, &breaker_snapshot));
    REFUSES_ODD_SIZES(tg_queue_snapshot, queue_snapshot, tg_queue_stats(queue_, &queue_snapshot));
    REFUSES_ODD_SIZES(tg_event, event, tg_breaker_next_event(breaker_, 0, &event));
    CHECK(!b && !c && !q);
    CHECK_EQ(tg_bucket_try_acquire(bucket_, 1), TG_OK); /* the refused checks took nothing */
}

static void a_newer_callers_unused_settings_are_fine_and_used_ones_refused(void) {
    NEWER(tg_bucket_config) newer = {TG_BUCKET_CONFIG_INIT, 0};
    tg_bucket *bucket = NULL;
    newer.known.struct_size = sizeof newer;
    newer.known.rate = "1/s";
    CHECK_EQ(tg_bucket_new(&newer.known, &bucket), TG_OK);
    tg_bucket_free(bucket);
    bucket = NULL;
    newer.fresh = 1;
    CHECK_ERROR(tg_bucket_new(&newer.known, &bucket), TG_STRUCT_SIZE, "INIT");
    CHECK(bucket == NULL);
}

static void answers_leave_the_size_and_what_lies_behind_alone(void) {
    NEWER(tg_decision) newer = {TG_DECISION_INIT, 0xfeedu};
    newer.known.struct_size = sizeof newer;
    CHECK(tg_bucket_peek(bucket_, &newer.known) >= 0);
    CHECK_EQ(newer.known.struct_size, sizeof newer);
    CHECK_EQ(newer.fresh, 0xfeedu);
    CHECK_EQ(newer.known.limit, 1);
}

static void the_struct_may_end_where_the_memory_ends(void) {
    /* The sanitizer watches the bytes around it. */
    tg_decision *decision = malloc(sizeof *decision);
    tg_bucket_config *config = malloc(sizeof *config);
    tg_bucket *bucket = NULL;
    CHECK(decision && config);
    decision->struct_size = sizeof *decision;
    CHECK(tg_bucket_peek(bucket_, decision) >= 0);
    *config = (tg_bucket_config)TG_BUCKET_CONFIG_INIT;
    config->rate = "1/s";
    CHECK_EQ(tg_bucket_new(config, &bucket), TG_OK);
    tg_bucket_free(bucket);
    free(config);
    free(decision);
}

int main(void) {
    tg_bucket_config bucket = TG_BUCKET_CONFIG_INIT;
    tg_breaker_config breaker = TG_BREAKER_CONFIG_INIT;
    tg_queue_config queue = TG_QUEUE_CONFIG_INIT;
    bucket.rate = "1/h";
    queue.capacity = 1;
    CHECK_EQ(tg_bucket_new(&bucket, &bucket_), TG_OK);
    CHECK_EQ(tg_breaker_new(&breaker, &breaker_), TG_OK);
    CHECK_EQ(tg_queue_new(&queue, &queue_), TG_OK);
    RUN(odd_sizes_are_refused);
    RUN(a_newer_callers_unused_settings_are_fine_and_used_ones_refused);
    RUN(answers_leave_the_size_and_what_lies_behind_alone);
    RUN(the_struct_may_end_where_the_memory_ends);
    tg_bucket_free(bucket_);
    tg_breaker_free(breaker_);
    tg_queue_free(queue_);
    return check_failed != 0;
}
