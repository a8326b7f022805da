/* The operations of limits per key and of limits combined, for vectors.h. */
#ifndef VECTORS_LIMITS_H
#define VECTORS_LIMITS_H

#include "vectors.h"

/* `times` times the text; a key lives for the call that it is made for, and no call has more than these. */
static inline tg_bytes repeated(const char *text, size_t len, size_t times) {
    static char room[4][1 << 21];
    static unsigned next;
    char *at = room[next++ % 4];
    CHECK(len * times <= sizeof room[0]);
    for (size_t i = 0; i < times; i++) memcpy(at + i * len, text, len);
    return (tg_bytes){at, len * times};
}

static inline void new_limiter(tg_limiter_config config) {
    config.clock = clock_;
    CHECK_EQ(tg_limiter_new(&config, &limiter), TG_OK);
}

static inline tg_quota quota_of(uint64_t count, uint64_t period_ns, uint64_t burst) {
    tg_quota quota = TG_QUOTA_INIT;
    quota.count = count;
    quota.period_ns = period_ns;
    quota.burst = burst;
    return quota;
}

static inline tg_tier tier_of(tg_quota quota) {
    tg_tier tier = {0, {0}};
    CHECK_EQ(tg_limiter_tier(limiter, &quota, &tier), TG_OK);
    return tier;
}

static inline tg_status status_of(bool allowed) { return allowed ? TG_OK : TG_DENIED; }

static inline void limiter_try_acquire(uint64_t now, tg_bytes key, uint32_t n, const tg_tier *tier, bool ok) {
    STEP(CHECK_EQ(tier ? CALL(now, tg_limiter_try_acquire_tier(limiter, key.data, key.len, n, tier), tg_limiter_try_acquire_tier_at(limiter, now, key.data, key.len, n, tier))
                       : CALL(now, tg_limiter_try_acquire(limiter, key.data, key.len, n), tg_limiter_try_acquire_at(limiter, now, key.data, key.len, n)),
                  status_of(ok)));
}

static inline void limiter_check(uint64_t now, tg_bytes key, uint32_t n, const tg_tier *tier, tg_decision expected) {
    tg_decision d = TG_DECISION_INIT;
    STEP(CHECK_EQ(tier ? CALL(now, tg_limiter_check_tier(limiter, key.data, key.len, n, tier, &d), tg_limiter_check_tier_at(limiter, now, key.data, key.len, n, tier, &d))
                       : CALL(now, tg_limiter_check(limiter, key.data, key.len, n, &d), tg_limiter_check_at(limiter, now, key.data, key.len, n, &d)),
                  status_of(expected.allowed));
         same_decision(&d, &expected));
}

static inline void limiter_peek(uint64_t now, tg_bytes key, const tg_tier *tier, tg_decision expected) {
    tg_decision d = TG_DECISION_INIT;
    STEP(CHECK_EQ(tier ? CALL(now, tg_limiter_peek_tier(limiter, key.data, key.len, tier, &d), tg_limiter_peek_tier_at(limiter, now, key.data, key.len, tier, &d))
                       : CALL(now, tg_limiter_peek(limiter, key.data, key.len, &d), tg_limiter_peek_at(limiter, now, key.data, key.len, &d)),
                  status_of(expected.allowed));
         same_decision(&d, &expected));
}

static inline void limiter_refund(uint64_t now, tg_bytes key, uint32_t n, const tg_tier *tier) {
    STEP(CHECK_EQ(tier ? CALL(now, tg_limiter_refund_tier(limiter, key.data, key.len, n, tier), tg_limiter_refund_tier_at(limiter, now, key.data, key.len, n, tier))
                       : CALL(now, tg_limiter_refund(limiter, key.data, key.len, n), tg_limiter_refund_at(limiter, now, key.data, key.len, n)),
                  TG_OK));
}

static inline void limiter_penalize(uint64_t now, tg_bytes key, uint64_t wait) {
    bool noted = false;
    STEP(CHECK_EQ(CALL(now, tg_limiter_penalize(limiter, key.data, key.len, wait, &noted), tg_limiter_penalize_at(limiter, now, key.data, key.len, wait, &noted)), TG_OK));
}

static inline void limiter_reset(uint64_t now, tg_bytes key) {
    STEP(CHECK_EQ(CALL(now, tg_limiter_reset(limiter, key.data, key.len), tg_limiter_reset_at(limiter, now, key.data, key.len)), TG_OK));
}

