/* Gates: one decision of all parts, its end, arguments, texts. */
#include <tidegate.h>

#include "check.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

typedef struct parts {
    tg_clock *clock;
    tg_limiter *client;
    tg_limit_set *limits;
    tg_concurrency *database;
    tg_breaker *payment;
    tg_gate *gate;
} parts;

static parts made(uint32_t refund_on) {
    parts p;
    memset(&p, 0, sizeof p);
    CHECK_EQ(tg_clock_manual_new(0, &p.clock), TG_OK);
    tg_limiter_config limiter = TG_LIMITER_CONFIG_INIT;
    limiter.rate = "3/min";
    limiter.max_keys = 100;
    limiter.clock = p.clock;
    CHECK_EQ(tg_limiter_new(&limiter, &p.client), TG_OK);
    tg_limit_member member = {"client", NULL, p.client};
    CHECK_EQ(tg_limit_set_new(&member, 1, &p.limits), TG_OK);
    tg_concurrency_config concurrency = TG_CONCURRENCY_CONFIG_INIT;
    concurrency.limit = 1;
    concurrency.clock = p.clock;
    CHECK_EQ(tg_concurrency_new(&concurrency, &p.database), TG_OK);
    tg_breaker_config breaker = TG_BREAKER_CONFIG_INIT;
    breaker.consecutive_failures = 1;
    breaker.clock = p.clock;
    CHECK_EQ(tg_breaker_new(&breaker, &p.payment), TG_OK);
    tg_gate_dependency payment = {"payment", p.payment};
    tg_gate_config config = TG_GATE_CONFIG_INIT;
    config.name = "orders";
    config.limits = p.limits;
    config.concurrency = p.database;
    config.dependencies = &payment;
    config.dependency_count = 1;
    config.refund_on = refund_on;
    CHECK_EQ(tg_gate_new(&config, &p.gate), TG_OK);
    return p;
}

static void freed(parts p) {
    tg_breaker_free(p.payment);
    tg_concurrency_free(p.database);
    tg_limit_set_free(p.limits);
    tg_limiter_free(p.client);
    tg_clock_free(p.clock);
    tg_gate_free(p.gate);
}

static tg_bytes ann = {"ann", 3};

static tg_gate_request asked(void) {
    tg_gate_request request = TG_GATE_REQUEST_INIT;
    request.keys = &ann;
    request.key_count = 1;
    return request;
}

static uint32_t left(parts p) {
    tg_decision d = TG_DECISION_INIT;
    CHECK(tg_limiter_peek(p.client, ann.data, ann.len, &d) >= TG_OK);
    return d.remaining;
}

static void a_call_is_charged_once_and_ends_once(void) {
    parts p = made(1u << TG_GATE_FAILURE);
    tg_gate_request request = asked();
    tg_admission one = TG_ADMISSION_INIT, other = TG_ADMISSION_INIT;
    CHECK_EQ(tg_gate_admit(p.gate, &request, &one), TG_OK);
    CHECK_EQ(one.allowed, 1);
    CHECK_EQ(one.remaining, 2);
    CHECK_EQ(one.limit, 3);
    CHECK_EQ(tg_gate_admit(p.gate, &request, &other), TG_DENIED);
    CHECK_EQ(other.kind, TG_GATE_CONCURRENCY);
    CHECK_EQ(other.http_status, 503);
    CHECK_EQ(left(p), 2);
    tg_admission copy = one;
    CHECK_EQ(tg_gate_finish(p.gate, &one, TG_GATE_FAILURE), TG_OK);
    CHECK_EQ(left(p), 3);
    CHECK_EQ(tg_gate_finish(p.gate, &one, TG_GATE_FAILURE), TG_NOT_HELD);
    CHECK_EQ(tg_gate_finish(p.gate, &copy, TG_GATE_FAILURE), TG_NOT_HELD);
    CHECK_EQ(tg_gate_finish(p.gate, &other, TG_GATE_SUCCESS), TG_NOT_HELD);
    CHECK_EQ(left(p), 3);
    uint32_t in_use = 9;
    CHECK_EQ(tg_concurrency_in_use(p.database, &in_use), TG_OK);
    CHECK_EQ(in_use, 0);
    freed(p);
}

