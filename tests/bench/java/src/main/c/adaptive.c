/* What a caller of the adaptive limit pays that is not Java: a permit taken and given back with success, so often. */
#include <tidegate.h>

tg_concurrency *bench_adaptive_new(void) {
    tg_adaptive_config config = TG_ADAPTIVE_CONFIG_INIT;
    tg_concurrency *limit = NULL;
    return tg_concurrency_new_adaptive(&config, &limit) == TG_OK ? limit : NULL;
}

int64_t bench_adaptive_run(const tg_concurrency *limit, int64_t times) {
    int64_t admitted = 0;
    tg_concurrency_permit permit;
    for (int64_t i = 0; i < times; i++) {
        if (tg_concurrency_try_acquire(limit, &permit) == TG_OK) {
            admitted += tg_concurrency_report(limit, permit, TG_CONCURRENCY_SUCCESS, TG_NEVER) == TG_OK;
        }
    }
    return admitted;
}
