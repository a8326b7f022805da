//! Token bucket.

use crate::random::Random;
use crate::script::{self, MIN, MS, S, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::bucket::{Config, ModelBucket, Op};

type Bucket = Script<ModelBucket>;
type Cases = Vec<Case<Config, Op>>;

const HOUR: u64 = 60 * MIN;
const YEAR: u64 = 365 * 24 * HOUR;

pub(crate) fn file() -> File<Config, Op> {
    let groups =
        [taking(), rates(), booking(), giving_back(), penalties(), changing_the_quota(), bad_clocks(), random()];
    script::file("token_bucket", groups.into_iter().flatten().collect())
}

fn bucket(name: &str, why: &str, count: u64, period: u64, burst: u32) -> Bucket {
    Script::new(name, why, quota(count, period, burst))
}

fn quota(count: u64, period: u64, burst: u32) -> Config {
    Config { count, period_ns: Ns(period), burst }
}

fn take(n: u32) -> Op {
    Op::TryAcquire { n }
}

fn check(n: u32) -> Op {
    Op::Check { n }
}

fn peek() -> Op {
    Op::Peek {}
}

fn refund(n: u32) -> Op {
    Op::Refund { n }
}

fn penalize(wait: u64) -> Op {
    Op::Penalize { wait_ns: Ns(wait) }
}

fn reserve(name: &str, n: u32, max_wait: impl Into<Option<u64>>) -> Op {
    Op::Reserve { n, max_wait_ns: max_wait.into().map(Ns), name: name.into() }
}

fn cancel(ticket: &str) -> Op {
    Op::Cancel { ticket: ticket.into() }
}

fn set_quota(count: u64, period: u64, burst: u32) -> Op {
    Op::SetQuota { count, period_ns: Ns(period), burst }
}

fn taking() -> Cases {
    vec![
        bucket("starts_full", "a new bucket holds its burst and not one token more", 10, S, 5)
            .then(peek())
            .times(5, &check(1))
            .then(check(1))
            .then(peek())
            .end(),
        bucket("one_interval_exactly", "a token is there at its nanosecond and not one before", 400, S, 1)
            .then(take(1))
            .at(2_500_000 - 1)
            .then(check(1))
            .at(2_500_000)
            .then(peek())
            .then(check(1))
            .then(check(1))
            .end(),
        bucket(
            "burst_drained_one_by_one_after_idle",
            "no fraction of a token is gained or lost between takes at odd instants",
            3,
            S,
            4,
        )
        .at(10 * S + 1)
        .each(0..9, |script, i| script.then(check(1)).after(u64::from(i) * 41_000_007 + 13))
        .at(12 * S + 777_777_777)
        .times(5, &check(1))
        .end(),
        bucket("idle_for_a_day_is_one_burst", "time beyond full is not saved up", 100, MIN, 20)
            .times(20, &take(1))
            .at(24 * HOUR)
            .then(peek())
            .times(21, &take(1))
            .end(),
        bucket(
            "cost_above_burst_is_never",
            "waiting cannot help, and the answer says so instead of naming a time",
            10,
            S,
            5,
        )
        .then(check(6))
        .then(take(6))
        .then(check(u32::MAX))
        .then(check(5))
        .then(check(6))
        .end(),
        bucket("costs", "a cost above what is there takes nothing, a smaller one still passes", 10, S, 10)
            .then(check(7))
            .then(check(4))
            .then(check(3))
            .then(check(1))
            .at(250 * MS)
            .then(check(3))
            .then(check(2))
            .end(),
        bucket("cost_zero_looks", "n = 0 takes nothing and passes an empty bucket that is not in debt", 10, S, 2)
            .then(check(0))
            .then(check(2))
            .then(check(0))
            .then(take(0))
            .then(reserve("debt", 1, None))
            .then(check(0))
            .then(take(0))
            .at(100 * MS)
            .then(check(0))
            .end(),
        bucket("peek_takes_nothing", "looking any number of times changes no answer", 10, S, 2)
            .times(4, &peek())
            .then(check(2))
            .times(3, &peek())
            .at(100 * MS)
            .then(peek())
            .then(check(1))
            .end(),
        bucket(
            "denials_cost_nothing",
            "a client that hammers gets its token at the same moment as one that waits",
            1,
            S,
            1,
        )
        .then(take(1))
        .each(0..20, |script, i| script.at(u64::from(i) * 50 * MS).then(check(1)))
        .at(S)
        .then(check(1))
        .end(),
    ]
}

fn rates() -> Cases {
    vec![
        bucket("one_a_year", "the slowest rate neither overflows nor drifts", 1, YEAR, 1)
            .then(check(1))
            .then(check(1))
            .at(YEAR - 1)
            .then(check(1))
            .at(YEAR)
            .then(check(1))
            .at(3 * YEAR + 5)
            .then(check(1))
            .end(),
        bucket(
            "three_a_second",
            "a third of a second is not whole nanoseconds, and three of them still make a second",
            3,
            S,
            1,
        )
        .then(check(1))
        .at(333_333_333)
        .then(check(1))
        .at(333_333_334)
        .then(check(1))
        .at(666_666_666)
        .then(check(1))
        .at(666_666_667)
        .then(check(1))
        .at(S)
        .then(check(1))
        .end(),
        bucket(
            "seven_a_minute",
            "an interval of 8,571,428,571.43 ns is kept exactly over a thousand tokens",
            7,
            MIN,
            7,
        )
        .then(check(7))
        .each(1..15, |script, i| {
            let at = (u64::from(i) * MIN).div_ceil(7);
            script.at(at - 1).then(check(1)).at(at).then(check(1))
        })
        .at(1_000 * MIN)
        .then(check(7))
        .at((7_001 * MIN).div_ceil(7) - 1)
        .then(check(1))
        .at((7_001 * MIN).div_ceil(7))
        .then(check(1))
        .end(),
        bucket(
            "seventy_million_a_second",
            "an interval of 14.28 ns rounded to 14 would be 2 % too fast",
            70_000_000,
            S,
            7,
        )
        .then(check(7))
        .each(1..20, |script, i| script.at(u64::from(i) * 5).then(check(1)))
        .at(1_000)
        .then(check(7))
        .at(1_099)
        .then(check(7))
        .at(1_100)
        .then(check(7))
        .end(),
        bucket("hundred_million_a_second", "the fastest rate: one token each 10 ns", 100_000_000, S, 100)
            .then(check(100))
            .at(9)
            .then(check(1))
            .at(10)
            .then(check(1))
            .at(1_009)
            .then(check(100))
            .at(1_010)
            .then(check(100))
            .end(),
        bucket(
            "flash_sale",
            "5,000 a second offered to 400/s with burst 800: exactly burst + rate × time pass",
            400,
            S,
            800,
        )
        .then(check(799))
        .each(0..60, |script, i| script.at(u64::from(i) * 200_000).then(take(1)))
        .at(S)
        .then(peek())
        .then(check(400))
        .then(check(1))
        .at(3 * S)
        .then(check(800))
        .end(),
    ]
}

fn booking() -> Cases {
    vec![
        bucket(
            "reserve_now_and_later",
            "a booking that must wait says how long, and those behind it wait longer",
            10,
            S,
            2,
        )
        .then(reserve("a", 2, 0))
        .then(reserve("b", 1, None))
        .then(reserve("c", 2, None))
        .then(peek())
        .at(300 * MS)
        .then(check(1))
        .at(400 * MS)
        .then(check(1))
        .end(),
        bucket(
            "reserve_max_wait",
            "a wait of exactly max_wait is booked, one nanosecond more is not and books nothing",
            400,
            S,
            1,
        )
        .then(take(1))
        .at(500_000 - 1)
        .then(reserve("a", 1, 2 * MS))
        .at(500_000)
        .then(reserve("b", 1, 2 * MS))
        .then(reserve("c", 1, 4 * MS))
        .then(peek())
        .end(),
        bucket("reserve_above_burst", "it could never be there at once", 10, S, 2)
            .then(reserve("a", 3, None))
            .then(reserve("b", 3, 10 * S))
            .then(check(2))
            .end(),
        bucket("reserve_zero", "a booking of nothing waits out a debt, takes nothing and gives nothing back", 10, S, 2)
            .then(reserve("now", 0, 0))
            .then(reserve("a", 2, None))
            .then(reserve("b", 2, None))
            .then(reserve("z", 0, 199 * MS))
            .then(reserve("z", 0, 200 * MS))
            .then(cancel("z"))
            .then(peek())
            .end(),
        bucket("cancel_the_last", "nothing was booked after it, so all of it comes back", 10, S, 2)
            .then(check(2))
            .then(reserve("a", 2, None))
            .then(peek())
            .then(cancel("a"))
            .then(peek())
            .then(reserve("b", 1, None))
            .end(),
        bucket(
            "cancel_an_earlier_one",
            "x/time/rate's rule: what was booked later is subtracted from what comes back",
            10,
            S,
            5,
        )
        .then(check(5))
        .then(reserve("a", 5, None))
        .then(reserve("b", 2, None))
        .then(cancel("a"))
        .then(peek())
        .then(cancel("b"))
        .then(peek())
        .end(),
        bucket("cancel_from_the_last_one_back", "each is the last by then, so all of each comes back", 10, S, 5)
            .then(check(5))
            .then(reserve("a", 2, None))
            .then(reserve("b", 3, None))
            .then(reserve("c", 1, None))
            .then(cancel("c"))
            .then(cancel("b"))
            .then(reserve("d", 2, None))
            .then(cancel("d"))
            .then(cancel("a"))
            .then(peek())
            .then(cancel("b"))
            .then(peek())
            .end(),
        bucket(
            "cancel_with_as_much_booked_behind",
            "nothing comes back: those behind were told to wait for it",
            10,
            S,
            5,
        )
        .then(check(5))
        .then(reserve("a", 2, None))
        .then(reserve("b", 2, None))
        .then(cancel("a"))
        .then(peek())
        .end(),
        bucket("cancel_too_late", "once its time has come the tokens count as used", 10, S, 1)
            .then(take(1))
            .then(reserve("a", 1, None))
            .then(reserve("b", 1, None))
            .at(100 * MS)
            .then(cancel("a"))
            .at(200 * MS - 1)
            .then(cancel("b"))
            .then(check(1))
            .end(),
        bucket("cancel_what_needed_no_wait", "its time came when it was booked", 10, S, 5)
            .then(reserve("a", 3, None))
            .then(cancel("a"))
            .then(peek())
            .end(),
        bucket("cancel_twice", "a ticket gives back once", 10, S, 5)
            .then(check(5))
            .then(reserve("a", 3, None))
            .then(cancel("a"))
            .then(cancel("a"))
            .then(peek())
            .end(),
        bucket("reset_voids_tickets", "a ticket from before a reset gives nothing back to the new level", 10, S, 5)
            .then(check(5))
            .then(reserve("a", 5, None))
            .then(Op::Reset {})
            .then(peek())
            .then(check(5))
            .then(reserve("b", 5, None))
            .then(cancel("a"))
            .then(cancel("b"))
            .then(peek())
            .end(),
    ]
}

fn giving_back() -> Cases {
    vec![
        bucket("refund_comes_back", "a refunded token can be taken at once", 1, MIN, 3)
            .then(check(3))
            .then(refund(2))
            .then(check(1))
            .then(check(1))
            .then(check(1))
            .end(),
        bucket("refund_never_above_full", "a refund cannot raise a bucket above its burst, at once or later", 10, S, 3)
            .then(refund(5))
            .then(peek())
            .then(check(1))
            .then(refund(3))
            .then(peek())
            .times(4, &check(1))
            .at(50 * MS)
            .then(refund(1_000))
            .times(4, &check(1))
            .end(),
        bucket("refund_zero", "nothing comes back", 10, S, 3).then(check(2)).then(refund(0)).then(peek()).end(),
        bucket("refund_pays_a_debt", "a refund shortens the wait of those who come later", 10, S, 2)
            .then(check(2))
            .then(reserve("a", 2, None))
            .then(check(1))
            .then(refund(1))
            .then(check(1))
            .then(refund(2))
            .then(check(1))
            .end(),
    ]
}

fn penalties() -> Cases {
    vec![
        bucket("penalty_then_empty", "nothing passes before its end, then the bucket refills from empty", 10, S, 5)
            .then(penalize(2 * S))
            .then(check(1))
            .then(check(0))
            .then(peek())
            .at(2 * S - 1)
            .then(check(0))
            .then(check(1))
            .at(2 * S)
            .then(check(0))
            .then(check(1))
            .at(2 * S + 100 * MS)
            .then(check(1))
            .then(check(1))
            .at(3 * S)
            .then(peek())
            .end(),
        bucket(
            "refund_does_not_shorten_a_penalty",
            "a punished client cannot pay its way out, and can be refunded again after",
            10,
            S,
            5,
        )
        .then(check(5))
        .then(penalize(S))
        .then(refund(5))
        .then(check(1))
        .at(S - 1)
        .then(refund(5))
        .then(check(1))
        .at(S)
        .then(refund(2))
        .then(peek())
        .then(check(2))
        .end(),
        bucket(
            "cancel_does_not_shorten_a_penalty",
            "a booking from before it gives nothing back while it lasts",
            10,
            S,
            5,
        )
        .then(check(5))
        .then(reserve("a", 5, None))
        .then(penalize(S))
        .then(cancel("a"))
        .then(peek())
        .end(),
        bucket("shorter_penalty_does_not_end_a_longer_one", "the later end stands", 10, S, 5)
            .then(penalize(5 * S))
            .then(penalize(S))
            .then(peek())
            .at(S)
            .then(penalize(10 * S))
            .then(peek())
            .end(),
        bucket("penalty_of_nothing_empties", "a penalty of 0 takes what is there and refills from now", 10, S, 5)
            .then(penalize(0))
            .then(check(0))
            .then(check(1))
            .at(100 * MS)
            .then(check(1))
            .then(refund(1))
            .then(check(1))
            .end(),
        bucket("reserve_behind_a_penalty", "a booking made inside it comes after its end", 10, S, 5)
            .then(penalize(S))
            .then(reserve("a", 1, S))
            .then(reserve("b", 2, None))
            .then(check(1))
            .at(S + 200 * MS)
            .then(check(1))
            .at(S + 400 * MS)
            .then(check(1))
            .end(),
        bucket("reset_ends_a_penalty", "an operator's pardon", 10, S, 5)
            .then(penalize(HOUR))
            .at(S)
            .then(check(1))
            .then(Op::Reset {})
            .then(check(5))
            .then(refund(1))
            .then(check(1))
            .end(),
    ]
}

fn changing_the_quota() -> Cases {
    vec![
        bucket("quota_up", "the level in tokens stays; a bigger burst is not a gift", 10, S, 10)
            .then(check(6))
            .then(set_quota(20, S, 100))
            .then(peek())
            .then(check(5))
            .then(check(4))
            .at(50 * MS)
            .then(check(1))
            .at(10 * S)
            .then(peek())
            .end(),
        bucket("quota_up_when_full", "full of 10 is 10 of 100, not full of 100", 10, S, 10)
            .then(set_quota(10, S, 100))
            .then(peek())
            .then(check(11))
            .then(check(10))
            .end(),
        bucket("quota_down", "the level is clipped to the new burst", 10, S, 10)
            .then(set_quota(1, S, 3))
            .then(peek())
            .then(check(3))
            .then(check(1))
            .at(S)
            .then(check(1))
            .end(),
        bucket("quota_changed_with_a_fraction", "half a token stays at most half a token", 3, S, 5)
            .then(check(5))
            .at(500 * MS)
            .then(set_quota(7, MIN, 5))
            .then(peek())
            .then(check(1))
            .then(check(1))
            .at(MIN)
            .then(peek())
            .end(),
        bucket("quota_changed_in_debt", "booked tokens stay owed, and are paid at the new rate", 10, S, 5)
            .then(check(5))
            .then(reserve("a", 5, None))
            .then(set_quota(1, S, 5))
            .then(peek())
            .then(check(0))
            .at(5 * S)
            .then(check(0))
            .then(check(1))
            .at(6 * S)
            .then(check(1))
            .end(),
        bucket(
            "quota_changed_in_deep_debt",
            "a debt that takes hours at the new rate is not mistaken for a broken clock",
            100,
            S,
            100,
        )
        .then(check(100))
        .then(reserve("a", 100, None))
        .then(set_quota(1, MIN, 100))
        .then(peek())
        .then(check(1))
        .at(100 * MIN)
        .then(check(0))
        .then(check(1))
        .end(),
        bucket("quota_changed_voids_tickets", "a ticket counted in old tokens gives nothing back", 10, S, 5)
            .then(check(5))
            .then(reserve("a", 5, None))
            .then(set_quota(100, S, 5))
            .then(cancel("a"))
            .then(peek())
            .end(),
        bucket("quota_changed_under_a_penalty", "the penalty keeps its end whatever the rate", 10, S, 5)
            .then(penalize(10 * S))
            .at(4 * S)
            .then(set_quota(100, S, 50))
            .then(peek())
            .then(refund(10))
            .then(check(0))
            .at(10 * S - 1)
            .then(check(0))
            .at(10 * S)
            .then(check(0))
            .then(check(1))
            .at(10 * S + 500 * MS)
            .then(peek())
            .end(),
        bucket("quota_set_to_itself", "setting the same quota again changes nothing", 3, S, 4)
            .then(check(3))
            .at(100 * MS)
            .then(peek())
            .then(set_quota(3, S, 4))
            .then(peek())
            .end(),
    ]
}

fn bad_clocks() -> Cases {
    vec![
        bucket("clock_steps_back", "it denies early until the clock catches up, and mints nothing", 10, S, 5)
            .at(10 * S)
            .then(check(5))
            .at(9 * S)
            .then(check(1))
            .then(peek())
            .at(10 * S)
            .then(check(1))
            .at(10 * S + 100 * MS)
            .then(check(1))
            .then(check(1))
            .end(),
        bucket(
            "clock_steps_back_and_forth",
            "swinging to and fro never yields more than burst + rate × time",
            10,
            S,
            2,
        )
        .each(0..12, |script, i| {
            script.at(S + u64::from(i) * 20 * MS).times(2, &check(1)).back(150 * MS).then(check(1))
        })
        .end(),
        bucket("clock_steps_back_while_full", "a full bucket that nobody used is still full", 10, S, 5)
            .at(S)
            .then(peek())
            .at(500 * MS)
            .then(peek())
            .then(check(5))
            .end(),
        bucket(
            "far_ahead_heals_after_a_minute",
            "a word that only a broken clock can have written reads as empty once readings have gone on for a minute, \
             and refills",
            10,
            S,
            5,
        )
        .at(1_000 * S)
        .then(check(5))
        .at(10 * S)
        .then(check(1))
        .at(70 * S - 1)
        .then(check(1))
        .at(70 * S)
        .then(check(1))
        .at(70 * S + 100 * MS)
        .then(check(1))
        .at(71 * S + 100 * MS)
        .then(peek())
        .end(),
        bucket(
            "late_callers_mint_nothing",
            "a reading of long ago proves nothing: the bucket that was drained since stays drained",
            10,
            S,
            5,
        )
        .at(1_000 * S)
        .then(check(5))
        .at(938 * S)
        .then(check(1))
        .at(1_000 * S)
        .then(check(1))
        .at(700 * S)
        .then(check(1))
        .at(1_000 * S)
        .then(check(1))
        .at(800 * S)
        .then(check(1))
        .at(1_000 * S)
        .then(check(1))
        .end(),
        bucket(
            "a_ticket_counts_once",
            "cancelled again it gives nothing back, whatever was booked in between",
            10,
            S,
            5,
        )
        .then(take(5))
        .then(reserve("first", 2, None))
        .then(cancel("first"))
        .then(reserve("second", 2, None))
        .then(cancel("first"))
        .then(peek())
        .then(cancel("second"))
        .then(reserve("third", 2, None))
        .then(cancel("first"))
        .then(cancel("second"))
        .then(cancel("third"))
        .then(cancel("third"))
        .then(peek())
        .end(),
        bucket(
            "quota_changed_while_the_clock_is_behind",
            "half a minute of a fast rate is not a debt of years at a slow one",
            1_000_000,
            S,
            5,
        )
        .at(100 * S)
        .then(check(5))
        .at(70 * S)
        .then(set_quota(1, MIN, 5))
        .then(peek())
        .at(100 * S)
        .then(check(1))
        .at(160 * S)
        .then(check(1))
        .end(),
        bucket(
            "a_long_wait_is_not_a_broken_clock",
            "a booking or penalty of an hour stays, however far ahead it stands",
            10,
            S,
            5,
        )
        .then(penalize(HOUR))
        .then(check(0))
        .at(HOUR - 1)
        .then(check(0))
        .at(HOUR)
        .then(check(0))
        .end(),
    ]
}

const RATES: [(u64, u64); 8] =
    [(1, YEAR), (3, S), (7, MIN), (400, S), (70_000_000, S), (100_000_000, S), (5, 15 * MIN), (2_000, 3 * S)];

/// Any operation at any time, in proportion to the time one token takes.
fn random() -> Cases {
    let case = |(seed, (count, period)): (u64, (u64, u64))| {
        let mut random = Random::new(seed);
        let burst = 1 + u32::try_from(random.below(30)).expect("small");
        let interval = (period / count).max(1);
        let mut script = bucket(
            &format!("random_{count}_per_{period}_ns"),
            "all operations mixed, at instants around the interval of one token",
            count,
            period,
            burst,
        );
        let mut tickets = Vec::new();
        for i in 0..120 {
            // Decades at most: the far end of the bucket's time is not what these are about.
            let pause = if interval < HOUR { 2 * interval + 2 } else { interval / 4 };
            script = script.after(if random.chance(40) { 0 } else { random.below(pause) });
            let n = u32::try_from(random.below(u64::from(burst) + 2)).expect("small");
            let small = n.min(3);
            script = match random.below(20) {
                0..=4 => script.then(take(small)),
                5..=9 => script.then(check(n)),
                10..=11 => script.then(peek()),
                12..=14 => {
                    // Within max_wait or not: only tickets that were given are cancelled later.
                    let name = format!("t{i}");
                    let booked = small > 0 && small <= burst;
                    tickets.extend(booked.then(|| name.clone()));
                    script.then(reserve(&name, small.min(burst), None))
                }
                15..=16 if !tickets.is_empty() => {
                    let ticket =
                        tickets.swap_remove(usize::try_from(random.below(tickets.len() as u64)).expect("small"));
                    script.then(cancel(&ticket))
                }
                17 => script.then(refund(small)),
                18 if random.chance(30) => script.then(penalize(random.below(3 * interval / MS + 2) * MS)),
                19 if random.chance(30) => {
                    let (count, period) = random.pick(&RATES[1..4]);
                    if interval > 10 * S { script } else { script.then(set_quota(count, period, burst)) }
                }
                _ => script.then(peek()),
            };
        }
        script.end()
    };
    (1..).zip(RATES).map(case).collect()
}
