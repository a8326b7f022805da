/* Statuses, error texts, version. */
#include <tidegate.h>

#include "check.h"

#include <pthread.h>

static const int32_t ALL[] = {
    TG_OK, TG_DENIED, TG_OPEN, TG_FULL, TG_CLOSED, TG_EMPTY,
    TG_NOT_HELD, TG_EXHAUSTED, TG_LATE, TG_SHED, TG_DROPPED, TG_FORBIDDEN,
    TG_NULL, TG_PANIC, TG_OUT_OF_RANGE, TG_SYNTAX, TG_CONFLICT, TG_STRUCT_SIZE,
    TG_UTF8, TG_UNKNOWN_VALUE, TG_NOT_MANUAL, TG_NO_PERMIT, TG_INVALID, TG_BUFFER,
    TG_NO_MEMORY, TG_ARENA_UNSUPPORTED, TG_ARENA_PERMISSION, TG_ARENA_FILESYSTEM, TG_ARENA_NO_SPACE, TG_ARENA_FOREIGN,
    TG_ARENA_VERSION, TG_ARENA_CLOCK, TG_ARENA_SHAPE, TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_REMOVED,
    TG_ARENA_SYSTEM};
enum { COUNT = sizeof ALL / sizeof *ALL };

static void values_are_fixed(void) {
    static const int32_t FIXED[COUNT] = {0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  -1,
                                         -2,  -3,  -4,  -5,  -6,  -7,  -8,  -9,  -10, -11, -12, -13,
                                         -20, -21, -22, -23, -24, -25, -26, -27, -28, -29, -30, -31};
    for (int i = 0; i < COUNT; i++) CHECK_EQ(ALL[i], FIXED[i]);
}

static void every_status_has_its_own_text(void) {
    for (int i = 0; i < COUNT; i++) {
        const char *text = tg_status_message(ALL[i]);
        CHECK(text && *text && strcmp(text, "unknown status") != 0);
        CHECK(text == tg_status_message(ALL[i])); /* static */
        for (int j = 0; j < i; j++) CHECK(strcmp(text, tg_status_message(ALL[j])) != 0);
    }
}

static void unknown_statuses_are_told_as_such(void) {
    static const int32_t UNKNOWN[] = {12, 99, -14, -19, -32, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 7; i++) CHECK(strcmp(tg_status_message(UNKNOWN[i]), "unknown status") == 0);
}

static void *other_thread(void *message) {
    snprintf(message, 256, "%s", tg_last_error_message());
    return NULL;
}

static void last_error_belongs_to_its_thread_and_outlives_success(void) {
    char elsewhere[256] = "?";
    pthread_t thread;
    tg_clock *clock = NULL;
    CHECK_ERROR(tg_clock_manual_new(0, NULL), TG_NULL, "clock: is NULL");
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    CHECK(strstr(tg_last_error_message(), "clock: is NULL")); /* success leaves it */
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, elsewhere), 0);
    pthread_join(thread, NULL);
    CHECK(strcmp(elsewhere, "") == 0);
    tg_clock_free(clock);
}

static void header_and_library_are_one_version(void) {
    char expected[64];
    snprintf(expected, sizeof expected, "%d.%d.%d", TG_VERSION_MAJOR, TG_VERSION_MINOR, TG_VERSION_PATCH);
    CHECK(strncmp(TG_VERSION, expected, strlen(expected)) == 0);
    CHECK(strcmp(tg_version(), TG_VERSION) == 0);
}

int main(void) {
    CHECK(strcmp(tg_last_error_message(), "") == 0);
    RUN(values_are_fixed);
    RUN(every_status_has_its_own_text);
    RUN(unknown_statuses_are_told_as_such);
    RUN(last_error_belongs_to_its_thread_and_outlives_success);
    RUN(header_and_library_are_one_version);
    return check_failed != 0;
}
