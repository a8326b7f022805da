// tidegate for C++17: owners and exceptions over tidegate.h, and nothing else. Read the contract there.
// Refusals are values; errors (status < 0) are thrown as tidegate::Error.
#ifndef TIDEGATE_HPP
#define TIDEGATE_HPP

#include "tidegate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate {

using Nanoseconds = std::chrono::nanoseconds;

/// A wrong argument, or a bug in tidegate: what() says which argument, what was wrong and what is allowed.
class Error : public std::runtime_error {
public:
    explicit Error(tg_status status)
        : std::runtime_error(std::string(tg_status_message(status)) + ": " + tg_last_error_message()), status_(status) {}
    tg_status status() const noexcept { return status_; }

private:
    tg_status status_;
};

/// Throws on an error; hands a refusal back.
inline tg_status checked(tg_status status) {
    if (status < 0) throw Error(status);
    return status;
}

namespace detail {
template <auto Free>
struct Deleter {
    template <class T>
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <class T, auto Free>
using Handle = std::unique_ptr<T, Deleter<Free>>;

template <class Handle, class New, class... Args>
Handle make(New create, Args... args) {
    typename Handle::pointer raw = nullptr;
    checked(create(args..., &raw));
    return Handle(raw);
}

/// A negative wait is over at once.
inline std::uint64_t ns(Nanoseconds wait) {
    return wait.count() < 0 ? 0 : static_cast<std::uint64_t>(wait.count());
}

/// A text that a call writes to a buffer; longer ones are asked for again.
template <class Call>
std::string text(Call call) {
    std::string text(255, '\0');
    std::size_t length = 0;
    tg_status status = call(text.data(), text.size() + 1, &length);
    if (status == TG_BUFFER) {
        text.resize(length);
        status = call(text.data(), text.size() + 1, &length);
    }
    checked(status);
    text.resize(length);
    return text;
}

inline tg_quota quota(const char *rate, std::uint64_t burst) {
    tg_quota quota = TG_QUOTA_INIT;
    quota.rate = rate;
    quota.burst = burst;
    return quota;
}
} // namespace detail

/// The machine's clock, or one that stands still until moved. It must outlive the constructors it is given to only.
class Clock {
public:
    static Clock monotonic() { return Clock(detail::make<Owner>(tg_clock_monotonic_new)); }
    static Clock manual(std::uint64_t start_ns = 0) { return Clock(detail::make<Owner>(tg_clock_manual_new, start_ns)); }

    std::uint64_t now() const {
        std::uint64_t now_ns = 0;
        checked(tg_clock_now(handle_.get(), &now_ns));
        return now_ns;
    }
    void advance(Nanoseconds by) { checked(tg_clock_advance(handle_.get(), detail::ns(by))); }
    void set(std::uint64_t now_ns) { checked(tg_clock_set(handle_.get(), now_ns)); }
    const tg_clock *get() const noexcept { return handle_.get(); }

private:
    friend class Arena;
    using Owner = detail::Handle<tg_clock, tg_clock_free>;
    explicit Clock(Owner handle) : handle_(std::move(handle)) {}
    Owner handle_;
};

/// Memory in which named objects live, for all processes of the machine or all threads of this process. All but moving and
/// destroying may be called from any thread. Objects in it keep it open: it may go before them.
class Arena {
public:
    explicit Arena(const tg_arena_config &config) : handle_(detail::make<Owner>(tg_arena_open, &config)) {}
    /// Arena::host("orders"): the same for every process that says so.
    static Arena host(const char *name) {
        tg_arena_config config = TG_ARENA_CONFIG_INIT;
        config.name = name;
        return Arena(config);
    }
    static Arena process(const char *name) { return Arena(detail::make<Owner>(tg_arena_process, name)); }
    /// "host:orders", "process:orders" or "process" (nothing); nullptr: what TIDEGATE_SCOPE says.
    static std::optional<Arena> from_scope(const char *scope = nullptr) {
        Owner opened = detail::make<Owner>(tg_arena_from_scope, scope);
        return opened ? std::optional<Arena>(Arena(std::move(opened))) : std::nullopt;
    }

    /// The clock of everything in it.
    Clock clock() const { return Clock(detail::make<Clock::Owner>(tg_arena_clock, get())); }
    /// What is worth saying once, a line each.
    std::string notices() const {
        return detail::text([&](auto... out) { return tg_arena_notices(get(), out...); });
    }
    /// False when there was no such name.
    bool remove(const char *name) const { return checked(tg_arena_remove(get(), name)) == TG_OK; }
    const tg_arena *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_arena, tg_arena_free>;
    explicit Arena(Owner handle) : handle_(std::move(handle)) {}
    Owner handle_;
};

/// A name in an arena: TokenBucket("400/s", 800, {arena, "checkout"}).
struct Place {
    const Arena &arena;
    const char *name;
    tg_on_conflict on_conflict = TG_ON_CONFLICT_ERROR;
};

namespace detail {
template <class Config>
Config at(Config config, const Place &place) {
    config.arena = place.arena.get();
    config.name = place.name;
    config.on_conflict = place.on_conflict;
    return config;
}
} // namespace detail

/// A token bucket. All but moving and destroying may be called from any thread.
class TokenBucket {
public:
    explicit TokenBucket(const tg_bucket_config &config) : handle_(detail::make<Owner>(tg_bucket_new, &config)) {}
    /// TokenBucket("400/s"), TokenBucket("400/s", 800)
    explicit TokenBucket(const char *rate, std::uint64_t burst = TG_BURST_OF_RATE, const Clock *clock = nullptr)
        : TokenBucket(config(rate, burst, clock)) {}
    TokenBucket(const char *rate, std::uint64_t burst, const Place &place)
        : TokenBucket(detail::at(config(rate, burst, nullptr), place)) {}

