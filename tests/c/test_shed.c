/* Load shedders: who is shed, arguments, arenas, texts. */
#include <tidegate.h>

#include "check.h"

#include <math.h>
#include <string.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static tg_signal gauge(const char *name) {
    tg_signal signal = {name, 0, 1, TG_SIGNAL_GAUGE, 0};
    return signal;
}

static void press(tg_shedder *shedder, uint64_t *now, double value, int intervals) {
    for (int i = 0; i < intervals; i++, *now += 250 * MILLISECOND) {
        CHECK_EQ(tg_shedder_tell_at(shedder, *now, "gauge", value), TG_OK);
        for (int call = 0; call < 16; call++)
            CHECK(tg_shedder_admit_at(shedder, *now, call % 4, 64, 0.5) >= TG_OK);
    }
}

static void the_less_important_is_shed_first(void) {
    tg_clock *clock = NULL;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    tg_signal signal = gauge(NULL);
    tg_shedder_config config = TG_SHEDDER_CONFIG_INIT;
    config.clock = clock;
    config.signals = &signal;
    config.signal_count = 1;
    tg_shedder *shedder = NULL;
    CHECK_EQ(tg_shedder_new(&config, &shedder), TG_OK);
    uint64_t now = 0;
    press(shedder, &now, 1, 40);
    tg_shed_decision decision = TG_SHED_DECISION_INIT;
    CHECK_EQ(tg_shedder_check_at(shedder, now, TG_PRIORITY_SHEDDABLE, 127, 0.5, &decision), TG_SHED);
    CHECK_EQ(decision.allowed, 0);
    CHECK_EQ(decision.signal, 0);
    CHECK(decision.pressure == 1);
    CHECK(decision.retry_after_ns >= SECOND);
    tg_shedder_snapshot snapshot = TG_SHEDDER_SNAPSHOT_INIT;
    CHECK_EQ(tg_shedder_stats_at(shedder, now, &snapshot), TG_OK);
    CHECK(snapshot.shed_sheddable > snapshot.shed_high && snapshot.shed_high >= snapshot.shed_critical);
    press(shedder, &now, 0, 120);
    CHECK_EQ(tg_shedder_admit_at(shedder, now, TG_PRIORITY_SHEDDABLE, 127, 0.99), TG_OK);
    CHECK(strstr(tg_status_message(TG_SHED), "overloaded") != NULL);
    tg_shedder_free(shedder);
    tg_clock_free(clock);
}

static void what_is_wrong_is_said(void) {
    tg_shedder_config config = TG_SHEDDER_CONFIG_INIT;
    tg_shedder *shedder = NULL;
    CHECK_ERROR(tg_shedder_new(&config, &shedder), TG_CONFLICT, "at least one");
    tg_signal signals[] = {{NULL, 0, 0, TG_SIGNAL_CPU, 0}, {NULL, 0, 0, TG_SIGNAL_LOOP_LAG, 0}};
    config.signals = signals;
    config.signal_count = 1;
    CHECK_ERROR(tg_shedder_new(&config, &shedder), TG_CONFLICT, "waits for its database");
    config.signal_count = 2;
    signals[1].kind = 9;
    CHECK_ERROR(tg_shedder_new(&config, &shedder), TG_UNKNOWN_VALUE, "tg_signal_kind");
    signals[1].kind = TG_SIGNAL_GAUGE;
    CHECK_ERROR(tg_shedder_new(&config, &shedder), TG_CONFLICT, "needs start and full");
    signals[1].full = NAN;
    CHECK_ERROR(tg_shedder_new(&config, &shedder), TG_OUT_OF_RANGE, "no range");
    signals[1] = gauge("own");
    CHECK_EQ(tg_shedder_new(&config, &shedder), TG_OK);
    CHECK_ERROR(tg_shedder_admit(shedder, 4, 0), TG_UNKNOWN_VALUE, "tg_priority");
    CHECK_ERROR(tg_shedder_admit(shedder, 0, 128), TG_OUT_OF_RANGE, "0 to 127");
    CHECK_ERROR(tg_shedder_tell(shedder, "other", 1), TG_CONFLICT, "none of this shedder's");
    CHECK_ERROR(tg_shedder_tell(shedder, "cpu", 1), TG_CONFLICT, "itself");
    CHECK_ERROR(tg_shedder_tell(shedder, NULL, 1), TG_NULL, "signal");
    CHECK_EQ(tg_shedder_tell(shedder, "own", NAN), TG_OK);
    CHECK_EQ(tg_shedder_admit(shedder, TG_PRIORITY_NORMAL, 0), TG_OK);
    CHECK_EQ(tg_shedder_tell_lag(shedder, UINT64_MAX, 0), TG_OK);
    CHECK_EQ(tg_shedder_sample(shedder), TG_OK);
    uint32_t level = 200;
    CHECK_EQ(tg_shedder_level_of_at(shedder, 1700000000, "user 7", 6, &level), TG_OK);
    CHECK_EQ(level, 69); /* as in every language */
    CHECK_EQ(tg_shedder_level_of(shedder, "user 7", 6, &level), TG_OK);
    CHECK(level < 128);
    char text[4096];
    size_t length = 0;
    CHECK_EQ(tg_shedder_explain(shedder, text, sizeof text, &length), TG_OK);
    CHECK(strstr(text, "own: off, it was told what is no number") != NULL);
    tg_shedder_free(shedder);
    tg_shedder_free(NULL);
    CHECK_EQ(tg_shedder_admit(NULL, 0, 0), TG_NULL);
}

