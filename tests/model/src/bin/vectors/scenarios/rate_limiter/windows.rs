//! Fixed window, sliding window counter, sliding log.

use super::{Cases, check, peek, refund, reset, take, window};
use crate::script::{MIN, MS, S};
use tidegate_model::script::limiter::AlgorithmName::{FixedWindow, SlidingLog, SlidingWindow};

pub(super) fn cases() -> Cases {
    let all = [("fixed", FixedWindow), ("sliding", SlidingWindow), ("log", SlidingLog)];
    let mut cases: Cases = all.into_iter().flat_map(|(name, algorithm)| common(name, algorithm)).collect();
    cases.extend(fixed());
    cases.extend(sliding());
    cases.extend(log());
    cases
}

fn common(name: &str, algorithm: tidegate_model::script::limiter::AlgorithmName) -> Cases {
    let case = |what: &str, why: &str, count| window(&format!("{name}_{what}"), why, algorithm, count, MIN);
    vec![
        case("counts_to_its_limit", "the limit passes and not one more", 3)
            .at(7 * S)
            .then(peek("ann"))
            .times(3, &check("ann", 1))
            .then(check("ann", 1))
            .then(take("ann", 1))
            .then(peek("ann"))
            .then(check("ben", 1))
            .end(),
        case("costs", "a cost takes all or nothing, and a denial nothing", 10)
            .then(check("ann", 6))
            .then(check("ann", 5))
            .then(check("ann", 11))
            .then(check("ann", 0))
            .then(check("ann", 4))
            .then(check("ann", 1))
            .end(),
        case("waiting_is_enough", "after the time it was told, and not half a millisecond before, it passes", 2)
            .at(10 * S)
            .then(check("ann", 1))
            .at(20 * S)
            .then(check("ann", 1))
            .then(check("ann", 1))
            .at(69_999_500_000)
            .then(check("ann", 2))
            .at(90 * S)
            .then(check("ann", 1))
            .at(200 * S)
            .then(check("ann", 2))
            .end(),
        window(
            &format!("{name}_of_one_and_a_half_seconds"),
            "the period is the one that was written",
            algorithm,
            4,
            1_500 * MS,
        )
        .at(3 * S)
        .times(4, &check("ann", 1))
        .then(check("ann", 1))
        .at(3 * S + 600 * MS)
        .then(check("ann", 1))
        .then(peek("ann"))
        .at(4 * S + 400 * MS)
        .then(check("ann", 1))
        .at(6 * S)
        .then(check("ann", 4))
        .then(check("ann", 1))
        .end(),
        case("given_back", "a refund takes back what was counted, never more", 5)
            .then(check("ann", 4))
            .at(S)
            .then(refund("ann", 2))
            .then(peek("ann"))
            .then(refund("ann", 9))
            .then(peek("ann"))
            .then(check("ann", 5))
            .then(check("ann", 1))
            .end(),
        case("as_new", "a reset forgets the window", 2)
            .at(5 * S)
            .then(check("ann", 2))
            .at(15 * S)
            .then(reset("ann"))
            .then(check("ann", 1))
            .at(66 * S)
            .then(peek("ann"))
            .end(),
    ]
}

fn fixed() -> Cases {
    vec![
        window("fixed_starts_at_the_first_hit", "the window is the key's own", FixedWindow, 2, 10 * S)
            .at(3 * S)
            .then(check("ann", 1))
            .at(8 * S)
            .then(check("ben", 1))
            .at(12 * S)
            .then(check("ann", 1))
            .then(check("ann", 1))
            .at(13 * S + MS)
            .then(check("ann", 1))
            .then(peek("ben"))
            .end(),
        window("fixed_window_edge", "twice the limit passes across an edge: known, and documented", FixedWindow, 5, S)
            .then(take("ann", 1))
            .at(999 * MS)
            .then(check("ann", 4))
            .at(S + MS)
            .then(check("ann", 5))
            .then(check("ann", 1))
            .end(),
        window("fixed_idle_is_new", "windows long gone leave nothing", FixedWindow, 3, MIN)
            .then(check("ann", 3))
            .at(24 * 60 * MIN)
            .then(peek("ann"))
            .then(check("ann", 3))
            .end(),
    ]
}

fn sliding() -> Cases {
    vec![
        window(
            "sliding_weighs_the_last_window",
            "half of the last window still counts at half time",
            SlidingWindow,
            10,
            MIN,
        )
        .then(check("ann", 8))
        .at(MIN)
        .then(peek("ann"))
        .then(check("ann", 2))
        .then(check("ann", 1))
        .at(MIN + 30 * S)
        .then(peek("ann"))
        .then(check("ann", 5))
        .then(check("ann", 4))
        .then(check("ann", 1))
        .at(2 * MIN + 15 * S)
        .then(peek("ann"))
        .end(),
        window("sliding_stops_the_window_edge", "what passes a fixed window twice is stopped", SlidingWindow, 100, MIN)
            .at(59 * S)
            .then(check("ann", 100))
            .at(61 * S)
            .then(check("ann", 100))
            .then(check("ann", 1))
            .then(check("ann", 2))
            .end(),
        window("sliding_forgets_after_two", "two windows without a call leave nothing", SlidingWindow, 4, S)
            .then(check("ann", 4))
            .at(S + 999 * MS)
            .then(peek("ann"))
            .at(2 * S)
            .then(peek("ann"))
            .then(check("ann", 4))
            .end(),
        window("sliding_waits_in_the_next_window", "the wait may reach into the next window", SlidingWindow, 4, 10 * S)
            .at(2 * S)
            .then(check("ann", 4))
            .then(check("ann", 1))
            .then(check("ann", 4))
            .at(12 * S + 500 * MS)
            .then(check("ann", 1))
            .then(check("ann", 1))
            .end(),
    ]
}

fn log() -> Cases {
    vec![
        window("log_is_exact", "each admission comes back a period after it was made", SlidingLog, 3, MIN)
            .at(S)
            .then(check("ann", 1))
            .at(11 * S)
            .then(check("ann", 1))
            .at(12 * S)
            .then(check("ann", 1))
            .then(check("ann", 1))
            .then(check("ann", 2))
            .then(check("ann", 3))
            .at(61 * S - 1)
            .then(check("ann", 1))
            .at(61 * S)
            .then(check("ann", 1))
            .then(check("ann", 1))
            .at(71 * S)
            .then(peek("ann"))
            .end(),
        window(
            "log_of_logins",
            "five failed logins in a quarter of an hour; the right one is given back",
            SlidingLog,
            5,
            15 * MIN,
        )
        .each(0..4, |script, i| script.at(u64::from(i) * MIN).then(take("ann", 1)))
        .at(4 * MIN)
        .then(take("ann", 1))
        .then(refund("ann", 1))
        .then(peek("ann"))
        .at(5 * MIN)
        .then(take("ann", 1))
        .then(check("ann", 1))
        .end(),
    ]
}
