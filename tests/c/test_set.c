/* Several limits as one decision: what the border adds to the core; the decisions themselves are held by the vectors. */
#include <tidegate.h>

#include "check.h"

#define SECOND UINT64_C(1000000000)
#define TEXT(text) {(text), sizeof(text) - 1}

static tg_clock *clock_;
static tg_bucket *everyone_;
static tg_limiter *user_, *address_;
static tg_limit_set *set_;

static tg_limiter *limiter_of(const char *rate, tg_clock *clock) {
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    tg_limiter *limiter = NULL;
    config.rate = rate;
    config.clock = clock;
    config.max_keys = 1000;
    CHECK_EQ(tg_limiter_new(&config, &limiter), TG_OK);
    return limiter;
}

static tg_bucket *bucket_of(const char *rate) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    config.rate = rate;
    config.clock = clock_;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    return bucket;
}

/* user 2/min, address 3/min, everyone 4/min */
static void start(void) {
    user_ = limiter_of("2/min", clock_);
    address_ = limiter_of("3/min", clock_);
    everyone_ = bucket_of("4/min");
    const tg_limit_member members[] = {{"user", NULL, user_}, {"address", NULL, address_}, {"everyone", everyone_, NULL}};
    CHECK_EQ(tg_limit_set_new(members, 3, &set_), TG_OK);
}

static void stop(void) {
    tg_limit_set_free(set_);
    tg_limiter_free(user_);
    tg_limiter_free(address_);
    tg_bucket_free(everyone_);
    set_ = NULL;
}

static uint32_t left(void) { /* of everyone */
    tg_decision decision = TG_DECISION_INIT;
    CHECK(tg_bucket_peek(everyone_, &decision) >= 0);
    return decision.remaining;
}

static void takes_from_all_or_from_none(void) {
    const tg_bytes ann[] = {TEXT("ann"), TEXT("home")}, ben[] = {TEXT("ben"), TEXT("home")}, empty[] = {{NULL, 0}, {"\0", 1}};
    tg_decision decision = TG_DECISION_INIT;
    int32_t denied_by = 7;
    const char *name = NULL;
    start();
    CHECK_EQ(tg_limit_set_check(set_, ann, 2, 1, &decision, &denied_by), TG_OK);
    CHECK_EQ(denied_by, -1);
    CHECK_EQ(decision.limit, 2); /* the fewest left */
    CHECK_EQ(decision.remaining, 1);
    CHECK_EQ(tg_limit_set_check(set_, ann, 2, 1, &decision, NULL), TG_OK);
    CHECK_EQ(left(), 2);
    CHECK_EQ(tg_limit_set_check(set_, ann, 2, 1, &decision, &denied_by), TG_DENIED);
    CHECK_EQ(denied_by, 0);
    CHECK_EQ(tg_limit_set_name(set_, denied_by, &name), TG_OK);
    CHECK(name && !strcmp(name, "user"));
    CHECK_EQ(left(), 2); /* a refusal takes nothing */
    CHECK_EQ(tg_limit_set_check(set_, ben, 2, 2, &decision, &denied_by), TG_DENIED);
    CHECK_EQ(denied_by, 1);
    CHECK_EQ(tg_limiter_peek(user_, "ben", 3, &decision), TG_OK);
    CHECK_EQ(decision.remaining, 2);
    CHECK_EQ(tg_limit_set_check(set_, empty, 2, 2, &decision, &denied_by), TG_OK);
    CHECK_EQ(left(), 0);
    CHECK_EQ(tg_limit_set_check(set_, ben, 2, 1, &decision, &denied_by), TG_DENIED);
    CHECK_EQ(denied_by, 2);
    stop();
}

