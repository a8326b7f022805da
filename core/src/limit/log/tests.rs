//! What a log promises beyond its answers, which `tests/oracle_limiter.rs` holds to the model's.

use super::stamp::IN_HAND;
use super::*;
use crate::ManualClock;
use crate::limit::log::insert::Found;
use crate::memory::ObjectAllocator;
use proptest::prelude::*;

const S: u64 = 1_000_000_000;

fn log(limit: u32, period: u64, max_keys: usize) -> Log {
    log_at(0, limit, period, max_keys)
}

/// Of a clock that stands at `present`.
fn log_at(present: u64, limit: u32, period: u64, max_keys: usize) -> Log {
    let present = Present::new(ManualClock::new(present).into(), 0);
    Log::in_room(&mut ObjectAllocator::of_process(false), limit, period, max_keys, present).unwrap()
}

fn takes(log: &Log, of: u64, at: u64, n: u32) -> bool {
    log.take(of, at, log.limit(), n, false).allowed
}

fn spot(log: &Log, of: u64) -> Option<Spot> {
    match log.find(0, line::tag(of)) {
        Some(Found::Own(spot)) => Some(spot),
        _ => None,
    }
}

#[test]
fn a_full_line_shares_a_block_and_who_finds_room_brings_what_it_was_charged() {
    let log = log(3, S, 1);
    for other in 0..OWN as u64 {
        assert!(takes(&log, 10 + other, other, 1));
    }
    assert!(takes(&log, 1, 100, 2) && spot(&log, 1).is_none());
    assert!(takes(&log, 2, 100, 1) && !takes(&log, 2, 100, 1) && !takes(&log, 1, 100, 1));
    // Key 10 is idle now: both find room, and what the two were charged counts for each.
    assert!(!takes(&log, 1, S + 50, 1));
    let free = S + S / 16;
    assert!(takes(&log, 1, free, 1) && spot(&log, 1).is_some());
    assert!(takes(&log, 1, free, 2) && !takes(&log, 1, free, 1));
    assert_eq!((log.evictions(), log.len(free)), (1, 1));
}

#[test]
fn a_key_in_its_own_block_counts_what_the_shared_one_was_charged_before() {
    let log = log(3, S, 1);
    for other in 0..OWN as u64 {
        assert!(takes(&log, 10 + other, 0, 1));
    }
    assert!(takes(&log, 1, S / 2, 2));
    // The others are idle a while before that charge is dead.
    let free = S + S / 16;
    assert!(takes(&log, 1, free, 1) && spot(&log, 1).is_some());
    assert!(!takes(&log, 1, free, 1) && !takes(&log, 1, S + S / 2 - 1, 1));
    let denied = log.take(1, S + S / 4, 3, 2, false);
    assert_eq!((denied.retry_after_ns, denied.remaining), (S / 4, 0));
    assert!(takes(&log, 1, S + S / 2, 2) && !takes(&log, 1, S + S / 2, 1));
}

/// A penalty ends with nothing counted, so it must outlast what the key was charged while it had no block.
#[test]
fn a_penalty_lasts_until_what_the_shared_block_was_charged_is_dead() {
    let log = log(3, S, 1);
    for other in 0..OWN as u64 {
        assert!(takes(&log, 10 + other, 0, 1));
    }
    assert!(takes(&log, 1, S / 2, 1) && spot(&log, 1).is_none());
    // The others are idle by now: the key finds room when it is penalised.
    let free = S + S / 16;
    assert!(log.penalize(1, free, free + 1) && spot(&log, 1).is_some());
    assert!(!takes(&log, 1, free + 2_000_000, 1) && !takes(&log, 1, S + S / 2 - 1, 1));
    let denied = log.take(1, S + S / 4, 3, 1, false);
    assert!((S / 4..S / 4 + 2_000_000).contains(&denied.retry_after_ns), "{denied:?}");
    assert!(takes(&log, 1, S + S / 2 + 2_000_000, 3));
}

