/* Bounded queue: what the border adds to the core; the watermarks are held by the vectors. */
#include <tidegate.h>

#include "check.h"

#include <math.h>
#include <pthread.h>

#define MS UINT64_C(1000000)
#define LONG_ENOUGH (UINT64_C(60000) * MS)

static int item_[16]; /* items are their addresses */

static tg_queue *queue_of(size_t capacity, double high, int32_t on_full) {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    tg_queue *queue = NULL;
    config.capacity = capacity;
    config.high_watermark = high;
    config.on_full = on_full;
    CHECK_EQ(tg_queue_new(&config, &queue), TG_OK);
    return queue;
}

static size_t depth_of(const tg_queue *queue) {
    size_t depth = 99;
    CHECK_EQ(tg_queue_depth(queue, &depth), TG_OK);
    return depth;
}

static void first_in_first_out_until_closed(void) {
    tg_queue *queue = queue_of(3, 1.0, TG_REJECT);
    void *item = &queue;
    bool closed = true;
    CHECK_EQ(tg_queue_try_pop(queue, &item), TG_EMPTY);
    CHECK(item == NULL);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_queue_try_push(queue, &item_[i], NULL), TG_OK);
    CHECK_EQ(tg_queue_try_push(queue, &item_[3], NULL), TG_FULL);
    CHECK_EQ(tg_queue_push(queue, &item_[3], 1, NULL), TG_FULL); /* at the deadline */
    CHECK_EQ(depth_of(queue), 3);
    CHECK_EQ(tg_queue_try_pop(queue, &item), TG_OK);
    CHECK(item == &item_[0]);
    CHECK_EQ(tg_queue_is_closed(queue, &closed), TG_OK);
    CHECK(!closed);
    CHECK_EQ(tg_queue_close(queue), TG_OK);
    CHECK_EQ(tg_queue_close(queue), TG_OK); /* twice is fine */
    CHECK_EQ(tg_queue_is_closed(queue, &closed), TG_OK);
    CHECK(closed);
    CHECK_EQ(tg_queue_try_push(queue, &item_[3], NULL), TG_CLOSED);
    CHECK_EQ(tg_queue_push(queue, &item_[3], TG_NEVER, NULL), TG_CLOSED);
    CHECK_EQ(tg_queue_pop(queue, TG_NEVER, &item), TG_OK); /* what was accepted still comes out */
    CHECK(item == &item_[1]);
    CHECK_EQ(tg_queue_try_pop(queue, &item), TG_OK);
    CHECK(item == &item_[2]);
    CHECK_EQ(tg_queue_try_pop(queue, &item), TG_CLOSED);
    CHECK_EQ(tg_queue_pop(queue, TG_NEVER, &item), TG_CLOSED);
    CHECK(item == NULL);
    tg_queue_free(queue);
}

static void watermarks_refuse_before_it_is_full(void) {
    tg_queue *queue = queue_of(10, 0.8, TG_REJECT);
    bool accepting = false;
    void *item = NULL;
    int accepted = 0;
    for (int i = 0; i < 10; i++) accepted += tg_queue_try_push(queue, &item_[i], NULL) == TG_OK;
    CHECK_EQ(accepted, 8);
    CHECK_EQ(tg_queue_is_accepting(queue, &accepting), TG_OK);
    CHECK(!accepting);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_queue_try_pop(queue, &item), TG_OK);
    CHECK_EQ(tg_queue_try_push(queue, &item_[0], NULL), TG_FULL); /* 5 is not below the low watermark */
    CHECK_EQ(tg_queue_try_pop(queue, &item), TG_OK);
    CHECK_EQ(tg_queue_try_push(queue, &item_[0], NULL), TG_OK);
    while (tg_queue_drain(queue, &item) == TG_OK) CHECK(item != NULL);
    tg_queue_free(queue);
}

