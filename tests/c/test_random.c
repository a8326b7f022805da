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
    CHECK(status >= TG_INVALID && status <= TG_EMPTY && status != TG_PANIC);
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

int main(void) {
    RUN(buckets);
    RUN(rates);
    RUN(breakers);
    RUN(queues);
    return check_failed != 0;
}