    bool try_acquire(std::uint32_t n = 1) const { return checked(tg_bucket_try_acquire(get(), n)) == TG_OK; }

    tg_decision check(std::uint32_t n = 1) const {
        tg_decision decision = TG_DECISION_INIT;
        checked(tg_bucket_check(get(), n, &decision));
        return decision;
    }
    tg_decision peek() const {
        tg_decision decision = TG_DECISION_INIT;
        checked(tg_bucket_peek(get(), &decision));
        return decision;
    }

    struct Reservation {
        bool booked;
        /// Act after that long; when not booked, how long it would have taken (TG_NEVER: the cost exceeds the burst).
        std::uint64_t wait_ns;
        tg_ticket ticket;
    };
    /// No max_wait: as long as it takes.
    Reservation reserve(std::uint32_t n = 1, std::optional<Nanoseconds> max_wait = std::nullopt) const {
        Reservation r{};
        r.booked = checked(tg_bucket_reserve(get(), n, max_wait ? detail::ns(*max_wait) : TG_NEVER, &r.ticket,
                                             &r.wait_ns)) == TG_OK;
        return r;
    }
    bool cancel(tg_ticket ticket) const {
        bool returned = false;
        checked(tg_bucket_cancel(get(), ticket, &returned));
        return returned;
    }

    void refund(std::uint32_t n) const { checked(tg_bucket_refund(get(), n)); }
    void penalize(Nanoseconds wait) const { checked(tg_bucket_penalize(get(), detail::ns(wait))); }
    void reset() const { checked(tg_bucket_reset(get())); }
    void set_quota(const char *rate, std::uint64_t burst = TG_BURST_OF_RATE) const {
        tg_quota quota = detail::quota(rate, burst);
        checked(tg_bucket_set_quota(get(), &quota));
    }
    tg_bucket_snapshot stats() const {
        tg_bucket_snapshot snapshot = TG_BUCKET_SNAPSHOT_INIT;
        checked(tg_bucket_stats(get(), &snapshot));
        return snapshot;
    }
    const tg_bucket *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_bucket, tg_bucket_free>;
    static tg_bucket_config config(const char *rate, std::uint64_t burst, const Clock *clock) {
        tg_bucket_config config = TG_BUCKET_CONFIG_INIT;
        config.rate = rate;
        config.burst = burst;
        config.clock = clock ? clock->get() : nullptr;
        return config;
    }
    Owner handle_;
};

/// A limit for each key (user, address, API key); a key is any bytes. All but moving and destroying may be called from any
/// thread.
class RateLimiter {
public:
    using Key = std::string_view;

    explicit RateLimiter(const tg_limiter_config &config) : handle_(detail::make<Owner>(tg_limiter_new, &config)) {}
    /// RateLimiter("100/min"), RateLimiter("100/min", 20)
    explicit RateLimiter(const char *rate, std::uint64_t burst = TG_BURST_OF_RATE, const Clock *clock = nullptr)
        : RateLimiter(config(rate, burst, clock)) {}
    RateLimiter(const char *rate, std::uint64_t burst, const Place &place)
        : RateLimiter(detail::at(config(rate, burst, nullptr), place)) {}

    bool try_acquire(Key key, std::uint32_t n = 1) const {
        return checked(tg_limiter_try_acquire(get(), key.data(), key.size(), n)) == TG_OK;
    }
    bool try_acquire(Key key, std::uint32_t n, const tg_tier &tier) const {
        return checked(tg_limiter_try_acquire_tier(get(), key.data(), key.size(), n, &tier)) == TG_OK;
    }
    tg_decision check(Key key, std::uint32_t n = 1) const {
        tg_decision decision = TG_DECISION_INIT;
        checked(tg_limiter_check(get(), key.data(), key.size(), n, &decision));
        return decision;
    }
    tg_decision check(Key key, std::uint32_t n, const tg_tier &tier) const {
        tg_decision decision = TG_DECISION_INIT;
        checked(tg_limiter_check_tier(get(), key.data(), key.size(), n, &tier, &decision));
        return decision;
    }
    tg_decision peek(Key key) const {
        tg_decision decision = TG_DECISION_INIT;
        checked(tg_limiter_peek(get(), key.data(), key.size(), &decision));
        return decision;
    }
    tg_decision peek(Key key, const tg_tier &tier) const {
        tg_decision decision = TG_DECISION_INIT;
        checked(tg_limiter_peek_tier(get(), key.data(), key.size(), &tier, &decision));
        return decision;
    }

    /// A quota of its own for some keys or calls: make it once, use it for every call of this limiter.
    tg_tier tier(const char *rate, std::uint64_t burst = TG_BURST_OF_RATE) const {
        tg_quota quota = detail::quota(rate, burst);
        tg_tier tier;
        checked(tg_limiter_tier(get(), &quota, &tier));
        return tier;
    }

