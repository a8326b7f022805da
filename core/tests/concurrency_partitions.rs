//! Partitions of a concurrency limit: shares that are lent while they are unused, and come back.

mod counting_waker;

use counting_waker::CountingWaker;
use std::task::Waker;
use std::time::Duration;
use tidegate::concurrency::{
    AdaptiveAlgorithm, AdaptiveConfig, ConcurrencyConfig, ConcurrencyPermit, Outcome, Partition, Partitions, WaitOrder,
};
use tidegate::limit::Mode;
use tidegate::{Arena, ConcurrencyLimiter, ConfigErrorKind, ManualClock, OnConflict};

fn config(limit: u32, shares: &[(&str, f64)], priority: &[&str]) -> ConcurrencyConfig {
    let partitions = Partitions::new(shares.iter().copied()).unwrap().with_priority(priority).unwrap();
    ConcurrencyConfig { partitions, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) }
}

fn made(config: ConcurrencyConfig) -> (ConcurrencyLimiter, ManualClock) {
    let clock = ManualClock::new(1_000_000_000_000);
    (ConcurrencyLimiter::with_config(config, (&clock).into()).unwrap(), clock)
}

fn limiter(limit: u32, shares: &[(&str, f64)], priority: &[&str]) -> (ConcurrencyLimiter, ManualClock) {
    made(config(limit, shares, priority))
}

fn all_of(limiter: &ConcurrencyLimiter, partition: Partition) -> Vec<ConcurrencyPermit> {
    std::iter::from_fn(|| limiter.try_acquire_in(partition)).collect()
}

fn two(limiter: &ConcurrencyLimiter) -> [Partition; 2] {
    ["live", "batch"].map(|name| limiter.partition(name).unwrap())
}

const BOTH: [(&str, f64); 2] = [("live", 0.9), ("batch", 0.1)];

/// Whichever of the lent places is given back first.
#[test]
fn a_share_comes_back_at_the_first_release_after_a_refusal() {
    for first in 0..10 {
        let (limiter, _) = limiter(10, &BOTH, &[]);
        let [live, batch] = two(&limiter);
        let mut lent = all_of(&limiter, batch);
        assert_eq!(lent.len(), 10);
        assert!(limiter.try_acquire_in(live).is_none());
        for round in 0..5 {
            assert!(limiter.release(lent.swap_remove(first % lent.len())));
            assert!(limiter.try_acquire_in(batch).is_none(), "lent on, in round {round}");
            assert!(limiter.try_acquire().is_none(), "to a call without a partition, in round {round}");
            assert!(limiter.try_acquire_in(live).is_some(), "not given back in round {round}");
            assert!(limiter.try_acquire_in(live).is_none());
        }
        assert_eq!(limiter.in_use(), 10);
    }
}

#[test]
fn as_many_places_come_back_as_were_asked_for() {
    let (limiter, clock) = limiter(10, &BOTH, &[]);
    let [live, batch] = two(&limiter);
    let mut lent = all_of(&limiter, batch);
    assert!((0..3).all(|_| limiter.try_acquire_in(live).is_none()));
    assert!(lent.drain(..5).all(|permit| limiter.release(permit)));
    assert_eq!(limiter.partition_stats()[0].called_back, 3);
    // Three are kept, two are lent again.
    assert_eq!(all_of(&limiter, batch).len(), 2);
    let own = all_of(&limiter, live);
    assert_eq!(own.len(), 3);
    // What live gives back stays its own, for a while.
    assert!(own.into_iter().all(|permit| limiter.release(permit)));
    assert!(limiter.try_acquire_in(batch).is_none());
    clock.advance(Duration::from_secs(6));
    assert_eq!(all_of(&limiter, batch).len(), 3);
}

/// A share of 0.9 of ten is nine: a tenth place is a loan, too.
#[test]
fn a_guarantee_is_counted_wherever_its_permits_stand() {
    let (limiter, _) = limiter(10, &BOTH, &[]);
    let [live, batch] = two(&limiter);
    let own = all_of(&limiter, live);
    assert_eq!(own.len(), 10);
    assert!(limiter.try_acquire_in(batch).is_none());
    assert!(limiter.release(own[4]));
    assert!(limiter.try_acquire_in(live).is_none());
    let one = limiter.try_acquire_in(batch).unwrap();
    // Nine of live, one of batch: none is in need of anything.
    assert!(limiter.try_acquire_in(live).is_none() && limiter.try_acquire_in(batch).is_none());
    assert!(limiter.release(own[0]));
    assert!(limiter.try_acquire_in(batch).is_none() || limiter.release(one));
}

