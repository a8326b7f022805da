/* The manners of a limit that speaks HTTP: what the border adds to the core, whose answers the vectors hold. */
#include <tidegate.h>

#include "check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static tg_client_address *clients_of(const char *const *trusted, size_t count, const char *header) {
    tg_client_address_config config = TG_CLIENT_ADDRESS_CONFIG_INIT;
    tg_client_address *clients = NULL;
    config.trusted = trusted;
    config.trusted_count = count;
    config.header = header;
    CHECK_EQ(tg_client_address_new(&config, &clients), TG_OK);
    return clients;
}

static void names_a_client(void) {
    static const char *const TRUSTED[] = {"10.0.0.0/8", "loopback"};
    static const tg_bytes LINES[] = {{"6.6.6.6, 203.0.113.9", 20}, {"10.1.1.1", 8}};
    tg_client_address *clients = clients_of(TRUSTED, 2, NULL), *plain = clients_of(NULL, 0, NULL);
    const char *header = "";
    char key[64] = "";
    size_t length = 0;
    CHECK_EQ(tg_client_address_key(clients, "10.0.0.7", LINES, 2, key, sizeof key, &length), TG_OK);
    CHECK(!strcmp(key, "203.0.113.9"));
    CHECK_EQ(length, strlen(key));
    CHECK_EQ(tg_client_address_key(clients, "198.51.100.4:4711", LINES, 2, key, sizeof key, NULL), TG_OK);
    CHECK(!strcmp(key, "198.51.100.4"));
    CHECK_EQ(tg_client_address_key(plain, "2001:db8::1:2:3:4", NULL, 0, key, sizeof key, &length), TG_OK);
    CHECK(!strcmp(key, "2001:db8::/64"));
    CHECK_EQ(tg_client_address_key(plain, NULL, NULL, 0, key, sizeof key, &length), TG_OK);
    CHECK(length == 0 && key[0] == 0);
    CHECK_EQ(tg_client_address_header(clients, &header), TG_OK);
    CHECK(header && !strcmp(header, "x-forwarded-for"));
    CHECK_EQ(tg_client_address_header(plain, &header), TG_OK);
    CHECK(header == NULL);
    tg_client_address_free(plain);
    tg_client_address_free(clients);
}

static void hostile_lines_name_nobody(void) {
    static const char *const TRUSTED[] = {"10.0.0.0/8"};
    enum { LONG = 1 << 20, MANY = 5000 };
    tg_client_address *clients = clients_of(TRUSTED, 1, "Forwarded"), *list = clients_of(TRUSTED, 1, NULL);
    tg_bytes *lines = malloc(MANY * sizeof *lines);
    char *commas = malloc(LONG), key[64];
    CHECK(lines && commas);
    memset(commas, ',', LONG);
    for (int i = 0; i < MANY; i++) lines[i] = (tg_bytes){"10.0.0.1", 8};
    const tg_bytes odd[] = {{commas, LONG}, {"\0\xff\xfe", 3}, {"for=\"", 5}, {NULL, 0}, {"1.2.3.4\r\nX: y", 13}};
    for (size_t i = 0; i < COUNT(odd); i++) {
        CHECK_EQ(tg_client_address_key(clients, "10.0.0.7", &odd[i], 1, key, sizeof key, NULL), TG_OK);
        CHECK(!strcmp(key, "10.0.0.7"));
        CHECK_EQ(tg_client_address_key(list, "10.0.0.7", &odd[i], 1, key, sizeof key, NULL), TG_OK);
        CHECK(!strcmp(key, "10.0.0.7"));
    }
    CHECK_EQ(tg_client_address_key(list, "10.0.0.7", lines, MANY, key, sizeof key, NULL), TG_OK);
    CHECK(!strcmp(key, "10.0.0.1"));
    free(commas);
    free(lines);
    tg_client_address_free(list);
    tg_client_address_free(clients);
}

