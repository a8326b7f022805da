/* The operations of breakers by key, for vectors.h. */
#ifndef VECTORS_REGISTRY_H
#define VECTORS_REGISTRY_H

#include "vectors.h"

#include <string.h>

static inline tg_breaker_config opening(uint32_t consecutive_failures, uint64_t cooldown_ns) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    config.consecutive_failures = consecutive_failures;
    config.cooldown_ns = cooldown_ns;
    return config;
}

static inline void new_registry(uint32_t max_breakers, const tg_breaker_config *defaults,
                                const tg_registry_override *overrides, size_t count) {
    tg_registry_config config = TG_REGISTRY_CONFIG_INIT;
    config.max_breakers = max_breakers;
    config.breakers = defaults;
    config.overrides = overrides;
    config.overrides_len = count;
    config.clock = clock_;
    CHECK_EQ(tg_registry_new(&config, &registry), TG_OK);
}

/* To be freed. */
static inline tg_breaker *breaker_of(uint64_t now, tg_bytes key) {
    tg_breaker *found = NULL;
    CHECK_EQ(CALL(now, tg_registry_get(registry, key.data, key.len, &found),
                  tg_registry_get_at(registry, now, key.data, key.len, &found)),
             TG_OK);
    return found;
}

/* The clock is set for handles whose breaker has made room. */
static inline bool acquired(uint64_t now, tg_breaker *of, tg_permit *permit, bool granted, uint64_t retry_after_ns) {
    uint64_t retry = 0;
    CHECK_EQ(CALL(now, tg_breaker_acquire(of, permit, &retry), tg_breaker_acquire_at(of, now, 0, permit, &retry)),
             granted ? TG_OK : TG_OPEN);
    CHECK_EQ(retry, retry_after_ns);
    return granted;
}

static inline void reported(uint64_t now, tg_breaker *of, tg_permit permit, bool failed) {
    int32_t outcome = failed ? TG_FAILURE : TG_SUCCESS;
    CHECK_EQ(CALL(now, tg_breaker_report(of, permit, outcome, TG_NEVER),
                  tg_breaker_report_at(of, now, permit, outcome, TG_NEVER)),
             TG_OK);
}

static inline void called(uint64_t now, tg_breaker *of, bool failed, bool granted, uint64_t retry_after_ns) {
    tg_permit permit;
    if (acquired(now, of, &permit, granted, retry_after_ns)) reported(now, of, permit, failed);
}

static inline void registry_call(uint64_t now, tg_bytes key, bool failed, bool granted, uint64_t retry_after_ns) {
    STEP(tg_breaker *of = breaker_of(now, key); called(now, of, failed, granted, retry_after_ns); tg_breaker_free(of));
}

static inline void registry_hold(uint64_t now, tg_bytes key, size_t place, bool is_shared) {
    tg_breaker *overflow = NULL;
    STEP(CHECK_EQ(place, held_count); held[held_count++] = breaker_of(now, key);
         CHECK_EQ(tg_registry_overflow(registry, &overflow), TG_OK); CHECK((held[place] == overflow) == is_shared);
         tg_breaker_free(overflow));
}

static inline void registry_call_held(uint64_t now, size_t place, bool failed, bool granted, uint64_t retry_after_ns) {
    STEP(called(now, held[place], failed, granted, retry_after_ns));
}

static inline void registry_acquire_held(uint64_t now, size_t place, tg_permit *permit, bool granted,
                                         uint64_t retry_after_ns) {
    STEP(acquired(now, held[place], permit, granted, retry_after_ns));
}

static inline void registry_report(uint64_t now, size_t place, tg_permit permit, bool failed) {
    STEP(reported(now, held[place], permit, failed));
}

/* -1: it has none. */
static inline void registry_peek(uint64_t now, tg_bytes key, int32_t expected) {
    tg_breaker *found = NULL;
    int32_t actual = -1;
    STEP(at(now); CHECK_EQ(tg_registry_peek(registry, key.data, key.len, &found), expected < 0 ? TG_EMPTY : TG_OK);
         if (found) CHECK_EQ(tg_breaker_state(found, &actual), TG_OK); CHECK_EQ(actual, expected);
         tg_breaker_free(found));
}

static inline void registry_remove(uint64_t now, tg_bytes key, bool removed) {
    STEP(at(now); CHECK_EQ(tg_registry_remove(registry, key.data, key.len), removed ? TG_OK : TG_EMPTY));
}

static inline void registry_force_open(uint64_t now, tg_bytes key) {
    STEP(tg_breaker *of = breaker_of(now, key);
         CHECK_EQ(CALL(now, tg_breaker_force_open(of), tg_breaker_force_open_at(of, now)), TG_OK); tg_breaker_free(of));
}

static inline void registry_reset(uint64_t now, tg_bytes key) {
    STEP(tg_breaker *of = breaker_of(now, key);
         CHECK_EQ(CALL(now, tg_breaker_reset(of), tg_breaker_reset_at(of, now)), TG_OK); tg_breaker_free(of));
}

/* 0: leave it as it is. */
static inline void registry_set_config(uint64_t now, tg_bytes pattern, uint64_t cooldown_ns, uint32_t failures) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    STEP(CHECK_EQ(tg_registry_get_config(registry, pattern.data, pattern.len, &config), TG_OK);
         if (cooldown_ns) config.cooldown_ns = cooldown_ns; if (failures) config.consecutive_failures = failures;
         CHECK_EQ(CALL(now, tg_registry_set_config(registry, pattern.data, pattern.len, &config),
                       tg_registry_set_config_at(registry, now, pattern.data, pattern.len, &config)),
                  TG_OK));
}

static inline void registry_items(uint64_t now, const tg_bytes *keys, size_t count) {
    char key[256];
    size_t from = 0, len = 0, seen = 0;
    STEP(at(now); while (tg_registry_next(registry, &from, key, sizeof key, &len, NULL) == TG_OK) {
        CHECK(seen < count && len == keys[seen].len && memcmp(key, keys[seen].data, len) == 0);
        seen++;
    } CHECK_EQ(seen, count));
}

static inline void registry_stats(uint64_t now, uint64_t breakers, uint64_t evicted, uint64_t overflowed) {
    tg_registry_snapshot s = TG_REGISTRY_SNAPSHOT_INIT;
    STEP(at(now); CHECK_EQ(tg_registry_stats(registry, &s), TG_OK); CHECK_EQ(s.breakers, breakers);
         CHECK_EQ(s.evicted, evicted); CHECK_EQ(s.overflowed, overflowed));
}

#endif