#[test]
fn what_nobody_is_guaranteed_is_for_who_comes_first() {
    let (limiter, _) = limiter(10, &[("live", 0.5), ("batch", 0.2)], &[]);
    let [live, batch] = two(&limiter);
    let held = all_of(&limiter, batch);
    assert!((0..20).all(|_| limiter.try_acquire_in(live).is_none()));
    assert!(held[..7].iter().all(|&permit| limiter.release(permit)));
    // Five are kept for live; of the others, live's refusals demand none.
    assert_eq!(all_of(&limiter, batch).len(), 2);
    assert_eq!(all_of(&limiter, live).len(), 5);
}

#[test]
fn a_priority_starves_those_behind_it_of_all_but_their_guarantee() {
    let (limiter, clock) = limiter(10, &[("live", 0.5), ("batch", 0.2)], &["live"]);
    let [live, batch] = two(&limiter);
    let rest = Partition::default();
    let held = all_of(&limiter, rest);
    assert!((0..20).all(|_| limiter.try_acquire_in(live).is_none()));
    for permit in held {
        assert!(limiter.release(permit));
        assert!(limiter.try_acquire_in(rest).is_none());
    }
    // Batch has its two, live all else.
    assert_eq!(all_of(&limiter, batch).len(), 2);
    let own = all_of(&limiter, live);
    assert_eq!((own.len(), limiter.in_use()), (8, 10));
    // And batch calls nothing back beyond that: it comes after live.
    assert!(limiter.try_acquire_in(batch).is_none());
    assert!(limiter.release(own[0]));
    assert!(limiter.try_acquire_in(batch).is_none() && limiter.try_acquire_in(live).is_some());
    assert!(own[1..4].iter().all(|&permit| limiter.release(permit)));
    clock.advance(Duration::from_secs(6));
    assert_eq!(all_of(&limiter, batch).len(), 3);
}

#[test]
fn a_guarantee_stands_against_any_priority() {
    let (limiter, _) = limiter(10, &[("live", 0.5), ("batch", 0.2)], &["live", "batch"]);
    let [live, batch] = two(&limiter);
    let held = all_of(&limiter, live);
    assert!((0..3).all(|_| limiter.try_acquire_in(live).is_none()));
    assert!((0..3).all(|_| limiter.try_acquire_in(batch).is_none()));
    assert!(held[..2].iter().all(|&permit| limiter.release(permit)));
    assert!(limiter.try_acquire_in(live).is_none());
    assert_eq!(all_of(&limiter, batch).len(), 2);
    assert!(limiter.release(held[2]));
    assert!(limiter.try_acquire_in(batch).is_none() && limiter.try_acquire_in(live).is_some());
}

#[test]
fn shares_follow_the_limit() {
    let (limiter, _) = made(ConcurrencyConfig { max_limit: 100, ..config(10, &BOTH, &[]) });
    let guaranteed = || limiter.partition_stats().iter().map(|of| of.guaranteed).collect::<Vec<_>>();
    assert_eq!(guaranteed(), [9, 1]);
    limiter.set_limit(100).unwrap();
    assert_eq!(guaranteed(), [90, 10]);
    let [live, batch] = two(&limiter);
    let held = all_of(&limiter, batch);
    assert_eq!(held.len(), 100);
    limiter.set_limit(20).unwrap();
    assert_eq!(guaranteed(), [18, 2]);
    assert!((0..30).all(|_| limiter.try_acquire_in(live).is_none()));
    // Not above the lower limit, and then live's eighteen before any of batch's.
    let mut held = held.into_iter();
    for left in (20..100).rev() {
        assert!(limiter.release(held.next().unwrap()));
        assert!(limiter.try_acquire_in(live).is_none() && limiter.try_acquire_in(batch).is_none(), "{left} are held");
    }
    for _ in 0..18 {
        assert!(limiter.release(held.next().unwrap()));
        assert!(limiter.try_acquire_in(batch).is_none() && limiter.try_acquire_in(live).is_some());
    }
    assert_eq!(limiter.in_use(), 20);
}

#[test]
fn an_owner_who_waits_is_served_before_those_who_borrow() {
    for order in WaitOrder::ALL {
        let (limiter, clock) = made(ConcurrencyConfig { order, ..config(10, &BOTH, &[]) });
        let [live, batch] = two(&limiter);
        let held = all_of(&limiter, batch);
        let mut borrows = limiter.listen_in(batch, Waker::noop());
        let (bell, waker) = CountingWaker::new();
        let mut owns = limiter.listen_in(live, &waker);
        // However long it takes.
        clock.advance(Duration::from_secs(60));
        assert!(limiter.release(held[0]));
        assert_eq!(bell.rung(), 1);
        assert!(borrows.take().is_none());
        let own = owns.take().unwrap();
        // Nobody else of live's waits: after a while its places are lent again.
        assert!(limiter.release(own));
        assert!(borrows.take().is_none(), "kept for live");
        assert!(borrows.retry_in().is_some(), "time alone wakes nobody");
        clock.advance(Duration::from_secs(6));
        assert!(borrows.take().is_some());
    }
}

