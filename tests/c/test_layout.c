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

/* first: the struct's size in its first version, the least that any caller has. */
#define REFUSES_ODD_SIZES(type, first, value, call) \
    do { \
        static const size_t ODD[] = {0, 1, sizeof(size_t), (first) - 1, 4097, SIZE_MAX}; \
        for (size_t i = 0; i < sizeof ODD / sizeof *ODD; i++) { \
            (value).struct_size = ODD[i]; \
            CHECK_ERROR(call, TG_STRUCT_SIZE, #type); \
        } \
        (value).struct_size = sizeof(type); \
    } while (0)

static tg_bucket *bucket_;
static tg_breaker *breaker_;
static tg_queue *queue_;
static tg_limiter *limiter_;
static tg_limit_set *set_;
static tg_concurrency *concurrency_;

/* A caller whose header is older: what it does not know is at its default, and what lies behind is left alone. */
static void an_older_callers_structs_are_understood(void) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_decision decision = TG_DECISION_INIT;
    tg_bucket_snapshot snapshot = TG_BUCKET_SNAPSHOT_INIT;
    tg_bucket *bucket = NULL;
    CHECK_EQ(offsetof(tg_bucket_config, warm_up_ns), 56);
    CHECK_EQ(offsetof(tg_decision, delay_ns), 40);
    CHECK_EQ(offsetof(tg_bucket_snapshot, would_deny), 24);
    config.struct_size = 56;
    config.rate = "1/h";
    config.mode = 77;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    decision.struct_size = 40;
    decision.delay_ns = 77;
    CHECK_EQ(tg_bucket_check(bucket, 1, &decision), TG_OK);
    CHECK_EQ(tg_bucket_check(bucket, 1, &decision), TG_DENIED);
    CHECK_EQ(decision.delay_ns, 77);
    snapshot.struct_size = 24;
    snapshot.would_deny = 77;
    CHECK_EQ(tg_bucket_stats(bucket, &snapshot), TG_OK);
    CHECK_EQ(snapshot.denied, 1);
    CHECK_EQ(snapshot.would_deny, 77);
    tg_bucket_free(bucket);
}

/* A size is the end of a field in some version: one that ends inside a field would leave half a number. */
static void a_size_that_ends_inside_a_field_is_refused(void) {
    tg_decision decision = TG_DECISION_INIT;
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    config.rate = "1/h";
    for (size_t size = 40; size < sizeof decision; size++) {
        decision.struct_size = size;
        tg_status status = tg_bucket_peek(bucket_, &decision);
        if (size == 40) CHECK(status >= 0);
        else CHECK_EQ(status, TG_STRUCT_SIZE);
    }
    config.struct_size = offsetof(tg_bucket_config, warm_up_from) + 3;
    CHECK_ERROR(tg_bucket_new(&config, &bucket), TG_STRUCT_SIZE, "tg_bucket_config");
}

/* Between two fields there is nothing of the library's stack. */
static void padding_is_zero(void) {
    tg_decision decision;
    unsigned char bytes[sizeof decision];
    memset(&decision, 0x77, sizeof decision);
    decision.struct_size = sizeof decision;
    CHECK(tg_bucket_peek(bucket_, &decision) >= 0);
    memcpy(bytes, &decision, sizeof bytes);
    for (size_t i = offsetof(tg_decision, allowed) + 1; i < offsetof(tg_decision, limit); i++) CHECK_EQ(bytes[i], 0);
}

/* Before there were arenas: their fields are not looked at. */
static void a_caller_that_knows_no_arenas_is_understood(void) {
    tg_bucket_config bucket_config = TG_BUCKET_CONFIG_INIT;
    tg_limiter_config limiter_config = TG_LIMITER_CONFIG_INIT;
    tg_breaker_config breaker_config = TG_BREAKER_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    tg_limiter *limiter = NULL;
    tg_breaker *breaker = NULL;
    CHECK_EQ(offsetof(tg_bucket_config, arena), 80);
    CHECK_EQ(offsetof(tg_limiter_config, arena), 136);
    CHECK_EQ(offsetof(tg_breaker_config, arena), 112);
    bucket_config.struct_size = 80;
    limiter_config.struct_size = 136;
    breaker_config.struct_size = 112;
    bucket_config.rate = limiter_config.rate = "1/h";
    memset(&bucket_config.arena, 0x77, sizeof bucket_config - 80);
    memset(&limiter_config.arena, 0x77, sizeof limiter_config - 136);
    memset(&breaker_config.arena, 0x77, sizeof breaker_config - 112);
    CHECK_EQ(tg_bucket_new(&bucket_config, &bucket), TG_OK);
    CHECK_EQ(tg_limiter_new(&limiter_config, &limiter), TG_OK);
    CHECK_EQ(tg_breaker_new(&breaker_config, &breaker), TG_OK);
    tg_bucket_free(bucket);
    tg_limiter_free(limiter);
    tg_breaker_free(breaker);
}

