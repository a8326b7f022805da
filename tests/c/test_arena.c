/* Arenas: objects that are the same by their name, what stands in their way, and what is told about it. */
#define _DEFAULT_SOURCE /* setenv */
#include <tidegate.h>

#include "check.h"

#include <stdlib.h>

static tg_arena *process_arena(const char *name) {
    tg_arena *arena = NULL;
    CHECK_EQ(tg_arena_process(name, &arena), TG_OK);
    return arena;
}

static tg_bucket_config bucket_in(const tg_arena *arena, const char *name, const char *rate) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    config.rate = rate;
    config.arena = arena;
    config.name = name;
    return config;
}

static tg_bucket *bucket(const tg_bucket_config *config) {
    tg_bucket *made = NULL;
    CHECK_EQ(tg_bucket_new(config, &made), TG_OK);
    return made;
}

static void null_is_an_error(void) {
    tg_arena_config config = TG_ARENA_CONFIG_INIT;
    tg_arena *arena = NULL;
    tg_clock *clock = NULL;
    size_t length = 0;
    CHECK_ERROR(tg_arena_open(NULL, &arena), TG_NULL, "config");
    CHECK_ERROR(tg_arena_open(&config, &arena), TG_NULL, "name");
    config.name = "orders";
    CHECK_ERROR(tg_arena_open(&config, NULL), TG_NULL, "arena");
    CHECK_ERROR(tg_arena_process(NULL, &arena), TG_NULL, "name");
    CHECK_ERROR(tg_arena_process("orders", NULL), TG_NULL, "arena");
    CHECK_ERROR(tg_arena_process_with_capacity(NULL, 1 << 20, &arena), TG_NULL, "name");
    CHECK_ERROR(tg_arena_process_with_capacity("orders", 1 << 20, NULL), TG_NULL, "arena");
    CHECK_ERROR(tg_arena_from_scope("process", NULL), TG_NULL, "arena");
    CHECK_ERROR(tg_arena_clock(NULL, &clock), TG_NULL, "arena");
    CHECK_ERROR(tg_arena_remove(NULL, "a"), TG_NULL, "arena");
    CHECK_ERROR(tg_arena_notices(NULL, NULL, 0, &length), TG_NULL, "arena");
    CHECK(!arena && !clock);
    arena = process_arena("null");
    CHECK_ERROR(tg_arena_clock(arena, NULL), TG_NULL, "clock");
    CHECK_ERROR(tg_arena_remove(arena, NULL), TG_NULL, "name");
    tg_arena_free(arena);
    tg_arena_free(NULL);
}

static void names_are_plain(void) {
    static const char *const WRONG[] = {"", "a/b", "a:b", ".a", "-a", "a b", "ä", "a\n",
                                        "a234567890123456789012345678901234567890123456789012345678901234"};
    tg_arena_config config = TG_ARENA_CONFIG_INIT;
    tg_arena *arena = NULL;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        config.name = WRONG[i];
        CHECK_ERROR(tg_arena_open(&config, &arena), TG_INVALID, "name");
        CHECK_ERROR(tg_arena_process(WRONG[i], &arena), TG_INVALID, "name");
    }
    CHECK_ERROR(tg_arena_process("\xff", &arena), TG_UTF8, "name");
    config.name = "a";
    config.path = "\xff";
    CHECK_ERROR(tg_arena_open(&config, &arena), TG_UTF8, "path");
    config.path = NULL;
    config.group = "\xff";
    CHECK_ERROR(tg_arena_open(&config, &arena), TG_UTF8, "group");
    config.group = NULL;
    config.capacity = 1000;
    CHECK_ERROR(tg_arena_open(&config, &arena), TG_INVALID, "1000");
    CHECK(!arena);

    arena = process_arena("names");
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        if (strpbrk(WRONG[i], "/:")) continue; /* an object may be called so */
        tg_bucket_config wrong = bucket_in(arena, WRONG[i], "1/s");
        tg_bucket *made = NULL;
        CHECK_ERROR(tg_bucket_new(&wrong, &made), TG_INVALID, "name");
        CHECK(!made);
    }
    tg_arena_free(arena);
}

