/* A shedder whose files of /proc and /sys/fs/cgroup are missing, and change while it runs: in a mount namespace of its own,
 * where there is the right to make one. */
#define _GNU_SOURCE
#include <tidegate.h>

#include "check.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)

static char root[] = "/tmp/tidegate-files-XXXXXX";

static void write_file(const char *path, const char *text) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + sizeof root, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        CHECK(mkdir(full, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    CHECK(file != NULL);
    if (!file) return;
    fprintf(file, "%s\n", text);
    fclose(file);
}

static void cgroup(const char *name, const char *most, const char *current) {
    char path[128];
    const char *files[3][2] = {{"max", most}, {"current", current}, {"stat", "inactive_file 0"}};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "cgroup/%s/memory.%s", name, files[i][0]);
        write_file(path, files[i][1]);
    }
}

/* What is mounted from here on is seen by this process alone. */
static int alone(void) {
    if (unshare(CLONE_NEWNS) != 0) {
        char map[64];
        snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 0;
        FILE *file = fopen("/proc/self/uid_map", "w");
        if (!file || fputs(map, file) < 0 || fclose(file) != 0) return 0;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static int mounted(const char *name, const char *target) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", root, name);
    return mkdir(full, 0755) == 0 && mount(full, target, NULL, MS_BIND, NULL) == 0;
}

static tg_shedder *made(tg_clock *clock) {
    tg_signal signals[] = {{NULL, 0, 0, TG_SIGNAL_MEMORY, 0}, {NULL, 0, 0, TG_SIGNAL_CPU, 0}, {NULL, 0, 0, TG_SIGNAL_PSI_CPU, 0},
                           {NULL, 0, 0, TG_SIGNAL_PSI_MEMORY, 0}, {NULL, 0, 0, TG_SIGNAL_LOOP_LAG, 0}};
    tg_shedder_config config = TG_SHEDDER_CONFIG_INIT;
    config.clock = clock;
    config.signals = signals;
    config.signal_count = 5;
    tg_shedder *shedder = NULL;
    CHECK_EQ(tg_shedder_new(&config, &shedder), TG_OK);
    return shedder;
}

static int says(tg_shedder *shedder, const char *what) {
    char text[4096];
    size_t length = 0;
    CHECK_EQ(tg_shedder_explain(shedder, text, sizeof text, &length), TG_OK);
    return strstr(text, what) != NULL;
}

static uint64_t now;

static void run_until(tg_shedder *shedder, double pressure) {
    double seen = NAN;
    for (int i = 0; i < 4000 && !(fabs(seen - pressure) < 1e-5); i++, now += 50 * MILLISECOND) {
        CHECK_EQ(tg_shedder_sample_at(shedder, now), TG_OK);
        CHECK_EQ(tg_shedder_pressure_at(shedder, now, &seen), TG_OK);
    }
    CHECK(fabs(seen - pressure) < 1e-5);
}

static void what_is_missing_is_off(void) {
    tg_clock *clock = NULL;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    tg_shedder *shedder = made(clock);
    for (int i = 0; i < 200; i++, now += 50 * MILLISECOND) {
        CHECK_EQ(tg_shedder_sample_at(shedder, now), TG_OK);
        CHECK_EQ(tg_shedder_admit_at(shedder, now, TG_PRIORITY_SHEDDABLE, 127, 0.999), TG_OK);
    }
    const char *off[] = {"memory: off, ", "cpu: off, ", "psi_cpu: off, ", "psi_memory: off, "};
    for (int i = 0; i < 4; i++) CHECK(says(shedder, off[i]));
    tg_shedder_free(shedder);
    tg_clock_free(clock);
}

static void what_changes_is_seen(void) {
    write_file("proc/self/cgroup", "0::/a");
    write_file("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    cgroup("a", "100000", "90000");
    cgroup("b", "100000", "99000");
    now = 0;
    tg_clock *clock = NULL;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    tg_shedder *shedder = made(clock);
    run_until(shedder, 0.5);
    cgroup("a", "200000", "90000");
    run_until(shedder, 0);
    write_file("proc/self/cgroup", "0::/b");
    run_until(shedder, 1);
    char path[256];
    snprintf(path, sizeof path, "%s/cgroup/b/memory.current", root);
    CHECK(unlink(path) == 0);
    run_until(shedder, 0);
    CHECK(says(shedder, "memory: off, "));
    cgroup("b", "100000", "90000");
    run_until(shedder, 0.5);
    tg_shedder_free(shedder);
    tg_clock_free(clock);
}

int main(void) {
    CHECK(mkdtemp(root) != NULL);
    if (!alone() || !mounted("proc", "/proc") || !mounted("cgroup", "/sys/fs/cgroup")) {
        printf("skip files_of_the_system # no right to mount: %s\n", strerror(errno));
        return 0;
    }
    RUN(what_is_missing_is_off);
    RUN(what_changes_is_seen);
    /* The leak check looks there. */
    CHECK(umount2("/proc", MNT_DETACH) == 0);
    return check_failed != 0;
}
