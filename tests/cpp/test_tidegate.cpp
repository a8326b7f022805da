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

static void a_limiter_keeps_its_keys_apart() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tidegate::RateLimiter users("60/min", 2, &clock);
    CHECK(users.try_acquire("ann", 2));
    CHECK(!users.try_acquire("ann"));
    CHECK(users.check(std::string("ben")).allowed);
    CHECK(users.try_acquire(std::string_view("\0", 1)));
    CHECK(users.try_acquire({})); // the empty key
    CHECK_EQ(users.len(), 4);
    users.refund("ann", 1);
    CHECK_EQ(users.peek("ann").remaining, 1);
    CHECK(users.penalize("ann", 1min));
    CHECK(users.peek("ann").retry_after_ns >= 60000000000u);
    users.reset("ann");
    CHECK_EQ(users.peek("ann").remaining, 2);
    users.reset_all();
    CHECK_EQ(users.len(), 0);
    const tg_tier slow = users.tier("30/min", 1);
    CHECK(users.try_acquire("cay", 1, slow));
    CHECK(!users.check("cay", 1, slow).allowed);
    users.refund("cay", 1, slow);
    CHECK_EQ(users.peek("cay", slow).remaining, 1);
    users.set_quota("30/min", 1);
    CHECK_EQ(users.peek("dan").limit, 1);
    CHECK(users.memory() > 0);
    CHECK(users.stats().admitted >= 5);
    try {
        (void)users.hit("ann"); // not a fixed window
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_CONFLICT);
    }
    try {
        tidegate::RateLimiter other("1/h");
        (void)other.check("ann", 1, slow);
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_INVALID);
    }
}

static void a_set_takes_all_or_nothing() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tidegate::TokenBucket everyone("5/min", 5, &clock);
    auto users = std::make_unique<tidegate::RateLimiter>("2/min", TG_BURST_OF_RATE, &clock);
    tidegate::RateLimiter addresses("3/min", TG_BURST_OF_RATE, &clock);
    tidegate::LimitSet limits({{"user", *users}, {"address", addresses}, {"everyone", everyone}});
    users.reset(); // the set shares it
    CHECK(limits.check({"ann", "home"}, 2));
    auto denied = limits.check({"ann", "home"});
    CHECK(!denied && denied.denied_by && !strcmp(denied.denied_by, "user"));
    CHECK_EQ(everyone.peek().remaining, 3);
    CHECK(!limits.peek({"ben", "home"}, 2));
    CHECK(limits.peek({"ben", "home"}, 1));
    limits.refund({"ann", "home"}, 1);
    CHECK(limits.check({"ann", "home"}));
    CHECK_EQ(limits.len(), 3);
    CHECK(!strcmp(limits.name(1), "address"));
    for (auto keys : {std::vector<std::string_view>{}, std::vector<std::string_view>(17)}) {
        try {
            (void)(keys.empty() ? limits.check({}) : limits.check({"", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""}));
            CHECK(!"reached");
        } catch (const tidegate::Error &error) {
            CHECK_EQ(error.status(), TG_CONFLICT);
        }
    }
}

