/* What a program meets where the system says no: threads that are cancelled inside a call, and memory that cannot be had. */
#define _DEFAULT_SOURCE
#include "host.h"

#include <pthread.h>
#include <sys/resource.h>

static pthread_barrier_t ready;

/* Makes and frees whatever makes system calls until it is cancelled, which it can only be between two calls. */
static void *make_and_free(void *unused) {
    (void)unused;
    pthread_barrier_wait(&ready);
    for (;;) {
        tg_arena_config arena_config = TG_ARENA_CONFIG_INIT;
        tg_limiter_config limiter_config = TG_LIMITER_CONFIG_INIT;
        tg_bucket_config bucket_config = TG_BUCKET_CONFIG_INIT;
        tg_arena *opened_again = NULL;
        tg_limiter *limiter = NULL;
        tg_bucket *bucket = NULL;
        arena_config.name = "orders";
        arena_config.path = folder;
        if (tg_arena_open(&arena_config, &opened_again) != TG_OK) return "tg_arena_open";
        limiter_config.rate = "1/h";
        if (tg_limiter_new(&limiter_config, &limiter) != TG_OK) return "tg_limiter_new";
        bucket_config.rate = "1/h";
        bucket_config.arena = opened_again;
        bucket_config.name = "b";
        if (tg_bucket_new(&bucket_config, &bucket) != TG_OK) return "tg_bucket_new";
        tg_quota quota = TG_QUOTA_INIT;
        quota.rate = "1/h";
        if (tg_bucket_set_quota(bucket, &quota) != TG_OK) return "tg_bucket_set_quota";
        tg_bucket_free(bucket);
        tg_limiter_free(limiter);
        tg_arena_free(opened_again);
        pthread_testcancel();
    }
}

static void a_cancelled_thread_ends_between_two_calls(void) {
    for (int round = 0; round < 200; round++) {
        pthread_t thread;
        void *ended = NULL;
        CHECK_EQ(pthread_barrier_init(&ready, NULL, 2), 0);
        CHECK_EQ(pthread_create(&thread, NULL, make_and_free, NULL), 0);
        pthread_barrier_wait(&ready);
        for (volatile int wait = 0; wait < round * 500; wait++) continue;
        CHECK_EQ(pthread_cancel(thread), 0);
        CHECK_EQ(pthread_join(thread, &ended), 0);
        CHECK(ended == PTHREAD_CANCELED);
        if (ended != PTHREAD_CANCELED) printf("# it ended by %s: %s\n", (char *)ended, tg_last_error_message());
        pthread_barrier_destroy(&ready);
    }
}

/* Limits what the system gives from now on. */
static void leave(rlim_t bytes) {
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    if (statm) fclose(statm);
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

/* Takes what the system would still give, but for pieces smaller than a large limit's places. */
static void exhaust(void) {
    leave(1 << 20);
    while (malloc(16 << 10)) continue;
}

/* In a child, whose address space can be limited without harm to the rest. */
static void sizes_beyond_the_memory(void) {
    leave(256 << 20);
    tg_queue_config queue_config = TG_QUEUE_CONFIG_INIT;
    tg_queue *queue = NULL;
    queue_config.capacity = (size_t)1 << 24;
    CHECK_ERROR(tg_queue_new(&queue_config, &queue), TG_NO_MEMORY, "capacity");
    CHECK(queue == NULL);
    tg_limiter_config limiter_config = TG_LIMITER_CONFIG_INIT;
    tg_limiter *limiter = NULL;
    limiter_config.rate = "1/h";
    limiter_config.max_keys = 100000000;
    CHECK_ERROR(tg_limiter_new(&limiter_config, &limiter), TG_NO_MEMORY, "max_keys");
    CHECK(limiter == NULL);
    limiter_config.algorithm = TG_ALGORITHM_SLIDING_LOG;
    limiter_config.max_keys = 10000000;
    CHECK_ERROR(tg_limiter_new(&limiter_config, &limiter), TG_NO_MEMORY, "max_keys: no memory for ");
    tg_registry_config registry_config = TG_REGISTRY_CONFIG_INIT;
    tg_registry *registry = NULL;
    registry_config.max_breakers = 65536;
    tg_breaker_config breaker_config = TG_BREAKER_CONFIG_INIT;
    breaker_config.window_calls = 65536;
    registry_config.breakers = &breaker_config;
    CHECK_ERROR(tg_registry_new(&registry_config, &registry), TG_NO_MEMORY, "max_breakers: no memory for ");
    CHECK(registry == NULL);
    tg_policy *policy = NULL;
    CHECK_ERROR(tg_policy_parse("version = 1\n[limits]\n"
                                "client = { rate = \"1/s\", key = \"user\", max_keys = 100_000_000 }\n",
                                &policy),
                TG_NO_MEMORY, "3:1: limits.client: max_keys: no memory for ");
    CHECK(policy == NULL);
    CHECK_ERROR(tg_policy_parse("version = 1\n[queues]\nwork = { capacity = 16_777_216 }\n", &policy), TG_NO_MEMORY,
                "queues.work: capacity: no memory for ");
    CHECK(policy == NULL);
    /* What else is wrong comes first: it is no matter of memory. */
    CHECK_ERROR(tg_policy_parse("version = 1\n[queues]\nwork = { capacity = 0 }\n", &policy), TG_SYNTAX, "capacity");
    exhaust();
    tg_concurrency_config concurrency_config = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency *concurrency = NULL;
    concurrency_config.limit = 4096;
    CHECK_ERROR(tg_concurrency_new(&concurrency_config, &concurrency), TG_NO_MEMORY, "limit: no memory for ");
    concurrency_config.limit = 1;
    concurrency_config.max_limit = 4096;
    CHECK_ERROR(tg_concurrency_new(&concurrency_config, &concurrency), TG_NO_MEMORY, "max_limit: no memory for ");
    CHECK(concurrency == NULL);
    tg_breaker *breaker = NULL;
    breaker_config.name = "payments";
    CHECK_ERROR(tg_breaker_new(&breaker_config, &breaker), TG_NO_MEMORY, "window_calls: no memory for ");
    CHECK(breaker == NULL);
}

static void a_size_beyond_the_memory_is_a_status(void) { joined(forked(sizes_beyond_the_memory)); }

/* A sanitizer's and valgrind's own mappings are larger than any limit. */
static int limits_itself(void) {
#if defined(__SANITIZE_ADDRESS__)
    return 0;
#else
    const char *preloaded = getenv("LD_PRELOAD");
    return !preloaded || !strstr(preloaded, "vgpreload");
#endif
}

int main(void) {
    if (!opened()) return 1;
    RUN(a_cancelled_thread_ends_between_two_calls);
    if (limits_itself()) RUN(a_size_beyond_the_memory_is_a_status);
    closed();
    return check_failed != 0;
}