    void refund(Key key, std::uint32_t n) const { checked(tg_limiter_refund(get(), key.data(), key.size(), n)); }
    void refund(Key key, std::uint32_t n, const tg_tier &tier) const {
        checked(tg_limiter_refund_tier(get(), key.data(), key.size(), n, &tier));
    }
    /// Whether there was room to note it.
    bool penalize(Key key, Nanoseconds wait) const {
        bool noted = false;
        checked(tg_limiter_penalize(get(), key.data(), key.size(), detail::ns(wait), &noted));
        return noted;
    }
    void reset(Key key) const { checked(tg_limiter_reset(get(), key.data(), key.size())); }
    void reset_all() const { checked(tg_limiter_reset_all(get())); }
    void set_quota(const char *rate, std::uint64_t burst = TG_BURST_OF_RATE) const {
        tg_quota quota = detail::quota(rate, burst);
        checked(tg_limiter_set_quota(get(), &quota));
    }

    struct Hits {
        std::uint32_t count;
        std::uint64_t reset_after_ns;
    };
    /// Fixed windows only: counts whatever the limit.
    Hits hit(Key key, std::uint32_t n = 1) const {
        Hits hits{};
        checked(tg_limiter_hit(get(), key.data(), key.size(), n, &hits.count, &hits.reset_after_ns));
        return hits;
    }

    std::size_t len() const {
        std::size_t keys = 0;
        checked(tg_limiter_len(get(), &keys));
        return keys;
    }
    std::size_t memory() const {
        std::size_t bytes = 0;
        checked(tg_limiter_memory(get(), &bytes));
        return bytes;
    }
    tg_limiter_snapshot stats() const {
        tg_limiter_snapshot snapshot = TG_LIMITER_SNAPSHOT_INIT;
        checked(tg_limiter_stats(get(), &snapshot));
        return snapshot;
    }
    const tg_limiter *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_limiter, tg_limiter_free>;
    static tg_limiter_config config(const char *rate, std::uint64_t burst, const Clock *clock) {
        tg_limiter_config config = TG_LIMITER_CONFIG_INIT;
        config.rate = rate;
        config.burst = burst;
        config.clock = clock ? clock->get() : nullptr;
        return config;
    }
    Owner handle_;
};

/// Several limits over different keys, decided all or nothing: LimitSet({{"user", users}, {"everyone", bucket}}). All but
/// moving and destroying may be called from any thread. Shares its members: they may go before it.
class LimitSet {
public:
    struct Member {
        Member(const char *name, const TokenBucket &bucket) : member{name, bucket.get(), nullptr} {}
        Member(const char *name, const RateLimiter &limiter) : member{name, nullptr, limiter.get()} {}
        tg_limit_member member;
    };
    struct Decision {
        tg_decision decision;
        /// The member that denied, by its name; nullptr when allowed. Lives as long as the set.
        const char *denied_by;
        explicit operator bool() const noexcept { return decision.allowed; }
    };
    /// One for each RateLimiter of the set, in order.
    using Keys = std::initializer_list<std::string_view>;

    explicit LimitSet(std::initializer_list<Member> members) : handle_(make(members)) {}

    Decision check(Keys keys, std::uint32_t n = 1) const {
        return decide([&](auto... out) { return tg_limit_set_check(get(), KeyArray(keys), keys.size(), n, out...); });
    }
    Decision peek(Keys keys, std::uint32_t n = 1) const {
        return decide([&](auto... out) { return tg_limit_set_peek(get(), KeyArray(keys), keys.size(), n, out...); });
    }
    void refund(Keys keys, std::uint32_t n = 1) const {
        checked(tg_limit_set_refund(get(), KeyArray(keys), keys.size(), n));
    }
    std::size_t len() const {
        std::size_t members = 0;
        checked(tg_limit_set_len(get(), &members));
        return members;
    }
    const char *name(std::int32_t place) const {
        const char *name = nullptr;
        checked(tg_limit_set_name(get(), place, &name));
        return name;
    }
    const tg_limit_set *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_limit_set, tg_limit_set_free>;

    /// As C takes them; on the heap when there are more than any set has.
    class KeyArray {
    public:
        explicit KeyArray(Keys keys) {
            if (keys.size() > few_.size()) many_.resize(keys.size());
            std::transform(keys.begin(), keys.end(), many_.empty() ? few_.data() : many_.data(),
                           [](std::string_view key) { return tg_bytes{key.data(), key.size()}; });
        }
        operator const tg_bytes *() const noexcept { return many_.empty() ? few_.data() : many_.data(); }

    private:
        std::array<tg_bytes, 16> few_{};
        std::vector<tg_bytes> many_;
    };

    static Owner make(std::initializer_list<Member> members) {
        std::vector<tg_limit_member> array;
        for (const Member &member : members) array.push_back(member.member);
        return detail::make<Owner>(tg_limit_set_new, array.data(), array.size());
    }
    template <class Call>
    Decision decide(Call call) const {
        Decision answer = {TG_DECISION_INIT, nullptr};
        std::int32_t denied_by = -1;
        checked(call(&answer.decision, &denied_by));
        if (denied_by >= 0) answer.denied_by = name(denied_by);
        return answer;
    }
    Owner handle_;
};

/// Finds the client of an HTTP request, as a key: the socket's peer, or behind the proxies in `trusted` the address that they
/// vouch for. All but moving and destroying may be called from any thread.
class ClientAddress {
public:
    explicit ClientAddress(const tg_client_address_config &config) : handle_(detail::make<Owner>(tg_client_address_new, &config)) {}
    /// ClientAddress({"10.0.0.0/8", "loopback"})
    explicit ClientAddress(std::initializer_list<const char *> trusted = {}, const char *header = nullptr)
        : ClientAddress(config(trusted, header)) {}

