/* Const handles from many threads at once, and after a fork: nothing admitted twice, nothing lost. */
#define _POSIX_C_SOURCE 200809L
#include <tidegate.h>

#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ITEMS = 20000 };

static void run_all(void *(*body)(void *), void *argument, void *results[THREADS]) {
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&thread[i], NULL, body, argument), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], &results[i]);
}

static void *take(void *bucket) {
    uintptr_t admitted = 0;
    for (int i = 0; i < ITEMS; i++) admitted += tg_bucket_try_acquire(bucket, 1) == TG_OK;
    return (void *)admitted;
}

static void a_bucket_admits_exactly_its_burst(void) {
    for (int stripes = 1; stripes <= 4; stripes += 3) {
        tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
        tg_bucket *bucket = NULL;
        tg_clock *clock = NULL;
        void *admitted[THREADS];
        uintptr_t sum = 0;
        CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK); /* stands still: no refill */
        config.rate = "1/s";
        config.burst = 30000;
        config.stripes = (uint64_t)stripes;
        config.clock = clock;
        CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
        run_all(take, bucket, admitted);
        for (int i = 0; i < THREADS; i++) sum += (uintptr_t)admitted[i];
        CHECK_EQ(sum, 30000);
        tg_bucket_free(bucket);
        tg_clock_free(clock);
    }
}

/* Each thread wants as much as there is for all of them. */
enum { KEYS = 8, PER_KEY = 1000, ALL_KEYS = KEYS * PER_KEY };

static void *take_keyed(void *limiter) {
    uintptr_t admitted = 0;
    for (int i = 0; i < ALL_KEYS; i++) {
        char key = (char)('a' + i % KEYS);
        admitted += tg_limiter_try_acquire(limiter, &key, 1, 1) == TG_OK;
    }
    return (void *)admitted;
}

static void *take_from_all(void *set) {
    uintptr_t admitted = 0;
    for (int i = 0; i < ALL_KEYS; i++) {
        char user = (char)('a' + i % KEYS), address = (char)('a' + i % 2);
        const tg_bytes keys[] = {{&user, 1}, {&address, 1}};
        tg_decision decision = TG_DECISION_INIT;
        admitted += tg_limit_set_check(set, keys, 2, 1, &decision, NULL) == TG_OK;
    }
    return (void *)admitted;
}

static tg_limiter *limiter_of(uint64_t burst, int32_t algorithm, tg_clock *clock) {
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    tg_limiter *limiter = NULL;
    config.count = burst;
    config.period_ns = UINT64_C(3600000000000);
    config.algorithm = algorithm;
    config.clock = clock;
    CHECK_EQ(tg_limiter_new(&config, &limiter), TG_OK);
    return limiter;
}

/* New keys come in at once from all threads, too. */
static void each_key_admits_exactly_its_limit(void) {
    tg_clock *clock = NULL;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK); /* stands still */
    for (int32_t algorithm = TG_ALGORITHM_TOKEN_BUCKET; algorithm <= TG_ALGORITHM_LEAKY_BUCKET; algorithm++) {
        uint64_t limit = algorithm == TG_ALGORITHM_SLIDING_LOG ? 50 : PER_KEY;
        tg_limiter *limiter = limiter_of(limit, algorithm, clock);
        void *admitted[THREADS];
        uintptr_t sum = 0;
        run_all(take_keyed, limiter, admitted);
        for (int i = 0; i < THREADS; i++) sum += (uintptr_t)admitted[i];
        CHECK_EQ(sum, algorithm == TG_ALGORITHM_LEAKY_BUCKET ? KEYS : KEYS * limit); /* without a delay: one each */
        tg_limiter_free(limiter);
    }
    tg_clock_free(clock);
}

