/* Circuit breaker: what the border adds to the core; the state machine itself is held by the vectors. */
#include <tidegate.h>

#include "check.h"

#include <math.h>

#define SECOND UINT64_C(1000000000)

static tg_clock *clock_;

/* Opens at two failures in a row, for five seconds. */
static tg_breaker *fragile(void) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    config.name = "payment";
    config.consecutive_failures = 2;
    config.cooldown_ns = 5 * SECOND;
    config.clock = clock_;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    return breaker;
}

static void call(tg_breaker *breaker, int32_t outcome) {
    tg_permit permit;
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report(breaker, permit, outcome, TG_NEVER), TG_OK);
}

static int32_t state_of(const tg_breaker *breaker) {
    int32_t state = -1;
    CHECK_EQ(tg_breaker_state(breaker, &state), TG_OK);
    return state;
}

static void opens_probes_and_closes(void) {
    tg_breaker *breaker = fragile();
    tg_permit permit = {1, 1};
    uint64_t retry_after = 0;
    CHECK_EQ(state_of(breaker), TG_STATE_CLOSED);
    call(breaker, TG_SUCCESS);
    call(breaker, TG_FAILURE);
    call(breaker, TG_FAILURE);
    CHECK_EQ(state_of(breaker), TG_STATE_OPEN);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, &retry_after), TG_OPEN);
    CHECK_EQ(retry_after, 5 * SECOND);
    CHECK(permit.word == 0 && permit.started_ns == 0); /* a refusal gives no permit ... */
    CHECK_ERROR(tg_breaker_report(breaker, permit, TG_SUCCESS, 0), TG_NO_PERMIT, "permit:"); /* ... to report */
    CHECK_EQ(tg_breaker_retry_after(breaker, &retry_after), TG_OK);
    CHECK_EQ(retry_after, 5 * SECOND);
    CHECK_EQ(tg_clock_advance(clock_, 5 * SECOND), TG_OK);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, &retry_after), TG_OK);
    CHECK_EQ(retry_after, 0);
    CHECK_EQ(state_of(breaker), TG_STATE_HALF_OPEN);
    CHECK_EQ(tg_breaker_acquire(breaker, &(tg_permit){0, 0}, NULL), TG_OPEN); /* one probe */
    CHECK_EQ(tg_breaker_report(breaker, permit, TG_SUCCESS, TG_NEVER), TG_OK);
    CHECK_EQ(state_of(breaker), TG_STATE_CLOSED);
    tg_breaker_free(breaker);
}

static void a_released_probe_can_be_taken_again(void) {
    tg_breaker *breaker = fragile();
    tg_permit permit;
    call(breaker, TG_FAILURE);
    call(breaker, TG_FAILURE);
    CHECK_EQ(tg_clock_advance(clock_, 5 * SECOND), TG_OK);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_release(breaker, permit), TG_OK);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report(breaker, permit, TG_IGNORE, TG_NEVER), TG_OK);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report(breaker, permit, TG_FAILURE, TG_NEVER), TG_OK);
    CHECK_EQ(state_of(breaker), TG_STATE_OPEN);
    tg_breaker_free(breaker);
}

static void a_servers_retry_after_sets_the_cooldown(void) {
    tg_breaker *breaker = fragile();
    tg_permit permit;
    uint64_t retry_after = 0;
    call(breaker, TG_FAILURE);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report_retry_after(breaker, permit, 17 * SECOND), TG_OK);
    CHECK_EQ(tg_breaker_retry_after(breaker, &retry_after), TG_OK);
    CHECK(retry_after >= 17 * SECOND && retry_after <= 17 * SECOND + SECOND / 1000);
    tg_breaker_free(breaker);
}

