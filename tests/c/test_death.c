/* Permits and probes belong to a process: what a killed one held comes back, what a parent holds is not its child's. */
#define _DEFAULT_SOURCE
#include "host.h"

#include <signal.h>
#include <time.h>

/* A child that says when body is done, then holds what it has until it is killed. */
static int told[2];
static void (*held)(void);

static void hold(void) {
    alarm(120); /* should its parent be killed first */
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

int main(void) {
    if (!opened()) return 1;
    RUN(a_child_owns_nothing_of_its_parents_permits);
    RUN(a_killed_process_gives_its_permits_back);
    RUN(a_killed_process_gives_its_probe_back);
    closed();
    return check_failed != 0;
}
