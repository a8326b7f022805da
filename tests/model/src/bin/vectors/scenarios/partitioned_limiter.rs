//! Concurrency limit with partitions.

use crate::random::Random;
use crate::script::{self, S, Script};
use tidegate_model::format::{Case, File};
use tidegate_model::script::partitions::{Config, ModelLimiter, Op};

type Limiter = Script<ModelLimiter>;
type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups = [shares(), demands(), priorities(), random()];
    script::file("partitioned_limiter", groups.into_iter().flatten().collect())
}

fn config(limit: u32, partitions: &[(&str, f64)], priority: &[&str]) -> Config {
    let partitions = partitions.iter().map(|&(name, share)| (name.to_owned(), share)).collect();
    Config { limit, partitions, priority: priority.iter().map(ToString::to_string).collect() }
}

fn limiter(name: &str, why: &str, config: Config) -> Limiter {
    Script::new(name, why, config)
}

fn ask(of: &str, number: u32) -> Op {
    let partition = (!of.is_empty()).then(|| of.to_owned());
    Op::TryAcquire { name: format!("{}{number}", if of.is_empty() { "rest" } else { of }), partition }
}

fn release(of: &str, number: u32) -> Op {
    Op::Release { permit: format!("{of}{number}") }
}

fn look(of: &str) -> Op {
    Op::Partition { partition: of.to_owned() }
}

const BOTH: [(&str, f64); 2] = [("live", 0.9), ("batch", 0.1)];

fn shares() -> Cases {
    vec![
        limiter("lent", "what nobody uses is lent to whoever asks, to the last place", config(10, &BOTH, &[]))
            .each(0..11, |script, i| script.then(ask("batch", i)))
            .then(look("batch"))
            .end(),
        limiter(
            "called_back",
            "after its refusal the first place given back is its owner's, whichever that is; so are the next",
            config(10, &BOTH, &[]),
        )
        .each(0..10, |script, i| script.then(ask("batch", i)))
        .each(0..9, |script, i| {
            let script = script.then(ask("live", 2 * i)).then(look("live")).then(release("batch", (7 * i) % 10));
            script.then(ask("batch", 20 + i)).then(ask("", i)).then(ask("live", 2 * i + 1))
        })
        .then(ask("live", 100))
        .then(ask("batch", 100))
        .then(look("live"))
        .then(look("batch"))
        .end(),
        limiter(
            "an_owner_has_its_share",
            "an owner takes what is free of its share at any time",
            config(4, &[("a", 0.5), ("b", 0.5)], &[]),
        )
        .each(0..3, |script, i| script.then(ask("a", i)))
        .then(ask("b", 0))
        .then(ask("b", 1))
        .then(release("a", 1))
        .then(ask("a", 3))
        .then(ask("b", 2))
        .then(ask("a", 4))
        .then(look("a"))
        .then(look("b"))
        .end(),
        limiter(
            "rounded_down",
            "a share is rounded down to whole places, thirds as they are meant; the rest is for who comes first",
            config(7, &[("a", 1.0 / 3.0), ("b", 1.0 / 3.0), ("c", 1.0 / 3.0)], &[]),
        )
        .each(0..8, |script, i| script.then(ask("a", i)))
        .then(look("a"))
        .each(0..3, |script, i| script.then(ask("b", i)))
        .each(0..6, |script, i| {
            script.then(release("a", i)).then(ask("b", 10 + i)).then(ask("c", i)).then(ask("a", 20 + i))
        })
        .then(look("b"))
        .then(look("c"))
        .end(),
        limiter("nothing_of_little", "of a small limit a small share is no place at all", config(9, &BOTH, &[]))
            .then(look("batch"))
            .each(0..9, |script, i| script.then(ask("live", i)))
            .then(ask("batch", 0))
            .then(release("live", 0))
            .then(ask("live", 20))
            .end(),
    ]
}

