/* Policy files: what is read of them, what is told that is wrong, the objects. */
#include <tidegate.h>

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const ORDERS =
    "version = 1\n"
    "[limits]\n"
    "everyone = { rate = \"400/s\", burst = 800 }\n"
    "client = { rate = \"2/minute\", key = \"client_ip\" }\n"
    "[concurrency]\n"
    "database = { limit = 2, partitions = { live = 0.5, batch = 0.5 } }\n"
    "[queues]\n"
    "orders = { capacity = 5 }\n"
    "[shedders]\n"
    "main = { signals = { queue_fill = { queue = \"orders\" } } }\n"
    "[breakers]\n"
    "payment = { consecutive_failures = 1 }\n"
    "[gates.orders]\n"
    "use = { limits = [\"client\", \"everyone\"], shedder = \"main\", concurrency = \"database\", queue = \"orders\","
    " dependencies = [\"payment\"] }\n";

static void one_gate_of_all_parts(void) {
    tg_policy *policy = NULL;
    CHECK_EQ(tg_policy_parse(ORDERS, &policy), TG_OK);
    tg_gate *gate = NULL, *again = NULL;
    tg_bucket *everyone = NULL;
    tg_limiter *client = NULL;
    tg_concurrency *database = NULL;
    tg_queue *orders = NULL;
    tg_shedder *shedder = NULL;
    tg_breaker *payment = NULL;
    CHECK_EQ(tg_policy_gate(policy, "orders", &gate), TG_OK);
    CHECK_EQ(tg_policy_gate(policy, "orders", &again), TG_OK);
    CHECK_EQ(tg_policy_bucket(policy, "everyone", &everyone), TG_OK);
    CHECK_EQ(tg_policy_limiter(policy, "client", &client), TG_OK);
    CHECK_EQ(tg_policy_concurrency(policy, "database", &database), TG_OK);
    CHECK_EQ(tg_policy_queue(policy, "orders", &orders), TG_OK);
    CHECK_EQ(tg_policy_shedder(policy, "main", &shedder), TG_OK);
    CHECK_EQ(tg_policy_breaker(policy, "payment", &payment), TG_OK);
    CHECK_EQ(tg_policy_limiter(policy, "everyone", &client), TG_CONFLICT);
    CHECK_EQ(tg_policy_bucket(policy, "client", &everyone), TG_CONFLICT);
    tg_policy_free(policy);

    tg_gate_request request = TG_GATE_REQUEST_INIT;
    tg_bytes key = {"ann", 3};
    request.keys = &key;
    request.key_count = 1;
    request.dependencies = 1;
    CHECK_EQ(tg_concurrency_partition(database, "live", &request.partition), TG_OK);
    tg_admission first = TG_ADMISSION_INIT, other = TG_ADMISSION_INIT;
    CHECK_EQ(tg_gate_admit(gate, &request, &first), TG_OK);
    tg_decision left = TG_DECISION_INIT;
    CHECK_EQ(tg_limiter_peek(client, "ann", 3, &left), TG_OK);
    CHECK_EQ(left.remaining, 1);
    CHECK_EQ(tg_gate_finish(again, &first, TG_GATE_SUCCESS), TG_OK);
    CHECK_EQ(tg_gate_admit(again, &request, &first), TG_OK);
    CHECK_EQ(tg_gate_admit(gate, &request, &other), TG_DENIED);
    const char *name = NULL;
    CHECK_EQ(tg_gate_denied_by(gate, &other, &name), TG_OK);
    CHECK(name && !strcmp(name, "client"));
    CHECK_EQ(tg_gate_finish(gate, &first, TG_GATE_SUCCESS), TG_OK);
    CHECK_EQ(tg_breaker_force_open(payment), TG_OK);
    CHECK_EQ(tg_gate_admit(gate, &request, &other), TG_OPEN);

    tg_gate_free(gate);
    tg_gate_free(again);
    tg_bucket_free(everyone);
    tg_limiter_free(client);
    tg_concurrency_free(database);
    tg_queue_free(orders);
    tg_shedder_free(shedder);
    tg_breaker_free(payment);
}

