/* Limits an accept loop: 20 requests a second per client and 100 for everybody, all or nothing. Who is refused gets a 429
 * that says when to come back. Behind a proxy on this machine each client is told apart by X-Forwarded-For.
 *
 *   cc accept_loop.c $(pkg-config --cflags --libs tidegate) -lpthread
 *   ./a.out 8080       serves for ever; try: curl -i http://127.0.0.1:8080/
 *   ./a.out            serves 60 requests of two clients that it sends to itself, and checks the answers
 */
#define _POSIX_C_SOURCE 200809L
#include <tidegate.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 2, REQUESTS = 60, BURST = 20 };

static tg_client_address *clients;
static tg_limit_set *limits;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void must(tg_status status) {
    if (status >= 0) return;
    fprintf(stderr, "%s\n", tg_last_error_message());
    exit(1);
}

/* The set shares its members, so that their own handles are not needed any more. */
static void set_up(void) {
    static const char *const TRUSTED[] = {"loopback"};
    tg_client_address_config address = TG_CLIENT_ADDRESS_CONFIG_INIT;
    tg_limiter_config client = TG_LIMITER_CONFIG_INIT;
    tg_bucket_config everybody = TG_BUCKET_CONFIG_INIT;
    tg_limiter *limiter = NULL;
    tg_bucket *bucket = NULL;
    address.trusted = TRUSTED;
    address.trusted_count = 1;
    client.rate = "20/s";
    client.max_keys = 10000; /* memory is fixed by this, whoever comes */
    everybody.rate = "100/s";
    must(tg_client_address_new(&address, &clients));
    must(tg_limiter_new(&client, &limiter));
    must(tg_bucket_new(&everybody, &bucket));
    const tg_limit_member members[] = {{"client", NULL, limiter}, {"everybody", bucket, NULL}};
    must(tg_limit_set_new(members, 2, &limits));
    tg_limiter_free(limiter);
    tg_bucket_free(bucket);
}

/* The value of a header's first line (a real server has a parser); length 0 when there is none. */
static tg_bytes header_of(const char *request, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(request, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (!strncasecmp(line, name, length) && line[length] == ':') return (tg_bytes){line + length + 1, strcspn(line + length + 1, "\r\n")};
    }
    return (tg_bytes){NULL, 0};
}

static void answer(int connection, const struct sockaddr_in *from) {
    char request[2048] = "", peer[INET_ADDRSTRLEN] = "", client[64], policy[64], left[64], body[512] = "", reply[1024];
    tg_decision decision = TG_DECISION_INIT;
    tg_ratelimit_status told = TG_RATELIMIT_STATUS_INIT;
    int32_t denied_by = -1;
    ssize_t got = read(connection, request, sizeof request - 1);
    if (got <= 0) return;

    inet_ntop(AF_INET, &from->sin_addr, peer, sizeof peer);
    const tg_bytes line = header_of(request, "X-Forwarded-For");
    must(tg_client_address_key(clients, peer, &line, line.len > 0, client, sizeof client, NULL));

    const tg_bytes key = {client, strlen(client)};
    must(tg_limit_set_check(limits, &key, 1, 1, &decision, &denied_by));
    must(tg_http_tell(&decision, 0, &told));
    const char *name = "client";
    if (denied_by >= 0) must(tg_limit_set_name(limits, denied_by, &name));
    must(tg_http_rate_limit_policy(name, NULL, told.limit, 1000000000, NULL, policy, sizeof policy, NULL));
    must(tg_http_rate_limit(name, &told, NULL, left, sizeof left, NULL));
    if (decision.allowed) {
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nConnection: close\r\nRateLimit-Policy: %s\r\nRateLimit: %s\r\nContent-Length: 3\r\n\r\nok\n", policy, left);
    } else {
        must(tg_http_problem(TG_PROBLEM_QUOTA_EXCEEDED, 0, NULL, &name, 1, body, sizeof body, NULL));
        snprintf(reply, sizeof reply,
                 "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: %" PRIu64
                 "\r\nRateLimit-Policy: %s\r\nRateLimit: %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n\r\n%s",
                 told.retry_after_s, policy, left, strlen(body), body);
    }
    if (write(connection, reply, strlen(reply)) < 0) perror("write");
}

/* Two clients send all they have at once, and count their answers. */
static void *crowd(void *address) {
    static int answers[CLIENTS][2]; /* 200, 429 */
    for (int i = 0; i < CLIENTS * REQUESTS; i++) {
        char request[128], reply[1024] = "";
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (s < 0 || connect(s, address, sizeof(struct sockaddr_in)) < 0) die("connect");
        int length = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n", i % CLIENTS);
        if (write(s, request, (size_t)length) != length || read(s, reply, sizeof reply - 1) <= 0) die("request");
        close(s);
        int refused = strstr(reply, " 429 ") != NULL;
        answers[i % CLIENTS][refused]++;
        if (refused && (!strstr(reply, "Retry-After: 1\r\n") || !strstr(reply, "[\"client\"]"))) die("a refusal without its reasons");
    }
    return answers;
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;
    void *result = NULL;
    int served = 0, right = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    set_up();
    address.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 128) < 0) die("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0) die("getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    if (argc == 1 && pthread_create(&thread, NULL, crowd, &address) != 0) die("pthread_create");

    while (argc > 1 || served < CLIENTS * REQUESTS) {
        struct sockaddr_in from;
        socklen_t from_length = sizeof from;
        int connection = accept(listener, (struct sockaddr *)&from, &from_length);
        if (connection < 0) die("accept");
        answer(connection, &from);
        close(connection);
        served++;
    }

    pthread_join(thread, &result);
    for (int i = 0; i < CLIENTS; i++) {
        const int *answers = ((int(*)[2])result)[i];
        printf("client %d, %d requests: %d answered, %d refused\n", i, REQUESTS, answers[0], answers[1]);
        /* The burst at least; more only as time refilled it. */
        right &= answers[0] >= BURST && answers[0] + answers[1] == REQUESTS;
    }
    close(listener);
    tg_limit_set_free(limits);
    tg_client_address_free(clients);
    return right ? 0 : 1;
}
