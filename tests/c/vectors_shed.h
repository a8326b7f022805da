/* The operations of load shedders, for vectors.h. */
#ifndef VECTORS_SHED_H
#define VECTORS_SHED_H

#include <string.h>

static char signal_names[16][65];

static inline void new_shedder(tg_shedder_config config) {
    config.clock = clock_;
    for (size_t i = 0; i < config.signal_count; i++) strcpy(signal_names[i], config.signals[i].name);
    CHECK_EQ(tg_shedder_new(&config, &shedder), TG_OK);
}

/* Only the forms with time take a draw. */
static inline void shedder_admit(uint64_t now, int32_t priority, uint32_t level, double draw, bool ok) {
    STEP(at(now); CHECK_EQ(tg_shedder_admit_at(shedder, now, priority, level, draw), ok ? TG_OK : TG_SHED));
}

static inline void shedder_check(uint64_t now, int32_t priority, uint32_t level, double draw, bool allowed,
                                 const char *signal, double pressure, uint64_t retry_after_ns) {
    tg_shed_decision d = TG_SHED_DECISION_INIT;
    STEP(at(now);
         CHECK_EQ(tg_shedder_check_at(shedder, now, priority, level, draw, &d), allowed ? TG_OK : TG_SHED);
         CHECK_EQ(d.allowed, allowed); CHECK(d.pressure == pressure); CHECK_EQ(d.retry_after_ns, retry_after_ns);
         CHECK(signal ? d.signal >= 0 && !strcmp(signal_names[d.signal], signal) : d.signal == -1));
}

static inline void shedder_tell(uint64_t now, const char *signal, double value) {
    STEP(CHECK_EQ(CALL(now, tg_shedder_tell(shedder, signal, value), tg_shedder_tell_at(shedder, now, signal, value)),
                  TG_OK));
}

static inline void shedder_sample(uint64_t now) {
    STEP(CHECK_EQ(CALL(now, tg_shedder_sample(shedder), tg_shedder_sample_at(shedder, now)), TG_OK));
}

static inline void shedder_pressure(uint64_t now, double expected) {
    double p = -1;
    STEP(CHECK_EQ(CALL(now, tg_shedder_pressure(shedder, &p), tg_shedder_pressure_at(shedder, now, &p)), TG_OK);
         CHECK(p == expected));
}

static inline void shedder_stats(uint64_t now, uint64_t admitted, uint64_t critical, uint64_t high, uint64_t normal,
                                 uint64_t sheddable, uint64_t would_shed) {
    tg_shedder_snapshot s = TG_SHEDDER_SNAPSHOT_INIT;
    STEP(CHECK_EQ(CALL(now, tg_shedder_stats(shedder, &s), tg_shedder_stats_at(shedder, now, &s)), TG_OK);
         CHECK_EQ(s.admitted, admitted); CHECK_EQ(s.shed_critical, critical); CHECK_EQ(s.shed_high, high);
         CHECK_EQ(s.shed_normal, normal); CHECK_EQ(s.shed_sheddable, sheddable); CHECK_EQ(s.would_shed, would_shed));
}

#endif