static void a_childs_end_gives_nothing_of_its_parents_back(void) {
    parts p = made(1u << TG_GATE_FAILURE);
    tg_gate_request request = asked();
    tg_admission held = TG_ADMISSION_INIT;
    CHECK_EQ(tg_gate_admit(p.gate, &request, &held), TG_OK);
    pid_t child = fork();
    if (child == 0) _exit(tg_gate_finish(p.gate, &held, TG_GATE_FAILURE) == TG_NOT_HELD && left(p) == 2 ? 0 : 1);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(tg_gate_finish(p.gate, &held, TG_GATE_FAILURE), TG_OK);
    CHECK_EQ(left(p), 3);
    freed(p);
}

static void what_refuses_is_told(void) {
    parts p = made(0);
    tg_gate_request request = asked();
    tg_admission told = TG_ADMISSION_INIT;
    tg_permit permit = {0, 0};
    const char *name = NULL;
    char text[256];
    size_t length = 0;
    request.dependencies = 1;
    CHECK_EQ(tg_breaker_acquire(p.payment, &permit, NULL), TG_OK);
    CHECK_EQ(tg_breaker_report(p.payment, permit, TG_FAILURE, TG_NEVER), TG_OK);
    CHECK_EQ(tg_gate_admit(p.gate, &request, &told), TG_OPEN);
    CHECK_EQ(told.retry_after_ns, 30 * SECOND);
    CHECK_EQ(tg_gate_denied_by(p.gate, &told, &name), TG_OK);
    CHECK(!strcmp(name, "payment"));
    CHECK_EQ(tg_gate_refusal(p.gate, &told, text, sizeof text, &length), TG_OK);
    CHECK(!strcmp(text, "circuit \"payment\" is open (1 of 1 calls failed): try again in 30 s"));
    CHECK_EQ(tg_gate_refusal(p.gate, &told, NULL, 0, &length), TG_BUFFER);
    CHECK_EQ(length, strlen(text));
    CHECK_EQ(tg_gate_explain(p.gate, &request, text, sizeof text, &length), TG_OK);
    CHECK(strstr(text, "breaker \"payment\" refuses: open; try again in 30 s\n") != NULL);
    CHECK(strstr(text, "limit \"client\" allows: 3 of 3 left\n") != NULL);
    request.dependencies = 0;
    request.cost = 4;
    CHECK_EQ(tg_gate_admit(p.gate, &request, &told), TG_DENIED);
    CHECK_EQ(told.retry_after_ns, TG_NEVER);
    CHECK_EQ(told.http_status, 429);
    CHECK_EQ(tg_gate_denied_by(p.gate, &told, &name), TG_OK);
    CHECK(!strcmp(name, "client"));
    request.cost = 1;
    request.deadline_ns = 0;
    CHECK_EQ(tg_gate_admit(p.gate, &request, &told), TG_LATE);
    CHECK_EQ(told.http_status, 504);
    CHECK_EQ(tg_gate_denied_by(p.gate, &told, &name), TG_OK);
    CHECK(!strcmp(name, "deadline"));
    tg_gate_snapshot counts = TG_GATE_SNAPSHOT_INIT;
    CHECK_EQ(tg_gate_stats(p.gate, &counts), TG_OK);
    CHECK_EQ(counts.admitted, 0);
    CHECK_EQ(counts.denied, 3);
    CHECK_EQ(counts.denied_breaker, 1);
    CHECK_EQ(left(p), 3);
    freed(p);
}