/// Whatever others were charged in the shared block since, by a bad reading too.
#[test]
fn a_penalty_lasts_no_longer_for_what_others_were_charged_since() {
    let log = log(3, S, 1);
    for other in 0..OWN as u64 {
        assert!(takes(&log, 10 + other, 0, 1));
    }
    assert!(takes(&log, 1, S / 2, 1));
    let free = S + S / 16;
    assert!(takes(&log, 1, free, 1) && spot(&log, 1).is_some());
    let shared = log.shared(0);
    let far = stamp::at(1_000_000 * S) | IN_HAND;
    assert!(shared.claim(&shared.look(log.horizon(free)), log.horizon(free), 1, far, S).is_some());
    assert!(log.penalize(1, free, free + 1));
    assert!(!takes(&log, 1, 2 * S, 1) && takes(&log, 1, 3 * S + S / 16 + 2_000_000, 3));
}

#[test]
fn an_evicted_key_that_comes_late_is_judged_as_of_when_it_was_dead() {
    for present in [0, S - 1, 5 * S] {
        let log = log_at(present, 2, S, 1);
        for other in 0..OWN as u64 {
            assert!(takes(&log, 10 + other, 0, 2));
        }
        for other in 0..OWN as u64 {
            assert!(takes(&log, 20 + other, 5 * S, 2));
        }
        // All blocks are taken, and the first key has a reading of five seconds before: it shares, as of when it could
        // again, if the clock has come there.
        let late = present >= S;
        assert!(takes(&log, 10, S / 2, 2) == late && !takes(&log, 10, S / 2, 1));
        assert!(takes(&log, 10, 2 * S - 1, 1) != late && takes(&log, 10, 2 * S, 1));
    }
}

#[test]
fn one_bad_reading_denies_new_keys_for_a_minute() {
    let log = log(2, S, 1);
    for other in 0..OWN as u64 {
        assert!(takes(&log, 10 + other, 0, 1));
    }
    assert!(takes(&log, 1, 3_600 * S, 1), "an hour ahead");
    let denied = log.take(2, 2 * S, 2, 1, false);
    assert_eq!((denied.allowed, denied.retry_after_ns), (false, 60 * S));
    assert!(takes(&log, 11, 2 * S, 2), "who has a block is not concerned");
    assert!(log.penalize(3, 2 * S, 3 * S), "though late, it is noted");
    assert!(!takes(&log, 2, 62 * S - 1, 1));
    assert!(takes(&log, 2, 62 * S, 1));
    // Its own stamps are dated to the present when they have been far ahead for as long.
    assert!(!takes(&log, 1, 62 * S, 2) && !takes(&log, 1, 122 * S - 1, 2));
    assert!(!takes(&log, 1, 122 * S, 2) && takes(&log, 1, 123 * S, 2));
}

#[test]
fn a_reading_that_finds_all_plausible_keeps_what_is_far_ahead_of_others() {
    let log = log(1, 1_000 * S, 1);
    assert!(takes(&log, 1, 500 * S, 1));
    // One thread is five minutes late, for two minutes; the others are not.
    for late in 0..120 {
        assert!(!takes(&log, 1, (200 + late) * S, 1));
        assert!(!takes(&log, 1, (500 + late) * S, 1));
    }
    assert!(takes(&log, 1, 1_500 * S, 1));
}

/// A thread that dies with a claim in hand denies early, and for a period only.
#[test]
fn what_a_killed_thread_had_in_hand_counts_until_it_is_dead() {
    let log = log(2, S, 1);
    assert!(takes(&log, 1, 0, 1));
    let own = spot(&log, 1).unwrap();
    let block = log.block(0, own.index);
    let seen = block.look(log.horizon(10));
    assert!(block.claim(&seen, log.horizon(10), 1, stamp::at(10) | IN_HAND, S).is_some());
    assert!(!takes(&log, 1, 20, 1));
    log.reset(1, 20);
    log.refund(1, 20, 2);
    assert!(takes(&log, 1, 20, 1) && !takes(&log, 1, 20, 1));
    assert!(takes(&log, 1, S + 10, 1));
}