    /// lines: the values of the header's lines as they came, in order.
    std::string key(const char *peer, const std::vector<std::string_view> &lines = {}) const {
        std::vector<tg_bytes> array;
        for (std::string_view line : lines) array.push_back({line.data(), line.size()});
        return detail::text([&](auto... out) { return tg_client_address_key(get(), peer, array.data(), array.size(), out...); });
    }
    const tg_client_address *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_client_address, tg_client_address_free>;
    static tg_client_address_config config(std::initializer_list<const char *> trusted, const char *header) {
        tg_client_address_config config = TG_CLIENT_ADDRESS_CONFIG_INIT;
        config.trusted = trusted.begin();
        config.trusted_count = trusted.size();
        config.header = header;
        return config;
    }
    Owner handle_;
};

/// Addresses, networks and keys that pass or are refused without being counted. All but moving and destroying may be called
/// from any thread.
class AccessList {
public:
    AccessList(std::initializer_list<const char *> allow, std::initializer_list<const char *> deny)
        : handle_(detail::make<Owner>(tg_access_list_new, allow.begin(), allow.size(), deny.begin(), deny.size())) {}

    tg_verdict verdict(const char *address, std::string_view key = {}) const {
        std::int32_t verdict = TG_VERDICT_LIMIT;
        checked(tg_access_list_verdict(get(), address, key.data(), key.size(), &verdict));
        return static_cast<tg_verdict>(verdict);
    }
    const tg_access_list *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_access_list, tg_access_list_free>;
    Owner handle_;
};

/// What a client is told over HTTP: see tg_http_*.
namespace http {
inline tg_ratelimit_status tell(const tg_decision &decision, double jitter = 0.0) {
    tg_ratelimit_status told = TG_RATELIMIT_STATUS_INIT;
    checked(tg_http_tell(&decision, jitter, &told));
    return told;
}
/// The value of RateLimit: "per-user";r=12;t=30
inline std::string rate_limit(const char *name, const tg_ratelimit_status &told) {
    return detail::text([&](auto... out) { return tg_http_rate_limit(name, &told, nullptr, out...); });
}
/// The value of RateLimit-Policy: "per-user";q=100;w=60. No window: not told.
inline std::string rate_limit_policy(const char *name, std::uint32_t quota, std::optional<Nanoseconds> window = std::nullopt) {
    return detail::text([&](auto... out) {
        return tg_http_rate_limit_policy(name, nullptr, quota, window ? detail::ns(*window) : TG_NEVER, nullptr, out...);
    });
}
/// A body for application/problem+json.
inline std::string problem(tg_problem problem, std::initializer_list<const char *> violated = {}) {
    return detail::text([&](auto... out) {
        return tg_http_problem(problem, 0, nullptr, violated.begin(), violated.size(), out...);
    });
}
} // namespace http

/// The right to make one call. Destroyed without a report, it counts as a failure when an exception is passing through,
/// and is released otherwise. Not for sharing between threads; must not outlive its breaker.
class Permit {
public:
    Permit(const tg_breaker *breaker, tg_permit permit) noexcept
        : breaker_(breaker), permit_(permit), exceptions_(std::uncaught_exceptions()) {}
    Permit(Permit &&other) noexcept
        : breaker_(std::exchange(other.breaker_, nullptr)), permit_(other.permit_), exceptions_(other.exceptions_) {}
    Permit(const Permit &) = delete;
    Permit &operator=(const Permit &) = delete;
    Permit &operator=(Permit &&) = delete;
    ~Permit() {
        if (!breaker_) return;
        if (std::uncaught_exceptions() > exceptions_) {
            tg_breaker_report(breaker_, permit_, TG_FAILURE, TG_NEVER);
        } else {
            tg_breaker_release(breaker_, permit_);
        }
    }

    /// No duration: the time since it was acquired. A second report does nothing.
    void success(std::optional<Nanoseconds> duration = std::nullopt) { report(TG_SUCCESS, duration); }
    void failure(std::optional<Nanoseconds> duration = std::nullopt) { report(TG_FAILURE, duration); }
    void ignore() { report(TG_IGNORE, std::nullopt); }
    void slow(std::optional<Nanoseconds> duration = std::nullopt) { report(TG_SLOW, duration); }
    void unreached(std::optional<Nanoseconds> duration = std::nullopt) { report(TG_UNREACHED, duration); }
    void failure_retry_after(Nanoseconds retry_after, std::optional<Nanoseconds> duration = std::nullopt) {
        tg_classified said = TG_CLASSIFIED_INIT;
        said.outcome = TG_FAILURE;
        said.retry_after_ns = detail::ns(retry_after);
        classified(said, duration);
    }
    /// As a classifier says, such as tg_classify_http().
    void classified(const tg_classified &said, std::optional<Nanoseconds> duration = std::nullopt) {
        if (auto breaker = std::exchange(breaker_, nullptr))
            checked(tg_breaker_report_classified(breaker, permit_, &said, duration ? detail::ns(*duration) : TG_NEVER));
    }
    void release() {
        if (auto breaker = std::exchange(breaker_, nullptr)) checked(tg_breaker_release(breaker, permit_));
    }

private:
    void report(std::int32_t outcome, std::optional<Nanoseconds> duration) {
        if (auto breaker = std::exchange(breaker_, nullptr))
            checked(tg_breaker_report(breaker, permit_, outcome, duration ? detail::ns(*duration) : TG_NEVER));
    }
    const tg_breaker *breaker_;
    tg_permit permit_;
    int exceptions_;
};

/// A circuit breaker. All but moving and destroying may be called from any thread.
class CircuitBreaker {
public:
    explicit CircuitBreaker(const tg_breaker_config &config = TG_BREAKER_CONFIG_INIT)
        : handle_(detail::make<Owner>(tg_breaker_new, &config)) {}