static void switches_work(void) {
    tg_breaker *breaker = fragile();
    tg_permit permit;
    uint64_t retry_after = 0;
    CHECK_EQ(tg_breaker_force_open(breaker), TG_OK);
    CHECK_EQ(state_of(breaker), TG_STATE_FORCED_OPEN);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, &retry_after), TG_OPEN);
    CHECK(retry_after == TG_NEVER);
    CHECK_EQ(tg_breaker_disable(breaker), TG_OK);
    CHECK_EQ(state_of(breaker), TG_STATE_DISABLED);
    for (int i = 0; i < 5; i++) call(breaker, TG_FAILURE);
    CHECK_EQ(state_of(breaker), TG_STATE_DISABLED);
    CHECK_EQ(tg_breaker_metrics_only(breaker), TG_OK);
    for (int i = 0; i < 5; i++) call(breaker, TG_FAILURE);
    CHECK_EQ(state_of(breaker), TG_STATE_METRICS_ONLY);
    CHECK_EQ(tg_breaker_reset(breaker), TG_OK);
    CHECK_EQ(state_of(breaker), TG_STATE_CLOSED);
    tg_breaker_free(breaker);
}

static void stats_tell_the_window_and_the_totals(void) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
    tg_permit permit;
    config.clock = clock_;
    config.slow_call_duration_ns = SECOND;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    call(breaker, TG_SUCCESS);
    call(breaker, TG_FAILURE);
    call(breaker, TG_IGNORE);
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report(breaker, permit, TG_SUCCESS, SECOND), TG_OK); /* slow by its stated duration */
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_EQ(tg_clock_advance(clock_, SECOND), TG_OK);
    CHECK_EQ(tg_breaker_report(breaker, permit, TG_SUCCESS, TG_NEVER), TG_OK); /* slow by the clock */
    CHECK_EQ(tg_breaker_stats(breaker, &snapshot), TG_OK);
    CHECK_EQ(snapshot.state, TG_STATE_CLOSED);
    CHECK_EQ(snapshot.calls, 4);
    CHECK_EQ(snapshot.failed, 1);
    CHECK_EQ(snapshot.slow, 2);
    CHECK(snapshot.failure_rate == 0.25 && snapshot.slow_call_rate == 0.5);
    CHECK_EQ(snapshot.opened, 0);
    tg_breaker_free(breaker);
}

static void events_are_followed_by_their_number(void) {
    tg_breaker *breaker = fragile();
    tg_event event = TG_EVENT_INIT;
    uint64_t next = 0;
    int32_t kinds[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    size_t count = 0;
    CHECK_EQ(tg_breaker_next_event(breaker, next, &event), TG_EMPTY);
    call(breaker, TG_FAILURE);
    call(breaker, TG_FAILURE);
    CHECK_EQ(tg_clock_advance(clock_, 5 * SECOND), TG_OK);
    call(breaker, TG_SUCCESS); /* the probe */
    while (count < 8 && tg_breaker_next_event(breaker, next, &event) == TG_OK) {
        kinds[count++] = event.kind;
        CHECK(event.seq >= next);
        next = event.seq + 1;
    }
    CHECK_EQ(count, 4);
    CHECK_EQ(kinds[0], TG_EVENT_OPENED);
    CHECK_EQ(kinds[1], TG_EVENT_HALF_OPENED);
    CHECK_EQ(kinds[2], TG_EVENT_PROBE_SUCCEEDED);
    CHECK_EQ(kinds[3], TG_EVENT_CLOSED);
    CHECK_EQ(tg_breaker_next_event(breaker, UINT64_MAX, &event), TG_EMPTY);
    tg_breaker_free(breaker);
}

static void after_closing_calls_come_back_by_degrees(void) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
    tg_event event = TG_EVENT_INIT;
    tg_permit permit;
    uint64_t retry_after = 0, now = 0;
    config.clock = clock_;
    config.consecutive_failures = 1;
    config.cooldown_ns = SECOND;
    config.ramp_ns = 10 * SECOND;
    config.ramp_from = 0.5;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    CHECK_EQ(tg_clock_now(clock_, &now), TG_OK);
    call(breaker, TG_FAILURE);
    now += SECOND;
    CHECK_EQ(tg_breaker_acquire_at(breaker, now, 0, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report_at(breaker, now, permit, TG_SUCCESS, 0), TG_OK);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now, 0.49, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now, 0.51, &permit, &retry_after), TG_OPEN);
    CHECK_EQ(retry_after, SECOND);
    CHECK_EQ(tg_breaker_stats_at(breaker, now, &snapshot), TG_OK);
    CHECK_EQ(snapshot.state, TG_STATE_CLOSED);
    CHECK_EQ(snapshot.ramping, 1);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now + 10 * SECOND, 1, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_stats_at(breaker, now, &snapshot), TG_OK);
    CHECK_EQ(snapshot.ramping, 0);
    CHECK_EQ(tg_breaker_next_event(breaker, 4, &event), TG_OK);
    CHECK_EQ(event.kind, TG_EVENT_RAMP_STARTED);
    CHECK_EQ(tg_breaker_next_event(breaker, 5, &event), TG_OK);
    CHECK_EQ(event.kind, TG_EVENT_RAMP_ENDED);
    CHECK_ERROR(tg_breaker_acquire_at(breaker, now, 1.5, &permit, NULL), TG_OUT_OF_RANGE, "draw: 1.5");
    CHECK_ERROR(tg_breaker_acquire_at(breaker, now, 0.0 / 0.0, &permit, NULL), TG_OUT_OF_RANGE, "draw: NaN");
    tg_breaker_free(breaker);

    /* A caller whose header knows no ramp has none. */
    config.struct_size = offsetof(tg_breaker_config, healthy_after_ns);
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    call(breaker, TG_FAILURE);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now, 0, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report_at(breaker, now, permit, TG_SUCCESS, 0), TG_OK);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now, 1, &permit, NULL), TG_OK);
    tg_breaker_free(breaker);
}

