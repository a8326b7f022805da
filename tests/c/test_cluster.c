/* Limits of many machines, where nobody leases: they deny, say why, and refuse what cannot be had. */
#include <tidegate.h>
#include "check.h"

static void without_an_agent_it_denies_and_says_why(void) {
    tg_arena *arena = NULL;
    tg_cluster_limit_config config = TG_CLUSTER_LIMIT_CONFIG_INIT;
    tg_cluster_limit_snapshot snapshot = TG_CLUSTER_LIMIT_SNAPSHOT_INIT;
    tg_cluster_limit *one = NULL, *two = NULL;
    tg_decision decision = TG_DECISION_INIT;
    char fault[256] = "";
    size_t length = 0;
    CHECK_EQ(tg_arena_process("cluster", &arena), TG_OK);
    config.rate = "2000/s";
    config.burst = 1000;
    config.arena = arena;
    config.name = "door";
    CHECK_EQ(tg_cluster_limit_new(&config, &one), TG_OK);
    CHECK_EQ(tg_cluster_limit_new(&config, &two), TG_OK);
    CHECK_EQ(tg_cluster_limit_try_acquire(one, 1), TG_DENIED);
    CHECK_EQ(tg_cluster_limit_check(two, 1, &decision), TG_DENIED);
    CHECK(!decision.allowed && decision.limit == 1000 && decision.remaining == 0);
    CHECK_EQ(decision.retry_after_ns, 100 * 1000 * 1000);
    CHECK_EQ(tg_cluster_limit_check(two, 501, &decision), TG_DENIED);
    CHECK(decision.retry_after_ns == TG_NEVER);
    CHECK_EQ(tg_cluster_limit_stats(one, &snapshot), TG_OK);
    CHECK(snapshot.denied == 3 && snapshot.admitted == 0 && snapshot.tokens == 0 && !snapshot.refilled);
    CHECK_EQ(tg_cluster_limit_fault(one, NULL, 0, &length), TG_BUFFER);
    CHECK(length > 0 && length < sizeof fault);
    CHECK_EQ(tg_cluster_limit_fault(one, fault, sizeof fault, NULL), TG_OK);
    CHECK(strstr(fault, "tidegate agent --arena cluster") != NULL);
    config.mode = TG_MODE_DRY_RUN;
    tg_cluster_limit_free(two);
    CHECK_EQ(tg_cluster_limit_new(&config, &two), TG_OK);
    CHECK_EQ(tg_cluster_limit_try_acquire(two, 1), TG_OK);
    tg_cluster_limit_free(one);
    tg_cluster_limit_free(two);
    tg_arena_free(arena);
}

static void what_is_wrong_is_named(void) {
    tg_arena *arena = NULL;
    tg_cluster_limit_config good = TG_CLUSTER_LIMIT_CONFIG_INIT, config;
    tg_cluster_limit *limit = NULL;
    CHECK_EQ(tg_arena_process("cluster", &arena), TG_OK);
    good.rate = "2000/s";
    good.arena = arena;
    good.name = "other";
    config = good, config.arena = NULL;
    CHECK_ERROR(tg_cluster_limit_new(&config, &limit), TG_CONFLICT, "arena: ");
    config = good, config.name = NULL;
    CHECK_ERROR(tg_cluster_limit_new(&config, &limit), TG_CONFLICT, "name: ");
    config = good, config.hosts = 3;
    CHECK_ERROR(tg_cluster_limit_new(&config, &limit), TG_CONFLICT, "hosts: 3 ");
    config = good, config.on_unreachable = TG_ON_UNREACHABLE_LOCAL;
    CHECK_ERROR(tg_cluster_limit_new(&config, &limit), TG_CONFLICT, "hosts: must be given");
    config = good, config.on_unreachable = 7;
    CHECK_ERROR(tg_cluster_limit_new(&config, &limit), TG_UNKNOWN_VALUE, "on_unreachable: 7");
    config = good, config.sync_ns = config.lease_ns = 100 * 1000 * 1000;
    CHECK_ERROR(tg_cluster_limit_new(&config, &limit), TG_CONFLICT, "lease_ns: ");
    config = good, config.reserved = 1;
    CHECK_ERROR(tg_cluster_limit_new(&config, &limit), TG_OUT_OF_RANGE, "reserved: ");
    CHECK(!limit);
    CHECK_EQ(tg_cluster_limit_try_acquire(NULL, 1), TG_NULL);
    tg_cluster_limit_free(NULL);
    tg_arena_free(arena);
}

int main(void) {
    RUN(without_an_agent_it_denies_and_says_why);
    RUN(what_is_wrong_is_named);
    return check_failed != 0;
}