/* Every size from none to enough: one byte too few is an error that writes nothing but the length. */
static void a_small_buffer_is_told_what_it_needs(void) {
    tg_client_address *clients = clients_of(NULL, 0, NULL);
    for (size_t size = 0; size <= 11; size++) {
        char *buffer = malloc(size ? size : 1); /* the sanitizer watches its end */
        size_t length = 99;
        tg_status status = tg_client_address_key(clients, "192.0.2.99", NULL, 0, size ? buffer : NULL, size, &length);
        CHECK_EQ(status, size == 11 ? TG_OK : TG_BUFFER);
        CHECK_EQ(length, 10);
        if (size == 11) CHECK(!strcmp(buffer, "192.0.2.99"));
        free(buffer);
    }
    CHECK_ERROR(tg_client_address_key(clients, "192.0.2.99", NULL, 0, NULL, 64, NULL), TG_NULL, "buffer:");
    tg_client_address_free(clients);
}

static void allows_and_denies(void) {
    static const char *const ALLOW[] = {"10.0.0.7", "key:monitoring"}, *const DENY[] = {"10.0.0.0/8"};
    tg_access_list *list = NULL;
    int32_t verdict = 9;
    CHECK_EQ(tg_access_list_new(ALLOW, 2, DENY, 1, &list), TG_OK);
    CHECK_EQ(tg_access_list_verdict(list, "10.0.0.7", NULL, 0, &verdict), TG_OK);
    CHECK_EQ(verdict, TG_VERDICT_ALLOW);
    CHECK_EQ(tg_access_list_verdict(list, "10.0.0.8", NULL, 0, &verdict), TG_OK);
    CHECK_EQ(verdict, TG_VERDICT_DENY);
    CHECK_EQ(tg_access_list_verdict(list, "10.0.0.8", "monitoring", 10, &verdict), TG_OK);
    CHECK_EQ(verdict, TG_VERDICT_ALLOW);
    CHECK_EQ(tg_access_list_verdict(list, "192.0.2.1", "u1", 2, &verdict), TG_OK);
    CHECK_EQ(verdict, TG_VERDICT_LIMIT);
    CHECK_EQ(tg_access_list_verdict(list, NULL, "u1", 2, &verdict), TG_OK);
    CHECK_EQ(verdict, TG_VERDICT_LIMIT);
    tg_access_list_free(list);
    list = NULL;
    CHECK_ERROR(tg_access_list_new(DENY, 1, (const char *const[]){"10.0.0.1/8"}, 1, &list), TG_SYNTAX, "deny:");
    CHECK_ERROR(tg_access_list_new(NULL, 1, NULL, 0, &list), TG_NULL, "allow:");
    CHECK_ERROR(tg_access_list_new(NULL, 0, (const char *const[]){NULL}, 1, &list), TG_NULL, "deny:");
    CHECK(list == NULL);
}

static void tells_in_seconds(void) {
    tg_decision decision = TG_DECISION_INIT;
    tg_ratelimit_status told = TG_RATELIMIT_STATUS_INIT;
    const tg_bytes key = {"u1", 2};
    char text[128];
    size_t length = 0;
    decision.limit = 100;
    decision.retry_after_ns = SECOND / 2;
    decision.reset_after_ns = 60 * SECOND;
    CHECK_EQ(tg_http_tell(&decision, 0, &told), TG_OK);
    CHECK_EQ(told.limit, 100);
    CHECK_EQ(told.retry_after_s, 1);
    CHECK_EQ(told.reset_s, 1);
    CHECK_EQ(tg_http_rate_limit("per-user", &told, NULL, text, sizeof text, &length), TG_OK);
    CHECK(!strcmp(text, "\"per-user\";r=0;t=1") && length == strlen(text));
    CHECK_EQ(tg_http_rate_limit("per-user", &told, &key, text, sizeof text, &length), TG_OK);
    CHECK(!strcmp(text, "\"per-user\";r=0;t=1;pk=:dTE=:"));
    CHECK_EQ(tg_http_rate_limit_policy("per-user", NULL, 100, 60 * SECOND, NULL, text, sizeof text, NULL), TG_OK);
    CHECK(!strcmp(text, "\"per-user\";q=100;w=60"));
    CHECK_EQ(tg_http_rate_limit_policy("per-user", "content-bytes", 100, TG_NEVER, NULL, text, sizeof text, NULL), TG_OK);
    CHECK(!strcmp(text, "\"per-user\";q=100;qu=\"content-bytes\""));
    decision.retry_after_ns = TG_NEVER;
    CHECK_EQ(tg_http_tell(&decision, 0, &told), TG_OK);
    CHECK_EQ(told.retry_after_s, 3600);
    CHECK_EQ(tg_http_tell(&decision, 1, &told), TG_OK);
    CHECK(told.retry_after_s >= 3600 && told.retry_after_s <= 7200);
    decision.allowed = true;
    decision.remaining = 7;
    CHECK_EQ(tg_http_tell(&decision, 0, &told), TG_OK);
    CHECK_EQ(told.retry_after_s, 0);
    CHECK_EQ(told.reset_s, 60);
    CHECK_EQ(told.remaining, 7);
}