static void an_unreached_call_fails_and_an_unreached_probe_says_nothing(void) {
    tg_breaker *breaker = fragile();
    tg_permit permit;
    int32_t state = -1;
    call(breaker, TG_UNREACHED);
    call(breaker, TG_UNREACHED);
    CHECK_EQ(tg_breaker_state(breaker, &state), TG_OK);
    CHECK_EQ(state, TG_STATE_OPEN);
    CHECK_EQ(tg_clock_advance(clock_, 5 * SECOND), TG_OK);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
        CHECK_EQ(tg_breaker_report(breaker, permit, TG_UNREACHED, TG_NEVER), TG_OK);
        CHECK_EQ(tg_breaker_state(breaker, &state), TG_OK);
        CHECK_EQ(state, TG_STATE_HALF_OPEN);
    }
    tg_breaker_free(breaker);
}

static void every_at_form_takes_its_time_from_the_caller(void) {
    tg_breaker *breaker = fragile();
    tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
    tg_permit permit;
    uint64_t retry_after = 0, now = 0;
    CHECK_EQ(tg_clock_now(clock_, &now), TG_OK);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now, 0, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report_at(breaker, now, permit, TG_FAILURE, 0), TG_OK);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now, 0, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report_retry_after_at(breaker, now, permit, 9 * SECOND), TG_OK);
    CHECK_EQ(tg_breaker_retry_after_at(breaker, now + 4 * SECOND, &retry_after), TG_OK);
    CHECK_EQ(retry_after, 5 * SECOND);
    CHECK_EQ(tg_breaker_stats_at(breaker, now, &snapshot), TG_OK);
    CHECK_EQ(snapshot.state, TG_STATE_OPEN);
    CHECK_EQ(snapshot.retry_after_ns, 9 * SECOND);
    CHECK_EQ(snapshot.opened, 1);
    CHECK_EQ(tg_breaker_acquire_at(breaker, now + 9 * SECOND, 0, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_release_at(breaker, now + 9 * SECOND, permit), TG_OK);
    tg_breaker_free(breaker);
}

#define REFUSED(field, value, status, needle) \
    do { \
        tg_breaker_config refused = TG_BREAKER_CONFIG_INIT; \
        refused.field = (value); \
        CHECK_ERROR(tg_breaker_new(&refused, &breaker), status, needle); \
    } while (0)