static void looks_and_gives_back(void) {
    const tg_bytes ann[] = {TEXT("ann"), TEXT("home")};
    tg_decision decision = TG_DECISION_INIT;
    int32_t denied_by = 7;
    start();
    CHECK_EQ(tg_limit_set_peek(set_, ann, 2, 2, &decision, &denied_by), TG_OK);
    CHECK_EQ(denied_by, -1);
    CHECK_EQ(tg_limit_set_peek(set_, ann, 2, 3, &decision, &denied_by), TG_DENIED);
    CHECK(decision.retry_after_ns == TG_NEVER);
    CHECK_EQ(denied_by, 0);
    CHECK_EQ(left(), 4);
    CHECK_EQ(tg_limit_set_check(set_, ann, 2, 2, &decision, NULL), TG_OK);
    CHECK_EQ(tg_limit_set_refund(set_, ann, 2, 1), TG_OK);
    CHECK_EQ(left(), 3);
    CHECK_EQ(tg_limiter_peek(user_, "ann", 3, &decision), TG_OK);
    CHECK_EQ(decision.remaining, 1);
    stop();
}

static void tells_each(void) {
    const tg_bytes ann[] = {TEXT("ann"), TEXT("home")};
    tg_decision decision = TG_DECISION_INIT, each[5] = {TG_DECISION_INIT, TG_DECISION_INIT, TG_DECISION_INIT, TG_DECISION_INIT, TG_DECISION_INIT};
    start();
    each[3].limit = each[4].limit = 99;
    CHECK_EQ(tg_limit_set_check_each(set_, ann, 2, 1, &decision, NULL, each, 5), TG_OK);
    CHECK_EQ(each[0].limit, 2);
    CHECK_EQ(each[1].limit, 3);
    CHECK_EQ(each[2].limit, 4);
    CHECK_EQ(each[0].remaining, 1);
    CHECK_EQ(each[2].remaining, 3);
    CHECK_EQ(each[3].limit, 99); /* no fourth member */
    each[1].limit = 99;
    CHECK_EQ(tg_limit_set_check_each(set_, ann, 2, 1, &decision, NULL, each, 1), TG_OK);
    CHECK_EQ(each[0].remaining, 0);
    CHECK_EQ(each[1].limit, 99);
    CHECK_EQ(tg_limit_set_check_each(set_, ann, 2, 0, &decision, NULL, NULL, 0), TG_OK);
    CHECK_EQ(left(), 2);
    each[1].struct_size = 8;
    CHECK_ERROR(tg_limit_set_check_each(set_, ann, 2, 1, &decision, NULL, each, 3), TG_STRUCT_SIZE, "tg_decision");
    CHECK_ERROR(tg_limit_set_check_each(set_, ann, 2, 1, &decision, NULL, NULL, 3), TG_NULL, "each:");
    CHECK_EQ(left(), 2);
    stop();
}

/* A caller whose structs are longer: the array's stride is the caller's. */
static void tells_each_at_the_callers_distance(void) {
    const tg_bytes ann[] = {TEXT("ann"), TEXT("home")};
    tg_decision decision = TG_DECISION_INIT;
    struct {
        tg_decision known;
        uint64_t fresh;
    } each[3] = {{TG_DECISION_INIT, 7}, {TG_DECISION_INIT, 7}, {TG_DECISION_INIT, 7}};
    start();
    for (int i = 0; i < 3; i++) each[i].known.struct_size = sizeof *each;
    CHECK_EQ(tg_limit_set_check_each(set_, ann, 2, 1, &decision, NULL, &each[0].known, 3), TG_OK);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(each[i].known.limit, i + 2);
        CHECK_EQ(each[i].known.struct_size, sizeof *each);
        CHECK_EQ(each[i].fresh, 7);
    }
    stop();
}

static void shares_its_members_which_may_go_first(void) {
    const tg_bytes ann[] = {TEXT("ann"), TEXT("home")};
    tg_decision decision = TG_DECISION_INIT;
    size_t members = 0;
    start();
    CHECK_EQ(tg_limiter_try_acquire(user_, "ann", 3, 1), TG_OK); /* one state, whoever charges it */
    CHECK_EQ(tg_limit_set_check(set_, ann, 2, 1, &decision, NULL), TG_OK);
    CHECK_EQ(decision.remaining, 0);
    tg_limiter_free(user_);
    tg_limiter_free(address_);
    tg_bucket_free(everyone_);
    user_ = address_ = NULL;
    everyone_ = NULL;
    CHECK_EQ(tg_limit_set_check(set_, ann, 2, 1, &decision, NULL), TG_DENIED);
    CHECK_EQ(tg_limit_set_len(set_, &members), TG_OK);
    CHECK_EQ(members, 3);
    stop();
}