fn demands() -> Cases {
    vec![
        limiter("as_many_as_asked", "as many places are kept as were in need, no more", config(10, &BOTH, &[]))
            .each(0..10, |script, i| script.then(ask("batch", i)))
            .each(0..3, |script, i| script.then(ask("live", i)))
            .then(look("live"))
            .each(0..5, |script, i| script.then(release("batch", i)))
            .each(0..3, |script, i| script.then(ask("batch", 20 + i)))
            .each(0..4, |script, i| script.then(ask("live", 20 + i)))
            .then(look("live"))
            .end(),
        limiter("fades", "what was called back is lent again, all of it after 5 s", config(10, &BOTH, &[]))
            .each(0..10, |script, i| script.then(ask("batch", i)))
            .each(0..9, |script, i| script.then(ask("live", i)))
            .each(0..10, |script, i| script.then(release("batch", i)))
            .each(0..6, |script, i| script.after(S).then(look("live")).then(ask("batch", 100 + i)))
            .each(0..10, |script, i| script.then(ask("batch", 200 + i)))
            .end(),
        limiter("renewed", "each refusal keeps it for another 5 s", config(2, &[("live", 0.5), ("batch", 0.5)], &[]))
            .then(ask("batch", 0))
            .then(ask("batch", 1))
            .each(0..5, |script, i| script.after(4 * S).then(ask("live", i)))
            .then(release("batch", 0))
            .after(4 * S)
            .then(ask("batch", 2))
            .after(2 * S)
            .then(ask("batch", 3))
            .end(),
        limiter("far_ahead", "a reading far ahead is a bad one, and keeps nothing", config(2, &[("live", 0.5)], &[]))
            .after(60 * S)
            .then(ask("", 0))
            .then(ask("", 1))
            .then(ask("live", 0))
            .back(50 * S)
            .then(release("rest", 0))
            .then(ask("", 2))
            .end(),
    ]
}

fn priorities() -> Cases {
    let three = [("live", 0.4), ("web", 0.2), ("batch", 0.2)];
    let play = |script: Limiter| {
        script
            .each(0..10, |script, i| script.then(ask("", i)))
            .each(0..12, |script, i| {
                let script = script.then(ask("batch", i)).then(ask("web", i)).then(ask("live", i));
                if i < 10 { script.then(release("rest", i)) } else { script }
            })
            .then(look("live"))
            .then(look("web"))
            .then(look("batch"))
            .end()
    };
    vec![
        play(limiter("no_priority", "shares, and what is left to who comes first", config(10, &three, &[]))),
        play(limiter(
            "one_first",
            "who comes first has all that nobody else is guaranteed",
            config(10, &three, &["live"]),
        )),
        play(limiter("all_in_order", "each before those behind it", config(10, &three, &["batch", "web", "live"]))),
        limiter(
            "starved_for_a_while",
            "those behind borrow again when who comes first has not been refused for a while",
            config(4, &[("live", 0.25)], &["live"]),
        )
        .each(0..4, |script, i| script.then(ask("", i)))
        .each(0..6, |script, i| script.then(ask("live", i)))
        .then(look("live"))
        .each(0..4, |script, i| script.then(release("rest", i)).then(ask("", 10 + i)))
        .each(0..5, |script, i| script.after(S).then(look("live")).then(ask("", 20 + i)))
        .end(),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let limit = 1 + random.below(12) as u32;
        let all = [("a", 0.25), ("b", 0.125), ("c", 0.5), ("d", 0.125)];
        let names = ["a", "b", "c", "d", ""];
        let count = 1 + random.below(4) as usize;
        let ranked = random.below(count as u64 + 1) as usize;
        let config = config(limit, &all[..count], &names[..ranked]);
        let mut script = limiter(&format!("random_{seed}"), "all of it mixed, and time", config);
        let mut given: Vec<Op> = Vec::new();
        for i in 0..200 {
            script = match random.below(20) {
                0 => script.after(random.below(3 * S)),
                1 => script.then(look(names[random.below(count as u64) as usize])),
                n if n < 13 || given.is_empty() => {
                    let of = random.pick(&names[..count]);
                    let of = if random.chance(15) { "" } else { of };
                    script = script.then(ask(of, i));
                    if script.last_answer()["permit"] == true {
                        given.push(release(if of.is_empty() { "rest" } else { of }, i));
                    }
                    script
                }
                _ => {
                    let index = random.below(given.len() as u64) as usize;
                    script.then(given.swap_remove(index))
                }
            };
        }
        script.end()
    };
    (1..=8).map(case).collect()
}
