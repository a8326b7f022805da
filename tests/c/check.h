/* A test is a function; what does not hold is printed and fails it. Output: "ok NAME", "not ok NAME", "skip NAME # why". */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int check_failures; /* in the running test */
static int check_failed;   /* tests */

#define CHECK(what) \
    do { \
        if (!(what)) { \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #what); \
            check_failures++; \
        } \
    } while (0)

#define CHECK_EQ(actual, expected) \
    do { \
        int64_t check_a = (int64_t)(actual), check_e = (int64_t)(expected); \
        if (check_a != check_e) { \
            printf("# %s:%d: %s is %" PRId64 ", not %s = %" PRId64 "\n", __FILE__, __LINE__, #actual, check_a, #expected, check_e); \
            check_failures++; \
        } \
    } while (0)

/* An error with this status whose sentence names the argument and says how to mend it. */
#define CHECK_ERROR(call, status, needle) \
    do { \
        CHECK_EQ(call, status); \
        if (!strstr(tg_last_error_message(), needle)) { \
            printf("# %s:%d: \"%s\" does not say \"%s\"\n", __FILE__, __LINE__, tg_last_error_message(), needle); \
            check_failures++; \
        } \
    } while (0)

static inline void check_done(const char *name) {
    printf("%s %s\n", check_failures ? "not ok" : "ok", name);
    check_failed += check_failures != 0;
    check_failures = 0;
    fflush(stdout);
}

#define RUN(test) \
    do { \
        test(); \
        check_done(#test); \
    } while (0)

#endif
