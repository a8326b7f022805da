/* Rate limits an accept loop: 100 requests a second with bursts of 20 get an answer, the rest a 429 with Retry-After.
 *
 *   cc accept_loop.c $(pkg-config --cflags --libs tidegate) -lpthread
 *   ./a.out 8080       serves for ever; try: curl -i http://127.0.0.1:8080/
 *   ./a.out            serves 60 requests that it sends to itself, and checks the answers
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
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS = 60, BURST = 20 };

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void answer(int connection, const tg_bucket *bucket) {
    tg_decision decision = TG_DECISION_INIT;
    char request[1024], reply[256];
    ssize_t got = read(connection, request, sizeof request);
    if (got <= 0) return;
    if (tg_bucket_check(bucket, 1, &decision) == TG_OK) {
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n");
    } else {
        uint64_t seconds = (decision.retry_after_ns + 999999999) / 1000000000; /* rounded up, so at least 1 */
        snprintf(reply, sizeof reply,
                 "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: %" PRIu64 "\r\nContent-Length: 0\r\n\r\n",
                 seconds);
    }
    if (write(connection, reply, strlen(reply)) < 0) perror("write");
}

/* The flash sale: sends every request at once and counts the answers. */
static void *crowd(void *address) {
    static int answers[2]; /* 200, 429 */
    for (int i = 0; i < REQUESTS; i++) {
        char reply[256] = "";
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (s < 0 || connect(s, address, sizeof(struct sockaddr_in)) < 0) die("connect");
        if (write(s, "GET / HTTP/1.1\r\n\r\n", 18) != 18 || read(s, reply, sizeof reply - 1) <= 0) die("request");
        close(s);
        answers[strstr(reply, " 429 ") != NULL]++;
        if (strstr(reply, " 429 ") && !strstr(reply, "Retry-After: 1\r\n")) answers[0] = -REQUESTS;
    }
    return answers;
}

int main(int argc, char **argv) {
    tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
    tg_bucket *bucket = NULL;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;
    void *result = NULL;
    int served = 0, listener = socket(AF_INET, SOCK_STREAM, 0);

    config.rate = "100/s";
    config.burst = BURST;
    if (tg_bucket_new(&config, &bucket) != TG_OK) {
        fprintf(stderr, "%s\n", tg_last_error_message());
        return 1;
    }
    address.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 128) < 0) die("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0) die("getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    if (argc == 1 && pthread_create(&thread, NULL, crowd, &address) != 0) die("pthread_create");

    while (argc > 1 || served < REQUESTS) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) die("accept");
        answer(connection, bucket);
        close(connection);
        served++;
    }

    pthread_join(thread, &result);
    printf("%d requests: %d answered, %d refused with Retry-After\n", REQUESTS, ((int *)result)[0], ((int *)result)[1]);
    close(listener);
    tg_bucket_free(bucket);
    /* The burst at least; more only as time refilled the bucket. */
    return ((int *)result)[0] >= BURST && ((int *)result)[0] + ((int *)result)[1] == REQUESTS ? 0 : 1;
}