static void wrong_settings_are_told(void) {
    tg_breaker *breaker = NULL;
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    REFUSED(failure_rate_threshold, 50.0, TG_OUT_OF_RANGE, "did you mean 0.5?");
    REFUSED(failure_rate_threshold, 0.0, TG_OUT_OF_RANGE, "failure_rate_threshold");
    REFUSED(failure_rate_threshold, -0.5, TG_OUT_OF_RANGE, "failure_rate_threshold");
    REFUSED(failure_rate_threshold, (double)NAN, TG_OUT_OF_RANGE, "failure_rate_threshold");
    REFUSED(slow_call_rate_threshold, (double)INFINITY, TG_OUT_OF_RANGE, "slow_call_rate_threshold");
    REFUSED(min_calls, 0, TG_OUT_OF_RANGE, "min_calls");
    REFUSED(cooldown_ns, 0, TG_OUT_OF_RANGE, "cooldown");
    REFUSED(cooldown_backoff, 0.5, TG_OUT_OF_RANGE, "cooldown_backoff");
    REFUSED(cooldown_backoff, (double)NAN, TG_OUT_OF_RANGE, "cooldown_backoff");
    REFUSED(cooldown_jitter, 1.5, TG_OUT_OF_RANGE, "cooldown_jitter");
    REFUSED(cooldown_jitter, -0.1, TG_OUT_OF_RANGE, "cooldown_jitter");
    REFUSED(max_cooldown_ns, 1, TG_OUT_OF_RANGE, "max_cooldown");
    REFUSED(probes, 0, TG_OUT_OF_RANGE, "probes");
    REFUSED(probe_timeout_ns, 0, TG_OUT_OF_RANGE, "probe_timeout");
    REFUSED(window_calls, UINT32_MAX, TG_OUT_OF_RANGE, "window");
    REFUSED(name, "\xc3", TG_UTF8, "name:");
    config.window_calls = 20;
    config.window_duration_ns = SECOND;
    CHECK_ERROR(tg_breaker_new(&config, &breaker), TG_CONFLICT, "window_calls:");
    CHECK(breaker == NULL);
}