static void http_manners() {
    tidegate::ClientAddress plain, clients({"10.0.0.0/8"});
    CHECK(plain.key("2001:db8::1") == "2001:db8::/64");
    CHECK(clients.key("10.0.0.1", {"6.6.6.6, 192.0.2.1", "10.0.0.2"}) == "192.0.2.1");
    CHECK(plain.key(std::string(1000, 'x').c_str()).size() == 1000); // longer than the first buffer
    tidegate::AccessList list({"10.0.0.7"}, {"10.0.0.0/8", "key:evil"});
    CHECK_EQ(list.verdict("10.0.0.7"), TG_VERDICT_ALLOW);
    CHECK_EQ(list.verdict("10.0.0.8"), TG_VERDICT_DENY);
    CHECK_EQ(list.verdict("192.0.2.1"), TG_VERDICT_LIMIT);
    CHECK_EQ(list.verdict(nullptr, "evil"), TG_VERDICT_DENY);
    tidegate::Clock clock = tidegate::Clock::manual();
    tidegate::TokenBucket bucket("1/min", 1, &clock);
    CHECK(bucket.try_acquire());
    const tg_ratelimit_status told = tidegate::http::tell(bucket.check());
    CHECK_EQ(told.retry_after_s, 60);
    CHECK(tidegate::http::rate_limit("door", told) == "\"door\";r=0;t=60");
    CHECK(tidegate::http::rate_limit_policy("door", 1, 1min) == "\"door\";q=1;w=60");
    CHECK(tidegate::http::problem(TG_PROBLEM_QUOTA_EXCEEDED, {"door"}).find("[\"door\"]") != std::string::npos);
    try {
        (void)tidegate::ClientAddress({"*"});
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_SYNTAX);
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
    CHECK_EQ(breaker.config().cooldown_ns, 30000000000u);
    breaker.reset();
    breaker.try_acquire()->slow();
    breaker.try_acquire()->unreached();
    CHECK_EQ(breaker.stats().slow, 1);
    CHECK_EQ(breaker.stats().failed, 1);
    breaker.try_acquire()->failure_retry_after(40s, 1s);
    CHECK_EQ(breaker.state(), TG_STATE_OPEN);
    CHECK_EQ(breaker.retry_after_ns(), 40000000000u);
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

static void a_registry_has_a_breaker_for_each_key() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tg_breaker_config breakers = TG_BREAKER_CONFIG_INIT;
    breakers.consecutive_failures = 1;
    tg_registry_config config = TG_REGISTRY_CONFIG_INIT;
    config.clock = clock.get();
    config.breakers = &breakers;
    config.max_breakers = 2;
    std::optional<tidegate::CircuitBreaker> kept;
    {
        tidegate::BreakerRegistry hosts(config);
        CHECK(!hosts.peek("a"));
        tidegate::CircuitBreaker a = hosts.get("a");
        a.try_acquire()->failure();
        CHECK_EQ(a.state(), TG_STATE_OPEN);
        CHECK_EQ(hosts.peek("a")->state(), TG_STATE_OPEN);
        tidegate::CircuitBreaker odd = hosts.get(std::string_view("\0b", 2));
        odd.force_open();
        CHECK_EQ(hosts.get("c").state(), TG_STATE_CLOSED); // nobody makes room: what keys share
        CHECK_EQ(hosts.stats().overflowed, 1);
        auto items = hosts.items();
        CHECK_EQ(items.size(), 2);
        CHECK(items[0].first == "a" && items[0].second.state() == TG_STATE_OPEN);
        CHECK(items[1].first == std::string("\0b", 2));
        auto slower = hosts.config("a");
        slower.cooldown_ns = 90000000000;
        hosts.set_config("a", slower);
        CHECK_EQ(a.config().cooldown_ns, 90000000000);
        slower.cooldown_ns = 5000000000;
        a.set_config(slower);
        CHECK_EQ(a.config().cooldown_ns, 5000000000);
        CHECK(hosts.remove("a") && !hosts.remove("a"));
        kept.emplace(std::move(odd));
    }
    CHECK_EQ(kept->state(), TG_STATE_FORCED_OPEN); // it may outlive the registry
    try {
        config.max_breakers = 0;
        tidegate::BreakerRegistry none(config);
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_OUT_OF_RANGE);
    }
}

static void retries_are_paid_for() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tg_retry_budget_config config = TG_RETRY_BUDGET_CONFIG_INIT;
    config.clock = clock.get();
    config.min_per_second = 0;
    config.ratio = 0.5;
    tidegate::RetryBudget budget(config);
    while (budget.try_withdraw()) {
    }
    budget.deposit();
    CHECK_EQ(budget.balance(), 0);
    budget.deposit();
    CHECK_EQ(budget.balance(), 1);
    CHECK(budget.try_withdraw() && !budget.try_withdraw());
    CHECK_EQ(budget.stats().deposited, 2);

    tg_retry_config waits = TG_RETRY_CONFIG_INIT;
    waits.jitter = TG_JITTER_NONE;
    tidegate::Retries retries(waits);
    CHECK(retries.next(0.5) == tidegate::Nanoseconds(100ms));
    CHECK(retries.next(0.5, 7s) == tidegate::Nanoseconds(7s)); // the server said more
    CHECK(!retries.next(0.5));
    CHECK_EQ(retries.attempts(), 3);
}

static void a_throttle_hears_of_calls() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tg_throttle_config config = TG_THROTTLE_CONFIG_INIT;
    config.clock = clock.get();
    tidegate::ClientThrottle throttle(config);
    for (int i = 0; i < 100; i++) throttle.refused();
    CHECK(throttle.probability() > 0.89);
    int passed = 0;
    for (int i = 0; i < 1000; i++) passed += throttle.try_acquire();
    CHECK(passed > 0 && passed < 300);
    throttle.accepted();
    CHECK_EQ(throttle.stats().accepted, 1);
    CHECK_EQ(throttle.stats().rejected, 1000 - passed);
}

