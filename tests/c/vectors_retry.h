/* The operations of retries, retry budgets and client throttles, for vectors.h. */
#ifndef VECTORS_RETRY_H
#define VECTORS_RETRY_H

#include "vectors.h"

static tg_retry_config retries;
static double previous;

static inline void new_retry(tg_retry_config config) {
    retries = config;
    previous = 0;
}

static inline void backoff_delay(uint64_t n, double draw, uint64_t expected) {
    uint64_t wait = TG_NEVER;
    STEP(CHECK_EQ(tg_backoff_delay(&retries, n, draw, &previous, &wait), TG_OK); CHECK_EQ(wait, expected));
}

static inline void retry_next(uint64_t attempts, double draw, uint64_t told, uint64_t elapsed, tg_status status,
                              uint64_t expected) {
    uint64_t wait = 0;
    STEP(CHECK_EQ(tg_retry_next(&retries, attempts, draw, &previous, told, elapsed, &wait), status);
         CHECK_EQ(wait, expected));
}

static inline void new_budget(tg_retry_budget_config config) {
    config.clock = clock_;
    CHECK_EQ(tg_retry_budget_new(&config, &budget), TG_OK);
}

static inline void budget_deposit(uint64_t now) {
    STEP(CHECK_EQ(CALL(now, tg_retry_budget_deposit(budget), tg_retry_budget_deposit_at(budget, now)), TG_OK));
}

/* A bad reading is judged by the clock as well. */
static inline void budget_try_withdraw(uint64_t now, bool ok) {
    STEP(at(now); CHECK_EQ(CALL(now, tg_retry_budget_try_withdraw(budget), tg_retry_budget_try_withdraw_at(budget, now)),
                           ok ? TG_OK : TG_DENIED));
}

static inline void budget_balance(uint64_t now, uint64_t expected) {
    uint64_t balance = TG_NEVER;
    STEP(CHECK_EQ(CALL(now, tg_retry_budget_balance(budget, &balance),
                       tg_retry_budget_balance_at(budget, now, &balance)),
                  TG_OK);
         CHECK_EQ(balance, expected));
}

static inline void budget_retry_after(uint64_t now, uint64_t expected) {
    uint64_t ns = 1;
    STEP(CHECK_EQ(CALL(now, tg_retry_budget_retry_after(budget, &ns), tg_retry_budget_retry_after_at(budget, now, &ns)),
                  TG_OK);
         CHECK_EQ(ns, expected));
}

static inline void budget_stats(uint64_t now, uint64_t deposited, uint64_t withdrawn, uint64_t denied,
                                uint64_t would_deny) {
    tg_retry_budget_snapshot s = TG_RETRY_BUDGET_SNAPSHOT_INIT;
    STEP(CHECK_EQ(CALL(now, tg_retry_budget_stats(budget, &s), tg_retry_budget_stats_at(budget, now, &s)), TG_OK);
         CHECK_EQ(s.deposited, deposited); CHECK_EQ(s.withdrawn, withdrawn); CHECK_EQ(s.denied, denied);
         CHECK_EQ(s.would_deny, would_deny));
}

static inline void new_throttle(tg_throttle_config config) {
    config.clock = clock_;
    CHECK_EQ(tg_throttle_new(&config, &throttle), TG_OK);
}

/* Only the form with time takes a draw. */
static inline void throttle_try_acquire(uint64_t now, double draw, bool ok) {
    STEP(at(now); CHECK_EQ(tg_throttle_try_acquire_at(throttle, now, draw), ok ? TG_OK : TG_DENIED));
}

static inline void throttle_report(uint64_t now, bool accepted) {
    STEP(CHECK_EQ(CALL(now, tg_throttle_report(throttle, accepted), tg_throttle_report_at(throttle, now, accepted)),
                  TG_OK));
}

static inline void throttle_probability(uint64_t now, double expected) {
    double p = -1;
    STEP(CHECK_EQ(CALL(now, tg_throttle_probability(throttle, &p), tg_throttle_probability_at(throttle, now, &p)),
                  TG_OK);
         CHECK(p == expected));
}

static inline void throttle_retry_after(uint64_t now, uint64_t expected) {
    uint64_t ns = TG_NEVER;
    STEP(CHECK_EQ(CALL(now, tg_throttle_retry_after(throttle, &ns), tg_throttle_retry_after_at(throttle, now, &ns)),
                  TG_OK);
         CHECK_EQ(ns, expected));
}

static inline void throttle_stats(uint64_t now, uint64_t accepted, uint64_t refused, uint64_t rejected,
                                  uint64_t would_reject, uint64_t forced, uint64_t requests, uint64_t accepts) {
    tg_throttle_snapshot s = TG_THROTTLE_SNAPSHOT_INIT;
    STEP(CHECK_EQ(CALL(now, tg_throttle_stats(throttle, &s), tg_throttle_stats_at(throttle, now, &s)), TG_OK);
         CHECK_EQ(s.accepted, accepted); CHECK_EQ(s.refused, refused); CHECK_EQ(s.rejected, rejected);
         CHECK_EQ(s.would_reject, would_reject); CHECK_EQ(s.forced, forced); CHECK_EQ(s.window_requests, requests);
         CHECK_EQ(s.window_accepts, accepts));
}

#endif