static void a_set_never_admits_more_than_any_member(void) {
    tg_clock *clock = NULL;
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *everyone = NULL;
    tg_limit_set *set = NULL;
    void *admitted[THREADS];
    uintptr_t sum = 0;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    config.rate = "6000/h";
    config.clock = clock;
    CHECK_EQ(tg_bucket_new(&config, &everyone), TG_OK);
    tg_limiter *users = limiter_of(PER_KEY, TG_ALGORITHM_TOKEN_BUCKET, clock), *addresses = limiter_of(4 * PER_KEY, TG_ALGORITHM_FIXED_WINDOW, clock);
    const tg_limit_member members[] = {{"user", NULL, users}, {"address", NULL, addresses}, {"everyone", everyone, NULL}};
    CHECK_EQ(tg_limit_set_new(members, 3, &set), TG_OK);
    run_all(take_from_all, set, admitted);
    for (int i = 0; i < THREADS; i++) sum += (uintptr_t)admitted[i];
    CHECK_EQ(sum, 6000); /* the demand outlasts the races */
    tg_limit_set_free(set);
    tg_limiter_free(users);
    tg_limiter_free(addresses);
    tg_bucket_free(everyone);
    tg_clock_free(clock);
}

static void *fail_until_open(void *breaker) {
    uintptr_t reported = 0;
    tg_permit permit;
    while (tg_breaker_acquire(breaker, &permit, NULL) == TG_OK) {
        CHECK_EQ(tg_breaker_report(breaker, permit, TG_FAILURE, 0), TG_OK);
        reported++;
    }
    return (void *)reported;
}

static void a_breaker_opens_once(void) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
    void *reported[THREADS];
    uintptr_t sum = 0;
    config.window_calls = 1000;
    config.min_calls = 1000;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    run_all(fail_until_open, breaker, reported);
    for (int i = 0; i < THREADS; i++) sum += (uintptr_t)reported[i];
    /* A thread may hold one permit when another one's report opens the circuit. */
    CHECK(sum >= 1000 && sum <= 1000 + THREADS - 1);
    CHECK_EQ(tg_breaker_stats(breaker, &snapshot), TG_OK);
    CHECK_EQ(snapshot.opened, 1);
    CHECK_EQ(snapshot.state, TG_STATE_OPEN);
    tg_breaker_free(breaker);
}

static int number_[THREADS * ITEMS];
static unsigned char seen_[THREADS * ITEMS];
static tg_queue *queue_;

static void *produce(void *first) {
    int *number = first;
    for (int i = 0; i < ITEMS; i++) {
        if (tg_queue_push(queue_, &number[i], TG_NEVER, NULL) != TG_OK) return NULL;
    }
    return first;
}

static void *consume(void *unused) {
    uintptr_t count = 0;
    void *item = NULL;
    (void)unused;
    while (tg_queue_pop(queue_, TG_NEVER, &item) == TG_OK) {
        seen_[(int *)item - number_]++; /* each item reaches one consumer, so nobody else writes here */
        count++;
    }
    return (void *)count;
}

static void a_queue_loses_and_doubles_nothing(void) {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    pthread_t producer[THREADS], consumer[THREADS];
    uintptr_t sum = 0;
    config.capacity = 64;
    CHECK_EQ(tg_queue_new(&config, &queue_), TG_OK);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&producer[i], NULL, produce, &number_[i * ITEMS]), 0);
        CHECK_EQ(pthread_create(&consumer[i], NULL, consume, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        pthread_join(producer[i], &result);
        CHECK(result != NULL);
    }
    CHECK_EQ(tg_queue_close(queue_), TG_OK);
    for (int i = 0; i < THREADS; i++) {
        void *count = NULL;
        pthread_join(consumer[i], &count);
        sum += (uintptr_t)count;
    }
    CHECK_EQ(sum, THREADS * ITEMS);
    for (int i = 0; i < THREADS * ITEMS; i++) CHECK_EQ(seen_[i], 1);
    tg_queue_free(queue_);
}

static void a_fork_makes_copies(void) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    pid_t child;
    int status = -1;
    config.rate = "2/h";
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_OK);
    child = fork();
    if (child == 0) _exit(tg_bucket_try_acquire(bucket, 1) == TG_OK && tg_bucket_try_acquire(bucket, 1) == TG_DENIED ? 0 : 1);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_OK); /* the child took from its own copy */
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_DENIED);
    tg_bucket_free(bucket);
}

int main(void) {
    RUN(a_bucket_admits_exactly_its_burst);
    RUN(each_key_admits_exactly_its_limit);
    RUN(a_set_never_admits_more_than_any_member);
    RUN(a_breaker_opens_once);
    RUN(a_queue_loses_and_doubles_nothing);
    RUN(a_fork_makes_copies);
    return check_failed != 0;
}