#[test]
fn an_owner_comes_before_a_full_line_of_others() {
    let (limiter, _) = made(ConcurrencyConfig { max_waiting: Some(1), ..config(10, &BOTH, &[]) });
    let [live, batch] = two(&limiter);
    let held = all_of(&limiter, batch);
    let _waits = limiter.listen_in(batch, Waker::noop());
    assert!(limiter.listen_in(batch, Waker::noop()).is_refused());
    // A line of its own.
    let mut owns = limiter.listen_in(live, Waker::noop());
    assert!(!owns.is_refused() && limiter.listen_in(live, Waker::noop()).is_refused());
    assert!(limiter.release(held[0]));
    let one = owns.take().unwrap();
    // Kept for live: batch's waits on, and live's next need not wait behind it.
    assert_eq!(limiter.stats().waiting, 1);
    assert!(limiter.release(one));
    let _again = limiter.at_once_in(live).expect("within the guarantee");
    assert_eq!(limiter.partition_stats()[0].admitted, 2);
}

/// Live's permits alone are given back: nobody waits for what cannot come.
#[test]
fn who_waits_gets_what_its_own_gives_back() {
    let (limiter, _) = limiter(2, &[("live", 0.5), ("batch", 0.5)], &[]);
    let [live, batch] = two(&limiter);
    let [a, b] = [live, batch].map(|of| limiter.try_acquire_in(of).unwrap());
    let mut line = [live, batch, live, batch].map(|of| limiter.listen_in(of, Waker::noop()));
    assert!(limiter.release(b));
    let b = line[1].take().expect("batch's own place");
    assert!(line[0].take().is_none());
    assert!(limiter.release(a) && line[0].take().is_some() && line[2].take().is_none());
    assert!(limiter.release(b) && line[3].take().is_some());
}

#[test]
fn shares_of_a_named_scope_are_everybodys() {
    let arena = Arena::private("partitions", 1 << 20, ManualClock::new(0).into()).unwrap();
    let open = |shares: &[(&str, f64)], on_conflict| {
        ConcurrencyLimiter::in_arena(&arena, "limiter", config(10, shares, &[]), on_conflict)
    };
    let one = open(&BOTH, OnConflict::Error).unwrap();
    let two_of = open(&BOTH, OnConflict::Error).unwrap();
    let [live, batch] = two(&one);
    let held = all_of(&two_of, batch);
    assert!(one.try_acquire_in(live).is_none() && two_of.release(held[3]));
    assert!(two_of.try_acquire_in(batch).is_none() && one.try_acquire_in(live).is_some());
    assert_eq!(two_of.partition_stats()[0].in_use, 1);
    // Other shares are a conflict, other names another shape.
    let other = [("live", 0.5), ("batch", 0.5)];
    assert!(open(&other, OnConflict::Error).unwrap_err().to_string().contains("live 0.9"));
    assert!(open(&[("live", 0.9), ("nightly", 0.1)], OnConflict::Error).unwrap_err().to_string().contains("nightly"));
    let applied = open(&other, OnConflict::Apply).unwrap();
    for limiter in [&one, &two_of, &applied] {
        let stats = limiter.partition_stats();
        let shares: Vec<_> = stats.iter().map(|of| (&*of.name, of.share, of.guaranteed)).collect();
        assert_eq!(shares, [("live", 0.5, 5), ("batch", 0.5, 5)]);
    }
}

#[test]
fn an_adaptive_limit_has_shares_of_where_it_is() {
    let adaptive = AdaptiveConfig { samples: 1, ..AdaptiveConfig::new(AdaptiveAlgorithm::Aimd) };
    let adaptive = adaptive.within(Some(1), Some(10), Some(100));
    let partitions = Partitions::new(BOTH).unwrap();
    let config = ConcurrencyConfig { partitions, mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(adaptive) };
    let (limiter, clock) = made(config);
    let [live, _] = two(&limiter);
    for _ in 0..20 {
        clock.advance(Duration::from_secs(2));
        let permit = limiter.try_acquire_in(live).unwrap();
        clock.advance(Duration::from_secs(6));
        assert!(limiter.report(permit, Outcome::Dropped));
    }
    assert_eq!(limiter.limit(), 1);
    assert_eq!(limiter.partition_stats()[0].guaranteed, 0);
    assert!(limiter.explain().iter().any(|line| line.starts_with("partition \"live\": 0.9 is 0 places")));
}