/// At whatever instruction an insertion is left, the next thread finishes it.
#[test]
fn who_dies_while_inserting_stops_nobody() {
    for step in 0..3 {
        let log = log(1, S, 1);
        assert!(takes(&log, 10, 0, 1));
        let (header, victim) = (log.header(0), spot(&log, 10).unwrap());
        let busy = header.busy(victim.index, line::tag(1));
        if step > 0 {
            log.lines[0].header.store(busy.0, Ordering::Relaxed);
        }
        if step != 1 {
            // Closed; at step 0 by a late helper of an insertion that has ended.
            assert!(log.exchange_owner(victim, victim.owner.closing()));
        }
        assert!(takes(&log, 10, 2 * S, 1) && !takes(&log, 10, 2 * S, 1), "step {step}");
        assert!(takes(&log, 1, 2 * S, 1) && !takes(&log, 1, 2 * S, 1), "step {step}");
        assert!(!log.header(0).is_busy());
    }
}

#[test]
fn a_roll_back_takes_nothing_of_another_generation() {
    let log = log(2, S, 1);
    let charge = log.take(1, 5, 2, 1, false).charge.unwrap();
    log.reset(1, 5);
    assert!(takes(&log, 1, 5, 2));
    log.undo(1, charge, 1);
    assert!(!takes(&log, 1, 5, 1));
    // Nor of what is not there any more.
    let again = log.take(1, 2 * S, 2, 1, false).charge.unwrap();
    log.undo(1, again, 1);
    assert!(takes(&log, 1, 2 * S, 2));
}

/// What is taken away leaves the slot as a late reading must find it: it had stood on an older stamp.
#[test]
fn a_refund_does_not_forget_what_its_slot_was_used_for_before() {
    let log = log(3, S, 1);
    assert!(takes(&log, 1, 0, 3) && takes(&log, 1, 10 * S, 3));
    log.refund(1, 10 * S, 3);
    assert!(!takes(&log, 1, S / 2, 1), "three were admitted half a second before");
    assert!(takes(&log, 1, 10 * S, 3));
}

#[derive(Clone, Debug)]
enum Step {
    Take(u32, u32),
    Refund(u32),
    Undo(usize),
    Reset,
    Penalize(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..5_u32, 1..6_u32).prop_map(|(n, burst)| Step::Take(n, burst)),
        1 => (1..4_u32).prop_map(Step::Refund),
        1 => any::<usize>().prop_map(Step::Undo),
        1 => Just(Step::Reset),
        1 => (0..3 * PERIOD).prop_map(Step::Penalize),
    ]
}