static void null_and_unknown_values_are_errors(void) {
    tg_breaker *breaker = fragile();
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
    tg_event event = TG_EVENT_INIT;
    tg_permit permit, none = {0, 0};
    uint64_t out = 0;
    int32_t state = 0;
    CHECK_ERROR(tg_breaker_new(NULL, &breaker), TG_NULL, "config:");
    CHECK_ERROR(tg_breaker_new(&config, NULL), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_acquire(NULL, &permit, &out), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_acquire(breaker, NULL, &out), TG_NULL, "permit:");
    CHECK_ERROR(tg_breaker_acquire_at(NULL, 0, 0, &permit, &out), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_acquire_at(breaker, 0, 0, NULL, &out), TG_NULL, "permit:");
    CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
    CHECK_ERROR(tg_breaker_report(NULL, permit, TG_SUCCESS, 0), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_report(breaker, permit, 5, 0), TG_UNKNOWN_VALUE, "outcome: 5");
    CHECK_ERROR(tg_breaker_report(breaker, permit, -1, 0), TG_UNKNOWN_VALUE, "outcome: -1");
    CHECK_ERROR(tg_breaker_report_at(breaker, 0, permit, INT32_MAX, 0), TG_UNKNOWN_VALUE, "TG_IGNORE");
    CHECK_ERROR(tg_breaker_report_at(NULL, 0, permit, TG_SUCCESS, 0), TG_NULL, "breaker:");
    tg_classified said = TG_CLASSIFIED_INIT;
    CHECK_ERROR(tg_breaker_report_classified(NULL, permit, &said, 0), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_report_classified(breaker, permit, NULL, 0), TG_NULL, "classified:");
    CHECK_ERROR(tg_breaker_report_classified(breaker, none, &said, 0), TG_NO_PERMIT, "permit:");
    CHECK_ERROR(tg_breaker_report_classified_at(NULL, 0, permit, &said, 0), TG_NULL, "breaker:");
    said.outcome = 5;
    CHECK_ERROR(tg_breaker_report_classified_at(breaker, 0, permit, &said, 0), TG_UNKNOWN_VALUE, "outcome: 5");
    said.outcome = TG_SUCCESS;
    said.reserved = 1;
    CHECK_ERROR(tg_breaker_report_classified(breaker, permit, &said, 0), TG_OUT_OF_RANGE, "reserved:");
    said.struct_size = 7;
    CHECK_ERROR(tg_breaker_report_classified(breaker, permit, &said, 0), TG_STRUCT_SIZE, "tg_classified");
    CHECK_ERROR(tg_breaker_report_retry_after(NULL, permit, 0), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_report_retry_after(breaker, none, 0), TG_NO_PERMIT, "permit:");
    CHECK_ERROR(tg_breaker_report_retry_after_at(NULL, 0, permit, 0), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_release(NULL, permit), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_release(breaker, none), TG_NO_PERMIT, "permit:");
    CHECK_ERROR(tg_breaker_release_at(NULL, 0, permit), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_state(NULL, &state), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_state(breaker, NULL), TG_NULL, "state:");
    CHECK_ERROR(tg_breaker_retry_after(NULL, &out), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_retry_after(breaker, NULL), TG_NULL, "retry_after_ns:");
    CHECK_ERROR(tg_breaker_retry_after_at(NULL, 0, &out), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_stats(NULL, &snapshot), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_stats(breaker, NULL), TG_NULL, "snapshot:");
    CHECK_ERROR(tg_breaker_stats_at(NULL, 0, &snapshot), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_force_open(NULL), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_disable(NULL), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_metrics_only(NULL), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_reset(NULL), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_force_open_at(NULL, 0), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_disable_at(NULL, 0), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_metrics_only_at(NULL, 0), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_reset_at(NULL, 0), TG_NULL, "breaker:");
    tg_breaker_config changed = TG_BREAKER_CONFIG_INIT;
    CHECK_ERROR(tg_breaker_get_config(NULL, &changed), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_get_config(breaker, NULL), TG_NULL, "config:");
    CHECK_ERROR(tg_breaker_set_config(NULL, &changed), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_set_config(breaker, NULL), TG_NULL, "config:");
    CHECK_ERROR(tg_breaker_set_config_at(NULL, 0, &changed), TG_NULL, "breaker:");
    changed.window_duration_ns = 10 * 1000000000ull;
    CHECK_ERROR(tg_breaker_set_config(breaker, &changed), TG_CONFLICT, "window_duration_ns: this breaker's window is one of calls");
    changed.window_duration_ns = 0;
    changed.window_calls = 993;
    CHECK_ERROR(tg_breaker_set_config_at(breaker, 0, &changed), TG_OUT_OF_RANGE, "window_calls: 993 is not within 1 to 992");
    changed.window_calls = 30;
    CHECK_EQ(tg_breaker_set_config_at(breaker, 0, &changed), TG_OK);
    CHECK_ERROR(tg_breaker_next_event(NULL, 0, &event), TG_NULL, "breaker:");
    CHECK_ERROR(tg_breaker_next_event(breaker, 0, NULL), TG_NULL, "event:");
    CHECK_EQ(tg_breaker_report(breaker, permit, TG_SUCCESS, 0), TG_OK); /* none of them used the permit up */
    tg_breaker_free(breaker);
    tg_breaker_free(NULL);
}

/* Every outcome with a duration and with a Retry-After: each counts, or the outcome says nothing at all. */
static void a_report_drops_nothing_that_it_is_told(void) {
    static const struct { int32_t outcome; uint32_t failed, slow, counts; } ROWS[] = {
        {TG_SUCCESS, 0, 0, 1}, {TG_FAILURE, 1, 0, 1}, {TG_IGNORE, 0, 0, 0}, {TG_UNREACHED, 1, 0, 1}, {TG_SLOW, 0, 1, 1},
    };
    for (int i = 0; i < 5 * 2 * 2 * 2; i++) {
        tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
        tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
        tg_breaker *breaker = NULL;
        tg_classified said = TG_CLASSIFIED_INIT;
        tg_permit permit;
        uint64_t retry_after = 0, now = 0;
        int row = i % 5, lasts = i / 5 % 2, asks = i / 10 % 2, at = i / 20;
        uint32_t slow = ROWS[row].slow || lasts, opens = ROWS[row].counts && (ROWS[row].failed || slow);
        config.clock = clock_;
        config.window_calls = 5;
        config.min_calls = 1;
        config.slow_call_duration_ns = SECOND;
        config.cooldown_ns = SECOND;
        CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
        CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
        CHECK_EQ(tg_clock_now(clock_, &now), TG_OK);
        said.outcome = ROWS[row].outcome;
        said.retry_after_ns = asks ? 5 * SECOND : 0;
        if (at)
            CHECK_EQ(tg_breaker_report_classified_at(breaker, now, permit, &said, lasts ? SECOND : 0), TG_OK);
        else
            CHECK_EQ(tg_breaker_report_classified(breaker, permit, &said, lasts ? SECOND : 0), TG_OK);
        CHECK_EQ(tg_breaker_stats(breaker, &snapshot), TG_OK);
        CHECK_EQ(snapshot.state, opens ? TG_STATE_OPEN : TG_STATE_CLOSED);
        if (opens) {
            CHECK_EQ(snapshot.trip_failed, ROWS[row].failed);
            CHECK_EQ(snapshot.trip_slow, slow);
            CHECK_EQ(tg_breaker_retry_after(breaker, &retry_after), TG_OK);
            CHECK_EQ(retry_after, asks ? 5 * SECOND : SECOND);
        } else {
            CHECK_EQ(snapshot.calls, ROWS[row].counts);
        }
        tg_breaker_free(breaker);
    }
}

