/* A folder for arenas of the machine, objects in one of them, and children whose checks count. */
#ifndef HOST_H
#define HOST_H

#include <tidegate.h>

#include "check.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static char folder[64];
static tg_arena *arena;

static inline tg_arena *open_arena(const char *name) {
    tg_arena_config config = TG_ARENA_CONFIG_INIT;
    tg_arena *opened = NULL;
    config.name = name;
    config.path = folder;
    CHECK_EQ(tg_arena_open(&config, &opened), TG_OK);
    if (!opened) printf("# %s\n", tg_last_error_message());
    return opened;
}

static inline tg_bucket *open_bucket(const char *name) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    config.rate = "10/h";
    config.arena = arena;
    config.name = name;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    return bucket;
}

static inline tg_limiter *open_limiter(const char *name) {
    tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
    tg_limiter *limiter = NULL;
    config.rate = "3/h";
    config.max_keys = 1000;
    config.arena = arena;
    config.name = name;
    CHECK_EQ(tg_limiter_new(&config, &limiter), TG_OK);
    return limiter;
}

static inline tg_breaker *open_breaker(const char *name) {
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

static inline tg_concurrency *open_calls(const char *name) {
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    tg_concurrency *calls = NULL;
    config.limit = 3;
    config.arena = arena;
    config.name = name;
    CHECK_EQ(tg_concurrency_new(&config, &calls), TG_OK);
    return calls;
}

static tg_breaker *breaker_;
static tg_concurrency *calls_;

static inline void fail(int times) {
    for (int i = 0; i < times; i++) {
        tg_permit permit;
        CHECK_EQ(tg_breaker_acquire(breaker_, &permit, NULL), TG_OK);
        CHECK_EQ(tg_breaker_report(breaker_, permit, TG_FAILURE, TG_NEVER), TG_OK);
    }
}

static inline int32_t state(void) {
    int32_t state = -1;
    CHECK_EQ(tg_breaker_state(breaker_, &state), TG_OK);
    return state;
}

static inline uint32_t in_use(void) {
    uint32_t permits = UINT32_MAX;
    CHECK_EQ(tg_concurrency_in_use(calls_, &permits), TG_OK);
    return permits;
}

/* A child whose checks count for the running test, once it is joined. */
static inline pid_t forked(void (*body)(void)) {
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

static inline void joined(pid_t pid) {
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline void each_file(void (*visit)(const char *path)) {
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) visit(path);
    }
    if (dir) closedir(dir);
}

static inline void remove_file(const char *path) { CHECK_EQ(remove(path), 0); }

/* The folder, and the arena "orders" in it. */
static inline int opened(void) {
    snprintf(folder, sizeof folder, "%s/tidegate-test-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    CHECK(mkdtemp(folder) != NULL);
    arena = open_arena("orders");
    if (!arena) check_done("the_arena_opens");
    return arena != NULL;
}

static inline void closed(void) {
    tg_arena_free(arena);
    each_file(remove_file);
    CHECK_EQ(rmdir(folder), 0);
    check_done("nothing_is_left_behind");
}

#endif
