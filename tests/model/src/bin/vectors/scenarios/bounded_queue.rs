//! Bounded queue.

use crate::random::Random;
use crate::script::{self, MS, Script};
use tidegate_model::format::Ns;
use tidegate_model::format::{Case, File};
use tidegate_model::script::queue::{Config, Discipline, ModelQueue, OnFull, Op, RulesConfig};

type Queue = Script<ModelQueue>;
type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups =
        [watermarks(), full(), closing(), waiting(), random(), codel(), lifo(), expiry(), lanes(), random_by_rules()];
    script::file("bounded_queue", groups.into_iter().flatten().collect())
}

fn config(capacity: usize, high: f64, low: f64) -> Config {
    Config { capacity, high_watermark: high, low_watermark: low, on_full: OnFull::Reject, sojourn: false, rules: None }
}

fn queue(name: &str, why: &str, config: Config) -> Queue {
    Script::new(name, why, config)
}

fn push(item: u32) -> Op {
    Op::TryPush { item: item.into() }
}

fn pop() -> Op {
    Op::TryPop {}
}

fn depth() -> Op {
    Op::Depth {}
}

fn accepting() -> Op {
    Op::IsAccepting {}
}

fn watermarks() -> Cases {
    vec![
        queue(
            "hysteresis_1000_800_500",
            "it shuts at 800 and opens only below 500, so that it does not flicker",
            config(1_000, 0.8, 0.5),
        )
        .each(0..799, |script, i| script.then(push(i)))
        .then(accepting())
        .then(push(799))
        .then(accepting())
        .then(depth())
        .then(push(800))
        .times(300, &pop())
        .then(depth())
        .then(accepting())
        .then(push(801))
        .then(pop())
        .then(depth())
        .then(accepting())
        .then(push(802))
        .end(),
        queue(
            "hysteresis_small",
            "the same at a size one can follow: 10, shut at 8, open below 5",
            config(10, 0.8, 0.5),
        )
        .each(0..9, |script, i| script.then(push(i)))
        .each(0..4, |script, i| script.then(pop()).then(accepting()).then(push(100 + i)))
        .then(depth())
        .each(0..5, |script, i| script.then(push(200 + i)))
        .end(),
        queue(
            "watermarks_round_up",
            "0.55 of 100 is 55 and 0.07 of it 7, though both products are a little more in binary",
            config(100, 0.55, 0.07),
        )
        .each(0..56, |script, i| script.then(push(i)))
        .times(47, &pop())
        .each(0..2, |script, _| script.then(pop()).then(depth()).then(accepting()))
        .end(),
        queue("no_watermarks", "high = 1.0: refused only when full, accepted again after one pop", config(3, 1.0, 0.5))
            .each(0..4, |script, i| script.then(accepting()).then(push(i)))
            .then(pop())
            .then(accepting())
            .then(push(4))
            .then(push(5))
            .then(depth())
            .end(),
        queue("capacity_one", "the smallest queue alternates", config(1, 0.8, 0.5))
            .then(pop())
            .then(push(1))
            .then(accepting())
            .then(push(2))
            .then(pop())
            .then(accepting())
            .then(push(3))
            .then(pop())
            .then(pop())
            .end(),
    ]
}

