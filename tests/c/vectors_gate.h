/* The operations of gates, for vectors.h. */
#ifndef VECTORS_GATE_H
#define VECTORS_GATE_H

#include "vectors_limits.h"
#include "vectors_shed.h"

#include <string.h>

#define CIRCUITS 4
static tg_gate *gate;
static tg_access_list *access_list;
static tg_breaker *circuits[CIRCUITS];
static tg_gate_dependency dependencies[CIRCUITS];
static size_t circuit_count;

static inline void finish_gate(void) {
    tg_gate_free(gate);
    tg_access_list_free(access_list);
    while (circuit_count > 0) tg_breaker_free(circuits[--circuit_count]);
    gate = NULL;
    access_list = NULL;
}

static inline void new_access(size_t allow_count, const char *const *allow, size_t deny_count, const char *const *deny) {
    CHECK_EQ(tg_access_list_new(allow, allow_count, deny, deny_count, &access_list), TG_OK);
}

static inline void new_circuit(const char *name, tg_breaker_config config) {
    config.clock = clock_;
    CHECK_EQ(tg_breaker_new(&config, &circuits[circuit_count]), TG_OK);
    dependencies[circuit_count].name = name;
    dependencies[circuit_count].breaker = circuits[circuit_count];
    circuit_count++;
}

static inline void new_permits(uint32_t limit, size_t count, const tg_partition *partitions) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    config.limit = limit;
    config.partitions = partitions;
    config.partitions_len = count;
    config.clock = clock_;
    CHECK_EQ(tg_concurrency_new(&config, &concurrency), TG_OK);
}

static inline void new_jobs(size_t capacity) {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    config.capacity = capacity;
    config.high_watermark = 1;
    config.clock = clock_;
    CHECK_EQ(tg_queue_new(&config, &queue), TG_OK);
}

/* Of the parts that were made before. */
static inline void new_gate(uint32_t refund_on, int32_t mode_) {
    tg_gate_config config = TG_GATE_CONFIG_INIT;
    config.name = "orders";
    config.access = access_list;
    config.shedder = shedder;
    config.shedder_name = "main";
    config.queue = queue;
    config.queue_name = "jobs";
    config.concurrency = concurrency;
    config.concurrency_name = "database";
    config.limits = set;
    config.dependencies = dependencies;
    config.dependency_count = circuit_count;
    config.refund_on = refund_on;
    config.mode = mode_;
    CHECK_EQ(tg_gate_new(&config, &gate), TG_OK);
}

typedef struct expected_admission {
    tg_status status;
    const char *denied_by;
    int32_t kind;
    uint32_t http_status;
    uint64_t retry_after_ns;
    uint32_t limit, remaining;
    double pressure;
} expected_admission;

static inline void gate_admit(uint64_t now, tg_admission *held, size_t key_count, const tg_bytes *keys,
                              const char *address, int32_t priority, uint32_t cost, uint64_t deadline, uint64_t needs,
                              uint32_t partition, expected_admission expected) {
    tg_gate_request request = TG_GATE_REQUEST_INIT;
    tg_admission told = TG_ADMISSION_INIT;
    const char *name = NULL;
    size_t length = 0;
    char text[256];
    request.keys = keys;
    request.key_count = key_count;
    request.address = address;
    request.priority = priority;
    request.cost = cost;
    request.deadline_ns = deadline;
    request.dependencies = needs;
    request.partition = partition;
    STEP(CHECK_EQ(CALL(now, tg_gate_admit(gate, &request, &told), tg_gate_admit_at(gate, now, &request, 0.5, &told)),
                  expected.status);
         CHECK_EQ(told.allowed, expected.status == TG_OK); CHECK_EQ(told.kind, expected.kind);
         CHECK_EQ(told.http_status, expected.http_status); CHECK_EQ(told.retry_after_ns, expected.retry_after_ns);
         CHECK_EQ(told.limit, expected.limit); CHECK_EQ(told.remaining, expected.remaining);
         CHECK(told.pressure == expected.pressure);
         CHECK_EQ(tg_gate_denied_by(gate, &told, &name), expected.denied_by ? TG_OK : TG_EMPTY);
         CHECK(expected.denied_by ? name && !strcmp(name, expected.denied_by) : name == NULL);
         CHECK_EQ(tg_gate_refusal(gate, &told, text, sizeof text, &length), told.allowed ? TG_EMPTY : TG_OK);
         CHECK(told.allowed || strstr(text, "refused") || strstr(text, "is open"));
         if (told.allowed) *held = told);
}