static void no_text_breaks_out_of_a_field(void) {
    tg_ratelimit_status told = TG_RATELIMIT_STATUS_INIT;
    const tg_bytes evil = {"a\r\nSet-Cookie: x\"", 17};
    char text[128] = "";
    CHECK_ERROR(tg_http_rate_limit("a\r\nSet-Cookie: x", &told, NULL, text, sizeof text, NULL), TG_SYNTAX, "name:");
    CHECK_ERROR(tg_http_rate_limit("", &told, NULL, text, sizeof text, NULL), TG_SYNTAX, "name:");
    CHECK_ERROR(tg_http_rate_limit_policy("a", "b\n", 1, TG_NEVER, NULL, text, sizeof text, NULL), TG_SYNTAX, "unit:");
    CHECK_ERROR(tg_http_rate_limit("\xff", &told, NULL, text, sizeof text, NULL), TG_UTF8, "name:");
    CHECK(text[0] == 0);
    CHECK_EQ(tg_http_rate_limit("a\";r=9, \"b", &told, &evil, text, sizeof text, NULL), TG_OK);
    CHECK(!strcmp(text, "\"a\\\";r=9, \\\"b\";r=0;t=0;pk=:YQ0KU2V0LUNvb2tpZTogeCI=:"));
}

static void writes_a_problem(void) {
    static const char *const VIOLATED[] = {"per-user", "a\"b"};
    char text[512];
    size_t length = 0;
    CHECK_EQ(tg_http_problem(TG_PROBLEM_QUOTA_EXCEEDED, 0, NULL, VIOLATED, 2, text, sizeof text, &length), TG_OK);
    CHECK(strstr(text, "\"status\":429,") && strstr(text, "\"violated-policies\":[\"per-user\",\"a\\\"b\"]}"));
    CHECK_EQ(length, strlen(text));
    CHECK_EQ(tg_http_problem(TG_PROBLEM_TEMPORARY_REDUCED_CAPACITY, 529, "full\n", NULL, 0, text, sizeof text, NULL), TG_OK);
    CHECK(strstr(text, "\"status\":529,") && strstr(text, "\"detail\":\"full\\u000a\"}"));
    for (int32_t problem = TG_PROBLEM_QUOTA_EXCEEDED; problem <= TG_PROBLEM_TIMEOUT; problem++) {
        CHECK_EQ(tg_http_problem(problem, 0, NULL, NULL, 0, text, sizeof text, NULL), TG_OK);
    }
    CHECK_ERROR(tg_http_problem(5, 0, NULL, NULL, 0, text, sizeof text, NULL), TG_UNKNOWN_VALUE, "problem:");
    CHECK_ERROR(tg_http_problem(0, 99, NULL, NULL, 0, text, sizeof text, NULL), TG_OUT_OF_RANGE, "status:");
    CHECK_ERROR(tg_http_problem(0, 1000, NULL, NULL, 0, text, sizeof text, NULL), TG_OUT_OF_RANGE, "status:");
    CHECK_ERROR(tg_http_problem(0, 0, NULL, NULL, 1, text, sizeof text, NULL), TG_NULL, "violated:");
    CHECK_ERROR(tg_http_problem(0, 0, NULL, NULL, 0, text, 10, &length), TG_BUFFER, "buffer:");
    CHECK(length > 100);
}

