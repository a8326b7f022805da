/* Circuits, retries, budgets and throttles: bad settings, hostile servers, clocks that step back, forks and deaths. */
#define _DEFAULT_SOURCE
#include "host.h"

#include <math.h>
#include <signal.h>

static const double FOREIGN[] = {NAN, INFINITY, -INFINITY, -1, -0.5, 1e300, -1e300};
#define FOREIGNS 7

/* Every number of a structure that cannot be one: an error that names it, and nothing is made. */
static void numbers_that_are_none_are_refused_by_name(void) {
    tg_breaker *breaker = NULL;
    tg_retry_budget *budget = NULL;
    tg_throttle *throttle = NULL;
    uint64_t wait = 7;
    double previous = 0;
    for (int i = 0; i < FOREIGNS; i++) {
        tg_retry_config retries = TG_RETRY_CONFIG_INIT;
        tg_retry_budget_config savings = TG_RETRY_BUDGET_CONFIG_INIT;
        tg_throttle_config odds = TG_THROTTLE_CONFIG_INIT;
        retries.factor = FOREIGN[i];
        if (!(FOREIGN[i] > 1 && FOREIGN[i] < INFINITY)) {
            CHECK_ERROR(tg_backoff_delay(&retries, 0, 0, &previous, &wait), TG_OUT_OF_RANGE, "factor: ");
            CHECK_ERROR(tg_retry_next(&retries, 1, 0, &previous, 0, 0, &wait), TG_OUT_OF_RANGE, "factor: ");
        }
        savings.ratio = FOREIGN[i];
        CHECK_ERROR(tg_retry_budget_new(&savings, &budget), TG_OUT_OF_RANGE, "ratio: ");
        savings.ratio = 0.2;
        savings.min_per_second = FOREIGN[i];
        CHECK_ERROR(tg_retry_budget_new(&savings, &budget), TG_OUT_OF_RANGE, "min_per_second: ");
        odds.max_rejection = FOREIGN[i];
        CHECK_ERROR(tg_throttle_new(&odds, &throttle), TG_OUT_OF_RANGE, "max_rejection: ");
        odds.max_rejection = 0.9;
        odds.k = FOREIGN[i];
        if (!(FOREIGN[i] >= 1 && FOREIGN[i] < INFINITY))
            CHECK_ERROR(tg_throttle_new(&odds, &throttle), TG_OUT_OF_RANGE, "k: ");

        tg_breaker_config sound = TG_BREAKER_CONFIG_INIT, wrong[6];
        const char *const names[] = {"failure_rate_threshold: ",       "slow_call_rate_threshold: ", "cooldown_jitter: ",
                                     "probe_failure_rate_threshold: ", "ramp_from: ",                "cooldown_backoff: "};
        sound.name = "it";
        for (int at = 0; at < 6; at++) wrong[at] = sound;
        wrong[0].failure_rate_threshold = FOREIGN[i];
        wrong[1].slow_call_rate_threshold = FOREIGN[i];
        wrong[2].cooldown_jitter = FOREIGN[i];
        wrong[3].probe_failure_rate_threshold = FOREIGN[i];
        wrong[4].ramp_from = FOREIGN[i];
        wrong[5].cooldown_backoff = FOREIGN[i];
        for (int at = 0; at < 6; at++) {
            if (at == 5 && FOREIGN[i] > 1 && FOREIGN[i] < INFINITY) continue;
            CHECK_ERROR(tg_breaker_new(&wrong[at], &breaker), TG_OUT_OF_RANGE, names[at]);
        }
    }
    CHECK(!breaker && !budget && !throttle);
    CHECK_EQ(wait, 7);
}

