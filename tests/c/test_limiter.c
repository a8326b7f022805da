/* Keyed limit: what the border adds to the core; the algorithms themselves are held by the vectors. */
#include <tidegate.h>

#include "check.h"

#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define KEY(text) (text), (sizeof(text) - 1)

static tg_clock *clock_;

static tg_limiter_config settings(const char *rate) {
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    config.rate = rate;
    config.clock = clock_;
    config.max_keys = 1000;
    return config;
}

static tg_limiter *made(tg_limiter_config config) {
    tg_limiter *limiter = NULL;
    CHECK_EQ(tg_limiter_new(&config, &limiter), TG_OK);
    return limiter;
}

static void each_key_has_its_own_limit(void) {
    tg_limiter *limiter = made(settings("2/min"));
    tg_decision decision = TG_DECISION_INIT;
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 1), TG_OK);
    CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_OK);
    CHECK_EQ(decision.limit, 2);
    CHECK_EQ(decision.remaining, 0);
    CHECK_EQ(decision.delay_ns, 0);
    CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_DENIED);
    CHECK(decision.retry_after_ns > 29 * SECOND && decision.retry_after_ns <= 30 * SECOND + SECOND / 1000);
    CHECK_EQ(tg_limiter_peek(limiter, KEY("ben"), &decision), TG_OK);
    CHECK_EQ(decision.remaining, 2);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ben"), 2), TG_OK);
    CHECK_EQ(tg_limiter_check(limiter, KEY("ben"), 3, &decision), TG_DENIED);
    CHECK(decision.retry_after_ns == TG_NEVER);
    tg_limiter_free(limiter);
}

/* What a key is: any bytes. */
static void any_bytes_are_a_key(void) {
    enum { LONG = 1 << 20 };
    tg_limiter *limiter = made(settings("1/min"));
    char *one = malloc(LONG), *other = malloc(LONG);
    unsigned char every[256];
    CHECK(one && other);
    memset(one, 'k', LONG);
    memset(other, 'k', LONG);
    other[LONG - 1] = 'K';
    for (int i = 0; i < 256; i++) every[i] = (unsigned char)i;
    const tg_bytes different[] = {
        {NULL, 0}, {"\0", 1}, {"\0\0", 2}, {"a", 1}, {"a\0", 2}, {"a\0b", 3}, {"\xff\xfe", 2}, {"\xed\xa0\x80", 3},
        {"a\r\nSet-Cookie: x", 16}, {every, sizeof every}, {one, LONG}, {one, LONG - 1}, {other, LONG},
    };
    enum { DIFFERENT = sizeof different / sizeof *different };
    for (int i = 0; i < DIFFERENT; i++) CHECK_EQ(tg_limiter_try_acquire(limiter, different[i].data, different[i].len, 1), TG_OK);
    for (int i = 0; i < DIFFERENT; i++) CHECK_EQ(tg_limiter_try_acquire(limiter, different[i].data, different[i].len, 1), TG_DENIED);
    CHECK_EQ(tg_limiter_try_acquire(limiter, "any", 0, 1), TG_DENIED); /* length 0 is the empty key, wherever it points */
    free(one);
    free(other);
    tg_limiter_free(limiter);
}

static void a_key_that_cannot_be_is_refused(void) {
    tg_limiter *limiter = made(settings("1/min"));
    tg_decision decision = TG_DECISION_INIT;
    bool noted = false;
    CHECK_ERROR(tg_limiter_try_acquire(limiter, NULL, 3, 1), TG_NULL, "key:");
    CHECK_ERROR(tg_limiter_check(limiter, NULL, 1, 1, &decision), TG_NULL, "key:");
    CHECK_ERROR(tg_limiter_check(limiter, "x", SIZE_MAX, 1, &decision), TG_OUT_OF_RANGE, "key:");
    CHECK_ERROR(tg_limiter_penalize(limiter, "x", (size_t)-1, SECOND, &noted), TG_OUT_OF_RANGE, "negative");
    CHECK_EQ(tg_limiter_try_acquire(limiter, NULL, 0, 1), TG_OK); /* none of them took the empty key's */
    tg_limiter_free(limiter);
}