#[test]
fn switches_and_dry_runs() {
    let (limiter, _) = made(ConcurrencyConfig { mode: Mode::DryRun, ..config(1, &BOTH, &[]) });
    let [live, batch] = two(&limiter);
    let held = limiter.try_acquire_in(batch).unwrap();
    let beyond = limiter.try_acquire_in(live).unwrap();
    assert!(limiter.release(held) && !limiter.release(beyond));
    let stats = limiter.partition_stats();
    assert_eq!((stats[0].would_deny, stats[1].admitted, stats[0].denied), (1, 1, 0));
    let (limiter, _) = made(ConcurrencyConfig { mode: Mode::Disabled, ..config(1, &BOTH, &[]) });
    let [live, _] = two(&limiter);
    assert!((0..5).all(|_| limiter.try_acquire_in(live).is_some()) && limiter.in_use() == 0);
}

#[test]
fn a_wrong_partition_says_what_is_wrong() {
    let error = |shares: &[(&str, f64)]| Partitions::new(shares.iter().copied()).unwrap_err();
    let long = "x".repeat(33);
    let many: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|name| (name, 0.1)).into();
    let cases: [(&[(&str, f64)], &str); 10] = [
        (&[("live", 0.9), ("batch", 0.2)], "1.1 together"),
        (&[("live", 0.0)], "the share of \"live\" is 0;"),
        (&[("live", -0.1)], "is -0.1"),
        (&[("live", f64::NAN)], "is NaN"),
        (&[("live", f64::INFINITY)], "is inf"),
        (&[("live", 1.5)], "is 1.5"),
        (&[("", 0.5)], "0 bytes"),
        (&[(&long, 0.5)], "33 bytes; 1 to 32"),
        (&[("a", 0.1), ("a", 0.1)], "\"a\" is there twice"),
        (&many, "more than 8"),
    ];
    for (shares, why) in cases {
        let error = error(shares);
        assert_eq!(error.field(), "partitions", "{why}");
        assert!(error.message().contains(why), "{error}");
    }
    let all = Partitions::new(BOTH).unwrap();
    let error = all.with_priority(["live", "nightly"]).unwrap_err();
    assert_eq!((error.field(), error.kind()), ("priority", ConfigErrorKind::OutOfRange));
    assert!(error.message().contains("\"nightly\" is none of \"live\", \"batch\""), "{error}");
    assert_eq!(all.with_priority(["live", "live"]).unwrap_err().field(), "priority");
    let (limiter, _) = limiter(1, &BOTH, &[]);
    let error = limiter.partition("Live").unwrap_err();
    assert_eq!(error.field(), "partition");
    assert!(error.message().contains("\"Live\" is none of"), "{error}");
    let error = ConcurrencyLimiter::new(1).unwrap().partition("live").unwrap_err();
    assert!(error.message().contains("without partitions"), "{error}");
    // Thirds, sevenths: sums of fractions may be off by a little.
    for count in 1..=8 {
        let names = (0..count).map(|i| i.to_string());
        assert!(Partitions::new(names.map(|name| (name, 1.0 / f64::from(count)))).is_ok());
    }
}

#[test]
fn shares_that_two_change_at_once_are_those_of_one() {
    let (limiter, _clock) = limiter(10, &[("a", 0.2), ("b", 0.2), ("c", 0.2)], &[]);
    let sets = [[("a", 0.6), ("b", 0.2), ("c", 0.2)], [("a", 0.1), ("b", 0.1), ("c", 0.8)]];
    for _ in 0..200 {
        std::thread::scope(|scope| {
            for shares in sets {
                let limiter = &limiter;
                scope.spawn(move || (0..20).for_each(|_| limiter.set_shares(shares).expect("the same names")));
            }
        });
        let left = limiter.shares();
        let left: Vec<_> = left.iter().map(|(name, share)| (name.as_str(), *share)).collect();
        assert!(sets.iter().any(|shares| left == shares), "{left:?}");
    }
    // In whatever order they are given; and nothing of what is wrong.
    limiter.set_shares([("c", 0.5), ("a", 0.25), ("b", 0.25)]).expect("the same names");
    let error = limiter.set_shares([("a", 0.5), ("b", 0.5)]).expect_err("c is missing");
    assert_eq!(error.field(), "partitions");
    assert!(limiter.set_shares([("a", 0.5), ("b", 0.5), ("c", 0.5)]).is_err(), "more than the limit");
    assert_eq!(limiter.shares()[0], ("a".to_owned(), 0.25));
    let plain = ConcurrencyLimiter::new(3).expect("a limit");
    assert!(plain.set_shares([("a", 0.5)]).is_err() && plain.shares().is_empty());
}