static void retries_that_cannot_be_are_refused(void) {
    const int32_t jitters[] = {-1, 5, INT32_MIN, INT32_MAX};
    tg_retry_config retries = TG_RETRY_CONFIG_INIT;
    double previous = 0;
    uint64_t wait = 7;
    retries.attempts = 0;
    CHECK_ERROR(tg_retry_next(&retries, 1, 0, &previous, 0, 0, &wait), TG_OUT_OF_RANGE, "attempts: 0");
    retries = (tg_retry_config)TG_RETRY_CONFIG_INIT;
    retries.base_ns = UINT64_MAX; /* a negative wait, as it arrives */
    CHECK_ERROR(tg_backoff_delay(&retries, 0, 0, &previous, &wait), TG_OUT_OF_RANGE, "base_ns: ");
    retries = (tg_retry_config)TG_RETRY_CONFIG_INIT;
    retries.max_delay_ns = (uint64_t)-1;
    CHECK_ERROR(tg_backoff_delay(&retries, 0, 0, &previous, &wait), TG_OUT_OF_RANGE, "max_delay_ns: ");
    retries = (tg_retry_config)TG_RETRY_CONFIG_INIT;
    retries.deadline_ns = (uint64_t)-1;
    CHECK_ERROR(tg_retry_next(&retries, 1, 0, &previous, 0, 0, &wait), TG_OUT_OF_RANGE, "deadline_ns: ");
    retries = (tg_retry_config)TG_RETRY_CONFIG_INIT;
    retries.max_retry_after_ns = (uint64_t)-1;
    CHECK_ERROR(tg_retry_next(&retries, 1, 0, &previous, 0, 0, &wait), TG_OUT_OF_RANGE, "max_retry_after_ns: ");
    retries = (tg_retry_config)TG_RETRY_CONFIG_INIT;
    for (int i = 0; i < 4; i++) {
        retries.jitter = jitters[i];
        CHECK_ERROR(tg_retry_next(&retries, 1, 0, &previous, 0, 0, &wait), TG_UNKNOWN_VALUE, "jitter: ");
    }
    CHECK_EQ(wait, 7);
}

/* As many as there can be: no overflow, no wait beyond the longest, whatever factor, draw and what went before. */
static void no_number_of_attempts_overflows(void) {
    tg_retry_config retries = TG_RETRY_CONFIG_INIT;
    retries.attempts = UINT32_MAX;
    retries.factor = 1e300;
    for (retries.jitter = TG_JITTER_NONE; retries.jitter <= TG_JITTER_SMOOTH; retries.jitter++) {
        for (int i = 0; i < FOREIGNS; i++) {
            for (int bit = 0; bit < 64; bit++) {
                double previous = FOREIGN[i];
                uint64_t wait = UINT64_MAX, n = UINT64_MAX >> bit;
                CHECK_EQ(tg_backoff_delay(&retries, n, FOREIGN[FOREIGNS - 1 - i], &previous, &wait), TG_OK);
                CHECK(wait <= 5 * SECOND);
                tg_status next = tg_retry_next(&retries, n, FOREIGN[i], &previous, 0, UINT64_MAX, &wait);
                CHECK_EQ(next, n >= UINT32_MAX ? TG_EXHAUSTED : TG_OK);
                CHECK(wait <= 5 * SECOND);
            }
        }
    }
}

/* What a server may send: it opens no circuit for longer than allowed, and nonsense says nothing. */
static void no_server_asks_for_too_much(void) {
    static const struct {
        const char *retry_after, *retry_after_ms;
        uint64_t ns;
    } told[] = {
        {"1000000000", NULL, 300 * SECOND},
        {"99999999999999999999999999999999", NULL, 300 * SECOND},
        {NULL, "1e300", 0},
        {NULL, "1000000000000", 300 * SECOND},
        {"-1", NULL, 0},
        {"-0", NULL, 0},
        {"", NULL, 0},
        {" ", NULL, 0},
        {"soon", NULL, 0},
        {"NaN", "NaN", 0},
        {"inf", "inf", 0},
        {"0x10", NULL, 0},
        {"7, 8", NULL, 0},
        {"Thu, 01 Jan 1970 00:00:00 GMT", NULL, 0},
        {"Fri, 31 Dec 9999 23:59:59 GMT", NULL, 300 * SECOND},
        {"Fri, 99 Foo 2026 25:61:61 GMT", NULL, 0},
        {"20", NULL, 20 * SECOND},
    };
    const tg_http_classifier classifier = TG_HTTP_CLASSIFIER_INIT;
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_clock *clock = NULL;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    config.name = "it";
    config.clock = clock;
    config.consecutive_failures = 1;
    config.cooldown_ns = SECOND;
    config.max_cooldown_ns = 3600 * SECOND;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        tg_http_answer answer = TG_HTTP_ANSWER_INIT;
        tg_classified said = TG_CLASSIFIED_INIT;
        tg_breaker *breaker = NULL;
        tg_permit permit;
        uint64_t wait = 0;
        answer.status = 503;
        answer.retry_after = told[i].retry_after;
        answer.retry_after_ms = told[i].retry_after_ms;
        answer.now_unix_ms = UINT64_C(1700000000000);
        CHECK_EQ(tg_classify_http(&classifier, &answer, &said), TG_OK);
        CHECK_EQ(said.outcome, TG_FAILURE);
        if (said.retry_after_ns != told[i].ns) printf("# \"%s\" \"%s\"\n", answer.retry_after, answer.retry_after_ms);
        CHECK_EQ(said.retry_after_ns, told[i].ns);
        CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
        CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
        CHECK_EQ(tg_breaker_report_classified(breaker, permit, &said, TG_NEVER), TG_OK);
        CHECK_EQ(tg_breaker_retry_after(breaker, &wait), TG_OK);
        CHECK_EQ(wait, told[i].ns > SECOND ? told[i].ns : SECOND);
        tg_breaker_free(breaker);
    }
    /* By the caller's own number, as far as the longest cooldown. */
    tg_breaker *breaker = NULL;
    tg_permit permit;
    uint64_t wait = 0;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report_retry_after(breaker, permit, TG_NEVER), TG_OK);
    CHECK_EQ(tg_breaker_retry_after(breaker, &wait), TG_OK);
    CHECK_EQ(wait, 3600 * SECOND);
    tg_breaker_free(breaker);
    tg_clock_free(clock);
}