static void numbers_that_are_none_or_beyond(void) {
    double told[][2] = {{NAN, 0}, {INFINITY, 1}, {1e308, 1}, {-5, 0}, {-INFINITY, 0}, {0.5, 0.5}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        tg_clock *clock = NULL;
        CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
        tg_signal signal = gauge(NULL);
        tg_shedder_config config = TG_SHEDDER_CONFIG_INIT;
        config.clock = clock;
        config.signals = &signal;
        config.signal_count = 1;
        tg_shedder *shedder = NULL;
        CHECK_EQ(tg_shedder_new(&config, &shedder), TG_OK);
        uint64_t now = 0;
        press(shedder, &now, told[i][0], 4);
        double pressure = -1;
        CHECK_EQ(tg_shedder_pressure_at(shedder, now, &pressure), TG_OK);
        CHECK(pressure == told[i][1]);
        tg_shedder_free(shedder);
        tg_clock_free(clock);
    }
}

static void one_threshold_for_all_who_share_it(void) {
    tg_arena *arena = NULL;
    CHECK_EQ(tg_arena_process("shed", &arena), TG_OK);
    tg_signal signal = gauge(NULL);
    tg_shedder_config config = TG_SHEDDER_CONFIG_INIT;
    config.arena = arena;
    config.name = "api";
    config.signals = &signal;
    config.signal_count = 1;
    config.interval_ns = 10 * MILLISECOND;
    tg_shedder *one = NULL, *two = NULL;
    CHECK_EQ(tg_shedder_new(&config, &one), TG_OK);
    CHECK_EQ(tg_shedder_new(&config, &two), TG_OK);
    double pressure = 0;
    while (pressure < 1) {
        CHECK_EQ(tg_shedder_tell(one, "gauge", 5), TG_OK);
        CHECK_EQ(tg_shedder_sample(one), TG_OK);
        CHECK_EQ(tg_shedder_pressure(two, &pressure), TG_OK);
    }
    signal.name = "other";
    tg_shedder *third = NULL;
    CHECK_ERROR(tg_shedder_new(&config, &third), TG_ARENA_SHAPE, "signals");
    tg_shedder_free(one);
    tg_shedder_free(two);
    tg_arena_free(arena);
}

int main(void) {
    RUN(the_less_important_is_shed_first);
    RUN(what_is_wrong_is_said);
    RUN(numbers_that_are_none_or_beyond);
    RUN(one_threshold_for_all_who_share_it);
    return check_failed != 0;
}