fn full() -> Cases {
    let drop_oldest = |capacity, high| Config { on_full: OnFull::DropOldest, ..config(capacity, high, 0.5) };
    vec![
        queue("drop_oldest", "a push onto a full queue is taken and the oldest item comes back", drop_oldest(3, 1.0))
            .each(0..6, |script, i| script.then(push(i)).then(depth()))
            .each(0..4, |script, _| script.then(pop()))
            .end(),
        queue(
            "drop_oldest_watermarks_only_tell",
            "above the high watermark pushes are taken, is_accepting says no",
            drop_oldest(5, 0.8),
        )
        .each(0..7, |script, i| script.then(push(i)).then(accepting()))
        .each(0..4, |script, _| script.then(pop()).then(accepting()))
        .then(depth())
        .end(),
        queue("drop_oldest_capacity_one", "the latest item alone is kept", drop_oldest(1, 1.0))
            .each(0..3, |script, i| script.then(push(i)))
            .then(pop())
            .then(pop())
            .end(),
        queue("image_upload", "a queue of exactly 100 takes 100 and refuses the next at once", config(100, 1.0, 0.5))
            .each(0..101, |script, i| script.then(push(i)))
            .then(depth())
            .end(),
        queue("order_is_kept_around_the_ring", "first in, first out, many times round", config(3, 1.0, 0.5))
            .each(0..20, |script, i| script.then(push(2 * i)).then(push(2 * i + 1)).then(pop()).then(pop()))
            .then(pop())
            .end(),
    ]
}

fn closing() -> Cases {
    vec![
        queue(
            "close_lets_the_rest_out",
            "what was accepted before the close is popped, then pops say closed",
            config(4, 1.0, 0.5),
        )
        .then(push(1))
        .then(push(2))
        .then(Op::Close {})
        .then(accepting())
        .then(push(3))
        .then(pop())
        .then(depth())
        .then(pop())
        .then(pop())
        .then(Op::Close {})
        .then(pop())
        .end(),
        queue("close_when_empty", "empty and closed is closed, not empty", config(4, 1.0, 0.5))
            .then(pop())
            .then(Op::Close {})
            .then(pop())
            .then(push(1))
            .end(),
        queue("close_when_full", "closed wins over full", config(2, 1.0, 0.5))
            .then(push(1))
            .then(push(2))
            .then(push(3))
            .then(Op::Close {})
            .then(push(3))
            .end(),
        queue("drain", "it closes and hands everything out in order", config(10, 0.8, 0.5))
            .each(0..9, |script, i| script.then(push(i)))
            .then(pop())
            .then(Op::Drain {})
            .then(depth())
            .then(accepting())
            .then(push(9))
            .then(pop())
            .then(Op::Drain {})
            .end(),
    ]
}

fn waiting() -> Cases {
    vec![
        queue("sojourn", "each item tells how long it waited", Config { sojourn: true, ..config(4, 1.0, 0.5) })
            .then(push(1))
            .after(3 * MS)
            .then(push(2))
            .then(pop())
            .after(7 * MS + 1)
            .then(pop())
            .then(pop())
            .then(push(3))
            .then(pop())
            .end(),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let watermarks = [(1.0, 0.5), (0.8, 0.5), (0.9, 0.1), (0.5, 0.25), (0.75, 0.0)];
        let (high, low) = random.pick(&watermarks);
        let capacity = 1 + usize::try_from(random.below(12)).expect("small");
        let on_full = random.pick(&[OnFull::Reject, OnFull::DropOldest]);
        let config = Config { on_full, sojourn: random.chance(50), ..config(capacity, high, low) };
        let mut script = queue(&format!("random_{seed}"), "pushes and pops mixed, in swings, then the close", config);
        for i in 0..100 {
            script = script.after(random.below(5 * MS));
            // In swings of 20, so that it is full for some time and empty for some.
            let pushes = if i / 20 % 2 == 0 { 75 } else { 25 };
            script = match random.below(10) {
                0 => script.then(depth()),
                1 => script.then(accepting()),
                _ if random.chance(pushes) => script.then(push(i)),
                _ => script.then(pop()),
            };
        }
        script = script.then(Op::Close {}).then(push(1_000)).times(3, &pop());
        script.then(Op::Drain {}).then(pop()).end()
    };
    (1..=8).map(case).collect()
}

fn rules(discipline: Discipline) -> RulesConfig {
    RulesConfig { discipline, target_ns: Ns(5 * MS), interval_ns: Ns(100 * MS), lanes: 1, max_age_ns: None }
}