/* Back and forth by up to a day: nothing is minted, and what was said of the cooldown and the ramp is kept. */
static void clocks_that_step_back_mint_nothing(void) {
    static const uint64_t readings[] = {100, 40, 99, 0, 86400, 30, 86400, 1, 100};
    tg_retry_budget_config config = TG_RETRY_BUDGET_CONFIG_INIT;
    tg_retry_budget *budget = NULL;
    tg_clock *clock = NULL;
    uint64_t taken = 0, latest = 0;
    CHECK_EQ(tg_clock_manual_new(100 * SECOND, &clock), TG_OK);
    config.clock = clock;
    config.ratio = 0;
    config.min_per_second = 1;
    config.ttl_ns = 10 * SECOND;
    CHECK_EQ(tg_retry_budget_new(&config, &budget), TG_OK);
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < 4; i++) { /* up to 100 s */
            uint64_t now = readings[i] * SECOND;
            if (now > latest) latest = now;
            while (tg_retry_budget_try_withdraw_at(budget, now) == TG_OK) taken++;
        }
    }
    CHECK(taken <= 10 + (latest - 100 * SECOND) / SECOND);
    for (size_t i = 4; i < 9; i++) /* a day ahead: once what is saved up, and what that day pays */
        while (tg_retry_budget_try_withdraw_at(budget, readings[i] * SECOND) == TG_OK) taken++;
    CHECK(taken <= 20);
    tg_retry_budget_free(budget);

    tg_breaker_config circuit = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    tg_permit permit, probe;
    int passed = 0;
    circuit.name = "it";
    circuit.clock = clock;
    circuit.consecutive_failures = 1;
    circuit.cooldown_ns = 10 * SECOND;
    CHECK_EQ(tg_breaker_new(&circuit, &breaker), TG_OK);
    CHECK_EQ(tg_breaker_acquire_at(breaker, 100 * SECOND, 0, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report_at(breaker, 100 * SECOND, permit, TG_FAILURE, TG_NEVER), TG_OK);
    for (uint64_t now = 109; now > 0; now--) /* open, however early it is */
        passed += tg_breaker_acquire_at(breaker, now * SECOND, 0, &probe, NULL) == TG_OK;
    CHECK_EQ(passed, 0);
    CHECK_EQ(tg_breaker_acquire_at(breaker, 110 * SECOND, 0, &probe, NULL), TG_OK);
    for (uint64_t now = 109; now > 60; now--) /* one probe, and its lease has not ended */
        passed += tg_breaker_acquire_at(breaker, now * SECOND, 0, &permit, NULL) == TG_OK;
    CHECK_EQ(passed, 0);
    CHECK_EQ(tg_breaker_report_at(breaker, 50 * SECOND, probe, TG_SUCCESS, TG_NEVER), TG_OK);
    int32_t state = -1;
    CHECK_EQ(tg_breaker_state(breaker, &state), TG_OK);
    CHECK_EQ(state, TG_STATE_CLOSED);
    tg_breaker_free(breaker);
    tg_clock_free(clock);

    /* A loop whose own clock steps back: elapsed wraps, and the call ends. */
    tg_retry_config retries = TG_RETRY_CONFIG_INIT;
    double previous = 0;
    uint64_t wait = 7;
    retries.deadline_ns = SECOND;
    CHECK_EQ(tg_retry_next(&retries, 1, 0, &previous, 0, (uint64_t)-5, &wait), TG_LATE);
    CHECK_EQ(wait, 7);
}

