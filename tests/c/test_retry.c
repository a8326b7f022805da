/* Retries, retry budgets and client throttles: formulas, savings, odds, switches, arenas, arguments. */
#include <tidegate.h>

#include "check.h"

#include <math.h>
#include <pthread.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static void waits_grow_and_are_spread(void) {
    tg_retry_config config = TG_RETRY_CONFIG_INIT;
    double previous = 0;
    uint64_t wait = 0;
    CHECK_EQ(tg_backoff_delay(&config, 2, 0.5, &previous, &wait), TG_OK);
    CHECK_EQ(wait, 200 * MILLISECOND); /* half of 400 ms */
    CHECK_EQ(tg_backoff_delay(&config, UINT64_MAX, 0.5, &previous, &wait), TG_OK);
    CHECK_EQ(wait, 2500 * MILLISECOND);
    CHECK_EQ(tg_backoff_delay(&config, 1, NAN, &previous, &wait), TG_OK);
    CHECK_EQ(wait, 200 * MILLISECOND);
    CHECK(previous == 0);
    for (config.jitter = TG_JITTER_DECORRELATED; config.jitter <= TG_JITTER_SMOOTH; config.jitter++) {
        static const double FOREIGN[] = {0, 1, 1e300, -1e300, NAN, INFINITY, -INFINITY};
        for (int i = 0; i < 7; i++) {
            previous = FOREIGN[i];
            CHECK_EQ(tg_backoff_delay(&config, UINT64_MAX - (uint64_t)i, 0.99, &previous, &wait), TG_OK);
            CHECK(wait <= 5 * SECOND);
        }
    }
}

static void attempts_and_deadline_end_a_call(void) {
    tg_retry_config config = TG_RETRY_CONFIG_INIT;
    double previous = 0;
    uint64_t wait = 7;
    config.jitter = TG_JITTER_NONE;
    config.deadline_ns = SECOND;
    CHECK_EQ(tg_retry_next(&config, 1, 0, &previous, 0, 0, &wait), TG_OK);
    CHECK_EQ(wait, 100 * MILLISECOND);
    CHECK_EQ(tg_retry_next(&config, 1, 0, &previous, SECOND / 2, 0, &wait), TG_OK);
    CHECK_EQ(wait, SECOND / 2);
    CHECK_EQ(tg_retry_next(&config, 1, 0, &previous, TG_NEVER, 0, &wait), TG_LATE);
    CHECK_EQ(tg_retry_next(&config, 1, 0, &previous, 0, SECOND, &wait), TG_LATE);
    CHECK_EQ(tg_retry_next(&config, 3, 0, &previous, 0, 0, &wait), TG_EXHAUSTED);
    CHECK_EQ(wait, SECOND / 2); /* left alone */
}

static tg_retry_budget *budget_of(double ratio, double min_per_second, const tg_clock *clock, const tg_arena *arena) {
    tg_retry_budget_config config = TG_RETRY_BUDGET_CONFIG_INIT;
    tg_retry_budget *budget = NULL;
    config.ratio = ratio;
    config.min_per_second = min_per_second;
    config.clock = clock;
    config.arena = arena;
    config.name = "bank";
    CHECK_EQ(tg_retry_budget_new(&config, &budget), TG_OK);
    return budget;
}

static void five_calls_pay_for_a_retry(void) {
    tg_retry_budget *budget = budget_of(0.2, 0, NULL, NULL);
    tg_retry_budget_snapshot snapshot = TG_RETRY_BUDGET_SNAPSHOT_INIT;
    uint64_t balance = 7, ns = 0;
    CHECK_EQ(tg_retry_budget_try_withdraw(budget), TG_DENIED);
    CHECK_EQ(tg_retry_budget_retry_after(budget, &ns), TG_OK);
    CHECK_EQ(ns, TG_NEVER);
    for (int i = 0; i < 5; i++) CHECK_EQ(tg_retry_budget_deposit(budget), TG_OK);
    CHECK_EQ(tg_retry_budget_balance(budget, &balance), TG_OK);
    CHECK_EQ(balance, 1);
    CHECK_EQ(tg_retry_budget_try_withdraw(budget), TG_OK);
    CHECK_EQ(tg_retry_budget_try_withdraw(budget), TG_DENIED);
    CHECK_EQ(tg_retry_budget_stats(budget, &snapshot), TG_OK);
    CHECK_EQ(snapshot.deposited, 5);
    CHECK_EQ(snapshot.withdrawn, 1);
    CHECK_EQ(snapshot.denied, 2);
    CHECK_EQ(snapshot.balance, 0);
    tg_retry_budget_free(budget);
}

