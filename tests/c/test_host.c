/* An arena of the machine: processes that came by fork and by exec share what has one name; what a killed one held comes
 * back; what stands in the way of the file is told. */
#define _DEFAULT_SOURCE
#include <tidegate.h>

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static const char *self;
static char folder[64];
static tg_arena *arena;

static tg_arena *open_arena(const char *name) {
    tg_arena_config config = TG_ARENA_CONFIG_INIT;
    tg_arena *opened = NULL;
    config.name = name;
    config.path = folder;
    CHECK_EQ(tg_arena_open(&config, &opened), TG_OK);
    if (!opened) printf("# %s\n", tg_last_error_message());
    return opened;
}

static tg_bucket *open_bucket(const char *name) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    config.rate = "10/h";
    config.arena = arena;
    config.name = name;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    return bucket;
}

static tg_limiter *open_limiter(const char *name) {
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    tg_limiter *limiter = NULL;
    config.rate = "3/h";
    config.max_keys = 1000;
    config.arena = arena;
    config.name = name;
    CHECK_EQ(tg_limiter_new(&config, &limiter), TG_OK);
    return limiter;
}

static tg_breaker *open_breaker(const char *name) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    config.consecutive_failures = 3;
    config.cooldown_ns = SECOND / 1000;
    config.probe_timeout_ns = 3600 * SECOND;
    config.arena = arena;
    config.name = name;
    CHECK_EQ(tg_breaker_new(&config, &breaker), TG_OK);
    return breaker;
}

static tg_concurrency *open_calls(const char *name) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency *calls = NULL;
    config.limit = 3;
    config.arena = arena;
    config.name = name;
    CHECK_EQ(tg_concurrency_new(&config, &calls), TG_OK);
    return calls;
}

static tg_concurrency *calls_;
static tg_breaker *breaker_;

static void fail(int times) {
    for (int i = 0; i < times; i++) {
        tg_permit permit;
        CHECK_EQ(tg_breaker_acquire(breaker_, &permit, NULL), TG_OK);
        CHECK_EQ(tg_breaker_report(breaker_, permit, TG_FAILURE, TG_NEVER), TG_OK);
    }
}

static int32_t state(void) {
    int32_t state = -1;
    CHECK_EQ(tg_breaker_state(breaker_, &state), TG_OK);
    return state;
}

static uint32_t in_use(void) {
    uint32_t permits = UINT32_MAX;
    CHECK_EQ(tg_concurrency_in_use(calls_, &permits), TG_OK);
    return permits;
}

/* A child whose checks count for the running test, once it is joined. */
static pid_t forked(void (*body)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        body();
        fflush(stdout);
        _exit(check_failures != 0);
    }
    CHECK(pid > 0);
    return pid;
}