    /// Nothing when the circuit refuses; *retry_after_ns then tells when to come back.
    std::optional<Permit> try_acquire(std::uint64_t *retry_after_ns = nullptr) const & {
        tg_permit permit = {0, 0};
        if (checked(tg_breaker_acquire(get(), &permit, retry_after_ns)) != TG_OK) return std::nullopt;
        return std::optional<Permit>(std::in_place, get(), permit);
    }
    /// Of one that is gone before its permit: keep what a registry gives.
    std::optional<Permit> try_acquire(std::uint64_t *retry_after_ns = nullptr) const && = delete;

    tg_state state() const {
        std::int32_t state = 0;
        checked(tg_breaker_state(get(), &state));
        return static_cast<tg_state>(state);
    }
    std::uint64_t retry_after_ns() const {
        std::uint64_t retry_after = 0;
        checked(tg_breaker_retry_after(get(), &retry_after));
        return retry_after;
    }
    tg_breaker_config config() const {
        tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
        checked(tg_breaker_get_config(get(), &config));
        return config;
    }
    tg_breaker_snapshot stats() const {
        tg_breaker_snapshot snapshot = TG_BREAKER_SNAPSHOT_INIT;
        checked(tg_breaker_stats(get(), &snapshot));
        return snapshot;
    }
    /// The oldest event numbered `from` or later.
    std::optional<tg_event> next_event(std::uint64_t from) const {
        tg_event event = TG_EVENT_INIT;
        if (checked(tg_breaker_next_event(get(), from, &event)) != TG_OK) return std::nullopt;
        return event;
    }
    /// Takes all settings: begin with those of config().
    void set_config(const tg_breaker_config &config) const { checked(tg_breaker_set_config(get(), &config)); }
    void force_open() const { checked(tg_breaker_force_open(get())); }
    void disable() const { checked(tg_breaker_disable(get())); }
    void metrics_only() const { checked(tg_breaker_metrics_only(get())); }
    void reset() const { checked(tg_breaker_reset(get())); }
    const tg_breaker *get() const noexcept { return handle_.get(); }

private:
    friend class BreakerRegistry;
    using Owner = detail::Handle<tg_breaker, tg_breaker_free>;
    explicit CircuitBreaker(Owner handle) : handle_(std::move(handle)) {}
    Owner handle_;
};

/// Circuit breakers by key. All but moving and destroying may be called from any thread; breakers that it gave may outlive
/// it.
class BreakerRegistry {
public:
    explicit BreakerRegistry(const tg_registry_config &config = TG_REGISTRY_CONFIG_INIT)
        : handle_(detail::make<Owner>(tg_registry_new, &config)) {}
    BreakerRegistry(const tg_registry_config &config, const Place &place) : BreakerRegistry(detail::at(config, place)) {}

    /// The key's breaker, made where it has none; the shared one where there is no room. It stands for its key.
    CircuitBreaker get(std::string_view key) const {
        return CircuitBreaker(detail::make<CircuitBreaker::Owner>(tg_registry_get, get(), key.data(), key.size()));
    }
    /// Nothing when the key has none.
    std::optional<CircuitBreaker> peek(std::string_view key) const {
        auto found = detail::make<CircuitBreaker::Owner>(tg_registry_peek, get(), key.data(), key.size());
        return found ? std::optional<CircuitBreaker>(CircuitBreaker(std::move(found))) : std::nullopt;
    }
    /// False when the key had none.
    bool remove(std::string_view key) const { return checked(tg_registry_remove(get(), key.data(), key.size())) == TG_OK; }
    /// What keys share for which there is no room.
    CircuitBreaker overflow() const {
        return CircuitBreaker(detail::make<CircuitBreaker::Owner>(tg_registry_overflow, get()));
    }
    /// All keys (of more than 256 bytes the first 240) and their breakers. Others may come and go meanwhile.
    std::vector<std::pair<std::string, CircuitBreaker>> items() const {
        std::vector<std::pair<std::string, CircuitBreaker>> items;
        std::array<char, 256> key;
        std::size_t at = 0, length = 0;
        tg_breaker *raw = nullptr;
        while (checked(tg_registry_next(get(), &at, key.data(), key.size(), &length, &raw)) == TG_OK) {
            CircuitBreaker breaker{CircuitBreaker::Owner(raw)};
            items.emplace_back(std::string(key.data(), std::min(length, key.size())), std::move(breaker));
        }
        return items;
    }
    /// Takes all settings of the keys that a pattern means: begin with those of config(pattern).
    void set_config(std::string_view pattern, const tg_breaker_config &config) const {
        checked(tg_registry_set_config(get(), pattern.data(), pattern.size(), &config));
    }
    tg_breaker_config config(std::string_view pattern = "*") const {
        tg_breaker_config config = TG_BREAKER_CONFIG_INIT;
        checked(tg_registry_get_config(get(), pattern.data(), pattern.size(), &config));
        return config;
    }
    tg_registry_snapshot stats() const {
        tg_registry_snapshot snapshot = TG_REGISTRY_SNAPSHOT_INIT;
        checked(tg_registry_stats(get(), &snapshot));
        return snapshot;
    }
    const tg_registry *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_registry, tg_registry_free>;
    Owner handle_;
};

/// What calls to a dependency pay in for its retries. All but moving and destroying may be called from any thread.
class RetryBudget {
public:
    explicit RetryBudget(const tg_retry_budget_config &config = TG_RETRY_BUDGET_CONFIG_INIT)
        : handle_(detail::make<Owner>(tg_retry_budget_new, &config)) {}
    RetryBudget(const tg_retry_budget_config &config, const Place &place) : RetryBudget(detail::at(config, place)) {}