static inline void limiter_reset_all(uint64_t now) {
    STEP(CHECK_EQ(CALL(now, tg_limiter_reset_all(limiter), tg_limiter_reset_all_at(limiter, now)), TG_OK));
}

static inline void limiter_set_quota(uint64_t now, tg_quota quota) {
    STEP(at(now); CHECK_EQ(tg_limiter_set_quota(limiter, &quota), TG_OK));
}

static inline void limiter_stats(uint64_t now, uint64_t admitted, uint64_t denied, uint64_t would_deny) {
    tg_limiter_snapshot s = TG_LIMITER_SNAPSHOT_INIT;
    STEP(at(now); CHECK_EQ(tg_limiter_stats(limiter, &s), TG_OK);
         CHECK_EQ(s.admitted, admitted); CHECK_EQ(s.denied, denied); CHECK_EQ(s.would_deny, would_deny));
}

/* limit set: a member is a bucket or a limiter */

static inline void member_bucket(const char *name, uint64_t count, uint64_t period_ns, uint64_t burst) {
    new_bucket(count, period_ns, burst);
    members[member_count++] = (tg_limit_member){name, bucket, NULL};
    bucket = NULL; /* the members' to free */
}

static inline void member_limiter(const char *name, tg_limiter_config config) {
    new_limiter(config);
    members[member_count++] = (tg_limit_member){name, NULL, limiter};
    limiter = NULL;
}

static inline void member_same_as(const char *name, size_t place) {
    members[member_count] = members[place];
    members[member_count++].name = name;
}

static inline void new_set(void) { CHECK_EQ(tg_limit_set_new(members, member_count, &set), TG_OK); }

static inline void set_check(uint64_t now, size_t count, const tg_bytes *keys, uint32_t n, tg_decision expected, int32_t denied_by) {
    tg_decision d = TG_DECISION_INIT;
    int32_t by = 99;
    STEP(CHECK_EQ(CALL(now, tg_limit_set_check(set, keys, count, n, &d, &by), tg_limit_set_check_at(set, now, keys, count, n, &d, &by)), status_of(expected.allowed));
         same_decision(&d, &expected); CHECK_EQ(by, denied_by));
}

static inline void set_peek(uint64_t now, size_t count, const tg_bytes *keys, uint32_t n, tg_decision expected, int32_t denied_by) {
    tg_decision d = TG_DECISION_INIT;
    int32_t by = 99;
    STEP(CHECK_EQ(CALL(now, tg_limit_set_peek(set, keys, count, n, &d, &by), tg_limit_set_peek_at(set, now, keys, count, n, &d, &by)), status_of(expected.allowed));
         same_decision(&d, &expected); CHECK_EQ(by, denied_by));
}

static inline void set_refund(uint64_t now, size_t count, const tg_bytes *keys, uint32_t n) {
    STEP(CHECK_EQ(CALL(now, tg_limit_set_refund(set, keys, count, n), tg_limit_set_refund_at(set, now, keys, count, n)), TG_OK));
}

static inline void set_peek_member(uint64_t now, size_t place, tg_bytes key, tg_decision expected) {
    tg_decision d = TG_DECISION_INIT;
    const tg_limit_member *member = &members[place];
    STEP(CHECK_EQ(member->bucket ? CALL(now, tg_bucket_peek(member->bucket, &d), tg_bucket_peek_at(member->bucket, now, &d))
                                 : CALL(now, tg_limiter_peek(member->limiter, key.data, key.len, &d), tg_limiter_peek_at(member->limiter, now, key.data, key.len, &d)),
                  status_of(expected.allowed));
         same_decision(&d, &expected));
}

static inline void set_penalize_member(uint64_t now, size_t place, tg_bytes key, uint64_t wait) {
    const tg_limit_member *member = &members[place];
    STEP(CHECK_EQ(member->bucket ? CALL(now, tg_bucket_penalize(member->bucket, wait), tg_bucket_penalize_at(member->bucket, now, wait))
                                 : CALL(now, tg_limiter_penalize(member->limiter, key.data, key.len, wait, NULL), tg_limiter_penalize_at(member->limiter, now, key.data, key.len, wait, NULL)),
                  TG_OK));
}

#endif
