/* Partitions of a concurrency limit: lent and called back, waiting, arguments. */
#include <tidegate.h>

#include "check.h"

#include <pthread.h>

#define MINUTE UINT64_C(60000000000)

static const tg_partition both[] = {{"live", 0.9}, {"batch", 0.1}};
static const char *const live_first[] = {"live"};

static tg_concurrency_config ten(void) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    config.limit = 10;
    config.partitions = both;
    config.partitions_len = 2;
    return config;
}

static tg_concurrency *made(tg_concurrency_config config) {
    tg_concurrency *limit = NULL;
    CHECK_EQ(tg_concurrency_new(&config, &limit), TG_OK);
    return limit;
}

static uint32_t number_of(const tg_concurrency *limit, const char *name) {
    uint32_t number = 99;
    CHECK_EQ(tg_concurrency_partition(limit, name, &number), TG_OK);
    return number;
}

static tg_partition_snapshot look(const tg_concurrency *limit, uint32_t partition) {
    tg_partition_snapshot snapshot = TG_PARTITION_SNAPSHOT_INIT;
    CHECK_EQ(tg_concurrency_partition_stats(limit, partition, &snapshot), TG_OK);
    return snapshot;
}

static void what_was_lent_comes_back_at_the_first_release(void) {
    tg_concurrency *limit = made(ten());
    uint32_t live = number_of(limit, "live"), batch = number_of(limit, "batch");
    tg_concurrency_permit lent[10], permit;
    CHECK_EQ(live, 1);
    CHECK_EQ(batch, 2);
    for (int i = 0; i < 10; i++) CHECK_EQ(tg_concurrency_try_acquire_in(limit, batch, &lent[i]), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire_in(limit, live, &permit), TG_DENIED);
    CHECK_EQ(look(limit, live).called_back, 1);
    CHECK_EQ(tg_concurrency_release(limit, lent[0]), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire_in(limit, batch, &permit), TG_DENIED);
    CHECK_EQ(tg_concurrency_try_acquire(limit, &permit), TG_DENIED);
    CHECK_EQ(tg_concurrency_poll_in(limit, batch, &permit), TG_DENIED);
    CHECK_EQ(tg_concurrency_poll_in(limit, live, &permit), TG_OK);
    tg_partition_snapshot of = look(limit, live);
    CHECK(of.share == 0.9);
    CHECK_EQ(of.guaranteed, 9);
    CHECK_EQ(of.in_use, 1);
    CHECK_EQ(of.called_back, 0);
    CHECK_EQ(of.admitted, 1);
    CHECK_EQ(of.denied, 1);
    CHECK_EQ(of.would_deny, 0);
    CHECK_EQ(look(limit, batch).in_use, 9);
    CHECK_EQ(look(limit, batch).denied, 1); /* a look in vain is none */
    tg_concurrency_free(limit);
}

static void *wait_for_live(void *of_limit) {
    tg_concurrency_permit permit;
    return tg_concurrency_acquire_in(of_limit, 1, MINUTE, &permit) == TG_OK ? of_limit : NULL;
}

static void an_owner_waits_for_nobodys_turn(void) {
    tg_concurrency *limit = made(ten());
    tg_concurrency_snapshot now = TG_CONCURRENCY_SNAPSHOT_INIT;
    tg_concurrency_permit lent[10], permit;
    pthread_t thread;
    void *served = NULL;
    for (int i = 0; i < 10; i++) CHECK_EQ(tg_concurrency_acquire_in(limit, 2, MINUTE, &lent[i]), TG_OK);
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_live, limit), 0);
    do CHECK_EQ(tg_concurrency_stats(limit, &now), TG_OK); while (now.waiting == 0);
    CHECK_EQ(tg_concurrency_release(limit, lent[0]), TG_OK);
    CHECK_EQ(tg_concurrency_try_acquire_in(limit, 2, &permit), TG_DENIED);
    CHECK_EQ(pthread_join(thread, &served), 0);
    CHECK(served == limit);
    tg_concurrency_free(limit);
}

static void an_adaptive_limit_has_partitions(void) {
    tg_adaptive_config config = TG_ADAPTIVE_CONFIG_INIT;
    tg_concurrency *limit = NULL;
    config.partitions = both;
    config.partitions_len = 2;
    config.priority = live_first;
    config.priority_len = 1;
    CHECK_EQ(tg_concurrency_new_adaptive(&config, &limit), TG_OK);
    CHECK_EQ(look(limit, 1).guaranteed, 18);
    tg_concurrency_free(limit);
}