static void *withdraw_all(void *budget) {
    intptr_t taken = 0;
    for (int i = 0; i < 1000; i++) taken += tg_retry_budget_try_withdraw_at(budget, 0) == TG_OK;
    return (void *)taken;
}

static void threads_take_each_retry_once(void) {
    tg_clock *clock = NULL;
    tg_retry_budget *budget;
    pthread_t threads[4];
    intptr_t taken = 0;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    budget = budget_of(0.2, 10, clock, NULL);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, withdraw_all, budget);
    for (int i = 0; i < 4; i++) {
        void *mine;
        pthread_join(threads[i], &mine);
        taken += (intptr_t)mine;
    }
    CHECK_EQ(taken, 100);
    CHECK_EQ(tg_retry_budget_try_withdraw_at(budget, SECOND), TG_OK);
    tg_retry_budget_free(budget);
    tg_clock_free(clock);
}

static void one_name_is_one_budget_and_one_throttle(void) {
    tg_arena *arena = NULL;
    tg_retry_budget_config other = TG_RETRY_BUDGET_CONFIG_INIT;
    tg_throttle_config odds = TG_THROTTLE_CONFIG_INIT;
    tg_retry_budget *one, *two, *none = NULL;
    tg_throttle *three = NULL, *four = NULL;
    double probability = 0;
    CHECK_EQ(tg_arena_process("retries", &arena), TG_OK);
    one = budget_of(0.2, 0.1, NULL, arena);
    two = budget_of(0.2, 0.1, NULL, arena);
    CHECK_EQ(tg_retry_budget_try_withdraw(one), TG_OK);
    CHECK_EQ(tg_retry_budget_try_withdraw(two), TG_DENIED);
    other.arena = arena;
    other.name = "bank";
    CHECK_ERROR(tg_retry_budget_new(&other, &none), TG_ARENA_SETTINGS, "0.1 a second");
    other.min_per_second = 0;
    CHECK_ERROR(tg_retry_budget_new(&other, &none), TG_ARENA_SHAPE, "calls and seconds pay");
    odds.arena = arena;
    CHECK_ERROR(tg_throttle_new(&odds, &three), TG_CONFLICT, "name: ");
    odds.name = "search";
    CHECK_EQ(tg_throttle_new(&odds, &three), TG_OK);
    CHECK_EQ(tg_throttle_new(&odds, &four), TG_OK);
    for (int i = 0; i < 30; i++) CHECK_EQ(tg_throttle_report(three, 0), TG_OK);
    CHECK_EQ(tg_throttle_probability(four, &probability), TG_OK);
    CHECK(probability == 0.9);
    tg_retry_budget_free(one);
    tg_retry_budget_free(two);
    tg_throttle_free(three);
    tg_throttle_free(four);
    tg_arena_free(arena);
}

static void a_throttle_rejects_by_chance_and_lets_one_a_second_through(void) {
    tg_throttle_config config = TG_THROTTLE_CONFIG_INIT;
    tg_throttle_snapshot snapshot = TG_THROTTLE_SNAPSHOT_INIT;
    tg_throttle *throttle = NULL;
    tg_clock *clock = NULL;
    uint64_t wait = 0;
    int passed = 0;
    CHECK_EQ(tg_clock_manual_new(SECOND, &clock), TG_OK);
    config.clock = clock;
    config.max_rejection = 1;
    CHECK_EQ(tg_throttle_new(&config, &throttle), TG_OK);
    for (int i = 0; i < 20; i++) CHECK_EQ(tg_throttle_try_acquire(throttle), TG_OK); /* nothing is known */
    for (int i = 0; i < 20; i++) CHECK_EQ(tg_throttle_report(throttle, 0), TG_OK);
    CHECK_EQ(tg_throttle_try_acquire_at(throttle, SECOND, 0), TG_OK);
    CHECK_EQ(tg_throttle_try_acquire_at(throttle, SECOND, 0), TG_DENIED);
    CHECK_EQ(tg_throttle_try_acquire_at(throttle, SECOND, NAN), TG_DENIED);
    CHECK_EQ(tg_throttle_retry_after(throttle, &wait), TG_OK);
    CHECK_EQ(wait, SECOND);
    for (int i = 0; i < 1000; i++) passed += tg_throttle_try_acquire(throttle) == TG_OK;
    CHECK(passed < 500);
    CHECK_EQ(tg_throttle_stats(throttle, &snapshot), TG_OK);
    CHECK_EQ(snapshot.refused, 20);
    CHECK_EQ(snapshot.forced, 1);
    CHECK_EQ(snapshot.window_requests, 20 + snapshot.rejected);
    tg_throttle_free(throttle);
    tg_clock_free(clock);
}