static void gives_back_punishes_clears_and_changes(void) {
    tg_limiter_config config = settings("60/min");
    tg_quota fastest = TG_QUOTA_INIT, quota = TG_QUOTA_INIT;
    tg_decision decision = TG_DECISION_INIT;
    tg_limiter *limiter;
    bool noted = false;
    size_t keys = 9;
    fastest.rate = "600/min";
    config.burst = 5;
    config.fastest = &fastest;
    limiter = made(config);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 5), TG_OK);
    CHECK_EQ(tg_limiter_refund(limiter, KEY("ann"), 2), TG_OK);
    CHECK_EQ(tg_limiter_peek(limiter, KEY("ann"), &decision), TG_OK);
    CHECK_EQ(decision.remaining, 2);
    CHECK_EQ(tg_limiter_penalize(limiter, KEY("ann"), 10 * SECOND, &noted), TG_OK);
    CHECK(noted);
    CHECK_EQ(tg_limiter_penalize(limiter, KEY("ann"), SECOND, NULL), TG_OK); /* never shortened */
    CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_DENIED);
    CHECK_EQ(decision.remaining, 0);
    CHECK(decision.retry_after_ns >= 10 * SECOND);
    CHECK_EQ(tg_limiter_len(limiter, &keys), TG_OK);
    CHECK_EQ(keys, 1);
    CHECK_EQ(tg_limiter_reset(limiter, KEY("ann")), TG_OK);
    CHECK_EQ(tg_limiter_len(limiter, &keys), TG_OK);
    CHECK_EQ(keys, 0);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 5), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ben"), 5), TG_OK);
    CHECK_EQ(tg_limiter_reset_all(limiter), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 5), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ben"), 5), TG_OK);
    quota.rate = "600/min";
    quota.burst = 7;
    CHECK_EQ(tg_limiter_set_quota(limiter, &quota), TG_OK);
    CHECK_EQ(tg_limiter_peek(limiter, KEY("new"), &decision), TG_OK);
    CHECK_EQ(decision.limit, 7);
    CHECK_EQ(tg_limiter_quota(limiter, &quota), TG_OK);
    CHECK(quota.count * 6 * SECOND == 60 * quota.period_ns);
    CHECK_EQ(quota.burst, 7);
    CHECK(quota.rate == NULL);
    quota.rate = "1000000/s";
    quota.count = quota.period_ns = 0;
    quota.burst = TG_BURST_OF_RATE;
    CHECK_ERROR(tg_limiter_set_quota(limiter, &quota), TG_OUT_OF_RANGE, "fastest");
    tg_limiter_free(limiter);
}

static void a_tier_has_its_own_quota(void) {
    tg_limiter_config config = settings("10/min");
    tg_quota pro = TG_QUOTA_INIT;
    tg_decision decision = TG_DECISION_INIT;
    tg_limiter *limiter, *other;
    tg_tier tier, wrong, none = {0, {0}};
    pro.rate = "100/min";
    config.fastest = &pro;
    limiter = made(config);
    other = made(config);
    CHECK_EQ(tg_limiter_tier(limiter, &pro, &tier), TG_OK);
    CHECK_EQ(tg_limiter_check_tier(limiter, KEY("ann"), 50, &tier, &decision), TG_OK);
    CHECK_EQ(decision.limit, 100);
    CHECK_EQ(decision.remaining, 50);
    CHECK_EQ(tg_limiter_check(limiter, KEY("ben"), 50, &decision), TG_DENIED);
    CHECK_EQ(decision.limit, 10);
    CHECK_EQ(tg_limiter_try_acquire_tier(limiter, KEY("ann"), 51, &tier), TG_DENIED);
    CHECK_EQ(tg_limiter_try_acquire_tier(limiter, KEY("ann"), 50, &tier), TG_OK);
    CHECK_EQ(tg_limiter_refund_tier(limiter, KEY("ann"), 3, &tier), TG_OK);
    CHECK_EQ(tg_limiter_peek_tier(limiter, KEY("ann"), &tier, &decision), TG_OK);
    CHECK_EQ(decision.remaining, 3);

    wrong = none;
    CHECK_ERROR(tg_limiter_check_tier(other, KEY("ann"), 1, &tier, &decision), TG_INVALID, "tier:");
    CHECK_ERROR(tg_limiter_try_acquire_tier(limiter, KEY("ann"), 1, &none), TG_INVALID, "tg_limiter_tier()");
    CHECK_ERROR(tg_limiter_peek_tier(limiter, KEY("ann"), NULL, &decision), TG_NULL, "tier:");
    pro.rate = "1000000/s";
    CHECK_ERROR(tg_limiter_tier(limiter, &pro, &wrong), TG_OUT_OF_RANGE, "fastest");
    CHECK(memcmp(&wrong, &none, sizeof none) == 0); /* an error writes nothing */
    tg_limiter_free(other);
    tg_limiter_free(limiter);
}

