/* A panic inside becomes TG_PANIC. Linked with a library built with the feature panic-probe. */
#include <tidegate.h>

#include "check.h"

#include <pthread.h>

tg_status tg_panic_probe(int32_t kind);

static void a_panic_is_a_status_with_its_text(void) {
    CHECK_ERROR(tg_panic_probe(0), TG_PANIC, "asked for");
    CHECK_ERROR(tg_panic_probe(0), TG_PANIC, "bug in tidegate");
}

static void a_payload_that_panics_again_is_one_too(void) {
    CHECK_ERROR(tg_panic_probe(1), TG_PANIC, "no text");
}

static void *panic_elsewhere(void *status) {
    *(tg_status *)status = tg_panic_probe(0);
    return NULL;
}

static void other_threads_are_safe_as_well(void) {
    tg_status status = TG_OK;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, panic_elsewhere, &status), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(status, TG_PANIC);
}

static void the_library_goes_on(void) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    config.rate = "1/h";
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    CHECK_EQ(tg_panic_probe(0), TG_PANIC);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_DENIED);
    tg_bucket_free(bucket);
}

int main(void) {
    RUN(a_panic_is_a_status_with_its_text);
    RUN(a_payload_that_panics_again_is_one_too);
    RUN(other_threads_are_safe_as_well);
    RUN(the_library_goes_on);
    return check_failed != 0;
}
