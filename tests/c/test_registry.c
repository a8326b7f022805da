/* Breakers by key: what the border adds to the core; who makes room for whom is held by the vectors. */
#include <tidegate.h>

#include "check.h"

#include <pthread.h>
#include <stdlib.h>

#define SECOND UINT64_C(1000000000)

static tg_registry *registry_of(uint32_t max_breakers, const tg_clock *clock, const tg_arena *arena) {
    tg_registry_config config = TG_REGISTRY_CONFIG_INIT;
    tg_breaker_config breakers = TG_BREAKER_CONFIG_INIT;
    tg_registry *registry = NULL;
    breakers.consecutive_failures = 2;
    breakers.cooldown_ns = 5 * SECOND;
    config.breakers = &breakers;
    config.max_breakers = max_breakers;
    config.clock = clock;
    config.arena = arena;
    config.name = "hosts";
    CHECK_EQ(tg_registry_new(&config, &registry), TG_OK);
    return registry;
}

static tg_breaker *get(const tg_registry *registry, const char *key) {
    tg_breaker *breaker = NULL;
    CHECK_EQ(tg_registry_get(registry, key, strlen(key), &breaker), TG_OK);
    return breaker;
}

static void fail(const tg_breaker *breaker, int times) {
    tg_permit permit;
    while (times-- > 0) {
        CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
        CHECK_EQ(tg_breaker_report(breaker, permit, TG_FAILURE, TG_NEVER), TG_OK);
    }
}

static int32_t state_of(const tg_breaker *breaker) {
    int32_t state = -1;
    CHECK_EQ(tg_breaker_state(breaker, &state), TG_OK);
    return state;
}

static uint64_t cooldown_of(const tg_registry *registry, const char *key) {
    tg_breaker *breaker = get(registry, key);
    uint64_t wait = 0;
    CHECK_EQ(tg_breaker_reset(breaker), TG_OK);
    fail(breaker, 2);
    CHECK_EQ(tg_breaker_retry_after(breaker, &wait), TG_OK);
    CHECK_EQ(tg_breaker_reset(breaker), TG_OK);
    tg_breaker_free(breaker);
    return wait;
}

static void a_breaker_each_by_any_bytes(void) {
    tg_registry *registry = registry_of(8, NULL, NULL);
    tg_breaker *a = get(registry, "a"), *same = get(registry, "a"), *none = NULL, *found = NULL;
    CHECK(a == same);
    fail(a, 2);
    CHECK_EQ(tg_breaker_acquire(same, &(tg_permit){0, 0}, NULL), TG_OPEN);
    tg_breaker_free(same);
    CHECK_EQ(state_of(a), TG_STATE_OPEN); /* one of the two handles is left */
    CHECK_EQ(tg_registry_peek(registry, "b", 1, &none), TG_EMPTY);
    CHECK(none == NULL);
    CHECK_EQ(tg_registry_peek(registry, "a", 1, &found), TG_OK);
    CHECK_EQ(state_of(found), TG_STATE_OPEN);
    tg_breaker_free(found);
    CHECK_EQ(tg_registry_get(registry, "a\0b", 3, &found), TG_OK);
    CHECK_EQ(state_of(found), TG_STATE_CLOSED);
    tg_breaker_free(found);
    CHECK_EQ(tg_registry_get(registry, NULL, 0, &found), TG_OK);
    tg_breaker_free(found);
    CHECK_EQ(tg_registry_remove(registry, "a", 1), TG_OK);
    CHECK_EQ(tg_registry_remove(registry, "a", 1), TG_EMPTY);
    CHECK_EQ(state_of(a), TG_STATE_CLOSED);
    tg_registry_free(registry);
    fail(a, 2); /* it outlives the registry's handle */
    CHECK_EQ(state_of(a), TG_STATE_OPEN);
    tg_breaker_free(a);
    tg_registry_free(NULL);
}

static void keys_are_told_one_after_the_other(void) {
    tg_registry *registry = registry_of(8, NULL, NULL);
    char key[4], longer[300];
    tg_breaker *breaker = NULL;
    size_t at = 0, len = 0;
    memset(longer, 'x', sizeof longer);
    CHECK_EQ(tg_registry_next(registry, &at, key, sizeof key, &len, NULL), TG_EMPTY);
    at = 0;
    tg_breaker_free(get(registry, "one"));
    CHECK_EQ(tg_registry_get(registry, longer, sizeof longer, &breaker), TG_OK);
    tg_breaker_free(breaker);
    CHECK_EQ(tg_registry_next(registry, &at, key, sizeof key, &len, &breaker), TG_OK);
    CHECK(len == 3 && memcmp(key, "one", 3) == 0);
    fail(breaker, 2);
    tg_breaker_free(breaker);
    CHECK_EQ(tg_registry_next(registry, &at, key, sizeof key, &len, NULL), TG_OK);
    CHECK(len == 240 && memcmp(key, "xxxx", 4) == 0); /* as much as there is room for */
    CHECK_EQ(tg_registry_next(registry, &at, key, sizeof key, &len, NULL), TG_EMPTY);
    CHECK_EQ(tg_registry_next(registry, &at, NULL, 0, NULL, NULL), TG_EMPTY);
    at = SIZE_MAX;
    CHECK_EQ(tg_registry_next(registry, &at, NULL, 0, NULL, NULL), TG_EMPTY);
    at = 0;
    CHECK_EQ(tg_registry_next(registry, &at, NULL, 0, NULL, NULL), TG_OK);
    CHECK_ERROR(tg_registry_next(registry, &at, NULL, 4, NULL, NULL), TG_NULL, "key");
    CHECK_ERROR(tg_registry_next(registry, NULL, key, sizeof key, NULL, NULL), TG_NULL, "at");
    tg_registry_free(registry);
}