static void the_at_forms_take_their_time_from_the_caller(void) {
    const tg_bytes ann[] = {TEXT("ann"), TEXT("home")};
    tg_decision decision = TG_DECISION_INIT, each[3] = {TG_DECISION_INIT, TG_DECISION_INIT, TG_DECISION_INIT};
    uint64_t now = 0;
    start();
    CHECK_EQ(tg_clock_now(clock_, &now), TG_OK);
    CHECK_EQ(tg_limit_set_check_at(set_, now, ann, 2, 2, &decision, NULL), TG_OK);
    CHECK_EQ(tg_limit_set_check_at(set_, now, ann, 2, 1, &decision, NULL), TG_DENIED);
    CHECK_EQ(tg_limit_set_peek_at(set_, now + 31 * SECOND, ann, 2, 1, &decision, NULL), TG_OK);
    CHECK_EQ(tg_limit_set_check_each_at(set_, now + 31 * SECOND, ann, 2, 1, &decision, NULL, each, 3), TG_OK);
    CHECK_EQ(tg_limit_set_refund_at(set_, now + 31 * SECOND, ann, 2, 1), TG_OK);
    CHECK_EQ(tg_limit_set_check_at(set_, now + 31 * SECOND, ann, 2, 1, &decision, NULL), TG_OK);
    stop();
}

static void wrong_settings_are_told(void) {
    tg_clock *other = NULL;
    tg_limit_set *set = NULL;
    tg_limiter *strange;
    start();
    CHECK_EQ(tg_clock_manual_new(0, &other), TG_OK);
    strange = limiter_of("1/min", other);
    const tg_limit_member good = {"user", NULL, user_}, both = {"both", everyone_, user_}, neither = {"neither", NULL, NULL},
                          unnamed = {NULL, NULL, user_}, empty = {"", NULL, user_}, alien = {"alien", NULL, strange},
                          latin = {"\xff", NULL, user_};
    const tg_limit_member twice[] = {good, good}, clocks[] = {good, alien};
    tg_limit_member many[17];
    char names[17][2];
    for (int i = 0; i < 17; i++) {
        names[i][0] = (char)('a' + i);
        names[i][1] = 0;
        many[i] = (tg_limit_member){names[i], NULL, user_};
    }
    CHECK(tg_limit_set_new(&both, 1, &set) == TG_CONFLICT && strstr(tg_last_error_message(), "\"both\""));
    CHECK_ERROR(tg_limit_set_new(&neither, 1, &set), TG_CONFLICT, "either a bucket or a limiter");
    CHECK_ERROR(tg_limit_set_new(&unnamed, 1, &set), TG_NULL, "name:");
    CHECK_ERROR(tg_limit_set_new(&latin, 1, &set), TG_UTF8, "name:");
    CHECK(tg_limit_set_new(&empty, 1, &set) < 0 && strstr(tg_last_error_message(), "members:"));
    CHECK(tg_limit_set_new(twice, 2, &set) < 0 && strstr(tg_last_error_message(), "members:"));
    CHECK(tg_limit_set_new(clocks, 2, &set) < 0 && strstr(tg_last_error_message(), "clock"));
    CHECK(tg_limit_set_new(&good, 0, &set) < 0 && strstr(tg_last_error_message(), "members:"));
    CHECK(tg_limit_set_new(NULL, 0, &set) < 0 && strstr(tg_last_error_message(), "members:"));
    CHECK(tg_limit_set_new(many, 17, &set) < 0 && strstr(tg_last_error_message(), "members:"));
    CHECK(set == NULL); /* an error writes nothing */
    CHECK_EQ(tg_limit_set_new(many, 16, &set), TG_OK);
    tg_limit_set_free(set);
    tg_limiter_free(strange);
    tg_clock_free(other);
    stop();
}

