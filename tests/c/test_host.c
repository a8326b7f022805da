/* An arena of the machine: processes that came by fork and by exec share what has one name; what stands in the way of the
 * file is told. */
#define _DEFAULT_SOURCE
#include "host.h"

#include <sys/resource.h>
#include <sys/stat.h>

static const char *self;
static tg_bucket *bucket_;
static tg_limiter *limiter_;

static void take_as_a_child(void) {
    CHECK_EQ(tg_bucket_try_acquire(bucket_, 4), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter_, "ann", 3, 2), TG_OK);
    fail(2);
    for (int i = 0; i < 3; i++) { /* given back: the child ends without any */
        tg_concurrency_permit permit;
        CHECK_EQ(tg_concurrency_try_acquire(calls_, &permit), TG_OK);
        CHECK_EQ(in_use(), 1);
        CHECK_EQ(tg_concurrency_release(calls_, permit), TG_OK);
    }
}

static void open_all(const char *prefix) {
    char name[64];
    snprintf(name, sizeof name, "%s/bucket", prefix);
    bucket_ = open_bucket(name);
    snprintf(name, sizeof name, "%s/limiter", prefix);
    limiter_ = open_limiter(name);
    snprintf(name, sizeof name, "%s/breaker", prefix);
    breaker_ = open_breaker(name);
    snprintf(name, sizeof name, "%s/calls", prefix);
    calls_ = open_calls(name);
}

static void what_a_child_takes_is_taken(void (*child)(void)) {
    joined(forked(child));
    CHECK_EQ(tg_bucket_try_acquire(bucket_, 7), TG_DENIED);
    CHECK_EQ(tg_bucket_try_acquire(bucket_, 6), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter_, "ann", 3, 2), TG_DENIED);
    CHECK_EQ(tg_limiter_try_acquire(limiter_, "ann", 3, 1), TG_OK);
    CHECK_EQ(state(), TG_STATE_CLOSED);
    fail(1);
    CHECK_EQ(state(), TG_STATE_OPEN);
    CHECK_EQ(in_use(), 0);
    tg_bucket_snapshot snapshot = TG_BUCKET_SNAPSHOT_INIT;
    CHECK_EQ(tg_bucket_stats(bucket_, &snapshot), TG_OK);
    CHECK_EQ(snapshot.admitted, 2);
    CHECK_EQ(snapshot.denied, 1);
    tg_bucket_free(bucket_);
    tg_limiter_free(limiter_);
    tg_breaker_free(breaker_);
    tg_concurrency_free(calls_);
}

static void a_child_of_fork_shares_them(void) {
    open_all("fork");
    what_a_child_takes_is_taken(take_as_a_child);
}

/* This program again, by exec: knows nothing but the folder and the names. */
static void as_a_stranger(void) {
    arena = open_arena("orders");
    open_all("exec");
    take_as_a_child();
    tg_bucket_config other = TG_BUCKET_CONFIG_INIT;
    tg_bucket *refused = NULL;
    other.rate = "20/h";
    other.arena = arena;
    other.name = "exec/bucket";
    CHECK_ERROR(tg_bucket_new(&other, &refused), TG_ARENA_SETTINGS, "exec/bucket");
    tg_arena_free(arena);
}

static void exec_as_a_stranger(void) {
    execl(self, self, folder, (char *)NULL);
    CHECK(!"exec");
}

static void a_program_that_opens_the_same_names_shares_them(void) {
    open_all("exec");
    what_a_child_takes_is_taken(exec_as_a_stranger);
}

static void many_take_at_once(void) {
    for (int i = 0; i < 200; i++) {
        tg_concurrency_permit permit;
        if (tg_concurrency_acquire(calls_, 20 * SECOND, &permit) != TG_OK) {
            CHECK(!"waited in vain");
            return;
        }
        CHECK(in_use() <= 3);
        CHECK_EQ(tg_concurrency_release(calls_, permit), TG_OK);
        (void)tg_bucket_try_acquire(bucket_, 1);
    }
}