static void patterns_have_settings_of_their_own(void) {
    tg_clock *clock = NULL;
    tg_breaker_config quick = TG_BREAKER_CONFIG_INIT, wrong = TG_BREAKER_CONFIG_INIT, begun = TG_BREAKER_CONFIG_INIT;
    tg_registry_override overrides[] = {{{"*.internal", 10}, &quick}, {{"db.*", 4}, NULL}};
    tg_registry_config config = TG_REGISTRY_CONFIG_INIT;
    tg_registry *registry = NULL;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    quick.consecutive_failures = 2;
    quick.cooldown_ns = SECOND;
    config.clock = clock;
    config.overrides = overrides;
    config.overrides_len = 2;
    CHECK_ERROR(tg_registry_new(&config, &registry), TG_NULL, "overrides");
    overrides[1] = overrides[0];
    CHECK_ERROR(tg_registry_new(&config, &registry), TG_CONFLICT, "overrides: has the pattern \"*.internal\" twice");
    overrides[1].pattern.len = 0;
    CHECK_ERROR(tg_registry_new(&config, &registry), TG_SYNTAX, "overrides: has an empty pattern");
    config.overrides_len = 1;
    quick.cooldown_ns = 0;
    CHECK_ERROR(tg_registry_new(&config, &registry), TG_OUT_OF_RANGE, "cooldown_ns: ");
    quick.cooldown_ns = SECOND;
    CHECK_EQ(tg_registry_new(&config, &registry), TG_OK);
    CHECK_EQ(cooldown_of(registry, "db.internal"), SECOND);
    quick.cooldown_ns = 2 * SECOND;
    CHECK_EQ(tg_registry_set_config(registry, "db.internal", 11, &quick), TG_OK);
    quick.cooldown_ns = 3 * SECOND;
    CHECK_EQ(tg_registry_set_config_at(registry, 7, "*", 1, &quick), TG_OK);
    CHECK_EQ(cooldown_of(registry, "db.internal"), 2 * SECOND);
    CHECK_EQ(cooldown_of(registry, "queue.internal"), SECOND);
    CHECK_EQ(cooldown_of(registry, "else"), 3 * SECOND);
    CHECK_EQ(tg_registry_get_config(registry, "x*", 2, &begun), TG_OK);
    CHECK_EQ(begun.cooldown_ns, 3 * SECOND); /* as "*" has it */
    begun.consecutive_failures = 1;
    CHECK_EQ(tg_registry_set_config(registry, "x*", 2, &begun), TG_OK);
    CHECK_EQ(tg_registry_get_config(registry, "db.internal", 11, &begun), TG_OK);
    CHECK_EQ(begun.cooldown_ns, 2 * SECOND);
    CHECK_EQ(tg_registry_get_config(registry, "mq.internal", 11, &begun), TG_OK);
    CHECK_EQ(begun.cooldown_ns, SECOND);
    CHECK_ERROR(tg_registry_get_config(registry, NULL, 0, &begun), TG_SYNTAX, "pattern: is empty");
    CHECK_ERROR(tg_registry_get_config(registry, "*", 1, NULL), TG_NULL, "config");
    CHECK_ERROR(tg_registry_get_config(NULL, "*", 1, &begun), TG_NULL, "registry");
    wrong.cooldown_ns = 0;
    CHECK_ERROR(tg_registry_set_config(registry, "*", 1, &wrong), TG_OUT_OF_RANGE, "cooldown_ns: ");
    CHECK_ERROR(tg_registry_set_config(registry, NULL, 0, &quick), TG_SYNTAX, "pattern: is empty");
    CHECK_EQ(cooldown_of(registry, "else"), 3 * SECOND);
    tg_registry_free(registry);
    tg_clock_free(clock);
}