static void one_text_says_where(void) {
    static const char *const WRONG[] = {"", "host", "cluster:a", "process:", "host:a/b", "orders"};
    tg_arena *arena = (tg_arena *)1, *same = NULL;
    CHECK_EQ(tg_arena_from_scope("process", &arena), TG_OK);
    CHECK(arena == NULL);
    CHECK_EQ(tg_arena_from_scope("process:scope", &arena), TG_OK);
    CHECK_EQ(setenv("TIDEGATE_SCOPE", "process:scope", 1), 0);
    CHECK_EQ(tg_arena_from_scope(NULL, &same), TG_OK);
    tg_bucket_config config = bucket_in(arena, "door", "1/h");
    tg_bucket *one = bucket(&config), *two = (config.arena = same, bucket(&config));
    CHECK_EQ(tg_bucket_try_acquire(one, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(two, 1), TG_DENIED);
    tg_bucket_free(one);
    tg_bucket_free(two);
    tg_arena_free(same);
    tg_arena_free(arena);

    same = NULL;
    CHECK_EQ(setenv("TIDEGATE_SCOPE", "somewhere", 1), 0);
    CHECK_ERROR(tg_arena_from_scope(NULL, &same), TG_INVALID, "TIDEGATE_SCOPE");
    CHECK_EQ(unsetenv("TIDEGATE_SCOPE"), 0);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) CHECK_EQ(tg_arena_from_scope(WRONG[i], &same), TG_INVALID);
    CHECK(!same);
    CHECK_EQ(tg_arena_from_scope(NULL, &same), TG_OK);
    CHECK(!same);
}

static void the_same_name_is_the_same_object_whoever_opens_it(void) {
    tg_arena *arena = process_arena("same");
    tg_bucket_config config = bucket_in(arena, "door", "10/h");
    tg_bucket *one = bucket(&config), *two = bucket(&config);
    config.name = "gate";
    tg_bucket *other = bucket(&config);
    config.arena = NULL;
    tg_bucket *private = bucket(&config); /* a name alone says nothing */
    tg_arena_free(arena);                 /* the objects keep it */
    CHECK_EQ(tg_bucket_try_acquire(one, 10), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(two, 1), TG_DENIED);
    tg_bucket_free(one);
    CHECK_EQ(tg_bucket_try_acquire(two, 1), TG_DENIED);
    CHECK_EQ(tg_bucket_try_acquire(other, 10), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(private, 10), TG_OK);
    tg_bucket_free(two);
    tg_bucket_free(other);
    tg_bucket_free(private);
}

static void another_shape_under_the_name_is_an_error_that_names_both(void) {
    tg_arena *arena = process_arena("shapes");
    tg_bucket_config config = bucket_in(arena, "door", "10/h");
    tg_bucket *made = bucket(&config), *wrong = NULL;
    config.stripes = 2;
    CHECK_ERROR(tg_bucket_new(&config, &wrong), TG_ARENA_SHAPE, "door");
    config.on_conflict = TG_ON_CONFLICT_APPLY; /* says nothing about shapes */
    CHECK_ERROR(tg_bucket_new(&config, &wrong), TG_ARENA_SHAPE, "door");
    tg_concurrency_config calls = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency *concurrency = NULL;
    calls.limit = 1;
    calls.arena = arena;
    calls.name = "door";
    CHECK_ERROR(tg_concurrency_new(&calls, &concurrency), TG_ARENA_SHAPE, "token bucket");
    CHECK(!wrong && !concurrency);
    tg_bucket_free(made);
    tg_arena_free(arena);
}