static void concurrency_permits_give_themselves_back() {
    tidegate::ConcurrencyLimiter calls(2);
    {
        auto one = calls.try_acquire(), two = calls.acquire(1ms);
        CHECK(one && two);
        CHECK(!calls.try_acquire());
        CHECK(!calls.acquire(1ms));
        CHECK_EQ(calls.in_use(), 2);
        std::optional<tidegate::ConcurrencyPermit> moved = std::move(one);
        one.reset(); // holds nothing any more
        CHECK_EQ(calls.in_use(), 2);
        *two = std::move(*moved); // gives its own back
        CHECK_EQ(calls.in_use(), 1);
        CHECK(two->release());
        CHECK(!two->release());
        CHECK_EQ(calls.in_use(), 0);
        one = calls.acquire();
        CHECK_EQ(calls.in_use(), 1);
    }
    CHECK_EQ(calls.in_use(), 0);
    try {
        auto permit = calls.try_acquire();
        throw std::runtime_error("the call failed");
    } catch (const std::runtime_error &) {
    }
    CHECK_EQ(calls.in_use(), 0);
    CHECK_EQ(calls.limit(), 2);
    calls.set_limit(1);
    CHECK_EQ(calls.stats().limit, 1);
    try {
        calls.set_limit(3);
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_OUT_OF_RANGE);
    }

    std::thread waiter;
    {
        auto permit = calls.try_acquire();
        waiter = std::thread([&] { CHECK(calls.acquire().has_value()); });
    }
    waiter.join();
    CHECK_EQ(calls.in_use(), 0);
}

static void permits_report_to_an_adaptive_limit() {
    tidegate::Clock clock = tidegate::Clock::manual(1000000000000);
    tg_adaptive_config config = TG_ADAPTIVE_CONFIG_INIT;
    config.clock = clock.get();
    config.probe = 0;
    tidegate::ConcurrencyLimiter calls(config);
    auto window = [&](auto report) {
        std::vector<tidegate::ConcurrencyPermit> permits;
        while (auto permit = calls.try_acquire()) permits.push_back(std::move(*permit));
        clock.advance(500ms);
        for (auto &permit : permits) {
            CHECK(report(permit));
            CHECK(!report(permit) && !permit.release());
        }
    };
    window([](auto &permit) { return permit.ignore(); });
    CHECK_EQ(calls.limit(), 20);
    window([](auto &permit) { return permit.success(); });
    CHECK_EQ(calls.limit(), 40);
    window([](auto &permit) { return permit.dropped(); });
    CHECK_EQ(calls.limit(), 36);
    window([](auto &permit) { return permit.success(2s); }); // four times the latency of an unloaded call
    CHECK(calls.limit() < 36);
    CHECK(calls.explain().find("of 1 to 1000, from 20\n") != std::string::npos);
    CHECK(tidegate::ConcurrencyLimiter(2).explain().empty());
}

static void partitions_have_their_shares() {
    const tg_partition partitions[] = {{"live", 0.5}, {"batch", 0.5}};
    tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
    config.limit = 2;
    config.partitions = partitions;
    config.partitions_len = 2;
    tidegate::ConcurrencyLimiter calls(config);
    auto live = calls.partition("live"), batch = calls.partition("batch");
    auto one = calls.try_acquire_in(batch), lent = calls.try_acquire_in(batch);
    CHECK(one && lent && !calls.try_acquire_in(live) && !calls.acquire_in(live, 1ms));
    one->release();
    CHECK(!calls.try_acquire_in(batch)); // kept for its owner
    auto owner = calls.acquire_in(live);
    CHECK(owner.has_value());
    CHECK_EQ(calls.partition_stats(live).in_use, 1);
    CHECK_EQ(calls.partition_stats(batch).in_use, 1);
    try {
        calls.partition("nightly");
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_OUT_OF_RANGE);
    }
}

static void a_shedder_refuses_the_less_important() {
    tidegate::Clock clock = tidegate::Clock::manual();
    tg_signal signal = {nullptr, 0, 1, TG_SIGNAL_GAUGE, 0};
    tg_shedder_config config = TG_SHEDDER_CONFIG_INIT;
    config.clock = clock.get();
    config.signals = &signal;
    config.signal_count = 1;
    tidegate::LoadShedder shedder(config);
    CHECK(shedder.admit(TG_PRIORITY_SHEDDABLE));
    for (int interval = 0; interval < 200; interval++) {
        shedder.tell("gauge", 1);
        for (int call = 0; call < 16; call++) (void)shedder.admit(call % 4, 64);
        clock.advance(250ms);
        shedder.sample();
    }
    auto shed = shedder.check(TG_PRIORITY_SHEDDABLE, 127);
    CHECK(shed.signal == 0 && shed.pressure == 1 && shedder.pressure() == 1);
    CHECK(shedder.stats().shed_sheddable > shedder.stats().shed_high);
    CHECK(shedder.level_of("user 7") == shedder.level_of("user 7") && shedder.level_of("user 7") < 128);
    CHECK(shedder.explain().find("gauge") != std::string::npos);
    shedder.tell_lag(1ms, 20ms); // of no signal that it has
    try {
        (void)shedder.admit(9);
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_UNKNOWN_VALUE);
    }
}

