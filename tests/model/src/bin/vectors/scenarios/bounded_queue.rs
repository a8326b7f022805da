//! Bounded queue.

use crate::random::Random;
use crate::script::{self, MS, Script};
use tidegate_model::format::{Case, File};
use tidegate_model::script::queue::{Config, ModelQueue, OnFull, Op};

type Queue = Script<ModelQueue>;
type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups = [watermarks(), full(), closing(), waiting(), random()];
    script::file("bounded_queue", groups.into_iter().flatten().collect())
}

fn config(capacity: usize, high: f64, low: f64) -> Config {
    Config { capacity, high_watermark: high, low_watermark: low, on_full: OnFull::Reject, sojourn: false }
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