fn with(config: Config, rules: RulesConfig) -> Config {
    Config { rules: Some(rules), ..config }
}

fn load() -> Op {
    Op::Load {}
}

fn counts() -> Op {
    Op::Counts {}
}

fn push_to(item: u32, lane: usize) -> Op {
    Op::TryPushWith { item: item.into(), lane, deadline_ns: None }
}

fn push_until(item: u32, deadline: u64) -> Op {
    Op::TryPushWith { item: item.into(), lane: 0, deadline_ns: Some(Ns(deadline)) }
}

/// An item that waits for `delay` before it is popped.
fn waits(script: Queue, item: u32, delay: u64) -> Queue {
    script.then(push(item)).after(delay * MS).then(pop()).then(load())
}

fn watermarked() -> Config {
    config(10, 0.8, 0.5)
}

fn codel() -> Cases {
    let config = || with(Config { sojourn: true, ..config(100, 1.0, 0.5) }, rules(Discipline::Codel));
    let folly = queue(
        "codel_as_folly_basic",
        "the delays of folly's CodelTest.Basic, at its moments: 100 ms kept, then 50 ms kept and dropped, 2 ms kept, \
         20 ms dropped",
        config(),
    )
    // Pushed so that each is popped at folly's moment after folly's delay.
    .after(10 * MS)
    .then(push(1))
    .after(100 * MS)
    .then(pop())
    .after(40 * MS)
    .then(push(2))
    .then(push(3))
    .after(50 * MS)
    .then(pop())
    .then(load())
    .then(pop())
    .after(108 * MS)
    .then(push(4))
    .after(2 * MS)
    .then(pop())
    .then(load())
    .after(70 * MS)
    .then(push(5))
    .then(push(6))
    .after(20 * MS)
    .then(pop())
    .then(counts())
    .end();
    let one =
        waits(queue("codel_one_delay", "one slow item is no overload, as folly's oneRequestNoDrop", config()), 1, 20);
    let target = (0..12).fold(
        queue("codel_at_the_target", "delays of exactly the target, and of exactly twice it, drop nobody", config()),
        |script, i| waits(waits(script, 2 * i, 5), 2 * i + 1, 10),
    );
    let overload = (0..40).fold(
        queue(
            "codel_overload_and_back",
            "a standing queue is cut to what is fresh, and nobody is dropped after",
            config(),
        )
        .each(0..30, |script, i| script.then(push(i)).after(MS)),
        |script, i| script.then(push(100 + i)).after(4 * MS).then(pop()).then(load()),
    );
    vec![
        folly,
        one.end(),
        target.end(),
        overload.times(20, &pop()).then(load()).then(depth()).then(counts()).end(),
        queue(
            "codel_makes_room",
            "what is dropped opens the queue below the low mark",
            with(watermarked(), rules(Discipline::Codel)),
        )
        .each(0..9, |script, i| script.then(push(i)))
        .after(50 * MS)
        .then(pop())
        .then(pop())
        .then(accepting())
        .then(pop())
        .then(accepting())
        .then(push(9))
        .then(counts())
        .end(),
        queue(
            "codel_when_the_clock_steps_back",
            "an interval begun by a clock ahead is over once it is right",
            config(),
        )
        .then(push(0))
        .then(pop())
        .after(3_600_000 * MS)
        .then(push(1))
        .then(push(2))
        .after(50 * MS)
        .then(pop())
        .then(pop())
        .at(10 * MS)
        .then(push(3))
        .then(push(4))
        .after(20 * MS)
        .then(pop())
        .then(pop())
        .then(load())
        .end(),
    ]
}

