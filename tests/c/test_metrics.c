/* Figures: pages of objects and of arenas, and what is wrong. */
#include <tidegate.h>

#include "check.h"

#include <stdlib.h>
#include <string.h>

static tg_bucket *bucket_in(tg_arena *arena, const char *name) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    config.rate = "1/hour";
    config.arena = arena;
    config.name = name;
    tg_bucket *bucket = NULL;
    CHECK_EQ(tg_bucket_new(&config, &bucket), TG_OK);
    return bucket;
}

/* The page, to be freed. */
static char *written(const tg_metrics *metrics, int32_t format) {
    size_t length = 0;
    CHECK_EQ(tg_metrics_render(metrics, format, NULL, 0, &length), TG_BUFFER);
    char *page = malloc(length + 1);
    CHECK(page != NULL);
    CHECK_EQ(tg_metrics_render(metrics, format, page, length + 1, &length), TG_OK);
    CHECK_EQ(strlen(page), length);
    return page;
}

static void a_page_tells_of_each_object(void) {
    tg_bucket *bucket = bucket_in(NULL, NULL);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(bucket, 1), TG_DENIED);
    tg_breaker_config breaker_config = TG_BREAKER_CONFIG_INIT;
    tg_breaker *breaker = NULL;
    breaker_config.name = "payment";
    CHECK_EQ(tg_breaker_new(&breaker_config, &breaker), TG_OK);
    tg_queue_config queue_config = TG_QUEUE_CONFIG_INIT;
    queue_config.capacity = 4;
    tg_queue *queue = NULL;
    CHECK_EQ(tg_queue_new(&queue_config, &queue), TG_OK);
    tg_metrics *metrics = NULL;
    CHECK_EQ(tg_metrics_new(&metrics), TG_OK);
    CHECK_EQ(tg_metrics_add_bucket(metrics, "everyone", bucket), TG_OK);
    CHECK_EQ(tg_metrics_add_breaker(metrics, "payment", breaker), TG_OK);
    CHECK_EQ(tg_metrics_add_queue(metrics, "orders", queue), TG_OK);
    tg_gate_config gate_config = TG_GATE_CONFIG_INIT;
    gate_config.name = "orders";
    tg_gate *gate = NULL;
    CHECK_EQ(tg_gate_new(&gate_config, &gate), TG_OK);
    tg_gate_request request = TG_GATE_REQUEST_INIT;
    tg_admission admission = TG_ADMISSION_INIT;
    request.deadline_ns = 0;
    CHECK_EQ(tg_gate_admit(gate, &request, &admission), TG_LATE);
    CHECK_EQ(tg_metrics_add_gate(metrics, "orders", gate), TG_OK);
    CHECK_ERROR(tg_metrics_add_bucket(metrics, "everyone", bucket), TG_CONFLICT, "name");
    char *page = written(metrics, TG_METRICS_PROMETHEUS);
    const char *denied = "tidegate_decisions_total{scope=\"process\",kind=\"token_bucket\",name=\"everyone\","
                         "decision=\"denied\"} 1\n";
    CHECK(strstr(page, denied) != NULL);
    CHECK(strstr(page, "tidegate_breaker_state{scope=\"process\",name=\"payment\",state=\"closed\"} 1\n") != NULL);
    CHECK(strstr(page, "tidegate_gate_denied_total{scope=\"process\",name=\"orders\",part=\"deadline\"} 1\n") != NULL);
    CHECK(strstr(page, "tidegate_queue_capacity{scope=\"process\",queue=\"orders\"} 4\n") != NULL);
    free(page);
    page = written(metrics, TG_METRICS_OPENMETRICS);
    CHECK(strstr(page, "# TYPE tidegate_decisions counter\n") != NULL);
    CHECK(strcmp(page + strlen(page) - 6, "# EOF\n") == 0);
    free(page);
    page = written(metrics, TG_METRICS_JSON);
    CHECK(page[0] == '[' && page[strlen(page) - 1] == ']');
    free(page);
    tg_metrics_free(metrics);
    tg_gate_free(gate);
    tg_queue_free(queue);
    tg_breaker_free(breaker);
    tg_bucket_free(bucket);
}

static void an_arena_tells_of_all_that_lives_there(void) {
    tg_arena *arena = NULL;
    CHECK_EQ(tg_arena_process("metrics", &arena), TG_OK);
    tg_bucket *one = bucket_in(arena, "everyone"), *two = bucket_in(arena, "everyone");
    CHECK_EQ(tg_bucket_try_acquire(one, 1), TG_OK);
    CHECK_EQ(tg_bucket_try_acquire(two, 1), TG_DENIED);
    tg_metrics *metrics = NULL;
    CHECK_EQ(tg_metrics_new(&metrics), TG_OK);
    CHECK_EQ(tg_metrics_add_arena(metrics, arena), TG_OK);
    CHECK_EQ(tg_metrics_add_arena(metrics, arena), TG_OK);
    char *page = written(metrics, TG_METRICS_PROMETHEUS);
    const char *begin = "tidegate_decisions_total{scope=\"process:metrics\",kind=\"token_bucket\",name=\"everyone\",";
    const char *admitted = strstr(page, begin);
    CHECK(admitted != NULL);
    CHECK(strncmp(admitted + strlen(begin), "decision=\"admitted\"} 1\n", 23) == 0);
    free(page);
    tg_metrics_free(metrics);
    tg_bucket_free(one);
    tg_bucket_free(two);
    tg_arena_free(arena);
}

static void what_is_wrong_is_said(void) {
    tg_metrics *metrics = NULL;
    CHECK_ERROR(tg_metrics_new(NULL), TG_NULL, "metrics");
    CHECK_EQ(tg_metrics_new(&metrics), TG_OK);
    CHECK_ERROR(tg_metrics_add_bucket(metrics, "x", NULL), TG_NULL, "bucket");
    CHECK_ERROR(tg_metrics_add_arena(metrics, NULL), TG_NULL, "arena");
    tg_bucket *bucket = bucket_in(NULL, NULL);
    CHECK_ERROR(tg_metrics_add_bucket(metrics, NULL, bucket), TG_NULL, "name");
    CHECK_ERROR(tg_metrics_add_bucket(NULL, "x", bucket), TG_NULL, "metrics");
    CHECK_ERROR(tg_metrics_add_bucket(metrics, "\xff", bucket), TG_UTF8, "name");
    CHECK_ERROR(tg_metrics_add_bucket(metrics, "", bucket), TG_SYNTAX, "name");
    char small[1];
    CHECK_ERROR(tg_metrics_render(metrics, 9, small, sizeof small, NULL), TG_UNKNOWN_VALUE, "format");
    CHECK_EQ(tg_metrics_render(metrics, TG_METRICS_PROMETHEUS, small, sizeof small, NULL), TG_OK);
    CHECK_EQ(small[0], 0);
    tg_bucket_free(bucket);
    tg_metrics_free(metrics);
    tg_metrics_free(NULL);
}

int main(void) {
    RUN(a_page_tells_of_each_object);
    RUN(an_arena_tells_of_all_that_lives_there);
    RUN(what_is_wrong_is_said);
    return check_failed != 0;
}