static void wrong_settings_are_told(void) {
    static const char *const BAD[] = {"*", "10.0.0/8", "10.0.0.1/8", "example.org", ""};
    tg_client_address_config config = TG_CLIENT_ADDRESS_CONFIG_INIT;
    tg_client_address *clients = NULL;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        config.trusted = &BAD[i];
        config.trusted_count = 1;
        CHECK_ERROR(tg_client_address_new(&config, &clients), TG_SYNTAX, "trusted:");
    }
    config.trusted_count = 0;
    config.header = "X Forwarded";
    CHECK_ERROR(tg_client_address_new(&config, &clients), TG_SYNTAX, "header:");
    config.header = NULL;
    config.ipv4_prefix = 33;
    CHECK_ERROR(tg_client_address_new(&config, &clients), TG_OUT_OF_RANGE, "ipv4_prefix:");
    config.ipv4_prefix = 24;
    config.ipv6_prefix = 0;
    CHECK_ERROR(tg_client_address_new(&config, &clients), TG_OUT_OF_RANGE, "ipv6_prefix:");
    config.ipv6_prefix = 320;
    CHECK_ERROR(tg_client_address_new(&config, &clients), TG_OUT_OF_RANGE, "ipv6_prefix:");
    CHECK(clients == NULL); /* an error writes nothing */
}

static void null_is_an_error(void) {
    tg_client_address_config config = TG_CLIENT_ADDRESS_CONFIG_INIT;
    tg_client_address *clients = clients_of(NULL, 0, NULL);
    tg_decision decision = TG_DECISION_INIT;
    tg_ratelimit_status told = TG_RATELIMIT_STATUS_INIT;
    tg_access_list *list = NULL;
    const char *name = NULL;
    int32_t verdict = 9;
    char text[64];
    CHECK_EQ(tg_access_list_new(NULL, 0, NULL, 0, &list), TG_OK);
    CHECK_ERROR(tg_client_address_new(NULL, &clients), TG_NULL, "config:");
    CHECK_ERROR(tg_client_address_new(&config, NULL), TG_NULL, "clients:");
    CHECK_ERROR(tg_client_address_key(NULL, "::1", NULL, 0, text, sizeof text, NULL), TG_NULL, "clients:");
    CHECK_ERROR(tg_client_address_key(clients, "::1", NULL, 1, text, sizeof text, NULL), TG_NULL, "lines:");
    CHECK_ERROR(tg_client_address_key(clients, "::1", &(tg_bytes){NULL, 1}, 1, text, sizeof text, NULL), TG_NULL, "lines:");
    CHECK_ERROR(tg_client_address_header(NULL, &name), TG_NULL, "clients:");
    CHECK_ERROR(tg_client_address_header(clients, NULL), TG_NULL, "name:");
    CHECK_ERROR(tg_access_list_new(NULL, 0, NULL, 0, NULL), TG_NULL, "list:");
    CHECK_ERROR(tg_access_list_verdict(NULL, "::1", NULL, 0, &verdict), TG_NULL, "list:");
    CHECK_ERROR(tg_access_list_verdict(list, "::1", NULL, 1, &verdict), TG_NULL, "key:");
    CHECK_ERROR(tg_access_list_verdict(list, "::1", NULL, 0, NULL), TG_NULL, "verdict:");
    CHECK_ERROR(tg_http_tell(NULL, 0, &told), TG_NULL, "decision:");
    CHECK_ERROR(tg_http_tell(&decision, 0, NULL), TG_NULL, "told:");
    CHECK_ERROR(tg_http_tell(&decision, (double)NAN, &told), TG_OUT_OF_RANGE, "jitter:");
    CHECK_ERROR(tg_http_rate_limit(NULL, &told, NULL, text, sizeof text, NULL), TG_NULL, "name:");
    CHECK_ERROR(tg_http_rate_limit("a", NULL, NULL, text, sizeof text, NULL), TG_NULL, "told:");
    CHECK_ERROR(tg_http_rate_limit("a", &told, &(tg_bytes){NULL, 1}, text, sizeof text, NULL), TG_NULL, "partition_key:");
    CHECK_ERROR(tg_http_rate_limit_policy(NULL, NULL, 1, 1, NULL, text, sizeof text, NULL), TG_NULL, "name:");
    CHECK_EQ(verdict, 9);
    tg_access_list_free(list);
    tg_client_address_free(clients);
    tg_access_list_free(NULL);
    tg_client_address_free(NULL);
}