    /// Once a call, however often it is made.
    void deposit() const { checked(tg_retry_budget_deposit(get())); }
    /// When a retry is decided, before its wait. False: it is not to be made.
    bool try_withdraw() const { return checked(tg_retry_budget_try_withdraw(get())) == TG_OK; }
    std::uint64_t balance() const {
        std::uint64_t retries = 0;
        checked(tg_retry_budget_balance(get(), &retries));
        return retries;
    }
    tg_retry_budget_snapshot stats() const {
        tg_retry_budget_snapshot snapshot = TG_RETRY_BUDGET_SNAPSHOT_INIT;
        checked(tg_retry_budget_stats(get(), &snapshot));
        return snapshot;
    }
    const tg_retry_budget *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_retry_budget, tg_retry_budget_free>;
    Owner handle_;
};

/// The retries of one call: how often, and after which wait. The loop and the sleep are the caller's, as is what may be
/// made again. Of one call and one thread.
class Retries {
public:
    explicit Retries(const tg_retry_config &config = TG_RETRY_CONFIG_INIT)
        : config_(config), begun_(std::chrono::steady_clock::now()) {}

    /// An attempt has failed: the wait before the next one; nothing: that was the last. `draw`: 0 to below 1, another one
    /// each time. `retry_after`: what the server said, else zero.
    std::optional<Nanoseconds> next(double draw, Nanoseconds retry_after = Nanoseconds::zero()) {
        std::uint64_t wait = 0;
        auto elapsed = detail::ns(std::chrono::steady_clock::now() - begun_);
        tg_status status =
            checked(tg_retry_next(&config_, ++attempts_, draw, &previous_, detail::ns(retry_after), elapsed, &wait));
        if (status != TG_OK) return std::nullopt;
        return Nanoseconds(static_cast<Nanoseconds::rep>(wait));
    }
    /// How many have failed.
    std::uint64_t attempts() const noexcept { return attempts_; }

private:
    tg_retry_config config_;
    std::chrono::steady_clock::time_point begun_;
    std::uint64_t attempts_ = 0;
    double previous_ = 0;
};

/// Rejects calls by chance for a backend that refuses many. All but moving and destroying may be called from any thread.
class ClientThrottle {
public:
    explicit ClientThrottle(const tg_throttle_config &config = TG_THROTTLE_CONFIG_INIT)
        : handle_(detail::make<Owner>(tg_throttle_new, &config)) {}
    ClientThrottle(const tg_throttle_config &config, const Place &place) : ClientThrottle(detail::at(config, place)) {}

    /// False: the call is not to be made. True: one of the others is told when it has ended, unless that says nothing.
    bool try_acquire() const { return checked(tg_throttle_try_acquire(get())) == TG_OK; }
    void accepted() const { checked(tg_throttle_report(get(), 1)); }
    void refused() const { checked(tg_throttle_report(get(), 0)); }
    double probability() const {
        double probability = 0;
        checked(tg_throttle_probability(get(), &probability));
        return probability;
    }
    tg_throttle_snapshot stats() const {
        tg_throttle_snapshot snapshot = TG_THROTTLE_SNAPSHOT_INIT;
        checked(tg_throttle_stats(get(), &snapshot));
        return snapshot;
    }
    const tg_throttle *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_throttle, tg_throttle_free>;
    Owner handle_;
};

/// The right to run one call, given back when destroyed. Not for sharing between threads; must not outlive its limiter. In a
/// child of fork() it is the parent's, and goes without effect.
class ConcurrencyPermit {
public:
    ConcurrencyPermit(const tg_concurrency *limiter, tg_concurrency_permit permit) noexcept : limiter_(limiter), permit_(permit) {}
    ConcurrencyPermit(ConcurrencyPermit &&other) noexcept
        : limiter_(std::exchange(other.limiter_, nullptr)), permit_(other.permit_) {}
    ConcurrencyPermit &operator=(ConcurrencyPermit &&other) noexcept {
        ConcurrencyPermit taken(std::move(other));
        std::swap(limiter_, taken.limiter_);
        std::swap(permit_, taken.permit_);
        return *this;
    }
    ConcurrencyPermit(const ConcurrencyPermit &) = delete;
    ConcurrencyPermit &operator=(const ConcurrencyPermit &) = delete;
    ~ConcurrencyPermit() {
        if (limiter_) tg_concurrency_release(limiter_, permit_);
    }

    /// Gives it back now. False: there was nothing to give back.
    bool release() {
        auto limiter = std::exchange(limiter_, nullptr);
        return limiter && checked(tg_concurrency_release(limiter, permit_)) == TG_OK;
    }