static void who_is_on_a_list(void) {
    const char *const denied[] = {"192.0.2.0/24"};
    tg_access_list *list = NULL;
    CHECK_EQ(tg_access_list_new(NULL, 0, denied, 1, &list), TG_OK);
    tg_gate_config config = TG_GATE_CONFIG_INIT;
    config.name = "orders";
    config.access = list;
    tg_gate *gate = NULL;
    CHECK_EQ(tg_gate_new(&config, &gate), TG_OK);
    tg_access_list_free(list);
    tg_gate_request request = TG_GATE_REQUEST_INIT;
    tg_admission told = TG_ADMISSION_INIT;
    request.address = "192.0.2.7";
    CHECK_EQ(tg_gate_admit(gate, &request, &told), TG_FORBIDDEN);
    CHECK_EQ(told.http_status, 403);
    CHECK_EQ(told.retry_after_ns, TG_NEVER);
    request.address = "no address";
    CHECK_EQ(tg_gate_admit(gate, &request, &told), TG_OK);
    CHECK_EQ(tg_gate_finish(gate, &told, TG_GATE_SUCCESS), TG_OK);
    CHECK(strstr(tg_status_message(TG_FORBIDDEN), "deny list") != NULL);
    tg_gate_free(gate);
    tg_gate_free(NULL);
}

static void what_is_wrong_is_said(void) {
    parts p = made(0);
    tg_gate_config config = TG_GATE_CONFIG_INIT;
    tg_gate *gate = NULL;
    CHECK_ERROR(tg_gate_new(&config, &gate), TG_NULL, "name");
    config.name = "";
    CHECK_ERROR(tg_gate_new(&config, &gate), TG_SYNTAX, "empty");
    config.name = "orders";
    CHECK_ERROR(tg_gate_new(&config, NULL), TG_NULL, "gate");
    config.refund_on = 16;
    CHECK_ERROR(tg_gate_new(&config, &gate), TG_UNKNOWN_VALUE, "refund_on");
    config.refund_on = 0;
    config.mode = 3;
    CHECK_ERROR(tg_gate_new(&config, &gate), TG_UNKNOWN_VALUE, "mode");
    config.mode = 0;
    tg_gate_dependency twice[] = {{"payment", p.payment}, {"payment", p.payment}};
    config.dependencies = twice;
    config.dependency_count = 2;
    CHECK_ERROR(tg_gate_new(&config, &gate), TG_CONFLICT, "comes twice");
    twice[1].name = NULL;
    CHECK_ERROR(tg_gate_new(&config, &gate), TG_NULL, "dependencies");
    twice[1].name = "mail";
    twice[1].breaker = NULL;
    CHECK_ERROR(tg_gate_new(&config, &gate), TG_NULL, "dependencies");

    tg_gate_request request = TG_GATE_REQUEST_INIT;
    tg_admission told = TG_ADMISSION_INIT;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_CONFLICT, "keys");
    request = asked();
    request.key_count = 2;
    tg_bytes two[] = {{"ann", 3}, {"ben", 3}};
    request.keys = two;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_CONFLICT, "keys");
    request = asked();
    request.key_count = 17;
    tg_bytes many[17];
    for (int i = 0; i < 17; i++) many[i] = ann;
    request.keys = many;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_CONFLICT, "keys");
    request = asked();
    request.dependencies = 2;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_OUT_OF_RANGE, "dependencies");
    request = asked();
    request.priority = 4;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_UNKNOWN_VALUE, "tg_priority");
    request = asked();
    request.level = 128;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_OUT_OF_RANGE, "level");
    request = asked();
    request.address = "\xff";
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_UTF8, "address");
    request = asked();
    request.partition = 1;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_OUT_OF_RANGE, "partition");
    request = asked();
    CHECK_ERROR(tg_gate_admit(NULL, &request, &told), TG_NULL, "gate");
    CHECK_ERROR(tg_gate_admit(p.gate, NULL, &told), TG_NULL, "request");
    CHECK_ERROR(tg_gate_admit(p.gate, &request, NULL), TG_NULL, "admission");
    told.struct_size = 100;
    CHECK_ERROR(tg_gate_admit(p.gate, &request, &told), TG_STRUCT_SIZE, "tg_admission");
    told.struct_size = sizeof told;
    CHECK_EQ(left(p), 3);
    CHECK_EQ(tg_gate_admit(p.gate, &request, &told), TG_OK);
    CHECK_ERROR(tg_gate_finish(p.gate, &told, 4), TG_UNKNOWN_VALUE, "tg_gate_outcome");
    CHECK_ERROR(tg_gate_finish(p.gate, NULL, 0), TG_NULL, "admission");
    const char *name = NULL;
    size_t length = 9;
    char text[8];
    CHECK_EQ(tg_gate_denied_by(p.gate, &told, &name), TG_EMPTY);
    CHECK_EQ(tg_gate_refusal(p.gate, &told, text, sizeof text, &length), TG_EMPTY);
    CHECK_EQ(length, 0);
    /* Words of one's own are no permit of anybody's. */
    tg_admission made_up = TG_ADMISSION_INIT;
    memset(made_up.held, 0xff, sizeof made_up.held);
    CHECK_EQ(tg_gate_finish(p.gate, &made_up, TG_GATE_SUCCESS), TG_NOT_HELD);
    made_up.kind = TG_GATE_LIMIT;
    made_up.place = 7;
    CHECK_ERROR(tg_gate_denied_by(p.gate, &made_up, &name), TG_OUT_OF_RANGE, "7");
    made_up.kind = 99;
    CHECK_EQ(tg_gate_denied_by(p.gate, &made_up, &name), TG_EMPTY);
    CHECK_EQ(tg_gate_finish(p.gate, &told, TG_GATE_CANCELLED), TG_OK);
    freed(p);
}