static void other_settings_are_an_error_kept_or_applied(void) {
    tg_arena *arena = process_arena("settings");
    tg_bucket_config config = bucket_in(arena, "door", "10/h");
    tg_bucket *made = bucket(&config), *other = NULL;
    tg_quota quota = TG_QUOTA_INIT;
    config.rate = "20/h";
    CHECK_ERROR(tg_bucket_new(&config, &other), TG_ARENA_SETTINGS, "10");
    CHECK_ERROR(tg_bucket_new(&config, &other), TG_ARENA_SETTINGS, "20");
    CHECK_ERROR(tg_bucket_new(&config, &other), TG_ARENA_SETTINGS, "on_conflict = TG_ON_CONFLICT_KEEP");
    CHECK(!other);
    config.on_conflict = 3;
    CHECK_ERROR(tg_bucket_new(&config, &other), TG_UNKNOWN_VALUE, "on_conflict");
    config.on_conflict = TG_ON_CONFLICT_KEEP;
    other = bucket(&config);
    CHECK_EQ(tg_bucket_quota(other, &quota), TG_OK);
    CHECK_EQ(quota.burst, 10);
    tg_bucket_free(other);
    config.on_conflict = TG_ON_CONFLICT_APPLY;
    other = bucket(&config);
    CHECK_EQ(tg_bucket_quota(made, &quota), TG_OK);
    CHECK_EQ(quota.burst, 20);
    tg_bucket_free(other);

    /* What was set at run time is not what was declared. */
    quota = (tg_quota)TG_QUOTA_INIT;
    quota.rate = "30/h";
    CHECK_EQ(tg_bucket_set_quota(made, &quota), TG_OK);
    config.on_conflict = TG_ON_CONFLICT_ERROR;
    other = bucket(&config);
    quota = (tg_quota)TG_QUOTA_INIT;
    CHECK_EQ(tg_bucket_quota(other, &quota), TG_OK);
    CHECK_EQ(quota.burst, 30);
    tg_bucket_free(other);
    tg_bucket_free(made);
    tg_arena_free(arena);
}

static void an_arena_of_a_process_has_the_bytes_that_were_asked_for(void) {
    tg_arena *one = NULL, *same = NULL, *other = NULL;
    tg_limiter *limiter = NULL;
    CHECK_EQ(tg_arena_process_with_capacity("sized", 1 << 20, &one), TG_OK);
    CHECK_EQ(tg_arena_process_with_capacity("sized", 1 << 20, &same), TG_OK);
    CHECK_ERROR(tg_arena_process_with_capacity("sized", 2 << 20, &other), TG_INVALID, "made with 1048576 bytes, here 2097152");
    CHECK_ERROR(tg_arena_process_with_capacity("small", 1000, &other), TG_INVALID, "1000 is not within");
    CHECK_ERROR(tg_arena_process_with_capacity("a/b", 1 << 20, &other), TG_INVALID, "name");
    CHECK(!other);
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    config.rate = "1/h";
    config.arena = one;
    config.name = "keys";
    CHECK_ERROR(tg_limiter_new(&config, &limiter), TG_ARENA_FULL, "where it is first opened (capacity");
    CHECK_EQ(tg_arena_process_with_capacity("larger", 64 << 20, &other), TG_OK);
    config.arena = other;
    CHECK_EQ(tg_limiter_new(&config, &limiter), TG_OK);
    tg_limiter_free(limiter);
    tg_arena_free(other);
    tg_arena_free(same);
    tg_arena_free(one);
}