static void what_is_wrong_is_told(void) {
    tg_policy *policy = NULL;
    const char *wrong = "version = 1\n[breakers]\npayment = { cooldwon = \"30s\" }\n[limits]\na = {}\n";
    CHECK_EQ(tg_policy_parse(wrong, &policy), TG_SYNTAX);
    CHECK(policy == NULL);
    CHECK(strstr(tg_last_error_message(), "3:13: breakers.payment.cooldwon: there is no such key"));
    CHECK(strstr(tg_last_error_message(), "\n5:1: limits.a.rate: must be given"));
    char text[4096];
    size_t length = 0;
    CHECK_EQ(tg_policy_check(wrong, text, sizeof text, &length), TG_OK);
    CHECK_EQ(length, strlen(text));
    CHECK(!strncmp(text, "[{\"line\":3,\"column\":13,\"path\":\"breakers.payment.cooldwon\"", 57));
    CHECK(strstr(text, "\"hint\":\"cooldown\"}"));
    CHECK_EQ(tg_policy_check(wrong, text, 5, &length), TG_BUFFER);
    CHECK(length > 5);
    CHECK_EQ(tg_policy_check(ORDERS, text, sizeof text, &length), TG_OK);
    CHECK(!strcmp(text, "[]"));
    CHECK_EQ(tg_policy_load("/no/such/file.toml", &policy), TG_SYNTAX);
    CHECK(strstr(tg_last_error_message(), "/no/such/file.toml: cannot be read"));
    CHECK_EQ(tg_policy_load(NULL, &policy), TG_NULL);
    CHECK_EQ(tg_policy_parse(ORDERS, NULL), TG_NULL);
    CHECK_EQ(tg_policy_parse("\xff", &policy), TG_UTF8);

    CHECK_EQ(tg_policy_parse(ORDERS, &policy), TG_OK);
    tg_breaker *breaker = NULL;
    CHECK_EQ(tg_policy_breaker(policy, "paymet", &breaker), TG_OUT_OF_RANGE);
    CHECK(strstr(tg_last_error_message(), "did you mean \"payment\"?"));
    CHECK_EQ(tg_policy_breaker(policy, NULL, &breaker), TG_NULL);
    CHECK_EQ(tg_policy_json(policy, text, sizeof text, &length), TG_OK);
    CHECK(strstr(text, "\"client\":{\"rate\":\"2/minute\",\"key\":\"client_ip\"}"));
    CHECK_EQ(tg_policy_toml(policy, text, sizeof text, &length), TG_OK);
    CHECK(strstr(text, "\n[breakers.payment]\nwindow_calls = 20\n"));
    tg_policy_free(policy);
    tg_policy_free(NULL);
}

static void rewrite(const char *path, const char *rate, unsigned capacity) {
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    if (!file) return;
    fprintf(file, "version = 1\nlimits.all = { rate = \"%s\", burst = 8 }\nqueues.q.capacity = %u\n", rate, capacity);
    CHECK_EQ(fclose(file), 0);
}

static void a_reload_changes_all_or_nothing(void) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/tidegate-policy-%ld.toml", (long)getpid());
    rewrite(path, "5/s", 4);
    tg_policy *policy = NULL;
    tg_bucket *all = NULL;
    tg_quota quota = TG_QUOTA_INIT;
    CHECK_EQ(tg_policy_load(path, &policy), TG_OK);
    CHECK_EQ(tg_policy_bucket(policy, "all", &all), TG_OK);
    rewrite(path, "7/s", 4);
    CHECK_EQ(tg_policy_reload(policy), TG_OK);
    CHECK_EQ(tg_bucket_quota(all, &quota), TG_OK);
    CHECK_EQ(quota.count, 7);
    rewrite(path, "9/s", 5);
    CHECK_EQ(tg_policy_reload(policy), TG_SYNTAX);
    CHECK(strstr(tg_last_error_message(), "queues.q.capacity: 4 cannot become 5 in place: it needs a new object"));
    rewrite(path, "soon", 4);
    CHECK_EQ(tg_policy_reload(policy), TG_SYNTAX);
    CHECK_EQ(tg_bucket_quota(all, &quota), TG_OK);
    CHECK_EQ(quota.count, 7);
    CHECK_EQ(remove(path), 0);
    CHECK_EQ(tg_policy_reload(policy), TG_SYNTAX);
    CHECK_EQ(tg_policy_reload(NULL), TG_NULL);
    static char page[1 << 16];
    size_t length = 0;
    CHECK_EQ(tg_policy_metrics(policy, TG_METRICS_PROMETHEUS, page, sizeof page, &length), TG_OK);
    CHECK_EQ(length, strlen(page));
    CHECK(strstr(page, "tidegate_policy_reloads_total{scope=\"process\",result=\"ok\"} 1\n"));
    CHECK(strstr(page, "tidegate_policy_reloads_total{scope=\"process\",result=\"failed\"} 3\n"));
    CHECK(strstr(page, "{scope=\"process\",kind=\"token_bucket\",name=\"all\",decision=\"admitted\"} 0\n"));
    CHECK_EQ(tg_policy_metrics(policy, 7, page, sizeof page, &length), TG_UNKNOWN_VALUE);
    CHECK_EQ(tg_policy_metrics(policy, TG_METRICS_PROMETHEUS, page, 10, &length), TG_BUFFER);
    tg_bucket_free(all);
    tg_policy_free(policy);
}

int main(void) {
    RUN(one_gate_of_all_parts);
    RUN(what_is_wrong_is_told);
    RUN(a_reload_changes_all_or_nothing);
    return check_failed != 0;
}
