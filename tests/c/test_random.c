/* Random arguments: whatever comes in, the answer is one of the statuses, and the sanitizers and valgrind see nothing. */
#include "random.h"

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
            if (known(tg_breaker_acquire_at(breaker, number(), 0, &permit, NULL)) == TG_OK) {
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

int main(void) {
    RUN(buckets);
    RUN(rates);
    RUN(limiters);
    RUN(sets);
    RUN(headers);
    RUN(breakers);
    RUN(queues);
    return check_failed != 0;
}
