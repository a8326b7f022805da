//! Concurrency limiter.

use crate::random::Random;
use crate::script::{self, Script};
use tidegate_model::format::{Case, File};
use tidegate_model::script::concurrency::{Config, ModelLimiter, Op};

type Limiter = Script<ModelLimiter>;
type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups = [permits(), limits(), switches(), lines(), random()];
    script::file("concurrency_limiter", groups.into_iter().flatten().collect())
}

fn config(limit: u32, max_limit: u32) -> Config {
    Config { limit, max_limit, enabled: true, dry_run: false, max_waiting: None, order: "fifo".to_owned() }
}

fn limiter(name: &str, why: &str, config: Config) -> Limiter {
    Script::new(name, why, config)
}

fn acquire(number: u32) -> Op {
    Op::TryAcquire { name: format!("p{number}") }
}

fn release(number: u32) -> Op {
    Op::Release { permit: format!("p{number}") }
}

fn set_limit(limit: u32) -> Op {
    Op::SetLimit { limit }
}

fn in_use() -> Op {
    Op::InUse {}
}

fn stats() -> Op {
    Op::Stats {}
}

fn permits() -> Cases {
    vec![
        limiter("exactly_the_limit", "ten run at once, the eleventh does not, until one is done", config(10, 10))
            .each(0..11, |script, i| script.then(acquire(i)))
            .then(in_use())
            .then(release(4))
            .then(acquire(11))
            .then(acquire(12))
            .then(stats())
            .end(),
        limiter("one", "a mutex that says no instead of waiting", config(1, 1))
            .each(0..5, |script, i| {
                script.then(acquire(2 * i)).then(acquire(2 * i + 1)).then(release(2 * i)).then(in_use())
            })
            .then(stats())
            .end(),
        limiter("released_once", "giving back a second time is refused and frees nobody else's place", config(2, 2))
            .then(acquire(1))
            .then(acquire(2))
            .then(release(1))
            .then(release(1))
            .then(in_use())
            .then(acquire(3))
            .then(release(1))
            .then(in_use())
            .then(acquire(4))
            .then(stats())
            .end(),
        limiter("many_rounds", "the same places again and again, in whatever order they come back", config(3, 3))
            .each(0..20, |script, i| {
                let script = script.each(0..4, |script, j| script.then(acquire(10 * i + j)));
                script.each(0..3, |script, j| script.then(release(10 * i + (i + j) % 3))).then(in_use())
            })
            .then(stats())
            .end(),
        limiter("more_than_a_line_of_places", "a hundred places, all of them to be had", config(100, 100))
            .each(0..101, |script, i| script.then(acquire(i)))
            .each(0..100, |script, i| script.then(release((37 * i) % 100)))
            .then(stats())
            .end(),
    ]
}

fn limits() -> Cases {
    vec![
        limiter("raised", "a higher limit admits at once", config(2, 5))
            .each(0..3, |script, i| script.then(acquire(i)))
            .then(set_limit(5))
            .each(3..7, |script, i| script.then(acquire(i)))
            .then(stats())
            .end(),
        limiter(
            "lowered",
            "what is held above a lower limit stays, and nobody comes in before fewer than it are held",
            config(6, 6),
        )
        .each(0..6, |script, i| script.then(acquire(i)))
        .then(set_limit(3))
        .each(0..4, |script, i| script.then(acquire(100 + i)).then(release(i)).then(in_use()))
        .each(0..2, |script, i| script.then(acquire(200 + i)))
        .then(stats())
        .end(),
        limiter("lowered_from_behind", "the same when the last to come are the first to go", config(6, 6))
            .each(0..6, |script, i| script.then(acquire(i)))
            .then(set_limit(2))
            .each(0..5, |script, i| script.then(acquire(100 + i)).then(release(5 - i)).then(in_use()))
            .each(0..2, |script, i| script.then(acquire(200 + i)))
            .then(stats())
            .end(),
        limiter("lowered_and_raised", "a limit that goes up and down loses no place", config(4, 8))
            .each(0..4, |script, i| script.then(acquire(i)))
            .then(set_limit(1))
            .then(release(0))
            .then(acquire(10))
            .then(set_limit(8))
            .each(20..26, |script, i| script.then(acquire(i)))
            .then(set_limit(4))
            .then(release(1))
            .then(acquire(30))
            .then(stats())
            .end(),
    ]
}

fn switches() -> Cases {
    let play = |script: Limiter| {
        script
            .each(0..4, |script, i| script.then(acquire(i)))
            .then(in_use())
            .each(0..4, |script, i| script.then(release(i)))
            .then(stats())
            .end()
    };
    vec![
        play(limiter(
            "dry_run",
            "it refuses nothing and counts what it would have denied; a permit beyond the limit is nobody's",
            Config { dry_run: true, ..config(2, 2) },
        )),
        play(limiter(
            "disabled",
            "it admits everything and counts nothing; its permits are nobody's",
            Config { enabled: false, ..config(2, 2) },
        )),
    ]
}