static void drop_oldest_hands_it_back(void) {
    tg_queue *queue = queue_of(2, 1.0, TG_DROP_OLDEST);
    void *dropped = &queue, *item = NULL;
    CHECK_EQ(tg_queue_try_push(queue, &item_[0], &dropped), TG_OK);
    CHECK(dropped == NULL);
    CHECK_ERROR(tg_queue_try_push(queue, &item_[1], NULL), TG_NULL, "dropped:"); /* it could lose an item */
    CHECK_EQ(depth_of(queue), 1);
    CHECK_EQ(tg_queue_push(queue, &item_[1], TG_NEVER, &dropped), TG_OK);
    CHECK_EQ(tg_queue_try_push(queue, &item_[2], &dropped), TG_OK);
    CHECK(dropped == &item_[0]);
    CHECK_EQ(tg_queue_drain(queue, &item), TG_OK);
    CHECK(item == &item_[1]);
    CHECK_EQ(tg_queue_try_push(queue, &item_[3], &dropped), TG_CLOSED); /* draining closes */
    CHECK(dropped == NULL);
    CHECK_EQ(tg_queue_drain(queue, &item), TG_OK);
    CHECK_EQ(tg_queue_drain(queue, &item), TG_CLOSED);
    CHECK(item == NULL);
    tg_queue_free(queue);
}

static void sojourn_is_measured_by_the_clock(void) {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    tg_queue *queue = NULL;
    tg_clock *clock = NULL;
    void *item = NULL;
    uint64_t sojourn = 0;
    CHECK_EQ(tg_clock_manual_new(0, &clock), TG_OK);
    config.capacity = 4;
    config.clock = clock;
    config.sojourn = 1;
    CHECK_EQ(tg_queue_new(&config, &queue), TG_OK);
    CHECK_EQ(tg_queue_try_push(queue, &item_[0], NULL), TG_OK);
    CHECK_EQ(tg_queue_try_push_at(queue, 30 * MS, &item_[1], NULL), TG_OK);
    CHECK_EQ(tg_clock_advance(clock, 7 * MS), TG_OK);
    CHECK_EQ(tg_queue_try_pop_timed(queue, &item, &sojourn), TG_OK);
    CHECK(item == &item_[0]);
    CHECK_EQ(sojourn, 7 * MS);
    CHECK_EQ(tg_queue_try_pop_timed_at(queue, 50 * MS, &item, &sojourn), TG_OK);
    CHECK_EQ(sojourn, 20 * MS);
    CHECK_EQ(tg_queue_try_pop_timed(queue, &item, &sojourn), TG_EMPTY);
    CHECK_EQ(sojourn, 0);
    tg_queue_free(queue);
    tg_clock_free(clock);
}

static void stats_add_up(void) {
    tg_queue *queue = queue_of(2, 1.0, TG_REJECT);
    tg_queue_snapshot snapshot = TG_QUEUE_SNAPSHOT_INIT;
    void *item = NULL;
    for (int i = 0; i < 5; i++) (void)tg_queue_try_push(queue, &item_[i], NULL);
    CHECK_EQ(tg_queue_try_pop(queue, &item), TG_OK);
    CHECK_EQ(tg_queue_stats(queue, &snapshot), TG_OK);
    CHECK_EQ(snapshot.depth, 1);
    CHECK(snapshot.accepting);
    CHECK_EQ(snapshot.pushed, 2);
    CHECK_EQ(snapshot.popped, 1);
    CHECK_EQ(snapshot.rejected, 3);
    CHECK_EQ(snapshot.dropped, 0);
    tg_queue_free(queue);
}

static void *wait_for_an_item(void *queue) {
    void *item = NULL;
    return tg_queue_pop(queue, LONG_ENOUGH, &item) == TG_OK ? item : NULL;
}

static void *wait_for_room(void *queue) {
    return tg_queue_push(queue, &item_[9], LONG_ENOUGH, NULL) == TG_OK ? &item_[9] : NULL;
}