/* A call of a partition calls back what was lent. */
static void calls_of_partitions(void) {
    parts p = made(0);
    const tg_partition partitions[] = {{"live", 0.5}, {"batch", 0.5}};
    tg_concurrency_config concurrency = TG_CONCURRENCY_CONFIG_INIT;
    concurrency.limit = 2;
    concurrency.clock = p.clock;
    concurrency.partitions = partitions;
    concurrency.partitions_len = 2;
    tg_concurrency *parted = NULL;
    CHECK_EQ(tg_concurrency_new(&concurrency, &parted), TG_OK);
    tg_gate_config config = TG_GATE_CONFIG_INIT;
    config.name = "orders";
    config.concurrency = parted;
    tg_gate *gate = NULL;
    CHECK_EQ(tg_gate_new(&config, &gate), TG_OK);
    tg_admission first = TG_ADMISSION_INIT, second = TG_ADMISSION_INIT, other = TG_ADMISSION_INIT;
    tg_gate_request live = TG_GATE_REQUEST_INIT, batch = TG_GATE_REQUEST_INIT;
    CHECK_EQ(tg_concurrency_partition(parted, "live", &live.partition), TG_OK);
    CHECK_EQ(tg_concurrency_partition(parted, "batch", &batch.partition), TG_OK);
    CHECK_EQ(tg_gate_admit(gate, &batch, &first), TG_OK);
    CHECK_EQ(tg_gate_admit(gate, &batch, &second), TG_OK);
    CHECK_EQ(tg_gate_admit(gate, &live, &other), TG_DENIED);
    CHECK_EQ(tg_gate_finish(gate, &first, TG_GATE_SUCCESS), TG_OK);
    CHECK_EQ(tg_gate_admit(gate, &batch, &first), TG_DENIED);
    CHECK_EQ(tg_gate_admit(gate, &live, &other), TG_OK);
    CHECK_EQ(tg_gate_finish(gate, &second, TG_GATE_SUCCESS), TG_OK);
    CHECK_EQ(tg_gate_finish(gate, &other, TG_GATE_SUCCESS), TG_OK);
    live.partition = 3;
    CHECK_EQ(tg_gate_admit(gate, &live, &other), TG_OUT_OF_RANGE);
    tg_gate_free(gate);
    tg_concurrency_free(parted);
    config.concurrency = NULL;
    CHECK_EQ(tg_gate_new(&config, &gate), TG_OK);
    CHECK_EQ(tg_gate_admit(gate, &batch, &other), TG_CONFLICT);
    CHECK(strstr(tg_last_error_message(), "partition: the gate has no concurrency limit"));
    tg_gate_free(gate);
    freed(p);
}

int main(void) {
    RUN(a_call_is_charged_once_and_ends_once);
    RUN(a_childs_end_gives_nothing_of_its_parents_back);
    RUN(what_refuses_is_told);
    RUN(who_is_on_a_list);
    RUN(what_is_wrong_is_said);
    RUN(calls_of_partitions);
    return check_failed != 0;
}