static void every_algorithm_by_its_name(void) {
    static const int32_t WINDOWS[] = {TG_ALGORITHM_FIXED_WINDOW, TG_ALGORITHM_SLIDING_WINDOW, TG_ALGORITHM_SLIDING_LOG};
    for (int32_t algorithm = TG_ALGORITHM_TOKEN_BUCKET; algorithm <= TG_ALGORITHM_LEAKY_BUCKET; algorithm++) {
        tg_limiter_config config = settings("3/min");
        tg_decision decision = TG_DECISION_INIT;
        tg_limiter *limiter;
        config.algorithm = algorithm;
        limiter = made(config);
        for (int i = 0; i < 3; i++) CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_OK);
        CHECK_EQ(decision.limit, 3);
        CHECK_EQ(decision.remaining, 0);
        CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_DENIED);
        CHECK(decision.retry_after_ns > 0 && decision.retry_after_ns <= 2 * MINUTE);
        CHECK_EQ(tg_clock_advance(clock_, decision.retry_after_ns), TG_OK); /* waiting that long is enough */
        CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_OK);
        tg_limiter_free(limiter);
    }
    for (size_t i = 0; i < sizeof WINDOWS / sizeof *WINDOWS; i++) {
        tg_limiter_config config = settings("3/min");
        tg_limiter *limiter = NULL;
        tg_quota quota = TG_QUOTA_INIT;
        config.algorithm = WINDOWS[i];
        config.burst = 5;
        CHECK_ERROR(tg_limiter_new(&config, &limiter), TG_CONFLICT, "burst:");
        config.burst = TG_BURST_OF_RATE;
        limiter = made(config);
        quota.rate = "2/min";
        quota.burst = 3;
        CHECK_ERROR(tg_limiter_set_quota(limiter, &quota), TG_CONFLICT, "burst:");
        tg_limiter_free(limiter);
    }
}

static void a_leaky_bucket_paces(void) {
    tg_limiter_config config = settings("10/s");
    tg_decision decision = TG_DECISION_INIT;
    tg_limiter *limiter;
    config.algorithm = TG_ALGORITHM_LEAKY_BUCKET;
    config.queue = 2;
    limiter = made(config);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_OK);
        CHECK(decision.delay_ns >= i * SECOND / 10 && decision.delay_ns <= i * SECOND / 10 + SECOND / 1000);
    }
    CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_DENIED);
    CHECK_EQ(decision.delay_ns, 0);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ben"), 1), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ben"), 1), TG_DENIED); /* it would have to wait */
    tg_limiter_free(limiter);

    config.queue = 0; /* nobody waits */
    limiter = made(config);
    CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_OK);
    CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_DENIED);
    tg_limiter_free(limiter);
    config.burst = 2;
    limiter = NULL;
    CHECK_ERROR(tg_limiter_new(&config, &limiter), TG_CONFLICT, "queue:");
    config.burst = TG_BURST_OF_RATE;
    config.algorithm = TG_ALGORITHM_TOKEN_BUCKET;
    CHECK_ERROR(tg_limiter_new(&config, &limiter), TG_CONFLICT, "queue:");
    CHECK(limiter == NULL);
}

static void blocks_those_who_go_on(void) {
    tg_limiter_config config = settings("1/s");
    tg_limiter_snapshot snapshot = TG_LIMITER_SNAPSHOT_INIT;
    tg_decision decision = TG_DECISION_INIT;
    tg_limiter *limiter;
    config.block_after = 3;
    config.block_within_ns = MINUTE;
    config.block_duration_ns = 10 * MINUTE;
    config.block_growth = 2;
    limiter = made(config);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 1), TG_OK);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 1), TG_DENIED);
    CHECK_EQ(tg_clock_advance(clock_, MINUTE), TG_OK);
    CHECK_EQ(tg_limiter_check(limiter, KEY("ann"), 1, &decision), TG_DENIED);
    CHECK(decision.retry_after_ns >= 9 * MINUTE);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ben"), 1), TG_OK);
    CHECK_EQ(tg_limiter_stats(limiter, &snapshot), TG_OK);
    CHECK_EQ(snapshot.blocked, 1);
    tg_limiter_free(limiter);
}