static inline void gate_finish(uint64_t now, tg_admission *held, int32_t outcome, bool finished) {
    STEP(CHECK_EQ(CALL(now, tg_gate_finish(gate, held, outcome), tg_gate_finish_at(gate, now, held, outcome)),
                  finished ? TG_OK : TG_NOT_HELD));
}

static inline void gate_enter(uint64_t now, size_t place, tg_permit *permit, bool granted) {
    tg_permit p;
    STEP(at(now); CHECK_EQ(tg_breaker_acquire_at(circuits[place], now, 0, &p, NULL), granted ? TG_OK : TG_OPEN);
         if (granted) *permit = p);
}

static inline void gate_report(uint64_t now, size_t place, tg_permit permit, bool failed) {
    STEP(CHECK_EQ(tg_breaker_report_at(circuits[place], now, permit, failed ? TG_FAILURE : TG_SUCCESS, TG_NEVER), TG_OK));
}

static inline void gate_force_open(uint64_t now, size_t place) {
    STEP(CHECK_EQ(tg_breaker_force_open_at(circuits[place], now), TG_OK));
}

static inline void gate_push(uint64_t now) {
    void *dropped = NULL;
    STEP(at(now); CHECK(tg_queue_try_push(queue, ITEM(1), &dropped) >= TG_OK));
}

static inline void gate_pop(uint64_t now) {
    void *item = NULL;
    STEP(at(now); CHECK(tg_queue_try_pop(queue, &item) >= TG_OK));
}

static inline void gate_set_limit(uint64_t now, uint32_t limit) {
    STEP(at(now); CHECK_EQ(tg_concurrency_set_limit(concurrency, limit), TG_OK));
}

static inline void gate_left(uint64_t now, size_t place, tg_bytes key, uint32_t left) {
    tg_decision d = TG_DECISION_INIT;
    const tg_limit_member *member = &members[place];
    at(now);
    CHECK(member->bucket ? tg_bucket_peek_at(member->bucket, now, &d) >= TG_OK
                         : tg_limiter_peek_at(member->limiter, now, key.data, key.len, &d) >= TG_OK);
    CHECK_EQ(d.remaining, left);
}

/* -1: there is none. */
static inline void gate_look(uint64_t now, int64_t in_use, int64_t depth_, const int32_t *states) {
    uint32_t held_now = 0;
    size_t depth_now = 0;
    STEP(at(now); if (in_use >= 0) CHECK_EQ(tg_concurrency_in_use(concurrency, &held_now), TG_OK);
         CHECK(in_use < 0 || held_now == (uint64_t)in_use); if (depth_ >= 0) CHECK_EQ(tg_queue_depth(queue, &depth_now), TG_OK);
         CHECK(depth_ < 0 || depth_now == (uint64_t)depth_);
         for (size_t i = 0; i < circuit_count; i++) {
             int32_t state_now = -1;
             CHECK_EQ(tg_breaker_state(circuits[i], &state_now), TG_OK);
             CHECK_EQ(state_now, states[i]);
         });
}

static inline void gate_stats(uint64_t now, uint64_t admitted, uint64_t denied, uint64_t would_deny) {
    tg_gate_snapshot s = TG_GATE_SNAPSHOT_INIT;
    STEP(at(now); CHECK_EQ(tg_gate_stats(gate, &s), TG_OK); CHECK_EQ(s.admitted, admitted);
         CHECK_EQ(s.denied, denied); CHECK_EQ(s.would_deny, would_deny);
         CHECK_EQ(s.denied, s.denied_access + s.denied_deadline + s.denied_shedder + s.denied_queue + s.denied_breaker +
                                s.denied_concurrency + s.denied_limit));
}

#endif
