/* Workers of a prefork server obey one limit on requests and one on calls to the database, and one worker dies in such a call.
 * prefork                  the four share one limit, in the arena of the machine "host:prefork-example"
 * prefork process          each counts for itself, four times the limit
 * Another program, in any language, that opens the same names while this runs obeys the same limits. */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <tidegate.h>
#include <unistd.h>

enum { WORKERS = 4, REQUESTS = 500 };

static tg_bucket *limit;        /* 100 requests an hour */
static tg_concurrency *queries; /* 2 at once */

static void must(tg_status status) {
    if (status >= 0) return;
    fprintf(stderr, "%s\n", tg_last_error_message());
    exit(1);
}

static void open_limits(const char *scope) {
    tg_bucket_config bucket = TG_BUCKET_CONFIG_INIT;
    tg_concurrency_config concurrency = TG_CONCURRENCY_CONFIG_INIT;
    tg_arena *arena = NULL; /* stays NULL for "process": the limits are then private */
    char notices[1024];
    must(tg_arena_from_scope(scope, &arena));
    if (arena && tg_arena_notices(arena, notices, sizeof notices, NULL) == TG_OK) fputs(notices, stderr);
    bucket.rate = "100/h";
    bucket.arena = arena;
    bucket.name = "requests";
    concurrency.limit = 2;
    concurrency.arena = arena;
    concurrency.name = "queries";
    must(tg_bucket_new(&bucket, &limit));
    must(tg_concurrency_new(&concurrency, &queries));
    tg_arena_free(arena); /* the limits keep it */
}

/* Returns how many requests it answered. */
static int work(int number) {
    int answered = 0;
    for (int i = 0; i < REQUESTS; i++) {
        tg_concurrency_permit query;
        if (tg_bucket_try_acquire(limit, 1) == TG_DENIED) continue; /* 429 */
        if (tg_concurrency_acquire(queries, UINT64_C(5000000000), &query) == TG_DENIED) continue; /* 503, after 5 s */
        if (number == 0 && answered == 5) kill(getpid(), SIGKILL); /* with the permit in its hand */
        usleep(1000);
        tg_concurrency_release(queries, query);
        answered++;
    }
    return answered;
}

int main(int argc, char **argv) {
    int answers[2], total = 0;
    open_limits(argc > 1 ? argv[1] : "host:prefork-example");
    tg_bucket_reset(limit); /* of an earlier run */
    if (pipe(answers) != 0) return 1;
    for (int number = 0; number < WORKERS; number++) {
        pid_t pid = fork();
        if (pid < 0) return 1;
        if (pid == 0) {
            int answered = work(number);
            _exit(write(answers[1], &answered, sizeof answered) != sizeof answered);
        }
    }
    close(answers[1]);
    for (int answered; read(answers[0], &answered, sizeof answered) == sizeof answered; total += answered) {
        printf("a worker answered %d\n", answered);
    }
    int killed = 0;
    for (int status; wait(&status) > 0;) killed += WIFSIGNALED(status);

    uint32_t in_use = 0;
    tg_concurrency_permit query;
    must(tg_concurrency_acquire(queries, UINT64_C(5000000000), &query)); /* a denial looks for the dead */
    tg_concurrency_release(queries, query);
    must(tg_concurrency_in_use(queries, &in_use));
    printf("%d answered, of %d requests, by those who lived; %d killed in a query; %u permits are out\n", total, WORKERS * REQUESTS,
           killed, (unsigned)in_use);
    tg_bucket_free(limit);
    tg_concurrency_free(queries);
    return in_use != 0;
}
