/* As test_random.c, of concurrency limits and of what meets by its name in an arena. */
#include "random.h"

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
                if (breaker) known(tg_breaker_acquire_at(breaker, number(), 0, &(tg_permit){0, 0}, NULL));
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
    RUN(concurrency);
    RUN(arenas);
    return check_failed != 0;
}