const PERIOD: u64 = 1_000;
const LIMIT: u32 = 5;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Clocks that step back by up to two and a half periods, keys that come and go: whatever was admitted by some
    /// burst had at most that many in any period before and after it, and a log that remembers everything admits no
    /// less than is denied here for no reason: as of the latest reading both agree.
    #[test]
    fn no_order_of_readings_admits_more_than_the_limit(
        keys in 1..20_u64,
        steps in prop::collection::vec((-5_i64..=6, 0..PERIOD / 2, any::<u64>(), step()), 1..200),
    ) {
        let log = log(LIMIT, PERIOD, 1);
        let mut exact = vec![Exact::default(); keys as usize];
        let mut now = 1_000 * PERIOD;
        for (halves, part, who, step) in steps {
            let halves = halves * (PERIOD / 2) as i64;
            now = now.saturating_add_signed(if who % 4 == 0 { halves } else { halves / 20 }) + part / 16;
            // Tag 0 is nobody's.
            let which = 1 + who % keys;
            let exact = &mut exact[which as usize - 1];
            match step {
                Step::Take(n, burst) => {
                    let taken = log.take(which, now, burst, n, false);
                    if taken.allowed {
                        // The clock stands before all: nobody is late.
                        let at = taken.charge.map_or(now, |charge| charge.ns);
                        prop_assert!(at == now);
                        for _ in 0..n {
                            exact.admit(at, burst)?;
                        }
                        exact.charges.extend(taken.charge.map(|charge| (charge, n)));
                    } else if keys <= OWN as u64 && n <= burst {
                        // With room for all: only what counts, or a penalty, denies.
                        prop_assert!(exact.denies(now, n, burst), "{n} of {burst} at {now}: {taken:?}");
                    }
                }
                Step::Refund(n) => {
                    let own = spot(&log, which);
                    let floor = own.map_or(0, |own| log.block(0, own.index).floor().ns());
                    if own.is_some() {
                        exact.give_back(now.max(floor), n);
                    }
                    log.refund(which, now, n);
                }
                Step::Undo(_) if exact.charges.is_empty() => {}
                Step::Undo(at) => {
                    let (charge, n) = exact.charges.swap_remove(at % exact.charges.len());
                    if spot(&log, which).is_some_and(|own| own.owner.0 == charge.owner) {
                        exact.take_back(charge.ns, n);
                    }
                    log.undo(which, charge, n);
                }
                Step::Reset => {
                    if spot(&log, which).is_some() {
                        exact.reset(now);
                    }
                    log.reset(which, now);
                }
                Step::Penalize(wait) => {
                    if log.penalize(which, now, now + wait) {
                        // A unit of its end is a millisecond: longer than all of this.
                        prop_assert!(wait == 0 || !takes(&log, which, now, 1));
                        if spot(&log, which).is_some() {
                            exact.reset(now);
                        }
                        log.reset(which, now);
                    }
                }
            }
        }
    }
}

/// A log that forgets nothing.
#[derive(Clone, Debug, Default)]
struct Exact {
    stamps: Vec<u64>,
    charges: Vec<(Charge, u32)>,
    /// What was taken away counts for readings before it: see `stamp::ghost`.
    ghosts: Vec<u64>,
}

impl Exact {
    fn admit(&mut self, at: u64, burst: u32) -> Result<(), TestCaseError> {
        self.stamps.push(at);
        // All periods that it lies in begin within one before it.
        let near: Vec<_> = self.stamps.iter().copied().filter(|stamp| stamp.abs_diff(at) < PERIOD).collect();
        for &from in near.iter().filter(|&&from| from <= at) {
            let within = near.iter().filter(|&&stamp| (from..from + PERIOD).contains(&stamp)).count();
            prop_assert!(within <= LIMIT as usize, "{within} from {from}: {near:?}");
        }
        let before = self.stamps.iter().filter(|&&stamp| stamp <= at && at - stamp < PERIOD).count();
        prop_assert!(before <= burst as usize, "{before} of {burst} until {at}");
        Ok(())
    }

    fn denies(&self, now: u64, n: u32, burst: u32) -> bool {
        let live = self.stamps.iter().chain(&self.ghosts).filter(|&&stamp| stamp + PERIOD > now).count();
        live + n as usize > burst as usize
    }

    fn reset(&mut self, now: u64) {
        let (live, dead): (Vec<_>, _) = self.stamps.iter().partition(|&&stamp| stamp + PERIOD > now);
        let (ghosts, over): (Vec<u64>, _) = self.ghosts.iter().partition(|&&ghost| ghost + PERIOD > now);
        (self.stamps, self.ghosts) = (dead, over);
        self.ghosts.extend(live.into_iter().chain(ghosts).map(|_: u64| now - PERIOD));
    }

    fn give_back(&mut self, now: u64, n: u32) {
        for _ in 0..n {
            let live = self.stamps.iter().enumerate().filter(|&(_, &stamp)| stamp <= now && stamp + PERIOD > now);
            let Some((newest, _)) = live.max_by_key(|&(_, &stamp)| stamp) else { break };
            self.ghosts.push(self.stamps.remove(newest) - PERIOD);
        }
    }