    /// Gives it back with what became of the call, for an adaptive limit: its latency counts (none given: the time since
    /// the permit was asked for), it says nothing, or it timed out or was refused downstream. False: it was given back
    /// before.
    bool success(std::optional<Nanoseconds> latency = std::nullopt) {
        return report(TG_CONCURRENCY_SUCCESS, latency ? detail::ns(*latency) : TG_NEVER);
    }
    bool ignore() { return report(TG_CONCURRENCY_IGNORE, TG_NEVER); }
    bool dropped() { return report(TG_CONCURRENCY_DROPPED, TG_NEVER); }

private:
    bool report(std::int32_t outcome, std::uint64_t ns) {
        auto limiter = std::exchange(limiter_, nullptr);
        return limiter && checked(tg_concurrency_report(limiter, permit_, outcome, ns)) == TG_OK;
    }
    const tg_concurrency *limiter_;
    tg_concurrency_permit permit_;
};

/// At most so many calls at once. All but moving and destroying may be called from any thread.
class ConcurrencyLimiter {
public:
    explicit ConcurrencyLimiter(const tg_concurrency_config &config)
        : handle_(detail::make<Owner>(tg_concurrency_new, &config)) {}
    /// One that finds itself, by what permits report.
    explicit ConcurrencyLimiter(const tg_adaptive_config &config)
        : handle_(detail::make<Owner>(tg_concurrency_new_adaptive, &config)) {}
    ConcurrencyLimiter(const tg_adaptive_config &config, const Place &place)
        : ConcurrencyLimiter(detail::at(config, place)) {}
    explicit ConcurrencyLimiter(std::uint32_t limit) : ConcurrencyLimiter(config(limit)) {}
    ConcurrencyLimiter(std::uint32_t limit, const Place &place) : ConcurrencyLimiter(detail::at(config(limit), place)) {}

    /// Nothing when the limit is reached.
    std::optional<ConcurrencyPermit> try_acquire() const {
        tg_concurrency_permit permit = {0, 0};
        return taken(tg_concurrency_try_acquire(get(), &permit), permit);
    }
    /// Waits for a permit; nothing at the deadline. No timeout: as long as it takes.
    std::optional<ConcurrencyPermit> acquire(std::optional<Nanoseconds> timeout = std::nullopt) const {
        tg_concurrency_permit permit = {0, 0};
        return taken(tg_concurrency_acquire(get(), timeout ? detail::ns(*timeout) : TG_NEVER, &permit), permit);
    }

    /// The number of a partition, for calls of it; once, at the start.
    std::uint32_t partition(const char *name) const {
        std::uint32_t number = 0;
        checked(tg_concurrency_partition(get(), name, &number));
        return number;
    }
    std::optional<ConcurrencyPermit> try_acquire_in(std::uint32_t partition) const {
        tg_concurrency_permit permit = {0, 0};
        return taken(tg_concurrency_try_acquire_in(get(), partition, &permit), permit);
    }
    std::optional<ConcurrencyPermit> acquire_in(std::uint32_t partition,
                                                std::optional<Nanoseconds> timeout = std::nullopt) const {
        tg_concurrency_permit permit = {0, 0};
        std::uint64_t wait = timeout ? detail::ns(*timeout) : TG_NEVER;
        return taken(tg_concurrency_acquire_in(get(), partition, wait, &permit), permit);
    }
    tg_partition_snapshot partition_stats(std::uint32_t partition) const {
        tg_partition_snapshot snapshot = TG_PARTITION_SNAPSHOT_INIT;
        checked(tg_concurrency_partition_stats(get(), partition, &snapshot));
        return snapshot;
    }

    std::uint32_t limit() const {
        std::uint32_t limit = 0;
        checked(tg_concurrency_limit(get(), &limit));
        return limit;
    }
    void set_limit(std::uint32_t limit) const { checked(tg_concurrency_set_limit(get(), limit)); }
    std::uint32_t in_use() const {
        std::uint32_t permits = 0;
        checked(tg_concurrency_in_use(get(), &permits));
        return permits;
    }
    tg_concurrency_snapshot stats() const {
        tg_concurrency_snapshot snapshot = TG_CONCURRENCY_SNAPSHOT_INIT;
        checked(tg_concurrency_stats(get(), &snapshot));
        return snapshot;
    }
    /// What holds an adaptive limit where it is, a line each; empty for a fixed one.
    std::string explain() const {
        return detail::text([&](auto... out) { return tg_concurrency_explain(get(), out...); });
    }
    const tg_concurrency *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_concurrency, tg_concurrency_free>;
    /// C++17 does not say in which order arguments are evaluated: the permit comes by reference.
    std::optional<ConcurrencyPermit> taken(tg_status status, const tg_concurrency_permit &permit) const {
        if (checked(status) != TG_OK) return std::nullopt;
        return std::optional<ConcurrencyPermit>(std::in_place, get(), permit);
    }
    static tg_concurrency_config config(std::uint32_t limit) {
        tg_concurrency_config config = TG_CONCURRENCY_CONFIG_INIT;
        config.limit = limit;
        return config;
    }
    Owner handle_;
};

/// Refuses calls while there is too much to do, the less important first. All but moving and destroying may be called
/// from any thread.
class LoadShedder {
public:
    explicit LoadShedder(const tg_shedder_config &config) : handle_(detail::make<Owner>(tg_shedder_new, &config)) {}
    LoadShedder(const tg_shedder_config &config, const Place &place) : LoadShedder(detail::at(config, place)) {}