static tg_retry_budget *budget_;

static uint64_t balance(void) {
    uint64_t whole = 0;
    CHECK_EQ(tg_retry_budget_balance(budget_, &whole), TG_OK);
    return whole;
}

static tg_retry_budget *open_budget(const char *name) {
    tg_retry_budget_config config = TG_RETRY_BUDGET_CONFIG_INIT;
    tg_retry_budget *budget = NULL;
    config.ratio = 0;
    config.min_per_second = 0.001; /* and ten saved up: none comes in while a test runs */
    config.ttl_ns = 10000 * SECOND;
    config.arena = name ? arena : NULL;
    config.name = name;
    CHECK_EQ(tg_retry_budget_new(&config, &budget), TG_OK);
    return budget;
}

static void take_two(void) {
    CHECK_EQ(tg_retry_budget_try_withdraw(budget_), TG_OK);
    CHECK_EQ(tg_retry_budget_try_withdraw(budget_), TG_OK);
}

/* Between a retry's withdrawal and its attempt. A private budget is each process's own from then on, one of the arena
   is everybody's; a circuit's permit of the parent says nothing in the child. */
static void a_fork_inside_a_retry(void) {
    for (int is_shared = 0; is_shared < 2; is_shared++) {
        budget_ = open_budget(is_shared ? "fork/budget" : NULL);
            CHECK_EQ(tg_retry_budget_try_withdraw(budget_), TG_OK);
        CHECK_EQ(balance(), 9);
        joined(forked(take_two));
        CHECK_EQ(balance(), is_shared ? 7 : 9);
        tg_retry_budget_free(budget_);
    }
}

static tg_permit probe_;
static int told_[2];

static void take_probe_and_token(void) {
    alarm(120); /* should its parent be killed first */
    for (int i = 0; i < 4000 && tg_breaker_acquire(breaker_, &probe_, NULL) != TG_OK; i++) usleep(5000);
    CHECK_EQ(tg_retry_budget_try_withdraw(budget_), TG_OK);
    CHECK_EQ(write(told_[1], "y", 1), 1);
    for (;;) pause();
}

/* Its probe is another's at once; its token was paid for an attempt that may have been made, and stays spent. */
static void a_process_that_is_killed_with_a_probe_and_a_token(void) {
    char answer = 0;
    int status = 0;
    breaker_ = open_breaker("dead/breaker");
    budget_ = open_budget("dead/budget");
    fail(3);
    CHECK_EQ(pipe(told_), 0);
    pid_t pid = forked(take_probe_and_token);
    CHECK_EQ(read(told_[0], &answer, 1), 1);
    CHECK_EQ(balance(), 9);
    CHECK_EQ(tg_breaker_acquire(breaker_, &probe_, NULL), TG_OPEN);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    int got = 0;
    for (int i = 0; i < 4000 && !got; i++, usleep(5000)) got = tg_breaker_acquire(breaker_, &probe_, NULL) == TG_OK;
    CHECK(got); /* long before probe_timeout_ns */
    CHECK_EQ(tg_breaker_report(breaker_, probe_, TG_SUCCESS, TG_NEVER), TG_OK);
    CHECK_EQ(state(), TG_STATE_CLOSED);
    CHECK_EQ(balance(), 9);
    for (int i = 0; i < 9; i++) CHECK_EQ(tg_retry_budget_try_withdraw(budget_), TG_OK);
    CHECK_EQ(tg_retry_budget_try_withdraw(budget_), TG_DENIED);
    close(told_[0]);
    close(told_[1]);
    tg_breaker_free(breaker_);
    tg_retry_budget_free(budget_);
}

int main(void) {
    if (!opened()) return 1;
    RUN(numbers_that_are_none_are_refused_by_name);
    RUN(retries_that_cannot_be_are_refused);
    RUN(no_number_of_attempts_overflows);
    RUN(no_server_asks_for_too_much);
    RUN(clocks_that_step_back_mint_nothing);
    RUN(a_fork_inside_a_retry);
    RUN(a_process_that_is_killed_with_a_probe_and_a_token);
    closed();
    return check_failed != 0;
}