static void a_dry_run_only_watches_and_a_disabled_one_not_even_that(void) {
    tg_limiter_config config = settings("1/min");
    tg_limiter_snapshot snapshot = TG_LIMITER_SNAPSHOT_INIT;
    tg_limiter *limiter;
    config.mode = TG_MODE_DRY_RUN;
    limiter = made(config);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 1), TG_OK);
    CHECK_EQ(tg_limiter_stats(limiter, &snapshot), TG_OK);
    CHECK_EQ(snapshot.would_deny, 2);
    CHECK_EQ(snapshot.denied, 0);
    tg_limiter_free(limiter);
    config.mode = TG_MODE_DISABLED;
    limiter = made(config);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 1), TG_OK);
    CHECK_EQ(tg_limiter_stats(limiter, &snapshot), TG_OK);
    CHECK_EQ(snapshot.would_deny, 0);
    tg_limiter_free(limiter);
}

static void warms_up(void) {
    tg_limiter_config config = settings("100/min");
    tg_decision decision = TG_DECISION_INIT;
    tg_limiter *limiter;
    config.warm_up_ns = 10 * MINUTE;
    config.warm_up_from = 0.1;
    limiter = made(config);
    CHECK_EQ(tg_limiter_peek(limiter, KEY("ann"), &decision), TG_OK);
    CHECK_EQ(decision.limit, 10);
    CHECK_EQ(tg_clock_advance(clock_, 10 * MINUTE), TG_OK);
    CHECK_EQ(tg_limiter_peek(limiter, KEY("ann"), &decision), TG_OK);
    CHECK_EQ(decision.limit, 100);
    tg_limiter_free(limiter);
}

static void counts_hits(void) {
    tg_limiter_config config = settings("2/min");
    tg_limiter *limiter;
    tg_quota fastest = TG_QUOTA_INIT;
    uint32_t hits = 0;
    uint64_t reset_after = 0;
    fastest.rate = "1000/min"; /* to count above the limit needs room */
    config.fastest = &fastest;
    config.algorithm = TG_ALGORITHM_FIXED_WINDOW;
    limiter = made(config);
    CHECK_EQ(tg_limiter_hit(limiter, KEY("ann"), 3, &hits, &reset_after), TG_OK);
    CHECK_EQ(hits, 3);
    CHECK(reset_after > 59 * SECOND && reset_after <= 61 * SECOND);
    CHECK_EQ(tg_limiter_hit(limiter, KEY("ann"), 1, &hits, NULL), TG_OK);
    CHECK_EQ(hits, 4); /* above the limit, too */
    CHECK_EQ(tg_limiter_hit(limiter, KEY("ann"), 1, NULL, NULL), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 1), TG_DENIED);
    tg_limiter_free(limiter);
    limiter = made(settings("2/min"));
    hits = 77;
    CHECK_ERROR(tg_limiter_hit(limiter, KEY("ann"), 1, &hits, &reset_after), TG_CONFLICT, "algorithm:");
    CHECK_ERROR(tg_limiter_windows(limiter, KEY("ann"), &hits, NULL, NULL), TG_CONFLICT, "algorithm:");
    CHECK_EQ(hits, 77);
    tg_limiter_free(limiter);
}

