// The C++ wrapper: ownership, exceptions, permits that report themselves.
#include <tidegate.hpp>

#include "../c/check.h"

#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

static void bucket_decides() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tidegate::TokenBucket bucket("10/s", 2, &clock);
    CHECK(bucket.try_acquire());
    CHECK(bucket.check().allowed);
    CHECK(!bucket.try_acquire());
    CHECK_EQ(bucket.check().retry_after_ns, 100000000);
    CHECK(!bucket.reserve(1, 50ms).booked);
    CHECK(!bucket.reserve(1, -1s).booked); // a negative wait is none
    auto booking = bucket.reserve();
    CHECK(booking.booked);
    CHECK_EQ(booking.wait_ns, 100000000);
    CHECK(bucket.cancel(booking.ticket));
    clock.advance(200ms);
    CHECK_EQ(bucket.peek().remaining, 2);
    bucket.penalize(1s);
    CHECK_EQ(bucket.peek().remaining, 0);
    bucket.reset();
    bucket.set_quota("10/s", 5);
    CHECK_EQ(bucket.peek().limit, 5);
    CHECK(bucket.stats().admitted >= 2);
}

static void errors_are_exceptions_that_say_why() {
    try {
        tidegate::TokenBucket("400/s", 0);
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_OUT_OF_RANGE);
        CHECK(strstr(error.what(), "burst"));
    }
    try {
        tidegate::TokenBucket(nullptr);
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_CONFLICT);
    }
}

static tg_breaker_config fragile(const tidegate::Clock &clock) {
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    config.consecutive_failures = 2;
    config.clock = clock.get();
    return config;
}

static void permits_report_themselves() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tidegate::CircuitBreaker breaker(fragile(clock));
    for (int i = 0; i < 2; i++) {
        try {
            auto permit = breaker.try_acquire();
            CHECK(permit.has_value());
            throw std::runtime_error("the call failed");
        } catch (const std::runtime_error &) {
        }
    }
    CHECK_EQ(breaker.state(), TG_STATE_OPEN);
    std::uint64_t retry_after = 0;
    CHECK(!breaker.try_acquire(&retry_after));
    CHECK_EQ(retry_after, breaker.retry_after_ns());
    clock.advance(30s);
    {
        auto probe = breaker.try_acquire();
        CHECK(probe.has_value());
        CHECK(!breaker.try_acquire()); // the only one
    } // released without an outcome
    auto probe = breaker.try_acquire();
    CHECK(probe.has_value());
    probe->success();
    probe->failure(); // a second report does nothing
    CHECK_EQ(breaker.state(), TG_STATE_CLOSED);
    auto first = breaker.next_event(0);
    CHECK(first && first->kind == TG_EVENT_OPENED);
    CHECK(!breaker.next_event(1000));
    breaker.force_open();
    CHECK_EQ(breaker.stats().state, TG_STATE_FORCED_OPEN);
}

static void a_permit_taken_while_unwinding_is_not_a_failure() {
    tidegate::CircuitBreaker breaker;
    struct Cleanup {
        const tidegate::CircuitBreaker &breaker;
        ~Cleanup() {
            auto permit = breaker.try_acquire();
            if (permit) permit->success(1ms);
        }
    };
    try {
        Cleanup cleanup{breaker};
        throw std::runtime_error("elsewhere");
    } catch (const std::runtime_error &) {
    }
    CHECK_EQ(breaker.stats().calls, 1);
    CHECK_EQ(breaker.stats().failed, 0);
}

static void queue_owns_its_items() {
    static int alive;
    struct Counted {
        int value;
        explicit Counted(int v) : value(v) { alive++; }
        ~Counted() { alive--; }
    };
    {
        tidegate::BoundedQueue<Counted> queue(10); // refuses from 8 on
        for (int i = 0; i < 8; i++) {
            auto item = std::make_unique<Counted>(i);
            CHECK_EQ(queue.try_push(item), TG_OK);
            CHECK(!item);
        }
        auto refused = std::make_unique<Counted>(8);
        CHECK_EQ(queue.push(refused, 1ms), TG_FULL);
        CHECK(refused && refused->value == 8); // still ours
        CHECK(!queue.is_accepting());
        std::unique_ptr<Counted> item;
        CHECK_EQ(queue.try_pop(item), TG_OK);
        CHECK(item && item->value == 0);
        CHECK_EQ(queue.depth(), 7);
        CHECK_EQ(alive, 9);
    } // what is left inside goes with it
    CHECK_EQ(alive, 0);
}

static void drop_oldest_gives_it_back() {
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    config.capacity = 1;
    config.high_watermark = 1.0;
    config.on_full = TG_DROP_OLDEST;
    tidegate::BoundedQueue<int> queue(config);
    auto item = std::make_unique<int>(1);
    CHECK_EQ(queue.try_push(item), TG_OK);
    item = std::make_unique<int>(2);
    CHECK_EQ(queue.try_push(item), TG_OK);
    CHECK(item && *item == 1);
}

static void queue_wakes_its_waiters() {
    tidegate::BoundedQueue<int> queue(4);
    int sum = 0;
    std::thread consumer([&] {
        std::unique_ptr<int> item;
        while (queue.pop(item) == TG_OK) sum += *item;
    });
    for (int i = 1; i <= 100; i++) {
        auto item = std::make_unique<int>(i);
        CHECK_EQ(queue.push(item), TG_OK);
    }
    queue.close();
    consumer.join();
    CHECK_EQ(sum, 5050);
}

static void owners_move() {
    tidegate::Clock clock = tidegate::Clock::manual(7);
    tidegate::Clock moved = std::move(clock);
    CHECK_EQ(moved.now(), 7);
    std::vector<tidegate::TokenBucket> buckets;
    for (int i = 0; i < 10; i++) buckets.emplace_back("1/s");
    for (auto &bucket : buckets) CHECK(bucket.try_acquire());
    tidegate::BoundedQueue<int> queue(1), other = std::move(queue);
    CHECK_EQ(other.depth(), 0);
    CHECK(tidegate::Clock::monotonic().now() > 0);
}

int main() {
    RUN(bucket_decides);
    RUN(errors_are_exceptions_that_say_why);
    RUN(permits_report_themselves);
    RUN(a_permit_taken_while_unwinding_is_not_a_failure);
    RUN(queue_owns_its_items);
    RUN(drop_oldest_gives_it_back);
    RUN(queue_wakes_its_waiters);
    RUN(owners_move);
    return check_failed != 0;
}