static void an_arena_has_its_own_clock(void) {
    tg_arena *arena = process_arena("clock");
    tg_clock *clock = NULL;
    uint64_t before = 0, after = 0;
    CHECK_EQ(tg_arena_clock(arena, &clock), TG_OK);
    CHECK_EQ(tg_clock_now(clock, &before), TG_OK);
    CHECK_EQ(tg_clock_now(clock, &after), TG_OK);
    CHECK(before && after >= before);
    CHECK_ERROR(tg_clock_advance(clock, 1), TG_NOT_MANUAL, "clock");

    tg_bucket_config config = bucket_in(arena, "door", "1/h");
    tg_limiter_config limiter_config = TG_LIMITER_CONFIG_INIT;
    tg_limiter *limiter = NULL;
    tg_limit_set *set = NULL;
    tg_bucket *made = bucket(&config), *refused = NULL;
    config.clock = clock;
    CHECK_ERROR(tg_bucket_new(&config, &refused), TG_CONFLICT, "clock");
    config.clock = NULL;
    config.name = NULL;
    CHECK_ERROR(tg_bucket_new(&config, &refused), TG_CONFLICT, "name");
    CHECK(!refused);

    /* Outside, on its clock, and so in one set with what is inside. */
    limiter_config.rate = "1/h";
    limiter_config.clock = clock;
    CHECK_EQ(tg_limiter_new(&limiter_config, &limiter), TG_OK);
    const tg_limit_member members[] = {{"user", NULL, limiter}, {"everybody", made, NULL}};
    CHECK_EQ(tg_limit_set_new(members, 2, &set), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire_at(made, after, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire_at(made, after, 1), TG_DENIED);
    tg_limit_set_free(set);
    tg_limiter_free(limiter);
    tg_clock_free(clock);
    tg_bucket_free(made);
    tg_arena_free(arena);
}

static void wrong_settings_are_told_as_without_an_arena(void) {
    tg_arena *arena = process_arena("wrong");
    tg_breaker_config breaker_config = TG_BREAKER_CONFIG_INIT;
    tg_limiter_config limiter_config = TG_LIMITER_CONFIG_INIT;
    tg_concurrency_config calls = TG_CONCURRENCY_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    tg_limiter *limiter = NULL;
    tg_concurrency *concurrency = NULL;
    breaker_config.arena = limiter_config.arena = calls.arena = arena;
    breaker_config.failure_rate_threshold = 50;
    CHECK_ERROR(tg_breaker_new(&breaker_config, &breaker), TG_CONFLICT, "name");
    breaker_config.name = limiter_config.name = calls.name = "wrong";
    CHECK_ERROR(tg_breaker_new(&breaker_config, &breaker), TG_OUT_OF_RANGE, "0.5");
    limiter_config.rate = "1/h";
    limiter_config.max_keys = 0;
    CHECK_ERROR(tg_limiter_new(&limiter_config, &limiter), TG_OUT_OF_RANGE, "max_keys");
    CHECK_ERROR(tg_concurrency_new(&calls, &concurrency), TG_OUT_OF_RANGE, "limit");
    breaker_config.reserved = 1;
    CHECK_ERROR(tg_breaker_new(&breaker_config, &breaker), TG_OUT_OF_RANGE, "reserved");
    limiter_config.reserved = 1;
    CHECK_ERROR(tg_limiter_new(&limiter_config, &limiter), TG_OUT_OF_RANGE, "reserved");
    limiter_config.reserved = 0;
    limiter_config.max_keys = 10000000; /* more than the arena has room for */
    CHECK_ERROR(tg_limiter_new(&limiter_config, &limiter), TG_ARENA_FULL, "capacity");
    CHECK_EQ(tg_arena_remove(arena, "wrong"), TG_EMPTY); /* nothing half made stays behind */
    CHECK(!breaker && !limiter && !concurrency);
    tg_arena_free(arena);
}

static void a_removed_name_is_free_again(void) {
    tg_arena *arena = process_arena("remove");
    tg_bucket_config config = bucket_in(arena, "door", "1/h");
    tg_bucket *old = bucket(&config);
    CHECK_EQ(tg_bucket_try_acquire(old, 1), TG_OK);
    CHECK_EQ(tg_arena_remove(arena, "gate"), TG_EMPTY);
    CHECK_EQ(tg_arena_remove(arena, "door"), TG_OK);
    CHECK_EQ(tg_arena_remove(arena, "door"), TG_EMPTY);
    config.rate = "2/h";
    tg_bucket *fresh = bucket(&config);
    CHECK_EQ(tg_bucket_try_acquire(fresh, 2), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(old, 1), TG_DENIED); /* who has it open goes on with it */
    tg_bucket_free(old);
    tg_bucket_free(fresh);
    tg_arena_free(arena);
}

static void every_kind_of_object_lives_there(void) {
    tg_arena *arena = process_arena("kinds");
    tg_limiter_config limiter_config = TG_LIMITER_CONFIG_INIT;
    tg_breaker_config breaker_config = TG_BREAKER_CONFIG_INIT;
    tg_concurrency_config calls = TG_CONCURRENCY_CONFIG_INIT;
    limiter_config.arena = breaker_config.arena = calls.arena = arena;
    limiter_config.rate = "1/h";
    limiter_config.max_keys = 100;
    limiter_config.name = "users";
    breaker_config.name = "payment";
    breaker_config.consecutive_failures = 1;
    calls.name = "calls";
    calls.limit = 1;
    for (int32_t algorithm = 0; algorithm <= TG_ALGORITHM_LEAKY_BUCKET; algorithm++) {
        static const char *const NAME[] = {"users", "fixed", "sliding", "log", "leaky"};
        tg_limiter *one = NULL, *two = NULL;
        limiter_config.name = NAME[algorithm];
        limiter_config.algorithm = algorithm;
        CHECK_EQ(tg_limiter_new(&limiter_config, &one), TG_OK);
        CHECK_EQ(tg_limiter_new(&limiter_config, &two), TG_OK);
        CHECK_EQ(tg_limiter_try_acquire(one, "ann", 3, 1), TG_OK);
        CHECK_EQ(tg_limiter_try_acquire(two, "ann", 3, 1), TG_DENIED);
        CHECK_EQ(tg_limiter_try_acquire(two, "ben", 3, 1), TG_OK);
        tg_limiter_free(one);
        tg_limiter_free(two);
    }
    tg_breaker *breaker[2] = {NULL};
    tg_concurrency *concurrency[2] = {NULL};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(tg_breaker_new(&breaker_config, &breaker[i]), TG_OK);
        CHECK_EQ(tg_concurrency_new(&calls, &concurrency[i]), TG_OK);
    }
    tg_permit permit;
    int32_t state = 0;
    CHECK_EQ(tg_breaker_acquire(breaker[0], &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report(breaker[0], permit, TG_FAILURE, TG_NEVER), TG_OK);
    CHECK_EQ(tg_breaker_state(breaker[1], &state), TG_OK);
    CHECK_EQ(state, TG_STATE_OPEN);
    tg_concurrency_permit call, refused;
    CHECK_EQ(tg_concurrency_try_acquire(concurrency[0], &call), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire(concurrency[1], &refused), TG_DENIED);
    CHECK_EQ(tg_concurrency_release(concurrency[1], call), TG_OK); /* the same limit, whichever handle */
    CHECK_EQ(tg_concurrency_release(concurrency[0], call), TG_NOT_HELD);
    for (int i = 0; i < 2; i++) {
        tg_breaker_free(breaker[i]);
        tg_concurrency_free(concurrency[i]);
    }
    tg_arena_free(arena);
}

int main(void) {
    RUN(null_is_an_error);
    RUN(names_are_plain);
    RUN(one_text_says_where);
    RUN(the_same_name_is_the_same_object_whoever_opens_it);
    RUN(another_shape_under_the_name_is_an_error_that_names_both);
    RUN(other_settings_are_an_error_kept_or_applied);
    RUN(an_arena_of_a_process_has_the_bytes_that_were_asked_for);
    RUN(an_arena_has_its_own_clock);
    RUN(wrong_settings_are_told_as_without_an_arena);
    RUN(a_removed_name_is_free_again);
    RUN(every_kind_of_object_lives_there);
    return check_failed != 0;
}