static void *wait_for_the_close(void *queue) {
    void *item = NULL;
    return tg_queue_pop(queue, TG_NEVER, &item) == TG_CLOSED ? queue : NULL;
}

static void waiters_are_woken(void) {
    tg_queue *queue = queue_of(1, 1.0, TG_REJECT);
    pthread_t thread;
    void *result = NULL, *item = NULL;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_an_item, queue), 0);
    CHECK_EQ(tg_queue_push(queue, &item_[4], LONG_ENOUGH, NULL), TG_OK);
    pthread_join(thread, &result);
    CHECK(result == &item_[4]);
    CHECK_EQ(tg_queue_try_push(queue, &item_[5], NULL), TG_OK);
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_room, queue), 0);
    CHECK_EQ(tg_queue_pop(queue, LONG_ENOUGH, &item), TG_OK);
    CHECK(item == &item_[5]);
    pthread_join(thread, &result);
    CHECK(result == &item_[9]);
    CHECK_EQ(tg_queue_try_pop(queue, &item), TG_OK);
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_the_close, queue), 0);
    CHECK_EQ(tg_queue_close(queue), TG_OK);
    pthread_join(thread, &result);
    CHECK(result == queue);
    tg_queue_free(queue);
}

#define REFUSED(field, value, status, needle) \
    do { \
        tg_queue_config refused = TG_QUEUE_CONFIG_INIT; \
        refused.capacity = 10; \
        refused.field = (value); \
        CHECK_ERROR(tg_queue_new(&refused, &queue), status, needle); \
    } while (0)

static void wrong_settings_are_told(void) {
    tg_queue *queue = NULL;
    REFUSED(capacity, 0, TG_OUT_OF_RANGE, "capacity");
    REFUSED(capacity, SIZE_MAX, TG_OUT_OF_RANGE, "capacity");
    REFUSED(high_watermark, 80.0, TG_OUT_OF_RANGE, "high_watermark");
    REFUSED(high_watermark, 0.0, TG_OUT_OF_RANGE, "high_watermark");
    REFUSED(high_watermark, (double)NAN, TG_OUT_OF_RANGE, "high_watermark");
    REFUSED(low_watermark, -1.0, TG_OUT_OF_RANGE, "low_watermark");
    REFUSED(low_watermark, (double)INFINITY, TG_OUT_OF_RANGE, "low_watermark");
    REFUSED(on_full, 2, TG_UNKNOWN_VALUE, "on_full: 2");
    REFUSED(on_full, -1, TG_UNKNOWN_VALUE, "TG_DROP_OLDEST");
    {
        tg_queue_config config = TG_QUEUE_CONFIG_INIT;
        config.capacity = 10;
        config.low_watermark = 0.9; /* above high */
        CHECK(tg_queue_new(&config, &queue) < 0);
        CHECK(strstr(tg_last_error_message(), "low_watermark"));
    }
    CHECK(queue == NULL);
}