static void all_who_open_it_in_an_arena_share_all(void) {
    tg_arena *arena = NULL;
    tg_registry *one, *two, *none = NULL;
    tg_registry_config other = TG_REGISTRY_CONFIG_INIT;
    tg_breaker *breaker;
    tg_registry_snapshot snapshot = TG_REGISTRY_SNAPSHOT_INIT;
    CHECK_EQ(tg_arena_process("registries", &arena), TG_OK);
    one = registry_of(2, NULL, arena);
    two = registry_of(2, NULL, arena);
    breaker = get(one, "a");
    fail(breaker, 2);
    tg_breaker_free(breaker);
    breaker = get(two, "a");
    CHECK_EQ(state_of(breaker), TG_STATE_OPEN);
    tg_breaker_free(breaker);
    tg_breaker_free(get(two, "b"));
    tg_breaker_free(get(two, "c"));
    CHECK_EQ(tg_registry_stats(one, &snapshot), TG_OK);
    CHECK(snapshot.breakers == 2 && snapshot.max_breakers == 2 && snapshot.evicted == 1 && snapshot.overflowed == 0);
    other.arena = arena;
    other.name = "hosts";
    other.max_breakers = 3;
    CHECK_ERROR(tg_registry_new(&other, &none), TG_ARENA_SHAPE, "2 breakers");
    tg_registry_free(one);
    tg_registry_free(two);
    tg_arena_free(arena);
}

static void bad_arguments(void) {
    tg_registry *registry = registry_of(1, NULL, NULL), *none = NULL;
    tg_registry_config config = TG_REGISTRY_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    config.max_breakers = 0;
    CHECK_ERROR(tg_registry_new(&config, &none), TG_OUT_OF_RANGE, "max_breakers: ");
    CHECK_ERROR(tg_registry_new(NULL, &none), TG_NULL, "config");
    config = (tg_registry_config)TG_REGISTRY_CONFIG_INIT;
    CHECK_ERROR(tg_registry_new(&config, NULL), TG_NULL, "registry");
    config.overrides_len = 1;
    CHECK_ERROR(tg_registry_new(&config, &none), TG_NULL, "overrides");
    CHECK(none == NULL);
    CHECK_ERROR(tg_registry_get(NULL, "a", 1, &breaker), TG_NULL, "registry");
    CHECK_ERROR(tg_registry_get(registry, "a", 1, NULL), TG_NULL, "breaker");
    CHECK_ERROR(tg_registry_get(registry, NULL, 1, &breaker), TG_NULL, "key");
    CHECK_ERROR(tg_registry_peek(registry, "a", 1, NULL), TG_NULL, "breaker");
    CHECK_ERROR(tg_registry_remove(registry, NULL, 1), TG_NULL, "key");
    CHECK_ERROR(tg_registry_overflow(registry, NULL), TG_NULL, "breaker");
    CHECK_ERROR(tg_registry_set_config(registry, "a", 1, NULL), TG_NULL, "config");
    CHECK_ERROR(tg_registry_stats(registry, NULL), TG_NULL, "snapshot");
    CHECK_EQ(tg_registry_peek(registry, "a", 1, &breaker), TG_EMPTY); /* nothing was made */
    tg_registry_free(registry);
}

/* Handles come and go on all threads, for more keys than there is room for. */
static void *comes_and_goes(void *it) {
    const tg_registry *registry = it;
    char key[8];
    for (int i = 0; i < 2000; i++) {
        tg_breaker *breaker;
        snprintf(key, sizeof key, "%d", i % 7);
        tg_permit permit;
        breaker = get(registry, key);
        /* A success: what finds no place shares one breaker, which must not open. */
        CHECK_EQ(tg_breaker_acquire(breaker, &permit, NULL), TG_OK);
        CHECK_EQ(tg_breaker_report(breaker, permit, TG_SUCCESS, TG_NEVER), TG_OK);
        CHECK_EQ(tg_breaker_reset(breaker), TG_OK);
        tg_breaker_free(breaker);
    }
    return NULL;
}

static void threads_share_it(void) {
    tg_registry_config config = TG_REGISTRY_CONFIG_INIT;
    tg_registry *registry = NULL;
    tg_registry_snapshot snapshot = TG_REGISTRY_SNAPSHOT_INIT;
    pthread_t threads[4];
    config.max_breakers = 4;
    CHECK_EQ(tg_registry_new(&config, &registry), TG_OK);
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, comes_and_goes, registry), 0);
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(tg_registry_stats(registry, &snapshot), TG_OK);
    CHECK_EQ(snapshot.breakers, 4);
    CHECK(snapshot.evicted > 0);
    tg_registry_free(registry);
}

int main(void) {
    RUN(a_breaker_each_by_any_bytes);
    RUN(keys_are_told_one_after_the_other);
    RUN(patterns_have_settings_of_their_own);
    RUN(all_who_open_it_in_an_arena_share_all);
    RUN(bad_arguments);
    RUN(threads_share_it);
    return check_failed != 0;
}