static void settings_in_force_are_told(void) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT, told = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    config.name = "bank";
    config.clock = clock_;
    config.window_duration_ns = 5 * SECOND;
    config.slow_call_duration_ns = 7;
    config.consecutive_failures = 4;
    config.max_cooldown_ns = 90 * SECOND;
    config.probes = 3;
    config.probes_at_once = 2;
    config.ramp_ns = SECOND;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    CHECK_EQ(tg_breaker_get_config(breaker, &told), TG_OK);
    config.name = NULL;
    config.clock = NULL;
    CHECK(memcmp(&told, &config, sizeof told) == 0);
    told.cooldown_ns = 3 * SECOND;
    CHECK_EQ(tg_breaker_set_config(breaker, &told), TG_OK);
    CHECK_EQ(tg_breaker_get_config(breaker, &config), TG_OK);
    CHECK(memcmp(&told, &config, sizeof told) == 0);
    /* An older caller's struct ends earlier, and what lies behind it is left alone. */
    config.struct_size = offsetof(tg_breaker_config, arena);
    config.ramp_ns = 99;
    CHECK_EQ(tg_breaker_get_config(breaker, &config), TG_OK);
    CHECK_EQ(config.ramp_ns, 99);
    tg_breaker_free(breaker);
    memset(&config, 0, sizeof config);
    told = (tg_breaker_config)TG_BREAKER_CONFIG_INIT;
    CHECK_EQ(tg_breaker_new(&told, &breaker), TG_OK);
    CHECK_EQ(tg_breaker_get_config(breaker, &told), TG_OK);
    CHECK_EQ(told.window_calls, 20);
    CHECK_EQ(told.slow_call_duration_ns, TG_NEVER);
    tg_breaker_free(breaker);
}

static void made_up_permits_do_no_harm(void) {
    tg_breaker *breaker = fragile();
    uint64_t word = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 10000; i++) {
        tg_permit forged = {word, ~word};
        word = word * 6364136223846793005u + 1442695040888963407u;
        CHECK(tg_breaker_report(breaker, forged, i % 3, word) >= TG_NO_PERMIT);
        CHECK(tg_breaker_release(breaker, forged) >= TG_NO_PERMIT);
    }
    CHECK_EQ(tg_breaker_reset(breaker), TG_OK);
    call(breaker, TG_SUCCESS);
    tg_breaker_free(breaker);
}

int main(void) {
    CHECK_EQ(tg_clock_manual_new(0, &clock_), TG_OK);
    RUN(opens_probes_and_closes);
    RUN(a_released_probe_can_be_taken_again);
    RUN(a_servers_retry_after_sets_the_cooldown);
    RUN(switches_work);
    RUN(stats_tell_the_window_and_the_totals);
    RUN(events_are_followed_by_their_number);
    RUN(after_closing_calls_come_back_by_degrees);
    RUN(an_unreached_call_fails_and_an_unreached_probe_says_nothing);
    RUN(every_at_form_takes_its_time_from_the_caller);
    RUN(wrong_settings_are_told);
    RUN(null_and_unknown_values_are_errors);
    RUN(a_report_drops_nothing_that_it_is_told);
    RUN(settings_in_force_are_told);
    RUN(made_up_permits_do_no_harm);
    tg_clock_free(clock_);
    return check_failed != 0;
}