fn lifo() -> Cases {
    let config =
        |capacity| with(Config { sojourn: true, ..config(capacity, 1.0, 0.5) }, rules(Discipline::AdaptiveLifo));
    vec![
        queue("lifo_only_under_overload", "first in, first out while nobody waits long", config(8))
            .each(0..4, |script, i| script.then(push(i)).after(MS))
            .times(4, &pop())
            .then(load())
            .end(),
        queue("lifo_under_overload", "the newest first, what waited longer than 10 ms is dropped before", config(20))
            .each(0..3, |script, i| script.then(push(i)))
            .after(20 * MS)
            .then(pop())
            .then(pop())
            .then(load())
            .each(3..9, |script, i| script.then(push(i)).after(2 * MS))
            .then(pop())
            .then(push(20))
            .then(pop())
            .then(pop())
            .then(depth())
            .then(load())
            .times(4, &pop())
            .then(counts())
            .end(),
        queue("lifo_and_back", "once an interval had a fresh oldest item, the oldest goes first again", config(20))
            .each(0..3, |script, i| script.then(push(i)))
            .after(20 * MS)
            .then(pop())
            .then(pop())
            .after(MS)
            .then(push(3))
            .then(push(4))
            .then(pop())
            .then(load())
            .after(101 * MS)
            .then(pop())
            .then(push(5))
            .then(push(6))
            .then(pop())
            .then(load())
            .then(pop())
            .then(pop())
            .end(),
    ]
}

fn expiry() -> Cases {
    let aged = |capacity| {
        with(config(capacity, 1.0, 0.5), RulesConfig { max_age_ns: Some(Ns(30 * MS)), ..rules(Discipline::Fifo) })
    };
    vec![
        queue(
            "max_age",
            "what waited longer is dropped as it comes to the front, at exactly the age it is not",
            aged(5),
        )
        .then(push(1))
        .after(10 * MS)
        .then(push(2))
        .after(20 * MS)
        .then(pop())
        .after(10 * MS + 1)
        .then(push(3))
        .then(depth())
        .then(pop())
        .then(pop())
        .then(counts())
        .end(),
        queue("max_age_after_close", "the rules hold for the rest of a closed queue, but not for a drain", aged(5))
            .each(0..4, |script, i| script.then(push(i)).after(12 * MS))
            .then(Op::Close {})
            .then(pop())
            .then(Op::Drain {})
            .then(pop())
            .then(counts())
            .end(),
        queue("deadlines", "each item has its own; at the deadline itself it is handed out", config(9, 1.0, 0.5))
            .then(push_until(1, 5 * MS))
            .then(push(2))
            .then(push_until(3, 20 * MS))
            .then(push_until(4, 5 * MS))
            .after(5 * MS)
            .then(pop())
            .after(1)
            .then(pop())
            .after(15 * MS)
            .then(pop())
            .then(pop())
            .then(push(5))
            .after(3_600_000 * MS)
            .then(pop())
            .then(counts())
            .end(),
        queue(
            "deadline_of_a_slot_ends_with_its_item",
            "an item without one has none, round the ring",
            config(2, 1.0, 0.5),
        )
        .each(0..6, |script, i| script.then(push_until(2 * i, MS)).then(push(2 * i + 1)).after(2 * MS).times(2, &pop()))
        .end(),
        queue("a_clock_that_steps_back_drops_nobody", "a time before the push is no age", aged(5))
            .after(1_000 * MS)
            .then(push(1))
            .then(push_until(2, MS))
            .at(0)
            .then(pop())
            .then(pop())
            .then(counts())
            .end(),
        queue("discard", "everything that waits is dropped because it is closed", config(9, 0.8, 0.5))
            .each(0..8, |script, i| script.then(push(i)))
            .then(pop())
            .then(Op::Discard {})
            .then(depth())
            .then(push(9))
            .then(pop())
            .then(counts())
            .end(),
    ]
}

