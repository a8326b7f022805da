/* LD_PRELOAD: adds the seconds in SKEW_FILE (an int64, mapped) to the wall clock of one program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *seconds;

__attribute__((constructor)) static void init(void) {
    const char *name = getenv("SKEW_FILE");
    int file = name ? open(name, O_RDONLY) : -1;
    if (file < 0) return;
    void *at = mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) seconds = at;
    close(file);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = syscall(SYS_gettimeofday, now, zone);
    if (!failed && seconds) now->tv_sec += *seconds;
    return failed;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && seconds && clock == CLOCK_REALTIME) now->tv_sec += *seconds;
    return failed;
}

time_t time(time_t *out) {
    struct timeval now;
    gettimeofday(&now, NULL);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