static void switches(void) {
    tg_retry_budget_config config = TG_RETRY_BUDGET_CONFIG_INIT;
    tg_retry_budget_snapshot snapshot = TG_RETRY_BUDGET_SNAPSHOT_INIT;
    tg_retry_budget *budget = NULL;
    config.mode = TG_MODE_DRY_RUN;
    config.min_per_second = 0;
    CHECK_EQ(tg_retry_budget_new(&config, &budget), TG_OK);
    CHECK_EQ(tg_retry_budget_try_withdraw(budget), TG_OK);
    CHECK_EQ(tg_retry_budget_stats(budget, &snapshot), TG_OK);
    CHECK_EQ(snapshot.would_deny, 1);
    tg_retry_budget_free(budget);
    config.mode = 3;
    CHECK_ERROR(tg_retry_budget_new(&config, &budget), TG_UNKNOWN_VALUE, "mode: ");
}

static void arguments(void) {
    tg_retry_config retries = TG_RETRY_CONFIG_INIT;
    tg_retry_budget_config config = TG_RETRY_BUDGET_CONFIG_INIT;
    tg_throttle_config odds = TG_THROTTLE_CONFIG_INIT;
    tg_retry_budget *budget = NULL;
    tg_throttle *throttle = NULL;
    double previous = 0;
    uint64_t wait = 0;
    CHECK_ERROR(tg_backoff_delay(NULL, 0, 0, &previous, &wait), TG_NULL, "config");
    CHECK_ERROR(tg_backoff_delay(&retries, 0, 0, NULL, &wait), TG_NULL, "previous");
    CHECK_ERROR(tg_backoff_delay(&retries, 0, 0, &previous, NULL), TG_NULL, "ns");
    CHECK_ERROR(tg_retry_next(&retries, 1, 0, &previous, 0, 0, NULL), TG_NULL, "wait_ns");
    retries.jitter = 5;
    CHECK_ERROR(tg_backoff_delay(&retries, 0, 0, &previous, &wait), TG_UNKNOWN_VALUE, "jitter: 5");
    retries.struct_size = 9;
    CHECK_ERROR(tg_backoff_delay(&retries, 0, 0, &previous, &wait), TG_STRUCT_SIZE, "tg_retry_config");
    config.ratio = 20;
    CHECK_ERROR(tg_retry_budget_new(&config, &budget), TG_OUT_OF_RANGE, "did you mean 0.2?");
    CHECK_ERROR(tg_retry_budget_new(&config, NULL), TG_NULL, "budget");
    odds.reserved = 1;
    CHECK_ERROR(tg_throttle_new(&odds, &throttle), TG_OUT_OF_RANGE, "reserved: ");
    CHECK_ERROR(tg_retry_budget_deposit(NULL), TG_NULL, "budget");
    CHECK_ERROR(tg_throttle_try_acquire(NULL), TG_NULL, "throttle");
    tg_retry_budget_free(NULL);
    tg_throttle_free(NULL);
}

int main(void) {
    RUN(waits_grow_and_are_spread);
    RUN(attempts_and_deadline_end_a_call);
    RUN(five_calls_pay_for_a_retry);
    RUN(threads_take_each_retry_once);
    RUN(one_name_is_one_budget_and_one_throttle);
    RUN(a_throttle_rejects_by_chance_and_lets_one_a_second_through);
    RUN(switches);
    RUN(arguments);
    return check_failed != 0;
}