static void odd_sizes_are_refused(void) {
    tg_bucket_config bucket = TG_BUCKET_CONFIG_INIT;
    tg_breaker_config breaker = TG_BREAKER_CONFIG_INIT;
    tg_queue_config queue = TG_QUEUE_CONFIG_INIT;
    tg_quota quota = TG_QUOTA_INIT;
    tg_decision decision = TG_DECISION_INIT;
    tg_bucket_snapshot bucket_snapshot = TG_BUCKET_SNAPSHOT_INIT;
    tg_breaker_snapshot breaker_snapshot = TG_BREAKER_SNAPSHOT_INIT;
    tg_queue_snapshot queue_snapshot = TG_QUEUE_SNAPSHOT_INIT;
    tg_queue_taken queue_taken = TG_QUEUE_TAKEN_INIT;
    tg_event event = TG_EVENT_INIT;
    tg_bucket *b = NULL;
    tg_breaker *c = NULL;
    tg_queue *q = NULL;
    tg_limiter_config limiter = TG_LIMITER_CONFIG_INIT;
    tg_limiter_snapshot limiter_snapshot = TG_LIMITER_SNAPSHOT_INIT;
    tg_client_address_config address = TG_CLIENT_ADDRESS_CONFIG_INIT;
    tg_ratelimit_status told = TG_RATELIMIT_STATUS_INIT;
    tg_limiter *l = NULL;
    tg_client_address *a = NULL;
    tg_arena_config arena = TG_ARENA_CONFIG_INIT;
    tg_concurrency_config concurrency = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency_snapshot concurrency_snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
    tg_arena *r = NULL;
    tg_concurrency *p = NULL;
    tg_tier tier;
    char text[64];
    bucket.rate = quota.rate = limiter.rate = "1/s";
    queue.capacity = 1;
    REFUSES_ODD_SIZES(tg_bucket_config, 56, bucket, tg_bucket_new(&bucket, &b));
    REFUSES_ODD_SIZES(tg_breaker_config, 112, breaker, tg_breaker_new(&breaker, &c));
    REFUSES_ODD_SIZES(tg_queue_config, sizeof(tg_queue_config), queue, tg_queue_new(&queue, &q));
    REFUSES_ODD_SIZES(tg_quota, sizeof(tg_quota), quota, tg_bucket_set_quota(bucket_, &quota));
    REFUSES_ODD_SIZES(tg_quota, sizeof(tg_quota), quota, tg_bucket_quota(bucket_, &quota));
    REFUSES_ODD_SIZES(tg_decision, 40, decision, tg_bucket_check(bucket_, 1, &decision));
    REFUSES_ODD_SIZES(tg_decision, 40, decision, tg_bucket_peek(bucket_, &decision));
    REFUSES_ODD_SIZES(tg_bucket_snapshot, 24, bucket_snapshot, tg_bucket_stats(bucket_, &bucket_snapshot));
    REFUSES_ODD_SIZES(tg_breaker_snapshot, sizeof(tg_breaker_snapshot), breaker_snapshot, tg_breaker_stats(breaker_, &breaker_snapshot));
    REFUSES_ODD_SIZES(tg_queue_snapshot, sizeof(tg_queue_snapshot), queue_snapshot, tg_queue_stats(queue_, &queue_snapshot));
    REFUSES_ODD_SIZES(tg_queue_taken, sizeof(tg_queue_taken), queue_taken, tg_queue_take(queue_, 0, &queue_taken));
    REFUSES_ODD_SIZES(tg_event, sizeof(tg_event), event, tg_breaker_next_event(breaker_, 0, &event));
    REFUSES_ODD_SIZES(tg_limiter_config, 136, limiter, tg_limiter_new(&limiter, &l));
    REFUSES_ODD_SIZES(tg_quota, sizeof(tg_quota), quota, (limiter.fastest = &quota, tg_limiter_new(&limiter, &l)));
    REFUSES_ODD_SIZES(tg_quota, sizeof(tg_quota), quota, tg_limiter_tier(limiter_, &quota, &tier));
    REFUSES_ODD_SIZES(tg_quota, sizeof(tg_quota), quota, tg_limiter_set_quota(limiter_, &quota));
    REFUSES_ODD_SIZES(tg_quota, sizeof(tg_quota), quota, tg_limiter_quota(limiter_, &quota));
    REFUSES_ODD_SIZES(tg_decision, 40, decision, tg_limiter_check(limiter_, "a", 1, 1, &decision));
    REFUSES_ODD_SIZES(tg_decision, 40, decision, tg_limiter_peek(limiter_, "a", 1, &decision));
    REFUSES_ODD_SIZES(tg_decision, 40, decision, tg_limit_set_check(set_, &(tg_bytes){"a", 1}, 1, 1, &decision, NULL));
    REFUSES_ODD_SIZES(tg_decision, 40, decision, tg_http_tell(&decision, 0, &told));
    REFUSES_ODD_SIZES(tg_limiter_snapshot, sizeof(tg_limiter_snapshot), limiter_snapshot, tg_limiter_stats(limiter_, &limiter_snapshot));
    REFUSES_ODD_SIZES(tg_client_address_config, sizeof(tg_client_address_config), address, tg_client_address_new(&address, &a));
    REFUSES_ODD_SIZES(tg_ratelimit_status, sizeof(tg_ratelimit_status), told, tg_http_tell(&decision, 0, &told));
    REFUSES_ODD_SIZES(tg_ratelimit_status, sizeof(tg_ratelimit_status), told, tg_http_rate_limit("a", &told, NULL, text, sizeof text, NULL));
    REFUSES_ODD_SIZES(tg_arena_config, sizeof(tg_arena_config), arena, tg_arena_open(&arena, &r));
    REFUSES_ODD_SIZES(tg_concurrency_config, sizeof(tg_concurrency_config), concurrency, tg_concurrency_new(&concurrency, &p));
    REFUSES_ODD_SIZES(tg_concurrency_snapshot, 48, concurrency_snapshot, tg_concurrency_stats(concurrency_, &concurrency_snapshot));
    CHECK(!b && !c && !q && !l && !a && !r && !p);
    CHECK_EQ(tg_limiter_try_acquire(limiter_, "a", 1, 1), TG_OK);
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
    tg_limiter_config limiter = TG_LIMITER_CONFIG_INIT;
    limiter.rate = "1/h";
    queue.capacity = 1;
    CHECK_EQ(tg_bucket_new(&bucket, &bucket_), TG_OK);
    CHECK_EQ(tg_breaker_new(&breaker, &breaker_), TG_OK);
    CHECK_EQ(tg_queue_new(&queue, &queue_), TG_OK);
    CHECK_EQ(tg_limiter_new(&limiter, &limiter_), TG_OK);
    CHECK_EQ(tg_limit_set_new(&(tg_limit_member){"user", NULL, limiter_}, 1, &set_), TG_OK);
    tg_concurrency_config concurrency = TG_CONCURRENCY_CONFIG_INIT;
    concurrency.limit = 1;
    CHECK_EQ(tg_concurrency_new(&concurrency, &concurrency_), TG_OK);
    RUN(odd_sizes_are_refused);
    RUN(a_size_that_ends_inside_a_field_is_refused);
    RUN(padding_is_zero);
    RUN(an_older_callers_structs_are_understood);
    RUN(a_caller_that_knows_no_arenas_is_understood);
    RUN(a_newer_callers_unused_settings_are_fine_and_used_ones_refused);
    RUN(answers_leave_the_size_and_what_lies_behind_alone);
    RUN(the_struct_may_end_where_the_memory_ends);
    tg_bucket_free(bucket_);
    tg_breaker_free(breaker_);
    tg_queue_free(queue_);
    tg_limit_set_free(set_);
    tg_limiter_free(limiter_);
    tg_concurrency_free(concurrency_);
    return check_failed != 0;
}