    /// Whether a call of this priority (one of tg_priority) may be served; level 0 to 127, 0 is shed last.
    bool admit(std::int32_t priority, std::uint32_t level = 0) const {
        return checked(tg_shedder_admit(get(), priority, level)) == TG_OK;
    }
    tg_shed_decision check(std::int32_t priority, std::uint32_t level = 0) const {
        tg_shed_decision decision = TG_SHED_DECISION_INIT;
        checked(tg_shedder_check(get(), priority, level, &decision));
        return decision;
    }
    /// A keyed hash of the user and the hour: one fate for all that he calls.
    std::uint32_t level_of(std::string_view user) const {
        std::uint32_t level = 0;
        checked(tg_shedder_level_of(get(), user.data(), user.size(), &level));
        return level;
    }
    void tell(const char *signal, double value) const { checked(tg_shedder_tell(get(), signal, value)); }
    void tell_lag(Nanoseconds late, Nanoseconds period) const {
        checked(tg_shedder_tell_lag(get(), detail::ns(late), detail::ns(period)));
    }
    /// For a loop, where calls are rare.
    void sample() const { checked(tg_shedder_sample(get())); }
    double pressure() const {
        double pressure = 0;
        checked(tg_shedder_pressure(get(), &pressure));
        return pressure;
    }
    tg_shedder_snapshot stats() const {
        tg_shedder_snapshot snapshot = TG_SHEDDER_SNAPSHOT_INIT;
        checked(tg_shedder_stats(get(), &snapshot));
        return snapshot;
    }
    /// Why it is as it is, a line for each thing.
    std::string explain() const {
        return detail::text([&](auto... out) { return tg_shedder_explain(get(), out...); });
    }
    const tg_shedder *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_shedder, tg_shedder_free>;
    Owner handle_;
};

/// A bounded queue that owns its items. All but moving and destroying may be called from any thread; destroy it when
/// nobody waits on it any more.
template <class T>
class BoundedQueue {
public:
    using Item = std::unique_ptr<T>;

    explicit BoundedQueue(const tg_queue_config &config) : handle_(detail::make<Owner>(tg_queue_new, &config)) {}
    explicit BoundedQueue(std::size_t capacity) : BoundedQueue(config(capacity)) {}
    BoundedQueue(BoundedQueue &&) noexcept = default;
    BoundedQueue &operator=(BoundedQueue &&) = delete;
    ~BoundedQueue() {
        void *item = nullptr;
        while (handle_ && tg_queue_drain(get(), &item) == TG_OK) delete static_cast<T *>(item);
    }

    /// TG_OK and item is empty (with TG_DROP_OLDEST: holds the one that had to go), or TG_FULL or TG_CLOSED and item is
    /// as it was.
    tg_status try_push(Item &item) const { return push(item, Nanoseconds::zero()); }
    tg_status push(Item &item, std::optional<Nanoseconds> timeout = std::nullopt) const {
        void *dropped = nullptr;
        return pushed(tg_queue_push(get(), item.get(), wait(timeout), &dropped), item, dropped);
    }
    /// Into a lane, or with a deadline: begin with TG_QUEUE_PUSH_OPTIONS_INIT.
    tg_status try_push_with(Item &item, const tg_queue_push_options &options) const {
        return push_with(item, options, Nanoseconds::zero());
    }
    tg_status push_with(Item &item, const tg_queue_push_options &options,
                        std::optional<Nanoseconds> timeout = std::nullopt) const {
        void *dropped = nullptr;
        return pushed(tg_queue_push_with(get(), item.get(), &options, wait(timeout), &dropped), item, dropped);
    }

    /// TG_OK and item, or TG_EMPTY or TG_CLOSED and nothing. With a discipline or a maximum age also TG_DROPPED and the
    /// item that the queue drops.
    tg_status try_pop(Item &item) const { return pop(item, Nanoseconds::zero()); }
    tg_status pop(Item &item, std::optional<Nanoseconds> timeout = std::nullopt) const {
        void *taken = nullptr;
        tg_status status = checked(tg_queue_pop(get(), wait(timeout), &taken));
        item.reset(static_cast<T *>(taken));
        return status;
    }
    /// As pop(); of TG_DROPPED, reason is one of tg_drop_reason.
    tg_status take(Item &item, std::int32_t &reason, std::optional<Nanoseconds> timeout = std::nullopt) const {
        tg_queue_taken taken = TG_QUEUE_TAKEN_INIT;
        tg_status status = checked(tg_queue_take(get(), wait(timeout), &taken));
        item.reset(static_cast<T *>(taken.item));
        reason = taken.reason;
        return status;
    }

    void close() const { checked(tg_queue_close(get())); }
    bool is_accepting() const {
        bool accepting = false;
        checked(tg_queue_is_accepting(get(), &accepting));
        return accepting;
    }
    std::size_t depth() const {
        std::size_t depth = 0;
        checked(tg_queue_depth(get(), &depth));
        return depth;
    }
    tg_queue_snapshot stats() const {
        tg_queue_snapshot snapshot = TG_QUEUE_SNAPSHOT_INIT;
        checked(tg_queue_stats(get(), &snapshot));
        return snapshot;
    }
    const tg_queue *get() const noexcept { return handle_.get(); }

private:
    using Owner = detail::Handle<tg_queue, tg_queue_free>;
    static tg_queue_config config(std::size_t capacity) {
        tg_queue_config config = TG_QUEUE_CONFIG_INIT;
        config.capacity = capacity;
        return config;
    }
    static std::uint64_t wait(std::optional<Nanoseconds> timeout) { return timeout ? detail::ns(*timeout) : TG_NEVER; }
    /// As of a permit: what was dropped comes by reference.
    static tg_status pushed(tg_status status, Item &item, void *const &dropped) {
        if (checked(status) == TG_OK) {
            item.release();
            item.reset(static_cast<T *>(dropped));
        }
        return status;
    }
    Owner handle_;
};

} // namespace tidegate

#endif // TIDEGATE_HPP