static void shows_both_windows(void) {
    tg_limiter_config config = settings("10/min");
    tg_limiter *limiter;
    uint32_t previous = 9, current = 9;
    uint64_t left = 0, now = 0;
    CHECK_EQ(tg_clock_now(clock_, &now), TG_OK);
    config.algorithm = TG_ALGORITHM_SLIDING_WINDOW;
    limiter = made(config);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 4), TG_OK);
    CHECK_EQ(tg_limiter_windows(limiter, KEY("ann"), &previous, &current, &left), TG_OK);
    CHECK_EQ(previous, 0);
    CHECK_EQ(current, 4);
    CHECK_EQ(left, MINUTE);
    CHECK_EQ(tg_limiter_windows_at(limiter, now + 61 * SECOND, KEY("ann"), &previous, &current, &left), TG_OK);
    CHECK_EQ(previous, 4);
    CHECK_EQ(current, 0);
    CHECK_EQ(left, 59 * SECOND);
    CHECK_EQ(tg_limiter_windows(limiter, KEY("ann"), NULL, NULL, NULL), TG_OK);
    CHECK_ERROR(tg_limiter_windows(NULL, KEY("ann"), NULL, NULL, NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_windows_at(NULL, 0, KEY("ann"), NULL, NULL, NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_hit(limiter, KEY("ann"), 1, NULL, NULL), TG_CONFLICT, "algorithm:");
    tg_limiter_free(limiter);
}

static void a_flood_of_keys_neither_grows_it_nor_frees_anyone(void) {
    tg_limiter_config config = settings("1/h");
    tg_limiter_snapshot snapshot = TG_LIMITER_SNAPSHOT_INIT;
    tg_limiter *limiter;
    size_t before = 0, after = 0, keys = 0;
    int again = 0;
    config.max_keys = 100;
    limiter = made(config);
    CHECK_EQ(tg_limiter_memory(limiter, &before), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("ann"), 1), TG_OK);
    for (uint32_t i = 0; i < 10000; i++) {
        (void)tg_limiter_try_acquire(limiter, &i, sizeof i, 1);
        again += tg_limiter_try_acquire(limiter, KEY("ann"), 1) == TG_OK;
    }
    CHECK_EQ(again, 0);
    CHECK_EQ(tg_limiter_memory(limiter, &after), TG_OK);
    CHECK_EQ(after, before);
    CHECK(before > 0 && before < 1 << 20);
    CHECK_EQ(tg_limiter_len(limiter, &keys), TG_OK);
    CHECK(keys > 0 && keys < 1000);
    CHECK_EQ(tg_limiter_stats(limiter, &snapshot), TG_OK);
    CHECK(snapshot.overflowed > 0);
    CHECK_EQ(snapshot.admitted + snapshot.denied, 20001);
    tg_limiter_free(limiter);
}

static void every_at_form_takes_its_time_from_the_caller(void) {
    tg_limiter_config config = settings("60/min");
    tg_decision decision = TG_DECISION_INIT;
    tg_quota quota = TG_QUOTA_INIT;
    tg_tier tier;
    tg_limiter *limiter;
    uint64_t now = 0;
    uint32_t hits = 0;
    size_t keys = 9;
    CHECK_EQ(tg_clock_now(clock_, &now), TG_OK);
    now += 100 * SECOND;
    config.burst = 2;
    limiter = made(config);
    quota.rate = "30/min";
    quota.burst = 2;
    CHECK_EQ(tg_limiter_tier(limiter, &quota, &tier), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire_at(limiter, now, KEY("ann"), 2), TG_OK);
    CHECK_EQ(tg_limiter_check_at(limiter, now, KEY("ann"), 1, &decision), TG_DENIED);
    CHECK_EQ(tg_limiter_refund_at(limiter, now, KEY("ann"), 1), TG_OK);
    CHECK_EQ(tg_limiter_check_at(limiter, now, KEY("ann"), 1, &decision), TG_OK);
    CHECK_EQ(tg_limiter_check_tier_at(limiter, now, KEY("ben"), 2, &tier, &decision), TG_OK);
    CHECK_EQ(tg_limiter_penalize_at(limiter, now, KEY("cay"), 10 * SECOND, NULL), TG_OK);
    CHECK_EQ(tg_limiter_len_at(limiter, now, &keys), TG_OK);
    CHECK_EQ(keys, 3);
    now += SECOND; /* on from here: a reading that steps back may be denied early */
    CHECK_EQ(tg_limiter_try_acquire_tier_at(limiter, now, KEY("ben"), 1, &tier), TG_DENIED);
    CHECK_EQ(tg_limiter_refund_tier_at(limiter, now, KEY("ben"), 1, &tier), TG_OK);
    CHECK_EQ(tg_limiter_peek_tier_at(limiter, now, KEY("ben"), &tier, &decision), TG_OK);
    CHECK_EQ(tg_limiter_peek_at(limiter, now + SECOND, KEY("ann"), &decision), TG_OK);
    now += 9 * SECOND - 1;
    CHECK_EQ(tg_limiter_try_acquire_at(limiter, now, KEY("cay"), 1), TG_DENIED);
    CHECK_EQ(tg_limiter_reset_at(limiter, now, KEY("cay")), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire_at(limiter, now, KEY("cay"), 2), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire_at(limiter, now, KEY("ann"), 2), TG_OK);
    CHECK_EQ(tg_limiter_reset_all_at(limiter, now), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire_at(limiter, now, KEY("ann"), 2), TG_OK);
    tg_limiter_free(limiter);
    config.algorithm = TG_ALGORITHM_FIXED_WINDOW;
    config.burst = TG_BURST_OF_RATE;
    limiter = made(config);
    CHECK_EQ(tg_limiter_hit_at(limiter, now, KEY("ann"), 2, &hits, NULL), TG_OK);
    CHECK_EQ(tg_limiter_hit_at(limiter, now + 2 * MINUTE, KEY("ann"), 1, &hits, NULL), TG_OK);
    CHECK_EQ(hits, 1);
    tg_limiter_free(limiter);
}