fn wait(number: u32) -> Op {
    Op::Wait { name: format!("w{number}") }
}

fn take(number: u32) -> Op {
    Op::Take { waiter: format!("w{number}"), name: format!("p{number}") }
}

fn give_up(number: u32) -> Op {
    Op::GiveUp { waiter: format!("w{number}") }
}

/// Who waits, in both orders. One who has been given a permit takes it before anything else happens.
fn lines() -> Cases {
    let of = |order: &str, name: &str, why: &str, limit, max_limit, max_waiting| {
        let order = order.to_owned();
        let config = Config { max_waiting, order: order.clone(), ..config(limit, max_limit) };
        limiter(&format!("{order}_{name}"), why, config)
    };
    let both = |order: &str| {
        // Who is served of three in the line, and in what order.
        let served = if order == "fifo" { [1, 2, 3] } else { [3, 2, 1] };
        let [first, second, third] = served;
        vec![
            of(order, "order", "three wait for one place and get it in their order, each when it is free", 1, 1, None)
                .then(acquire(0))
                .each(1..4, |script, i| script.then(wait(i)))
                .then(take(first))
                .then(release(0))
                .then(take(first))
                .then(take(second))
                .then(acquire(9))
                .then(release(first))
                .then(take(second))
                .then(release(second))
                .then(take(third))
                .then(release(third))
                .then(stats())
                .end(),
            of(order, "gone", "who has left is passed over: the place goes to the one behind it", 1, 1, None)
                .then(acquire(0))
                .each(1..4, |script, i| script.then(wait(i)))
                .then(give_up(first))
                .then(release(0))
                .then(take(second))
                .then(release(second))
                .then(take(third))
                .then(release(third))
                .then(stats())
                .end(),
            of(order, "full", "two wait at most: the third is refused at once, whoever is served next", 1, 1, Some(2))
                .then(acquire(0))
                .each(1..4, |script, i| script.then(wait(i)))
                .then(release(0))
                .then(take(if order == "fifo" { 1 } else { 2 }))
                .then(wait(4))
                .then(wait(5))
                .then(release(if order == "fifo" { 1 } else { 2 }))
                .then(take(if order == "fifo" { 2 } else { 4 }))
                .then(release(if order == "fifo" { 2 } else { 4 }))
                .then(take(if order == "fifo" { 4 } else { 1 }))
                .then(stats())
                .end(),
            of(order, "left", "two wait at most: who leaves frees its place for another who waits", 1, 1, Some(2))
                .then(acquire(0))
                .each(1..4, |script, i| script.then(wait(i)))
                .then(give_up(1))
                .then(wait(4))
                .then(wait(5))
                .then(release(0))
                .then(take(if order == "fifo" { 2 } else { 4 }))
                .then(release(if order == "fifo" { 2 } else { 4 }))
                .then(take(if order == "fifo" { 4 } else { 2 }))
                .then(stats())
                .end(),
            of(order, "raised", "a higher limit lets in as many as fit, in their order", 1, 3, None)
                .then(acquire(0))
                .each(1..4, |script, i| script.then(wait(i)))
                .then(set_limit(3))
                .then(take(first))
                .then(take(second))
                .then(take(third))
                .then(release(first))
                .then(take(third))
                .then(stats())
                .end(),
            of(
                order,
                "newcomer",
                "who comes while others wait is one of them, and has the place of its turn",
                1,
                1,
                None,
            )
            .then(acquire(0))
            .then(wait(1))
            .then(wait(2))
            .then(release(0))
            .then(take(if order == "fifo" { 1 } else { 2 }))
            .then(wait(3))
            .then(release(if order == "fifo" { 1 } else { 2 }))
            .then(take(if order == "fifo" { 2 } else { 3 }))
            .then(release(if order == "fifo" { 2 } else { 3 }))
            .then(take(if order == "fifo" { 3 } else { 1 }))
            .then(stats())
            .end(),
        ]
    };
    ["fifo", "lifo"].into_iter().flat_map(both).collect()
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let max_limit = 1 + random.below(12) as u32;
        let limit = 1 + random.below(max_limit.into()) as u32;
        let dry_run = random.chance(20);
        let config = Config { dry_run, ..config(limit, max_limit) };
        let mut script = limiter(&format!("random_{seed}"), "all of it mixed, also giving back twice", config);
        let mut given: Vec<u32> = Vec::new();
        for i in 0..150 {
            script = match random.below(20) {
                0 => script.then(set_limit(1 + random.below(max_limit.into()) as u32)),
                1 | 2 => script.then(in_use()),
                n if n < 12 || given.is_empty() => {
                    script = script.then(acquire(i));
                    if script.last_answer()["permit"] == true {
                        given.push(i);
                    }
                    script
                }
                _ => script.then(release(random.pick(&given))),
            };
        }
        script.then(stats()).end()
    };
    (1..=8).map(case).collect()
}