static void many_processes_obey_one_limit(void) {
    pid_t pid[4];
    tg_bucket_snapshot snapshot = TG_BUCKET_SNAPSHOT_INIT;
    bucket_ = open_bucket("many/bucket");
    calls_ = open_calls("many/calls");
    for (int i = 0; i < 4; i++) pid[i] = forked(many_take_at_once);
    for (int i = 0; i < 4; i++) joined(pid[i]);
    CHECK_EQ(tg_bucket_stats(bucket_, &snapshot), TG_OK);
    CHECK_EQ(snapshot.admitted, 10);
    CHECK_EQ(snapshot.denied, 790);
    CHECK_EQ(in_use(), 0);
    tg_bucket_free(bucket_);
    tg_concurrency_free(calls_);
}

static void opened_twice_it_is_one_and_the_handle_may_go(void) {
    tg_arena *again = open_arena("orders"), *mine = arena;
    bucket_ = open_bucket("twice");
    arena = again;
    tg_bucket *same = open_bucket("twice");
    arena = mine;
    tg_arena_free(again);
    CHECK_EQ(tg_bucket_try_acquire(bucket_, 10), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(same, 1), TG_DENIED);
    tg_bucket_free(same);
    tg_bucket_free(bucket_);
}

static void shorten_a_victim(const char *path) {
    if (strstr(path, "victim")) CHECK_EQ(truncate(path, 100), 0);
}

static void open_a_victim(void) { tg_arena_free(open_arena("victim")); }

static void open_beyond_the_file_size_limit(void) {
    tg_arena_config config = TG_ARENA_CONFIG_INIT;
    tg_arena *refused = NULL;
    struct rlimit limit = {1 << 20, 1 << 20};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    config.name = "huge";
    config.path = folder;
    config.capacity = 64 << 20;
    CHECK_ERROR(tg_arena_open(&config, &refused), TG_ARENA_NO_SPACE, "RLIMIT_FSIZE");
    CHECK(!refused);
}

static void what_stands_in_the_way_is_told(void) {
    tg_arena_config config = TG_ARENA_CONFIG_INIT;
    tg_arena *refused = NULL;
    char path[512];
    joined(forked(open_a_victim)); /* by a process that is gone: nobody has it mapped */
    each_file(shorten_a_victim);
    config.name = "victim";
    config.path = folder;
    CHECK_ERROR(tg_arena_open(&config, &refused), TG_ARENA_FOREIGN, "victim");

    snprintf(path, sizeof path, "%s/open", folder);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(chmod(path, 0777), 0);
    config.path = path;
    CHECK_ERROR(tg_arena_open(&config, &refused), TG_ARENA_PERMISSION, path);
    CHECK_EQ(rmdir(path), 0);

    config.path = folder;
    config.name = "orders";
    config.capacity = 1 << 20;
    CHECK_EQ(tg_arena_open(&config, &refused), TG_INVALID); /* it has the default */
    config.name = "huge";
    config.capacity = (size_t)1 << 62;
    CHECK_ERROR(tg_arena_open(&config, &refused), TG_INVALID, "capacity");
    joined(forked(open_beyond_the_file_size_limit));
    config.capacity = 0;
    config.group = "no such group";
    CHECK(tg_arena_open(&config, &refused) < 0);
    CHECK(strstr(tg_last_error_message(), "no such group"));
    CHECK(!refused);
}

static void nothing_is_left_to_say(void) {
    char text[4] = "abc";
    size_t length = 99;
    CHECK_EQ(tg_arena_notices(arena, text, sizeof text, &length), TG_OK);
    CHECK_EQ(length, 0);
    CHECK_EQ(text[0], 0);
}

int main(int argc, char **argv) {
    if (argc == 2) {
        snprintf(folder, sizeof folder, "%s", argv[1]);
        as_a_stranger();
        fflush(stdout);
        _exit(check_failures != 0);
    }
    self = argv[0];
    if (!opened()) return 1;
    RUN(nothing_is_left_to_say);
    RUN(a_child_of_fork_shares_them);
    RUN(a_program_that_opens_the_same_names_shares_them);
    RUN(many_processes_obey_one_limit);
    RUN(opened_twice_it_is_one_and_the_handle_may_go);
    RUN(what_stands_in_the_way_is_told);
    closed();
    return check_failed != 0;
}