/* A call that got no answer, and what is no call at all. */
static void ends_without_an_answer_are_judged(void) {
    static const struct { int32_t status, os_error, outcome; } ROWS[] = {
        {0, 0, TG_FAILURE},           {0, ECONNREFUSED, TG_FAILURE}, {0, ETIMEDOUT, TG_FAILURE},
        {0, EMFILE, TG_UNREACHED},    {0, ENFILE, TG_UNREACHED},     {0, EADDRNOTAVAIL, TG_UNREACHED},
        {0, EINVAL, TG_IGNORE},       {0, -1, TG_FAILURE},           {200, EMFILE, TG_SUCCESS},
        {503, EADDRNOTAVAIL, TG_FAILURE},
    };
    tg_http_classifier classifier = TG_HTTP_CLASSIFIER_INIT;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        tg_http_answer answer = TG_HTTP_ANSWER_INIT;
        tg_classified said = TG_CLASSIFIED_INIT;
        answer.status = ROWS[i].status;
        answer.os_error = ROWS[i].os_error;
        CHECK_EQ(tg_classify_http(&classifier, &answer, &said), TG_OK);
        CHECK_EQ(said.outcome, ROWS[i].outcome);
        CHECK_EQ(said.retry_after_ns, 0);
    }
    tg_http_answer answer = TG_HTTP_ANSWER_INIT;
    tg_classified said = TG_CLASSIFIED_INIT;
    CHECK_ERROR(tg_classify_http(NULL, &answer, &said), TG_NULL, "classifier:");
    CHECK_ERROR(tg_classify_http(&classifier, NULL, &said), TG_NULL, "answer:");
    CHECK_ERROR(tg_classify_http(&classifier, &answer, NULL), TG_NULL, "classified:");
    answer.status = -1;
    CHECK_ERROR(tg_classify_http(&classifier, &answer, &said), TG_OUT_OF_RANGE, "status: -1");
    answer.status = 65536;
    CHECK_ERROR(tg_classify_http(&classifier, &answer, &said), TG_OUT_OF_RANGE, "status: 65536");
    /* A server's bytes are no mistake of the caller's, who would report nothing by an error and lose a probe. */
    answer.status = 503;
    answer.retry_after = answer.retry_after_ms = answer.date = "\xff";
    CHECK_EQ(tg_classify_http(&classifier, &answer, &said), TG_OK);
    CHECK_EQ(said.outcome, TG_FAILURE);
    CHECK_EQ(said.retry_after_ns, 0);
    answer.status = 200;
    CHECK_EQ(tg_classify_http(&classifier, &answer, &said), TG_OK);
    CHECK_EQ(said.outcome, TG_SUCCESS);
    answer = (tg_http_answer)TG_HTTP_ANSWER_INIT;
    answer.status = 503;
    answer.retry_after = "Fri, 31 Dec 9999 23:59:59 GMT";
    answer.now_unix_ms = UINT64_MAX;
    classifier.max_retry_after_ns = TG_NEVER;
    CHECK_EQ(tg_classify_http(&classifier, &answer, &said), TG_OK);
    CHECK_EQ(said.outcome, TG_FAILURE);
    answer.reserved = 1;
    CHECK_ERROR(tg_classify_http(&classifier, &answer, &said), TG_OUT_OF_RANGE, "reserved:");
    answer.reserved = 0;
    answer.struct_size = 9;
    CHECK_ERROR(tg_classify_http(&classifier, &answer, &said), TG_STRUCT_SIZE, "tg_http_answer");
    CHECK_EQ(said.outcome, TG_FAILURE);
}

int main(void) {
    RUN(names_a_client);
    RUN(hostile_lines_name_nobody);
    RUN(a_small_buffer_is_told_what_it_needs);
    RUN(allows_and_denies);
    RUN(tells_in_seconds);
    RUN(no_text_breaks_out_of_a_field);
    RUN(writes_a_problem);
    RUN(wrong_settings_are_told);
    RUN(null_is_an_error);
    RUN(ends_without_an_answer_are_judged);
    return check_failed != 0;
}