static void wrong_keys_are_told(void) {
    tg_bytes keys[17] = {TEXT("ann"), TEXT("home")};
    tg_decision decision = TG_DECISION_INIT;
    int32_t denied_by = 7;
    start();
    CHECK_ERROR(tg_limit_set_check(set_, keys, 1, 1, &decision, &denied_by), TG_CONFLICT, "keys:");
    CHECK_ERROR(tg_limit_set_check(set_, keys, 3, 1, &decision, &denied_by), TG_CONFLICT, "keys:");
    CHECK_ERROR(tg_limit_set_check(set_, keys, 17, 1, &decision, &denied_by), TG_CONFLICT, "keys:");
    CHECK_ERROR(tg_limit_set_check(set_, NULL, 0, 1, &decision, &denied_by), TG_CONFLICT, "keys:");
    CHECK_ERROR(tg_limit_set_check(set_, NULL, 2, 1, &decision, &denied_by), TG_NULL, "keys:");
    CHECK_ERROR(tg_limit_set_peek(set_, keys, 1, 1, &decision, &denied_by), TG_CONFLICT, "keys:");
    CHECK_ERROR(tg_limit_set_refund(set_, keys, 1, 1), TG_CONFLICT, "keys:");
    keys[1] = (tg_bytes){NULL, 4};
    CHECK_ERROR(tg_limit_set_check(set_, keys, 2, 1, &decision, &denied_by), TG_NULL, "keys:");
    keys[1] = (tg_bytes){"x", SIZE_MAX};
    CHECK_ERROR(tg_limit_set_check(set_, keys, 2, 1, &decision, &denied_by), TG_OUT_OF_RANGE, "keys:");
    CHECK_EQ(denied_by, 7);
    CHECK_EQ(left(), 4); /* none of them took anything */
    stop();
}

static void null_is_an_error(void) {
    const tg_bytes keys[] = {TEXT("ann"), TEXT("home")};
    const tg_limit_member member = {"everyone", everyone_, NULL};
    tg_decision decision = TG_DECISION_INIT;
    const char *name = NULL;
    size_t members = 0;
    start();
    CHECK_ERROR(tg_limit_set_new(NULL, 1, &set_), TG_NULL, "members:");
    CHECK_ERROR(tg_limit_set_new(&member, 1, NULL), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_check(NULL, keys, 2, 1, &decision, NULL), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_check(set_, keys, 2, 1, NULL, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limit_set_check_at(NULL, 0, keys, 2, 1, &decision, NULL), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_check_at(set_, 0, keys, 2, 1, NULL, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limit_set_check_each(NULL, keys, 2, 1, &decision, NULL, NULL, 0), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_check_each(set_, keys, 2, 1, NULL, NULL, NULL, 0), TG_NULL, "decision:");
    CHECK_ERROR(tg_limit_set_check_each_at(NULL, 0, keys, 2, 1, &decision, NULL, NULL, 0), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_peek(NULL, keys, 2, 1, &decision, NULL), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_peek(set_, keys, 2, 1, NULL, NULL), TG_NULL, "decision:");
    CHECK_ERROR(tg_limit_set_peek_at(NULL, 0, keys, 2, 1, &decision, NULL), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_refund(NULL, keys, 2, 1), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_refund_at(NULL, 0, keys, 2, 1), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_len(NULL, &members), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_len(set_, NULL), TG_NULL, "members:");
    CHECK_ERROR(tg_limit_set_name(NULL, 0, &name), TG_NULL, "set:");
    CHECK_ERROR(tg_limit_set_name(set_, 0, NULL), TG_NULL, "name:");
    CHECK_ERROR(tg_limit_set_name(set_, 3, &name), TG_OUT_OF_RANGE, "3 members");
    CHECK_ERROR(tg_limit_set_name(set_, -1, &name), TG_OUT_OF_RANGE, "place:");
    CHECK(name == NULL);
    CHECK_EQ(left(), 4);
    stop();
    tg_limit_set_free(NULL);
}

int main(void) {
    CHECK_EQ(tg_clock_manual_new(7 * SECOND, &clock_), TG_OK);
    RUN(takes_from_all_or_from_none);
    RUN(looks_and_gives_back);
    RUN(tells_each);
    RUN(tells_each_at_the_callers_distance);
    RUN(shares_its_members_which_may_go_first);
    RUN(the_at_forms_take_their_time_from_the_caller);
    RUN(wrong_settings_are_told);
    RUN(wrong_keys_are_told);
    RUN(null_is_an_error);
    tg_clock_free(clock_);
    return check_failed != 0;
}