static void joined(pid_t pid) {
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A child that says when body is done, then holds what it has until it is killed. */
static int told[2];
static void (*held)(void);

static void hold(void) {
    held();
    CHECK_EQ(write(told[1], check_failures ? "n" : "y", 1), 1);
    fflush(stdout);
    for (;;) pause();
}

static pid_t holding(void (*body)(void)) {
    char answer = 0;
    held = body;
    CHECK_EQ(pipe(told), 0);
    pid_t pid = forked(hold);
    CHECK_EQ(read(told[0], &answer, 1), 1);
    CHECK_EQ(answer, 'y');
    close(told[0]);
    close(told[1]);
    return pid;
}

static void killed(pid_t pid) {
    int status = 0;
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
}

/* Generous: what is awaited comes within some 10 ms. */
static int soon(int (*holds)(void)) {
    for (int i = 0; i < 4000; i++) {
        if (holds()) return 1;
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    return 0;
}

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

static void a_child_of_fork_shares_them(void) {
    bucket_ = open_bucket("fork/bucket");
    limiter_ = open_limiter("fork/limiter");
    breaker_ = open_breaker("fork/breaker");
    calls_ = open_calls("fork/calls");
    joined(forked(take_as_a_child));
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

/* This program again, by exec: knows nothing but the folder and the names. */
static void as_a_stranger(void) {
    arena = open_arena("orders");
    bucket_ = open_bucket("exec/bucket");
    limiter_ = open_limiter("exec/limiter");
    breaker_ = open_breaker("exec/breaker");
    calls_ = open_calls("exec/calls");
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
    bucket_ = open_bucket("exec/bucket");
    limiter_ = open_limiter("exec/limiter");
    breaker_ = open_breaker("exec/breaker");
    calls_ = open_calls("exec/calls");
    joined(forked(exec_as_a_stranger));
    CHECK_EQ(tg_bucket_try_acquire(bucket_, 7), TG_DENIED);
    CHECK_EQ(tg_bucket_try_acquire(bucket_, 6), TG_OK);
    CHECK_EQ(tg_limiter_try_acquire(limiter_, "ann", 3, 2), TG_DENIED);
    CHECK_EQ(tg_limiter_try_acquire(limiter_, "ann", 3, 1), TG_OK);
    CHECK_EQ(state(), TG_STATE_CLOSED);
    fail(1);
    CHECK_EQ(state(), TG_STATE_OPEN);
    CHECK_EQ(in_use(), 0);
    tg_bucket_free(bucket_);
    tg_limiter_free(limiter_);
    tg_breaker_free(breaker_);
    tg_concurrency_free(calls_);
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

static tg_concurrency_permit permit_;

static void give_back_what_is_not_mine(void) {
    CHECK_EQ(tg_concurrency_release(calls_, permit_), TG_NOT_HELD);
    CHECK_EQ(in_use(), 1);
}

static void a_child_owns_nothing_of_its_parents_permits(void) {
    calls_ = open_calls("parent/calls");
    CHECK_EQ(tg_concurrency_try_acquire(calls_, &permit_), TG_OK);
    joined(forked(give_back_what_is_not_mine));
    CHECK_EQ(in_use(), 1); /* nor does its end give them back */
    CHECK_EQ(tg_concurrency_release(calls_, permit_), TG_OK);
    CHECK_EQ(in_use(), 0);
    tg_concurrency_free(calls_);
}

static void take_all_permits(void) {
    tg_concurrency_permit permit;
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_concurrency_try_acquire(calls_, &permit), TG_OK);
}

static int one_is_free(void) { return tg_concurrency_try_acquire(calls_, &permit_) == TG_OK; }

static void a_killed_process_gives_its_permits_back(void) {
    tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
    calls_ = open_calls("killed/calls");
    pid_t holder = holding(take_all_permits);
    CHECK_EQ(in_use(), 3);
    CHECK_EQ(tg_concurrency_try_acquire(calls_, &permit_), TG_DENIED);
    CHECK_EQ(tg_concurrency_acquire(calls_, SECOND / 20, &permit_), TG_DENIED); /* it lives */
    killed(holder);
    CHECK(soon(one_is_free));
    CHECK_EQ(in_use(), 1);
    CHECK_EQ(tg_concurrency_stats(calls_, &snapshot), TG_OK);
    CHECK_EQ(snapshot.reclaimed, 3);
    CHECK_EQ(tg_concurrency_release(calls_, permit_), TG_OK);

    /* Who waits gets one. */
    holder = holding(take_all_permits);
    killed(holder);
    CHECK_EQ(tg_concurrency_acquire(calls_, 20 * SECOND, &permit_), TG_OK);
    CHECK_EQ(tg_concurrency_release(calls_, permit_), TG_OK);
    tg_concurrency_free(calls_);
}

static tg_permit probe_;

static int a_probe_is_free(void) { return tg_breaker_acquire(breaker_, &probe_, NULL) == TG_OK; }

static void take_the_probe(void) { CHECK(soon(a_probe_is_free)); }

static void a_killed_process_gives_its_probe_back(void) {
    breaker_ = open_breaker("killed/breaker");
    fail(3);
    pid_t holder = holding(take_the_probe);
    CHECK_EQ(state(), TG_STATE_HALF_OPEN);
    CHECK_EQ(tg_breaker_acquire(breaker_, &probe_, NULL), TG_OPEN);
    killed(holder);
    CHECK(soon(a_probe_is_free)); /* long before probe_timeout_ns */
    CHECK_EQ(tg_breaker_report(breaker_, probe_, TG_SUCCESS, TG_NEVER), TG_OK);
    CHECK_EQ(state(), TG_STATE_CLOSED);
    tg_breaker_free(breaker_);
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

static void each_file(void (*visit)(const char *path)) {
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) visit(path);
    }
    if (dir) closedir(dir);
}

static void shorten_a_victim(const char *path) {
    if (strstr(path, "victim")) CHECK_EQ(truncate(path, 100), 0);
}

static void open_a_victim(void) { tg_arena_free(open_arena("victim")); }

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
    CHECK_EQ(tg_arena_open(&config, &refused), TG_INVALID); /* it has 16 MiB */
    config.name = "huge";
    config.capacity = (size_t)1 << 39;
    CHECK_ERROR(tg_arena_open(&config, &refused), TG_ARENA_NO_SPACE, "huge");
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

static void remove_file(const char *path) { CHECK_EQ(remove(path), 0); }

int main(int argc, char **argv) {
    if (argc == 2) {
        snprintf(folder, sizeof folder, "%s", argv[1]);
        as_a_stranger();
        fflush(stdout);
        _exit(check_failures != 0);
    }
    self = argv[0];
    snprintf(folder, sizeof folder, "%s/tidegate-test-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    CHECK(mkdtemp(folder) != NULL);
    arena = open_arena("orders");
    if (!arena) {
        check_done("the_arena_opens");
        return 1;
    }
    RUN(nothing_is_left_to_say);
    RUN(a_child_of_fork_shares_them);
    RUN(a_program_that_opens_the_same_names_shares_them);
    RUN(many_processes_obey_one_limit);
    RUN(a_child_owns_nothing_of_its_parents_permits);
    RUN(a_killed_process_gives_its_permits_back);
    RUN(a_killed_process_gives_its_probe_back);
    RUN(opened_twice_it_is_one_and_the_handle_may_go);
    RUN(what_stands_in_the_way_is_told);
    tg_arena_free(arena);
    each_file(remove_file);
    CHECK_EQ(rmdir(folder), 0);
    check_done("nothing_is_left_behind");
    return check_failed != 0;
}
