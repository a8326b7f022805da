//! A deploy that changes the rate of a limit per key, while a worker of the old version goes on.

use crate::child::Other;
use crate::support::{Place, declare, drain};
use std::time::{Duration, Instant};
use tidegate::Quota;

const RATES: [&str; 6] = ["5/minute", "20/hour", "100/s", "1000/minute", "10/s", "300/hour"];

#[test]
fn every_change_of_rate_starts_and_two_versions_admit_together_what_one_may() {
    let place = Place::new();
    let arena = place.open("shop").expect("an arena");
    let (mut old, _) = Other::open(&place.options("shop"), None);
    for from in RATES {
        for to in RATES {
            let name = format!("{}-{}", from.replace('/', "."), to.replace('/', "."));
            let began = Instant::now();
            let first = old.ask(&format!("drain {from} {name} ann")).parse::<u64>().expect("a number");
            let quota: Quota = to.parse().expect("a rate");
            let new = declare(&arena, to, &name);
            assert_eq!((new.quota().count(), new.quota().period()), (quota.count(), quota.period()));
            // All was used, and is, for both.
            let more = drain(&new, b"ann") + old.ask(&format!("again {name} ann")).parse::<u64>().expect("a number");
            let since = began.elapsed() + Duration::from_millis(1);
            // By turns nobody has more than the largest burst in the shortest time that either takes to fill.
            let both = [from, to].map(|rate| rate.parse::<Quota>().expect("a rate"));
            let burst = both.iter().map(Quota::burst).max().expect("two");
            let fill = both.iter().map(Quota::fill_time).min().expect("two");
            let most = f64::from(burst) * since.as_secs_f64() / fill.as_secs_f64() * 1.001 + 2.0;
            assert!(more as f64 <= most, "{from} to {to}: {first} and {more} in {since:?}");
            // A new key has what the limit now says, and no more.
            let whole = drain(&new, b"ben") as f64;
            assert!(whole >= f64::from(new.quota().burst()), "{from} to {to}: {whole}");
            let most = f64::from(quota.burst()) + began.elapsed().as_secs_f64() * 101.0 + 2.0;
            assert!(whole <= most, "{from} to {to}: {whole}");
        }
    }
}
