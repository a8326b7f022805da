/* A bounded queue between an intake and its worker threads: what does not fit is refused at once instead of filling the
 * memory, and what was accepted is done to the last, also when the intake closes.
 *
 *   cc worker_pool.c $(pkg-config --cflags --libs tidegate) -lpthread && ./a.out
 */
#define _POSIX_C_SOURCE 200809L
#include <tidegate.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORKERS = 4, UPLOADS = 2000, CAPACITY = 100 };

struct job {
    int number;
};

static void *work(void *queue) {
    static const struct timespec RESIZE = {0, 100000}; /* 0.1 ms for an image */
    size_t done = 0;
    void *item = NULL;
    while (tg_queue_pop(queue, TG_NEVER, &item) == TG_OK) {
        nanosleep(&RESIZE, NULL);
        free(item); /* the item is ours now */
        done++;
    }
    return (void *)done; /* TG_CLOSED: nothing will come any more */
}

int main(void) {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    tg_queue *queue = NULL;
    pthread_t worker[WORKERS];
    size_t accepted = 0, refused = 0, done = 0, deepest = 0, depth = 0;
    void *left = NULL;

    config.capacity = CAPACITY;
    config.high_watermark = 1.0; /* exactly CAPACITY, no hysteresis */
    if (tg_queue_new(&config, &queue) != TG_OK) {
        fprintf(stderr, "%s\n", tg_last_error_message());
        return 1;
    }
    for (int i = 0; i < WORKERS; i++) {
        if (pthread_create(&worker[i], NULL, work, queue) != 0) return 1;
    }

    for (int i = 0; i < UPLOADS; i++) {
        struct job *job = malloc(sizeof *job);
        if (!job) return 1;
        job->number = i;
        if (tg_queue_try_push(queue, job, NULL) == TG_OK) {
            accepted++; /* 202 Accepted */
        } else {
            refused++; /* 503, try again later */
            free(job); /* still ours */
        }
        if (tg_queue_depth(queue, &depth) == TG_OK && depth > deepest) deepest = depth;
    }

    tg_queue_close(queue); /* no more uploads; the workers finish what is inside */
    for (int i = 0; i < WORKERS; i++) {
        void *count = NULL;
        pthread_join(worker[i], &count);
        done += (size_t)count;
    }
    while (tg_queue_drain(queue, &left) == TG_OK) free(left); /* nothing, as the workers saw the end */
    tg_queue_free(queue);

    printf("%d uploads: %zu accepted, %zu refused, %zu done; never more than %zu waiting\n", UPLOADS, accepted, refused, done, deepest);
    return done == accepted && accepted + refused == UPLOADS && refused > 0 && deepest <= CAPACITY ? 0 : 1;
}