    fn take_back(&mut self, at: u64, n: u32) {
        for _ in 0..n {
            let Some(found) = self.stamps.iter().position(|&stamp| stamp == at) else { break };
            self.ghosts.push(self.stamps.remove(found) - PERIOD);
        }
    }
}

#[test]
fn late_threads_of_a_sound_clock_heal_nothing() {
    let clock = ManualClock::new(0);
    let log = Log::in_room(&mut ObjectAllocator::of_process(false), 3, S, 1, Present::new((&clock).into(), 0)).unwrap();
    for other in 0..OWN as u64 {
        assert!(takes(&log, 10 + other, 0, 1));
    }
    let now = 100_000 * S;
    clock.set(now);
    assert!(takes(&log, 10, now, 3) && takes(&log, 1, now, 3));
    // Further apart than a bad reading heals in, and as far behind.
    for late in [3_000, 2_000, 1_000] {
        assert!(!takes(&log, 1, now - late * S, 1) && !takes(&log, 10, now - late * S, 1), "{late}");
        assert!(takes(&log, late, now - late * S, 1), "a new key, as of the moment");
        assert!(!takes(&log, 10, now, 1) && !takes(&log, 1, now, 1));
    }
    assert!(log.moment.get() >= now - S / 16);
    // A clock that has stepped back heals all the same.
    clock.set(50_000 * S);
    assert!(!takes(&log, 10, 50_000 * S, 1));
    clock.set(50_060 * S);
    assert!(!takes(&log, 10, 50_060 * S, 1) && takes(&log, 10, 50_061 * S, 3));
}

#[test]
fn a_reset_gives_back_no_more_than_it_found() {
    // More slots than the quota may use: a claim goes to one that the reset has not come to.
    let (log, now) = (log(3, S, 1), 9 * S);
    let takes_one_of_one = || log.take(1, now, 1, 1, false).allowed;
    assert!(takes_one_of_one());
    let found = spot(&log, 1).expect("a block");
    let (block, mut reset) = (log.block(0, found.index), reset::Reset::default());
    assert!(reset.begins(found.index, block, log.horizon(now)));
    assert!(log.exchange_owner(found, found.owner.open(found.owner.tag())));
    reset.begun = true;
    // The reset has come to the first slot.
    assert!(reset.takes(0, block.stamp(0)));
    block.put_down(0, 1, block.stamp(0), stamp::ghost(stamp::at(now), S));
    assert!(takes_one_of_one());
    assert!(log.clear_stamps(block, spot(&log, 1), now, &mut reset));
    assert!(!takes_one_of_one(), "what came after it was taken away as well");
    log.reset(1, now);
    assert!(takes_one_of_one() && !takes_one_of_one());
}

/// Who took them in hand by a bad reading was killed.
#[test]
fn stamps_in_hand_of_a_bad_reading_heal_as_any() {
    let clock = ManualClock::new(0);
    let log = Log::in_room(&mut ObjectAllocator::of_process(false), 3, S, 1, Present::new((&clock).into(), 0)).unwrap();
    assert!(takes(&log, 1, S, 1));
    let block = log.block(0, spot(&log, 1).expect("a block").index);
    let bad = stamp::at(1_000_000 * S) | IN_HAND;
    let seen = block.look(log.horizon(9 * S));
    block.claim(&seen, log.horizon(9 * S), 3, bad, S).expect("free");
    for second in 9..80 {
        clock.set(second * S);
        assert!(second > 68 || !takes(&log, 1, second * S, 1), "before a minute has passed");
        log.take(1, second * S, 3, 1, false);
    }
    clock.set(80 * S);
    assert!(takes(&log, 1, 80 * S, 1), "denied for ever");
    // Who comes after all finds nothing of his.
    block.put_down(0, 3, bad, bad & !IN_HAND);
    clock.set(82 * S);
    assert!(takes(&log, 1, 82 * S, 3) && !takes(&log, 1, 82 * S, 1));
}