static void all_processes_of_an_arena_share_them(void) {
    tg_concurrency_config config = ten();
    tg_concurrency *one, *two = NULL;
    tg_arena *arena = NULL;
    tg_concurrency_permit permit;
    tg_partition other[] = {{"live", 0.5}, {"batch", 0.5}};
    CHECK_EQ(tg_arena_process("partitions", &arena), TG_OK);
    config.arena = arena;
    config.name = "service";
    one = made(config);
    CHECK_EQ(tg_concurrency_try_acquire_in(one, 1, &permit), TG_OK);
    config.partitions = other;
    CHECK_ERROR(tg_concurrency_new(&config, &two), TG_ARENA_SETTINGS, "live 0.9");
    config.on_conflict = TG_ON_CONFLICT_APPLY;
    two = made(config);
    CHECK_EQ(look(two, 1).in_use, 1);
    CHECK(look(one, 1).share == 0.5);
    other[1].name = "nightly";
    CHECK_ERROR(tg_concurrency_new(&config, &one), TG_ARENA_SHAPE, "nightly");
    tg_concurrency_free(one);
    tg_concurrency_free(two);
    tg_arena_free(arena);
}

static void wrong_arguments_are_told(void) {
    tg_concurrency *limit = NULL;
    tg_concurrency_config config = ten();
    tg_concurrency_permit permit;
    tg_partition_snapshot snapshot = TG_PARTITION_SNAPSHOT_INIT;
    tg_partition wrong[9] = {{"live", 0.9}, {"batch", 0.2}};
    const char *const names[] = {"live", "nightly"};
    uint32_t number = 0;
    config.partitions = wrong;
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_CONFLICT, "partitions: the shares are 1.1 together");
    wrong[1].name = "live";
    wrong[1].share = 0.1;
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_CONFLICT, "\"live\" is there twice");
    wrong[1].name = "";
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_OUT_OF_RANGE, "1 to 32");
    wrong[1].name = NULL;
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_NULL, "partitions");
    wrong[1].name = "\xff";
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_UTF8, "partitions");
    wrong[1].name = "batch";
    const double shares[] = {0, -0.1, 1.5, 0.0 / 0.0, 1.0 / 0.0};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        wrong[1].share = shares[i];
        CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_OUT_OF_RANGE, "partitions: the share of \"batch\" is");
    }
    for (int i = 0; i < 9; i++) {
        static char each[9][2];
        each[i][0] = (char)('a' + i);
        wrong[i].name = each[i];
        wrong[i].share = 0.01;
    }
    config.partitions_len = 9;
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_OUT_OF_RANGE, "more than 8");
    config.partitions = NULL;
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_NULL, "partitions");
    config = ten();
    config.priority = names;
    config.priority_len = 2;
    CHECK_ERROR(tg_concurrency_new(&config, &limit), TG_OUT_OF_RANGE, "priority: \"nightly\" is none of \"live\", \"batch\"");
    CHECK(!limit);

    limit = made(ten());
    CHECK_ERROR(tg_concurrency_partition(limit, "Live", &number), TG_OUT_OF_RANGE, "partition: \"Live\" is none of");
    CHECK_ERROR(tg_concurrency_partition(limit, NULL, &number), TG_NULL, "partition");
    CHECK_ERROR(tg_concurrency_partition(limit, "live", NULL), TG_NULL, "number");
    CHECK_ERROR(tg_concurrency_try_acquire_in(limit, 3, &permit), TG_OUT_OF_RANGE, "partition");
    CHECK_ERROR(tg_concurrency_poll_in(limit, UINT32_MAX, &permit), TG_OUT_OF_RANGE, "partition");
    CHECK_ERROR(tg_concurrency_acquire_in(limit, 3, 0, &permit), TG_OUT_OF_RANGE, "partition");
    CHECK_ERROR(tg_concurrency_try_acquire_in(limit, 1, NULL), TG_NULL, "permit");
    CHECK_ERROR(tg_concurrency_partition_stats(limit, 0, &snapshot), TG_OUT_OF_RANGE, "partition");
    CHECK_ERROR(tg_concurrency_partition_stats(limit, 3, &snapshot), TG_OUT_OF_RANGE, "partition");
    CHECK_ERROR(tg_concurrency_partition_stats(NULL, 1, &snapshot), TG_NULL, "concurrency");
    tg_concurrency_free(limit);
}

int main(void) {
    RUN(what_was_lent_comes_back_at_the_first_release);
    RUN(an_owner_waits_for_nobodys_turn);
    RUN(an_adaptive_limit_has_partitions);
    RUN(all_processes_of_an_arena_share_them);
    RUN(wrong_arguments_are_told);
    return check_failed != 0;
}