static void null_is_an_error(void) {
    tg_queue *queue = queue_of(2, 1.0, TG_REJECT);
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    tg_queue_snapshot snapshot = TG_QUEUE_SNAPSHOT_INIT;
    void *item = NULL;
    uint64_t ns = 0;
    bool flag = false;
    size_t depth = 0;
    config.capacity = 1;
    CHECK_ERROR(tg_queue_new(NULL, &queue), TG_NULL, "config:");
    CHECK_ERROR(tg_queue_new(&config, NULL), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_try_push(NULL, &item_[0], NULL), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_try_push(queue, NULL, NULL), TG_NULL, "item:");
    CHECK_ERROR(tg_queue_try_push_at(NULL, 0, &item_[0], NULL), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_try_push_at(queue, 0, NULL, NULL), TG_NULL, "item:");
    CHECK_ERROR(tg_queue_push(NULL, &item_[0], 0, NULL), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_push(queue, NULL, 0, NULL), TG_NULL, "item:");
    CHECK_ERROR(tg_queue_try_pop(NULL, &item), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_try_pop(queue, NULL), TG_NULL, "item:");
    CHECK_ERROR(tg_queue_try_pop_timed(NULL, &item, &ns), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_try_pop_timed(queue, NULL, &ns), TG_NULL, "item:");
    CHECK_ERROR(tg_queue_try_pop_timed(queue, &item, NULL), TG_NULL, "sojourn_ns:");
    CHECK_ERROR(tg_queue_try_pop_timed_at(NULL, 0, &item, &ns), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_pop(NULL, TG_NEVER, &item), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_pop(queue, TG_NEVER, NULL), TG_NULL, "item:");
    CHECK_ERROR(tg_queue_close(NULL), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_drain(NULL, &item), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_drain(queue, NULL), TG_NULL, "item:");
    CHECK_ERROR(tg_queue_is_closed(NULL, &flag), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_is_closed(queue, NULL), TG_NULL, "closed:");
    CHECK_ERROR(tg_queue_is_accepting(NULL, &flag), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_is_accepting(queue, NULL), TG_NULL, "accepting:");
    CHECK_ERROR(tg_queue_depth(NULL, &depth), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_depth(queue, NULL), TG_NULL, "depth:");
    CHECK_ERROR(tg_queue_stats(NULL, &snapshot), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_stats(queue, NULL), TG_NULL, "snapshot:");
    CHECK_EQ(tg_queue_is_closed(queue, &flag), TG_OK);
    CHECK(!flag); /* the drain without a place for the item did not close */
    tg_queue_free(queue);
    tg_queue_free(NULL);
}

/* a queue with a clock by hand, whose items wait at most 10 ms */
static tg_queue *aged(uint32_t lanes, tg_clock **clock) {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    tg_queue *queue = NULL;
    CHECK_EQ(tg_clock_manual_new(0, clock), TG_OK);
    config.capacity = 4;
    config.high_watermark = 1.0;
    config.lanes = lanes;
    config.max_age_ns = 10 * MS;
    config.clock = *clock;
    CHECK_EQ(tg_queue_new(&config, &queue), TG_OK);
    return queue;
}

static void dropped_items_come_back(void) {
    for (uint32_t lanes = 1; lanes <= 2; lanes++) {
        tg_clock *clock = NULL;
        tg_queue *queue = aged(lanes, &clock);
        tg_queue_push_options options = TG_QUEUE_PUSH_OPTIONS_INIT;
        tg_queue_taken taken = TG_QUEUE_TAKEN_INIT;
        tg_queue_snapshot snapshot = TG_QUEUE_SNAPSHOT_INIT;
        void *item = NULL;
        CHECK_EQ(tg_queue_try_push(queue, &item_[0], NULL), TG_OK);
        CHECK_EQ(tg_queue_try_push(queue, &item_[1], NULL), TG_OK);
        CHECK_EQ(tg_clock_advance(clock, 11 * MS), TG_OK);
        CHECK_EQ(tg_queue_try_pop(queue, &item), TG_DROPPED);
        CHECK(item == &item_[0]);
        CHECK_EQ(tg_queue_take(queue, TG_NEVER, &taken), TG_DROPPED);
        CHECK(taken.item == &item_[1]);
        CHECK_EQ(taken.reason, TG_DROPPED_AGE);
        CHECK_EQ(tg_queue_take(queue, 0, &taken), TG_EMPTY);
        CHECK(taken.item == NULL);
        CHECK_EQ(taken.reason, -1);
        options.deadline_ns = MS;
        CHECK_EQ(tg_queue_push_with(queue, &item_[2], &options, TG_NEVER, NULL), TG_OK);
        CHECK_EQ(tg_queue_try_take_at(queue, 13 * MS, &taken), TG_DROPPED);
        CHECK(taken.item == &item_[2]);
        CHECK_EQ(taken.reason, TG_DROPPED_DEADLINE);
        CHECK_EQ(tg_queue_try_push_with(queue, &item_[3], &options, NULL), TG_OK);
        CHECK_EQ(tg_queue_take(queue, 0, &taken), TG_OK);
        CHECK(taken.item == &item_[3]);
        CHECK_EQ(tg_queue_try_push(queue, &item_[4], NULL), TG_OK);
        CHECK_EQ(tg_queue_discard(queue, &item), TG_OK);
        CHECK(item == &item_[4]);
        CHECK_EQ(tg_queue_discard(queue, &item), TG_CLOSED);
        CHECK(item == NULL);
        CHECK_EQ(tg_queue_take(queue, TG_NEVER, &taken), TG_CLOSED);
        CHECK_EQ(tg_queue_stats(queue, &snapshot), TG_OK);
        CHECK_EQ(snapshot.pushed, 5);
        CHECK_EQ(snapshot.popped, 1);
        CHECK_EQ(snapshot.dropped, 4);
        CHECK_EQ(snapshot.dropped_age, 2);
        CHECK_EQ(snapshot.dropped_deadline, 1);
        CHECK_EQ(snapshot.dropped_closed, 1);
        CHECK_EQ(snapshot.least_delay_ns, TG_NEVER); /* first in, first out: not measured */
        tg_queue_free(queue);
        tg_clock_free(clock);
    }
}

