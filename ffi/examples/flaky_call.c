/* A circuit breaker round a call that fails for a while: it opens, waits, probes and closes.
 *
 *   cc flaky_call.c $(pkg-config --cflags --libs tidegate) && ./a.out
 */
#define _POSIX_C_SOURCE 200809L
#include <tidegate.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define MS UINT64_C(1000000)

static int provider_is_down = 1;
static int provider_calls;

/* The dependency: a payment provider, say. */
static int pay(void) {
    provider_calls++;
    return provider_is_down ? -1 : 0;
}

static void sleep_ns(uint64_t ns) {
    struct timespec wait = {(time_t)(ns / (1000 * MS)), (long)(ns % (1000 * MS))};
    nanosleep(&wait, NULL);
}

/* 0: paid; -1: the provider failed; -2: not even tried, come back after *retry_after_ns. */
static int protected_pay(const tg_breaker *breaker, uint64_t *retry_after_ns) {
    tg_permit permit;
    int result;
    if (tg_breaker_acquire(breaker, &permit, retry_after_ns) != TG_OK) return -2;
    result = pay();
    /* TG_NEVER: let the breaker measure how long it took. */
    tg_breaker_report(breaker, permit, result == 0 ? TG_SUCCESS : TG_FAILURE, TG_NEVER);
    return result;
}

int main(void) {
    static const char *const KIND[] = {"closed", "opened", "half-open", "forced open", "disabled", "metrics only",
                                       "probe succeeded", "probe failed", "probe lost"};
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    tg_event event = TG_EVENT_INIT;
    uint64_t retry_after = 0, next = 0;
    int refused = 0, calls_while_open, paid = -1;

    config.name = "payment";
    config.consecutive_failures = 5; /* payment trips early */
    config.cooldown_ns = 50 * MS;    /* for this example; seconds in real life, longer than the provider's restart */
    if (tg_breaker_new(&config, &breaker) != TG_OK) {
        fprintf(stderr, "%s\n", tg_last_error_message());
        return 1;
    }

    while (protected_pay(breaker, &retry_after) == -1) continue;
    printf("circuit open after %d failures; next try in %" PRIu64 " ms\n", provider_calls, retry_after / MS);
    calls_while_open = provider_calls;
    for (int i = 0; i < 100; i++) refused += protected_pay(breaker, &retry_after) == -2;
    printf("%d of 100 orders refused at once, %d reached the provider\n", refused, provider_calls - calls_while_open);

    provider_is_down = 0;
    for (int i = 0; i < 100 && paid != 0; i++) {
        paid = protected_pay(breaker, &retry_after);
        if (paid == -2) sleep_ns(retry_after + MS);
    }
    printf("provider back: %s\n", paid == 0 ? "paid" : "not paid");

    while (tg_breaker_next_event(breaker, next, &event) == TG_OK) {
        printf("  event %" PRIu64 ": %s\n", event.seq, event.kind >= 0 && event.kind <= 8 ? KIND[event.kind] : "newer than this program");
        next = event.seq + 1;
    }
    tg_breaker_free(breaker);
    return paid == 0 && calls_while_open == 5 && refused > 0 ? 0 : 1;
}