static void dropped_items_come_back_with_their_reason() {
    tidegate::Clock clock = tidegate::Clock::manual(1);
    tg_queue_config config = TG_QUEUE_CONFIG_INIT;
    config.clock = clock.get();
    config.capacity = 10;
    config.lanes = 2;
    config.max_age_ns = 1000000000;
    tidegate::BoundedQueue<int> queue(config);
    tg_queue_push_options options = TG_QUEUE_PUSH_OPTIONS_INIT;
    options.lane = 1;
    auto item = std::make_unique<int>(1);
    CHECK_EQ(queue.try_push_with(item, options), TG_OK);
    options.lane = 0;
    options.deadline_ns = 10000000;
    item = std::make_unique<int>(2);
    CHECK_EQ(queue.push_with(item, options), TG_OK);
    item = std::make_unique<int>(3);
    CHECK_EQ(queue.try_push(item), TG_OK);
    clock.advance(20ms);
    std::int32_t reason = -1;
    CHECK_EQ(queue.take(item, reason), TG_DROPPED);
    CHECK(item && *item == 2 && reason == TG_DROPPED_DEADLINE);
    CHECK_EQ(queue.take(item, reason, 0ms), TG_OK);
    CHECK(item && *item == 3 && reason == -1);
    clock.advance(1s);
    CHECK_EQ(queue.take(item, reason), TG_DROPPED);
    CHECK(item && *item == 1 && reason == TG_DROPPED_AGE);
    CHECK_EQ(queue.stats().dropped, 2);
    CHECK_EQ(queue.take(item, reason, 0ms), TG_EMPTY);
    CHECK(!item);
    options.lane = 2;
    item = std::make_unique<int>(4);
    try {
        (void)queue.try_push_with(item, options);
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_OUT_OF_RANGE);
    }
    CHECK(item && *item == 4); // still ours
}

static void what_has_one_name_in_an_arena_is_one() {
    auto arena = std::make_unique<tidegate::Arena>(tidegate::Arena::process("cpp"));
    tidegate::TokenBucket bucket("10/h", 10, {*arena, "door"}), same("10/h", 10, {*arena, "door"});
    tidegate::RateLimiter users("1/h", 1, {*arena, "users"}), same_users("1/h", 1, {*arena, "users"});
    tidegate::ConcurrencyLimiter calls(1, {*arena, "calls"}), same_calls(1, {*arena, "calls"});
    tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
    config.name = "payment";
    config.arena = arena->get();
    tidegate::CircuitBreaker breaker(config), same_breaker(config);
    CHECK(bucket.try_acquire(10) && !same.try_acquire());
    CHECK(users.try_acquire("ann") && !same_users.try_acquire("ann"));
    auto permit = calls.try_acquire();
    CHECK(permit && !same_calls.try_acquire());
    breaker.force_open();
    CHECK_EQ(same_breaker.state(), TG_STATE_FORCED_OPEN);
    try {
        tidegate::TokenBucket("20/h", 20, {*arena, "door"});
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_ARENA_SETTINGS);
        CHECK(strstr(error.what(), "door"));
    }
    CHECK_EQ(tidegate::TokenBucket("20/h", 20, {*arena, "door", TG_ON_CONFLICT_KEEP}).peek().limit, 10);
    CHECK_EQ(tidegate::TokenBucket("20/h", 20, {*arena, "door", TG_ON_CONFLICT_APPLY}).peek().limit, 20);
    CHECK(arena->clock().now() > 0);
    CHECK(arena->notices().empty());
    CHECK(arena->remove("door"));
    CHECK(!arena->remove("door"));
    arena.reset(); // the objects keep it
    CHECK(bucket.peek().limit == 20);

    CHECK(!tidegate::Arena::from_scope("process"));
    CHECK(tidegate::Arena::from_scope("process:cpp"));
    try {
        (void)tidegate::Arena::host("a/b");
        CHECK(!"reached");
    } catch (const tidegate::Error &error) {
        CHECK_EQ(error.status(), TG_INVALID);
    }
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
    RUN(a_limiter_keeps_its_keys_apart);
    RUN(a_set_takes_all_or_nothing);
    RUN(http_manners);
    RUN(permits_report_themselves);
    RUN(a_permit_taken_while_unwinding_is_not_a_failure);
    RUN(a_registry_has_a_breaker_for_each_key);
    RUN(retries_are_paid_for);
    RUN(a_throttle_hears_of_calls);
    RUN(concurrency_permits_give_themselves_back);
    RUN(permits_report_to_an_adaptive_limit);
    RUN(partitions_have_their_shares);
    RUN(a_shedder_refuses_the_less_important);
    RUN(dropped_items_come_back_with_their_reason);
    RUN(what_has_one_name_in_an_arena_is_one);
    RUN(queue_owns_its_items);
    RUN(drop_oldest_gives_it_back);
    RUN(queue_wakes_its_waiters);
    RUN(owners_move);
    return check_failed != 0;
}