static void wrong_options_are_told(void) {
    tg_clock *clock = NULL;
    tg_queue *queue = aged(2, &clock), *none = NULL;
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    tg_queue_push_options options = TG_QUEUE_PUSH_OPTIONS_INIT;
    tg_queue_taken taken = TG_QUEUE_TAKEN_INIT;
    void *item = NULL;
    options.lane = 2;
    CHECK_ERROR(tg_queue_try_push_with(queue, &item_[0], &options, NULL), TG_OUT_OF_RANGE, "lane: 2 is not within 0 to 1");
    CHECK_ERROR(tg_queue_push_with(queue, &item_[0], &options, TG_NEVER, NULL), TG_OUT_OF_RANGE, "lane:");
    CHECK_ERROR(tg_queue_try_push_with_at(queue, 0, &item_[0], &options, NULL), TG_OUT_OF_RANGE, "lane:");
    CHECK_ERROR(tg_queue_try_push_with(queue, &item_[0], NULL, NULL), TG_NULL, "options:");
    CHECK_ERROR(tg_queue_take(NULL, 0, &taken), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_take(queue, 0, NULL), TG_NULL, "taken:");
    CHECK_ERROR(tg_queue_try_take_at(queue, 0, NULL), TG_NULL, "taken:");
    CHECK_ERROR(tg_queue_discard(NULL, &item), TG_NULL, "queue:");
    CHECK_ERROR(tg_queue_discard(queue, NULL), TG_NULL, "item:");
    CHECK_EQ(depth_of(queue), 0);
    config.capacity = 4;
    config.discipline = 3;
    CHECK_ERROR(tg_queue_new(&config, &none), TG_UNKNOWN_VALUE, "discipline: 3 is neither TG_FIFO");
    config.discipline = TG_CODEL;
    config.target_ns = config.interval_ns;
    CHECK_ERROR(tg_queue_new(&config, &none), TG_CONFLICT, "target_ns: ");
    config.target_ns = MS;
    config.lanes = 0;
    CHECK_ERROR(tg_queue_new(&config, &none), TG_OUT_OF_RANGE, "lanes: ");
    tg_queue_free(queue);
    tg_clock_free(clock);
}

int main(void) {
    RUN(first_in_first_out_until_closed);
    RUN(watermarks_refuse_before_it_is_full);
    RUN(drop_oldest_hands_it_back);
    RUN(sojourn_is_measured_by_the_clock);
    RUN(stats_add_up);
    RUN(waiters_are_woken);
    RUN(wrong_settings_are_told);
    RUN(null_is_an_error);
    RUN(dropped_items_come_back);
    RUN(wrong_options_are_told);
    return check_failed != 0;
}
