/* Retries a call to a payment provider: backoff with jitter, at most four attempts within two seconds, and a budget that all
 * calls share, so that an outage of the provider is not multiplied by our own retries.
 *
 *   cc retries.c $(pkg-config --cflags --libs tidegate)
 *   ./a.out            a good time, then an outage, and what the provider saw of both
 */
#define _POSIX_C_SOURCE 200809L
#include <tidegate.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 200 };
static const uint64_t SECOND = 1000000000;

static tg_retry_config retries = TG_RETRY_CONFIG_INIT;
static tg_retry_budget *budget;
static unsigned seen;  /* by the provider */
static bool is_down;

static void must(tg_status status) {
    if (status >= 0) return;
    fprintf(stderr, "%s\n", tg_last_error_message());
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void sleep_ns(uint64_t ns) {
    struct timespec span = {(time_t)(ns / SECOND), (long)(ns % SECOND)};
    while (nanosleep(&span, &span) != 0) continue;
}

/* One call in ten fails in good times. */
static bool charge(void) { return ++seen % 10 != 0 && !is_down; }

static bool charge_with_retries(void) {
    uint64_t start = now_ns(), wait = 0;
    double previous = 0;
    must(tg_retry_budget_deposit(budget)); /* once a call */
    for (uint64_t attempts = 1;; attempts++) {
        if (charge()) return true;
        double draw = rand() / (RAND_MAX + 1.0);
        tg_status next = tg_retry_next(&retries, attempts, draw, &previous, 0, now_ns() - start, &wait);
        must(next);
        /* Paid before the wait: what is counted after it comes too late for all who wait now. */
        if (next != TG_OK || tg_retry_budget_try_withdraw(budget) != TG_OK) return false;
        sleep_ns(wait);
    }
}

int main(void) {
    tg_retry_budget_config config = TG_RETRY_BUDGET_CONFIG_INIT;
    unsigned good = 0, before;
    retries.attempts = 4;
    retries.base_ns = SECOND / 10000; /* short, for a demonstration */
    retries.deadline_ns = 2 * SECOND;
    config.ratio = 0.2;
    config.min_per_second = 1;
    must(tg_retry_budget_new(&config, &budget));

    for (int i = 0; i < CALLS; i++) good += charge_with_retries();
    printf("good times: %u of %d calls done, the provider saw %u\n", good, CALLS, seen);
    if (good < CALLS - 2) return 1;

    is_down = true;
    before = seen;
    for (int i = 0; i < CALLS; i++) charge_with_retries();
    seen -= before;
    printf("outage: the provider saw %u calls of %d; without a budget it would have seen %d\n", seen, CALLS, 4 * CALLS);
    tg_retry_budget_free(budget);
    /* A fifth, the savings of ten seconds, and what the seconds of this run paid in. */
    return seen > CALLS + CALLS / 5 + 10 + 10;
}