static void wrong_settings_are_told(void) {
    tg_limiter *limiter = NULL;
    tg_quota fastest = TG_QUOTA_INIT;
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    CHECK_ERROR(tg_limiter_new(&config, &limiter), TG_CONFLICT, "rate: not set");
#define WRONG(change, status, needle) \
    do { \
        config = settings("100/min"); \
        change; \
        CHECK_ERROR(tg_limiter_new(&config, &limiter), status, needle); \
    } while (0)
    WRONG(config.rate = "fast", TG_SYNTAX, "rate:");
    WRONG(config.count = 1, TG_CONFLICT, "rate:");
    WRONG(config.burst = 0, TG_OUT_OF_RANGE, "burst:");
    WRONG(config.max_keys = 0, TG_OUT_OF_RANGE, "max_keys:");
    WRONG(config.max_keys = SIZE_MAX, TG_OUT_OF_RANGE, "max_keys:");
    WRONG(config.algorithm = 5, TG_UNKNOWN_VALUE, "algorithm:");
    WRONG(config.algorithm = -1, TG_UNKNOWN_VALUE, "algorithm:");
    WRONG(config.mode = 3, TG_UNKNOWN_VALUE, "mode:");
    WRONG(config.warm_up_ns = SECOND, TG_CONFLICT, "warm_up_from");
    WRONG(config.warm_up_from = 0.5, TG_CONFLICT, "warm_up_ns");
    WRONG((config.warm_up_ns = SECOND, config.warm_up_from = 50), TG_OUT_OF_RANGE, "warm_up_from");
    WRONG(config.block_duration_ns = SECOND, TG_CONFLICT, "block_after:");
    WRONG(config.block_after = 3, TG_OUT_OF_RANGE, "block_");
    WRONG((config.block_after = 3, config.block_within_ns = config.block_duration_ns = SECOND, config.block_growth = 0.5), TG_OUT_OF_RANGE, "block_growth:");
    WRONG((config.algorithm = TG_ALGORITHM_SLIDING_LOG, config.rate = "5000/min"), TG_OUT_OF_RANGE, "4");
    fastest.struct_size = 1;
    WRONG(config.fastest = &fastest, TG_STRUCT_SIZE, "tg_quota");
    fastest = (tg_quota)TG_QUOTA_INIT;
    WRONG(config.fastest = &fastest, TG_CONFLICT, "rate: not set");
#undef WRONG
    CHECK(limiter == NULL); /* an error writes nothing */
}

