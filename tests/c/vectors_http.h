/* The questions of the HTTP manners, for vectors_to_c.py. */
#ifndef VECTORS_HTTP_H
#define VECTORS_HTTP_H

#include "vectors_concurrency.h"
#include "vectors_limits.h"
#include "vectors_registry.h"
#include "vectors_retry.h"
#include "vectors_shed.h"

static tg_client_address *clients;
static tg_access_list *list;

static void forget(void) {
    tg_client_address_free(clients);
    tg_access_list_free(list);
    clients = NULL;
    list = NULL;
}

/* Made, or refused with an error that begins with the argument at fault. */
static inline void made(tg_status status, const char *error) {
    if (!error) {
        CHECK_EQ(status, TG_OK);
    } else {
        CHECK(status < 0);
        CHECK(!strncmp(tg_last_error_message(), error, strlen(error)) && tg_last_error_message()[strlen(error)] == ':');
    }
}

static inline void same_text(const char *actual, size_t length, const char *expected) {
    if (strcmp(actual, expected)) {
        printf("# \"%s\", not \"%s\"\n", actual, expected);
        check_failures++;
    }
    CHECK_EQ(length, strlen(expected));
}

static inline void new_clients(const char *const *trusted, size_t count, const char *header, uint32_t ipv4, uint32_t ipv6, const char *error) {
    tg_client_address_config config = TG_CLIENT_ADDRESS_CONFIG_INIT;
    forget();
    config.trusted = trusted;
    config.trusted_count = count;
    config.header = header;
    config.ipv4_prefix = ipv4;
    config.ipv6_prefix = ipv6;
    made(tg_client_address_new(&config, &clients), error);
}

static inline void client_key(const char *peer, size_t count, const tg_bytes *lines, const char *expected) {
    char key[256] = "";
    size_t length = 0;
    CHECK_EQ(tg_client_address_key(clients, peer, lines, count, key, sizeof key, &length), TG_OK);
    same_text(key, length, expected);
}

static inline void new_list(const char *const *allow, size_t allowed, const char *const *deny, size_t denied, const char *error) {
    forget();
    made(tg_access_list_new(allow, allowed, deny, denied, &list), error);
}

static inline void list_verdict(const char *address, const char *key, size_t key_len, int32_t expected) {
    int32_t verdict = -1;
    CHECK_EQ(tg_access_list_verdict(list, address, key, key_len, &verdict), TG_OK);
    CHECK_EQ(verdict, expected);
}

static inline void told(const char *name, const char *unit, tg_decision decision, uint64_t window_ns, const tg_bytes *key, uint64_t retry_after_s,
                        const char *policy, const char *limit) {
    tg_ratelimit_status t = TG_RATELIMIT_STATUS_INIT;
    char value[512] = "";
    size_t length = 0;
    CHECK_EQ(tg_http_tell(&decision, 0, &t), TG_OK);
    CHECK_EQ(t.retry_after_s, retry_after_s);
    CHECK_EQ(tg_http_rate_limit_policy(name, unit, t.limit, window_ns, key, value, sizeof value, &length), TG_OK);
    same_text(value, length, policy);
    CHECK_EQ(tg_http_rate_limit(name, &t, key, value, sizeof value, &length), TG_OK);
    same_text(value, length, limit);
}

static inline void refused_policy(const char *name, const char *unit, const char *error) {
    char value[512] = "";
    made(tg_http_rate_limit_policy(name, unit, 1, TG_NEVER, NULL, value, sizeof value, NULL), error);
    CHECK(value[0] == 0);
}

static inline void problem(int32_t type, uint32_t status, const char *const *violated, size_t count, const char *body) {
    char text[2048] = "";
    size_t length = 0;
    CHECK_EQ(tg_http_problem(type, status, NULL, violated, count, text, sizeof text, &length), TG_OK);
    same_text(text, length, body);
}

static inline void http_answer(int32_t status, const char *retry_after, const char *retry_after_ms, const char *date,
                               uint64_t now, uint64_t most, uint64_t slow, uint64_t duration, int32_t outcome,
                               uint64_t wait) {
    tg_http_classifier classifier = TG_HTTP_CLASSIFIER_INIT;
    tg_http_answer answer = TG_HTTP_ANSWER_INIT;
    tg_classified said = TG_CLASSIFIED_INIT;
    classifier.max_retry_after_ns = most;
    classifier.slow_call_duration_ns = slow;
    answer.status = status;
    answer.retry_after = retry_after;
    answer.retry_after_ms = retry_after_ms;
    answer.date = date;
    answer.now_unix_ms = now;
    answer.duration_ns = duration;
    CHECK_EQ(tg_classify_http(&classifier, &answer, &said), TG_OK);
    CHECK_EQ(said.outcome, outcome);
    CHECK_EQ(said.retry_after_ns, wait);
}

#endif
