/* Random arguments, the same in every run. */
#ifndef RANDOM_H
#define RANDOM_H

#include <tidegate.h>

#include "check.h"

#include <math.h>

enum { ROUNDS = 3000 };

static uint64_t state_ = 0x9e3779b97f4a7c15u;

static inline uint64_t any(void) { /* xorshift64* (Vigna 2016) */
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 2685821657736338717u;
}

/* Small and special numbers come as often as large ones. */
static inline uint64_t number(void) {
    static const uint64_t SPECIAL[] = {0, 1, 2, 1000, 1000000000, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    uint64_t pick = any();
    return pick % 3 == 0 ? SPECIAL[(pick >> 8) % (sizeof SPECIAL / sizeof *SPECIAL)] : any() >> (pick >> 8) % 64;
}

static inline double fraction(void) {
    static const double SPECIAL[] = {0.0, -0.0, 0.5, 0.8, 1.0, 1.5, -1.0, 1e-320, 1e308, 50.0, (double)NAN, (double)INFINITY, -(double)INFINITY};
    double bits;
    uint64_t pick = any(), raw = any();
    if (pick % 3) return SPECIAL[(pick >> 8) % (sizeof SPECIAL / sizeof *SPECIAL)];
    memcpy(&bits, &raw, sizeof bits);
    return bits;
}

static inline tg_status known(tg_status status) {
    CHECK(status >= TG_ARENA_SYSTEM && status <= TG_NOT_HELD && status != TG_PANIC && strcmp(tg_status_message(status), "unknown status"));
    if (status == TG_PANIC) printf("# %s\n", tg_last_error_message());
    return status;
}

static int made_; /* objects that could be made */

#endif