static void null_is_an_error(void) {
    tg_limiter *limiter = made(settings("1/min"));
    tg_limiter_config config = settings("1/min");
    tg_decision decision = TG_DECISION_INIT;
    tg_quota quota = TG_QUOTA_INIT;
    tg_limiter_snapshot snapshot = TG_LIMITER_SNAPSHOT_INIT;
    tg_tier tier;
    size_t size = 0;
    quota.rate = "1/min";
    CHECK_EQ(tg_limiter_tier(limiter, &quota, &tier), TG_OK);
    CHECK_ERROR(tg_limiter_new(NULL, &limiter), TG_NULL, "config:");
    CHECK_ERROR(tg_limiter_new(&config, NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_try_acquire(NULL, KEY("a"), 1), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_try_acquire_at(NULL, 0, KEY("a"), 1), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_check(NULL, KEY("a"), 1, &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_check_at(NULL, 0, KEY("a"), 1, &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_check(limiter, KEY("a"), 1, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limiter_check_at(limiter, 0, KEY("a"), 1, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limiter_peek(NULL, KEY("a"), &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_peek(limiter, KEY("a"), NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limiter_peek_at(NULL, 0, KEY("a"), &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_peek_at(limiter, 0, KEY("a"), NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limiter_tier(NULL, &quota, &tier), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_tier(limiter, NULL, &tier), TG_NULL, "quota:");
    CHECK_ERROR(tg_limiter_tier(limiter, &quota, NULL), TG_NULL, "tier:");
    CHECK_ERROR(tg_limiter_try_acquire_tier(NULL, KEY("a"), 1, &tier), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_try_acquire_tier(limiter, KEY("a"), 1, NULL), TG_NULL, "tier:");
    CHECK_ERROR(tg_limiter_try_acquire_tier_at(NULL, 0, KEY("a"), 1, &tier), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_check_tier(NULL, KEY("a"), 1, &tier, &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_check_tier(limiter, KEY("a"), 1, &tier, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limiter_check_tier_at(NULL, 0, KEY("a"), 1, &tier, &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_peek_tier(NULL, KEY("a"), &tier, &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_peek_tier_at(NULL, 0, KEY("a"), &tier, &decision), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_refund(NULL, KEY("a"), 1), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_refund_at(NULL, 0, KEY("a"), 1), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_refund_tier(NULL, KEY("a"), 1, &tier), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_refund_tier_at(NULL, 0, KEY("a"), 1, &tier), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_penalize(NULL, KEY("a"), 1, NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_penalize_at(NULL, 0, KEY("a"), 1, NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_reset(NULL, KEY("a")), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_reset_at(NULL, 0, KEY("a")), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_reset_all(NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_reset_all_at(NULL, 0), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_set_quota(NULL, &quota), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_set_quota(limiter, NULL), TG_NULL, "quota:");
    CHECK_ERROR(tg_limiter_quota(NULL, &quota), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_quota(limiter, NULL), TG_NULL, "quota:");
    CHECK_ERROR(tg_limiter_hit(NULL, KEY("a"), 1, NULL, NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_hit_at(NULL, 0, KEY("a"), 1, NULL, NULL), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_len(NULL, &size), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_len(limiter, NULL), TG_NULL, "keys:");
    CHECK_ERROR(tg_limiter_len_at(NULL, 0, &size), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_memory(NULL, &size), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_memory(limiter, NULL), TG_NULL, "bytes:");
    CHECK_ERROR(tg_limiter_stats(NULL, &snapshot), TG_NULL, "limiter:");
    CHECK_ERROR(tg_limiter_stats(limiter, NULL), TG_NULL, "snapshot:");
    CHECK_EQ(tg_limiter_try_acquire(limiter, KEY("a"), 1), TG_OK); /* none of them took the token */
    tg_limiter_free(limiter);
    tg_limiter_free(NULL);
}

int main(void) {
    CHECK_EQ(tg_clock_manual_new(7 * SECOND, &clock_), TG_OK);
    RUN(each_key_has_its_own_limit);
    RUN(any_bytes_are_a_key);
    RUN(a_key_that_cannot_be_is_refused);
    RUN(gives_back_punishes_clears_and_changes);
    RUN(a_tier_has_its_own_quota);
    RUN(every_algorithm_by_its_name);
    RUN(a_leaky_bucket_paces);
    RUN(blocks_those_who_go_on);
    RUN(a_dry_run_only_watches_and_a_disabled_one_not_even_that);
    RUN(warms_up);
    RUN(counts_hits);
    RUN(shows_both_windows);
    RUN(a_flood_of_keys_neither_grows_it_nor_frees_anyone);
    RUN(every_at_form_takes_its_time_from_the_caller);
    RUN(wrong_settings_are_told);
    RUN(null_is_an_error);
    tg_clock_free(clock_);
    return check_failed != 0;
}