fn lanes() -> Cases {
    let laned = |capacity, lanes, on_full| {
        with(Config { on_full, ..config(capacity, 1.0, 0.5) }, RulesConfig { lanes, ..rules(Discipline::Fifo) })
    };
    vec![
        queue("lanes_are_strict", "the most urgent first, first in, first out within", laned(20, 3, OnFull::Reject))
            .each(0..9, |script, i| script.then(push_to(i, 2 - i as usize % 3)))
            .times(10, &pop())
            .end(),
        queue("lanes_have_a_floor", "one pop of 20 is of a lower lane, each in turn", laned(300, 3, OnFull::Reject))
            .each(0..300, |script, i| script.then(push_to(i, i as usize / 100)))
            .times(100, &pop())
            .end(),
        queue("the_floor_of_an_empty_lane", "goes to the lowest that waits", laned(100, 4, OnFull::Reject))
            .each(0..100, |script, i| script.then(push_to(i, i as usize % 2)))
            .times(60, &pop())
            .end(),
        queue(
            "lanes_share_the_capacity",
            "and the watermarks",
            with(config(10, 0.8, 0.5), RulesConfig { lanes: 2, ..rules(Discipline::Fifo) }),
        )
        .each(0..9, |script, i| script.then(push_to(i, i as usize % 2)))
        .times(4, &pop())
        .then(accepting())
        .then(push_to(9, 0))
        .then(Op::Drain {})
        .end(),
        queue(
            "drop_oldest_of_the_lowest",
            "room is made by the least urgent, never for it",
            laned(3, 3, OnFull::DropOldest),
        )
        .then(push_to(1, 0))
        .then(push_to(2, 1))
        .then(push_to(3, 1))
        .then(push_to(4, 0))
        .then(push_to(5, 2))
        .then(push_to(6, 1))
        .then(push_to(7, 0))
        .then(push_to(8, 0))
        .then(push_to(9, 1))
        .times(4, &pop())
        .then(counts())
        .end(),
        queue(
            "overload_of_one_lane",
            "each lane has its own delay",
            with(config(50, 1.0, 0.5), RulesConfig { lanes: 2, ..rules(Discipline::Codel) }),
        )
        .each(0..4, |script, i| script.then(push_to(i, 1)))
        .after(50 * MS)
        .then(push_to(10, 0))
        .then(pop())
        .times(2, &pop())
        .then(load())
        .then(push_to(11, 0))
        .times(3, &pop())
        .then(counts())
        .end(),
    ]
}

fn random_by_rules() -> Cases {
    let case = |seed: u64| {
        let mut random = Random::new(100 + seed);
        let discipline = random.pick(&[Discipline::Fifo, Discipline::Codel, Discipline::AdaptiveLifo]);
        let lanes = random.pick(&[1_usize, 1, 2, 4, 8]);
        let max_age_ns = random.pick(&[None, Some(Ns(40 * MS))]);
        let on_full = random.pick(&[OnFull::Reject, OnFull::DropOldest]);
        let capacity = 2 + usize::try_from(random.below(20)).expect("small");
        let config = Config { on_full, sojourn: random.chance(50), ..config(capacity, 0.8, 0.5) };
        let config = with(config, RulesConfig { lanes, max_age_ns, ..rules(discipline) });
        let mut script =
            queue(&format!("random_rules_{seed}"), "pushes and pops by all rules at once, in swings", config);
        for i in 0..120 {
            script = script.after(random.below(4 * MS));
            let pushes = if i / 20 % 2 == 0 { 75 } else { 25 };
            script = match random.below(12) {
                0 => script.then(load()),
                1 => script.then(counts()),
                _ if random.chance(pushes) => {
                    let lane = usize::try_from(random.below(lanes as u64)).expect("small");
                    let deadline_ns = random.chance(30).then(|| Ns(random.below(60) * MS));
                    script.then(Op::TryPushWith { item: i.into(), lane, deadline_ns })
                }
                _ => script.then(pop()),
            };
        }
        script.times(3, &pop()).then(Op::Discard {}).then(counts()).end()
    };
    (1..=10).map(case).collect()
}
