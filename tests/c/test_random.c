/* Random arguments: whatever comes in, the answer is one of the statuses, and the sanitizers and valgrind see nothing. */
#include <tidegate.h>

#include "check.h"

#include <math.h>

enum { ROUNDS = 3000 };

static uint64_t state_ = 0x9e3779b97f4a7c15u;

static uint64_t any(void) { /* xorshift64* (Vigna 2016) */
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 2685821657736338717u;
}

/* Small and special numbers come as often as large ones. */
static uint64_t number(void) {
    static const uint64_t SPECIAL[] = {0, 1, 2, 1000, 1000000000, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    uint64_t pick = any();
    return pick % 3 == 0 ? SPECIAL[(pick >> 8) % (sizeof SPECIAL / sizeof *SPECIAL)] : any() >> (pick >> 8) % 64;
}

static double fraction(void) {
    static const double SPECIAL[] = {0.0, -0.0, 0.5, 0.8, 1.0, 1.5, -1.0, 1e-320, 1e308, 50.0, (double)NAN, (double)INFINITY, -(double)INFINITY};
    double bits;
    uint64_t pick = any(), raw = any();
    if (pick % 3) return SPECIAL[(pick >> 8) % (sizeof SPECIAL / sizeof *SPECIAL)];
    memcpy(&bits, &raw, sizeof bits);
    return bits;
}

static tg_status known(tg_status status) {
    CHECK(status >= TG_ARENA_SYSTEM && status <= TG_NOT_HELD && status != TG_PANIC && strcmp(tg_status_message(status), "unknown status"));
    if (status == TG_PANIC) printf("# %s\n", tg_last_error_message());
    return status;
}

static int made_; /* objects that could be made */

static void buckets(void) {
    made_ = 0;
    for (int i = 0; i < ROUNDS; i++) {
        tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
        tg_bucket *bucket = NULL;
        tg_decision decision = TG_DECISION_INIT;
        tg_quota quota = TG_QUOTA_INIT;
        tg_ticket ticket = {any(), any()};
        uint64_t wait = 0;
        config.count = number();
        config.period_ns = number();
        if (any() % 2) config.burst = number();
        if (any() % 4 == 0) config.stripes = number() % 64;
        if (known(tg_bucket_new(&config, &bucket)) != TG_OK) continue;
        made_++;
        for (int j = 0; j < 10; j++) {
            known(tg_bucket_check_at(bucket, number(), (uint32_t)number(), &decision));
            CHECK(decision.remaining <= decision.limit);
            known(tg_bucket_reserve_at(bucket, number(), (uint32_t)number(), number(), &ticket, &wait));
            if (any() % 2) ticket.booking = any();
            known(tg_bucket_cancel_at(bucket, number(), ticket, NULL));
            known(tg_bucket_refund_at(bucket, number(), (uint32_t)number()));
            if (any() % 4 == 0) known(tg_bucket_penalize_at(bucket, number(), number()));
            quota.count = number();
            quota.period_ns = number();
            if (any() % 4 == 0) known(tg_bucket_set_quota_at(bucket, number(), &quota));
            known(tg_bucket_peek_at(bucket, number(), &decision));
        }
        tg_bucket_free(bucket);
    }
    CHECK(made_ > 20);
}

static void rates(void) {
    static const char *const PART[] = {"100", "0", "-1", "1.5", "1e9", "/", " per ", "s", "minute", "15 minutes", ";", " ", "\xff", "\xc3\xa9", "9999999999999999999999"};
    made_ = 0;
    for (int i = 0; i < ROUNDS * 3; i++) {
        char text[256] = "";
        tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
        tg_bucket *bucket = NULL;
        for (uint64_t parts = any() % 6; parts > 0; parts--) strcat(text, PART[any() % (sizeof PART / sizeof *PART)]);
        config.rate = text;
        made_ += known(tg_bucket_new(&config, &bucket)) == TG_OK;
        tg_bucket_free(bucket);
    }
    CHECK(made_ > 5);
}

static tg_bytes any_key(void) {
    static char room[4096];
    size_t len = (size_t)(number() % sizeof room);
    for (int i = 0; i < 8; i++) room[any() % sizeof room] = (char)any();
    return (tg_bytes){any() % 8 ? room + any() % (sizeof room - len) : NULL, any() % 8 ? len : (size_t)number()};
}

/* A key that may be followed: NULL, or no longer than what it points to. */
static tg_bytes good_key(void) {
    tg_bytes key = any_key();
    if (key.data) key.len %= 64;
    return key;
}

static tg_quota any_quota(void) {
    tg_quota quota = TG_QUOTA_INIT;
    quota.count = number() % 5000;
    quota.period_ns = number();
    if (any() % 2) quota.burst = number() % 5000;
    return quota;
}

static void limiters(void) {
    made_ = 0;
    for (int i = 0; i < ROUNDS / 10; i++) {
        tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
        tg_quota quota = any_quota(), other = any_quota();
        tg_limiter *limiter = NULL;
        tg_decision decision = TG_DECISION_INIT;
        tg_tier tier = {0, {0}};
        uint32_t hits = 0;
        config.count = quota.count;
        config.period_ns = quota.period_ns;
        config.burst = quota.burst;
        config.algorithm = (int32_t)(any() % 6);
        config.max_keys = (size_t)(number() % 300);
        if (any() % 4 == 0) config.fastest = &other;
        if (any() % 4 == 0) config.mode = (int32_t)(any() % 4);
        if (any() % 4 == 0) config.queue = number() % 5000;
        if (any() % 4 == 0) config.warm_up_ns = number(), config.warm_up_from = fraction();
        if (any() % 4 == 0) {
            config.block_after = (uint32_t)(any() % 5);
            config.block_within_ns = number();
            config.block_duration_ns = number();
            config.block_max_ns = number();
            config.block_growth = fraction();
        }
        if (known(tg_limiter_new(&config, &limiter)) != TG_OK) continue;
        made_++;
        bool tiered = known(tg_limiter_tier(limiter, &other, &tier)) == TG_OK;
        for (int j = 0; j < 10; j++) {
            uint64_t now = number();
            tg_bytes key = good_key();
            known(tg_limiter_check_at(limiter, now, key.data, key.len, (uint32_t)number(), &decision));
            CHECK(decision.remaining <= decision.limit);
            known(tg_limiter_try_acquire_at(limiter, number(), key.data, key.len, (uint32_t)number()));
            if (tiered) known(tg_limiter_check_tier_at(limiter, now, key.data, key.len, (uint32_t)number(), &tier, &decision));
            if (tiered) known(tg_limiter_refund_tier_at(limiter, number(), key.data, key.len, (uint32_t)number(), &tier));
            known(tg_limiter_refund_at(limiter, now, key.data, key.len, (uint32_t)number()));
            known(tg_limiter_peek_at(limiter, number(), key.data, key.len, &decision));
            known(tg_limiter_hit_at(limiter, now, key.data, key.len, (uint32_t)number(), &hits, NULL));
            if (any() % 4 == 0) known(tg_limiter_penalize_at(limiter, number(), key.data, key.len, number(), NULL));
            if (any() % 8 == 0) known(tg_limiter_reset_at(limiter, number(), key.data, key.len));
            if (any() % 8 == 0) known(tg_limiter_reset_all_at(limiter, number()));
            if (any() % 8 == 0) known(tg_limiter_set_quota(limiter, &other));
        }
        tg_limiter_free(limiter);
    }
    CHECK(made_ > 20);
}

static void sets(void) {
    made_ = 0;
    for (int i = 0; i < ROUNDS / 10; i++) {
        tg_limiter *limiter[3] = {NULL};
        tg_limit_member members[5] = {{NULL, NULL, NULL}};
        tg_limit_set *set = NULL;
        tg_decision decision = TG_DECISION_INIT, each[5];
        static const char *const NAME[] = {"a", "b", "c", "d", "", NULL};
        int32_t denied_by = 0;
        for (size_t j = 0; j < 3; j++) {
            tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
            config.rate = "5/min";
            config.algorithm = (int32_t)(any() % 5);
            config.max_keys = 100;
            known(tg_limiter_new(&config, &limiter[j]));
        }
        size_t count = (size_t)(any() % 5);
        for (size_t j = 0; j < count; j++) members[j] = (tg_limit_member){NAME[any() % 8 ? j : any() % 6], NULL, limiter[any() % 3]};
        if (known(tg_limit_set_new(members, count, &set)) == TG_OK) {
            made_++;
            for (int j = 0; j < 20; j++) {
                tg_bytes keys[5];
                size_t given = any() % 4 ? count : (size_t)(any() % 5), told = (size_t)(any() % 5);
                for (size_t k = 0; k < 5; k++) keys[k] = good_key(), each[k] = (tg_decision)TG_DECISION_INIT;
                known(tg_limit_set_check_each_at(set, number(), keys, given, (uint32_t)(number() % 10), &decision, &denied_by, each, told));
                CHECK(denied_by >= -1 && denied_by < (int32_t)count);
                known(tg_limit_set_peek_at(set, number(), keys, given, (uint32_t)number(), &decision, NULL));
                known(tg_limit_set_refund_at(set, number(), keys, given, (uint32_t)number()));
            }
            tg_limit_set_free(set);
        }
        for (size_t j = 0; j < 3; j++) tg_limiter_free(limiter[j]);
    }
    CHECK(made_ > 50);
}

static void headers(void) {
    static const char *const TRUSTED[] = {"10.0.0.0/8", "private", "unix"}, *const PEER[] = {"10.0.0.1", "::1", "", "x", "192.0.2.1:80"};
    static const char *const PART[] = {"10.0.0.2", ",", " ", "for=", "\"", "[::1]", ";", "\\", "unknown", "6.6.6.6:1", "\xff", "by=_x"};
    for (int header = 0; header < 2; header++) {
        tg_client_address_config config = TG_CLIENT_ADDRESS_CONFIG_INIT;
        tg_client_address *clients = NULL;
        config.trusted = TRUSTED;
        config.trusted_count = 3;
        config.header = header ? "forwarded" : NULL;
        CHECK_EQ(tg_client_address_new(&config, &clients), TG_OK);
        for (int i = 0; i < ROUNDS / 3; i++) {
            char line[2][256] = {"", ""}, key[80];
            size_t length = 0;
            for (int j = 0; j < 2; j++) {
                for (uint64_t parts = any() % 10; parts > 0; parts--) strcat(line[j], PART[any() % (sizeof PART / sizeof *PART)]);
            }
            const tg_bytes lines[] = {{line[0], strlen(line[0])}, {line[1], strlen(line[1])}};
            size_t size = (size_t)(any() % sizeof key);
            tg_status status = known(tg_client_address_key(clients, PEER[any() % 5], lines, (size_t)(any() % 3), key, size, &length));
            CHECK(status == TG_OK ? strlen(key) == length && length < size : status == TG_BUFFER && length >= size);
        }
        tg_client_address_free(clients);
    }
}

static void breakers(void) {
    made_ = 0;
    for (int i = 0; i < ROUNDS; i++) {
        tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
        tg_breaker *breaker = NULL;
        tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
        tg_permit permit;
        /* Two settings at a time, so that many can be made. */
        for (int k = 0; k < 2; k++) {
            switch (any() % 13) {
                case 0: config.window_calls = (uint32_t)number(); break;
                case 1: config.window_duration_ns = number(); break;
                case 2: config.failure_rate_threshold = fraction(); break;
                case 3: config.slow_call_rate_threshold = fraction(); break;
                case 4: config.slow_call_duration_ns = number(); break;
                case 5: config.consecutive_failures = (uint32_t)number(); break;
                case 6: config.min_calls = (uint32_t)number(); break;
                case 7: config.cooldown_ns = number(); break;
                case 8: config.cooldown_backoff = fraction(); break;
                case 9: config.max_cooldown_ns = number(); break;
                case 10: config.cooldown_jitter = fraction(); break;
                case 11: config.probes = (uint32_t)number(); break;
                default: config.probe_timeout_ns = number(); break;
            }
        }
        if (known(tg_breaker_new(&config, &breaker)) != TG_OK) continue;
        made_++;
        for (int j = 0; j < 30; j++) {
            if (known(tg_breaker_acquire_at(breaker, number(), &permit, NULL)) == TG_OK) {
                known(any() % 8 ? tg_breaker_report_at(breaker, number(), permit, (int32_t)(any() % 4), number())
                                : tg_breaker_report_retry_after_at(breaker, number(), permit, number()));
            }
            permit.word ^= UINT64_C(1) << any() % 64;
            known(tg_breaker_report_at(breaker, number(), permit, TG_FAILURE, number()));
            known(tg_breaker_release_at(breaker, number(), permit));
            known(tg_breaker_stats_at(breaker, number(), &snapshot));
            CHECK(snapshot.failed <= snapshot.calls && snapshot.slow <= snapshot.calls);
        }
        tg_breaker_free(breaker);
    }
    CHECK(made_ > 100);
}

static void queues(void) {
    static int thing;
    made_ = 0;
    for (int i = 0; i < ROUNDS; i++) {
        tg_queue_config config = TG_QUEUE_CONFIG_INIT;
        tg_queue *queue = NULL;
        void *item = NULL, *dropped = NULL;
        size_t depth = 0;
        uint64_t sojourn = 0;
        config.capacity = (size_t)number();
        if (config.capacity > 4096 && config.capacity <= UINT64_C(1) << 24) config.capacity %= 4096; /* memory */
        if (any() % 2) config.high_watermark = fraction();
        if (any() % 2) config.low_watermark = fraction();
        if (any() % 2) config.on_full = (int32_t)number();
        config.sojourn = (uint32_t)number();
        if (known(tg_queue_new(&config, &queue)) != TG_OK) continue;
        made_++;
        for (int j = 0; j < 50; j++) {
            known(tg_queue_try_push_at(queue, number(), &thing, &dropped));
            if (any() % 3 == 0) known(tg_queue_try_pop_timed_at(queue, number(), &item, &sojourn));
            known(tg_queue_depth(queue, &depth));
            CHECK(depth <= config.capacity);
        }
        while (known(tg_queue_drain(queue, &item)) == TG_OK) CHECK(item == &thing);
        tg_queue_free(queue);
    }
    CHECK(made_ > 100);
}

static void concurrency(void) {
    made_ = 0;
    for (int i = 0; i < ROUNDS / 10; i++) {
        tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
        tg_concurrency *calls = NULL;
        tg_concurrency_permit permit[8] = {{0, 0}};
        tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
        uint32_t in_use = 0, limit = 0;
        config.limit = (uint32_t)(any() % 2 ? any() % 6 : number());
        if (any() % 2) config.max_limit = (uint32_t)number();
        if (any() % 4 == 0) config.mode = (int32_t)(any() % 4);
        if (known(tg_concurrency_new(&config, &calls)) != TG_OK) continue;
        made_++;
        for (int j = 0; j < 30; j++) {
            tg_concurrency_permit *one = &permit[any() % 8];
            switch (any() % 4) {
                case 0: known(tg_concurrency_try_acquire(calls, one)); break;
                case 1: known(any() % 2 ? tg_concurrency_acquire(calls, 0, one) : tg_concurrency_poll(calls, one)); break;
                case 2: known(tg_concurrency_release(calls, *one)); break;
                default: known(tg_concurrency_release(calls, (tg_concurrency_permit){any() % 2 ? one->word : number(), any() % 2 ? one->cell : number()}));
            }
            if (any() % 8 == 0) known(tg_concurrency_set_limit(calls, (uint32_t)number()));
            known(tg_concurrency_in_use(calls, &in_use));
            known(tg_concurrency_limit(calls, &limit));
            known(tg_concurrency_stats(calls, &snapshot));
            CHECK(in_use <= 4096 && limit >= 1 && limit <= 4096);
        }
        tg_concurrency_free(calls);
    }
    CHECK(made_ > 50);
}

/* One arena that fills up; names, kinds and settings that meet again. */
static void arenas(void) {
    static const char *const NAME[] = {"a", "b", "c", "d/e", "f:g", "", ".", "\xff", "a b", NULL};
    static const char *const SCOPE[] = {"process", "process:random", "process:", "host:", "host:a/b", "\xff", "cluster:a", ""};
    tg_arena *arena = NULL;
    CHECK_EQ(tg_arena_process("random", &arena), TG_OK);
    made_ = 0;
    for (int i = 0; i < ROUNDS / 3; i++) {
        const char *name = NAME[any() % (sizeof NAME / sizeof *NAME)];
        int32_t on_conflict = (int32_t)(any() % 4);
        tg_bucket_config bucket_config = TG_BUCKET_CONFIG_INIT;
        tg_limiter_config limiter_config = TG_LIMITER_CONFIG_INIT;
        tg_breaker_config breaker_config = TG_BREAKER_CONFIG_INIT;
        tg_concurrency_config calls_config = TG_CONCURRENCY_CONFIG_INIT;
        tg_bucket *bucket = NULL;
        tg_limiter *limiter = NULL;
        tg_breaker *breaker = NULL;
        tg_concurrency *calls = NULL;
        tg_arena *same = NULL;
        bucket_config.arena = limiter_config.arena = breaker_config.arena = calls_config.arena = arena;
        bucket_config.name = limiter_config.name = breaker_config.name = calls_config.name = name;
        bucket_config.on_conflict = limiter_config.on_conflict = breaker_config.on_conflict = calls_config.on_conflict = on_conflict;
        switch (any() % 4) {
            case 0:
                bucket_config.count = 1 + number() % 1000;
                bucket_config.period_ns = 1000000000;
                made_ += known(tg_bucket_new(&bucket_config, &bucket)) == TG_OK;
                if (bucket) known(tg_bucket_try_acquire_at(bucket, number(), (uint32_t)number()));
                tg_bucket_free(bucket);
                break;
            case 1:
                limiter_config.rate = any() % 2 ? "5/min" : "7/s";
                limiter_config.algorithm = (int32_t)(any() % 5);
                limiter_config.max_keys = (size_t)(any() % 4 ? 50 : number());
                made_ += known(tg_limiter_new(&limiter_config, &limiter)) == TG_OK;
                if (limiter) known(tg_limiter_try_acquire_at(limiter, number(), "k", 1, (uint32_t)(number() % 9)));
                tg_limiter_free(limiter);
                break;
            case 2:
                breaker_config.min_calls = (uint32_t)(1 + any() % 20);
                breaker_config.window_calls = (uint32_t)(any() % 3 ? 20 : number() % 100000);
                made_ += known(tg_breaker_new(&breaker_config, &breaker)) == TG_OK;
                if (breaker) known(tg_breaker_acquire_at(breaker, number(), &(tg_permit){0, 0}, NULL));
                tg_breaker_free(breaker);
                break;
            default:
                calls_config.limit = (uint32_t)(1 + any() % 5);
                calls_config.max_limit = any() % 2 ? 0 : 8;
                made_ += known(tg_concurrency_new(&calls_config, &calls)) == TG_OK;
                if (calls) known(tg_concurrency_try_acquire(calls, &(tg_concurrency_permit){0, 0}));
                tg_concurrency_free(calls);
        }
        if (any() % 16 == 0) known(tg_arena_remove(arena, name));
        if (any() % 4 == 0) known(tg_arena_from_scope(SCOPE[any() % (sizeof SCOPE / sizeof *SCOPE)], &same));
        tg_arena_free(same);
    }
    CHECK(made_ > 20);
    tg_arena_free(arena);
}

int main(void) {
    RUN(buckets);
    RUN(rates);
    RUN(limiters);
    RUN(sets);
    RUN(headers);
    RUN(breakers);
    RUN(queues);
    RUN(concurrency);
    RUN(arenas);
    return check_failed != 0;
}
