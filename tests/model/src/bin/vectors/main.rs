//! Writes `tests/vectors/*.json` from the models, or checks that the committed files are what the models say.

mod random;
mod scenarios;
mod script;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let files = [
        ("token_bucket.json", scenarios::token_bucket::file().render()),
        ("circuit_breaker.json", scenarios::circuit_breaker::file().render()),
        ("breaker_registry.json", scenarios::breaker_registry::file().render()),
        ("bounded_queue.json", scenarios::bounded_queue::file().render()),
        ("concurrency_limiter.json", scenarios::concurrency_limiter::file().render()),
        ("adaptive_limiter.json", scenarios::adaptive_limiter::file().render()),
        ("partitioned_limiter.json", scenarios::partitioned_limiter::file().render()),
        ("rate_limiter.json", scenarios::rate_limiter::file().render()),
        ("limit_set.json", scenarios::limit_set::file().render()),
        ("retry_policy.json", scenarios::retry_policy::file().render()),
        ("retry_budget.json", scenarios::retry_budget::file().render()),
        ("client_throttle.json", scenarios::client_throttle::file().render()),
        ("load_shedder.json", scenarios::load_shedder::file().render()),
        ("gate.json", scenarios::gate::file().render()),
    ];
    match mode.as_deref() {
        Some("write") => {
            for (name, text) in files {
                std::fs::write(folder.join(name), text).expect("the folder is part of the repository");
            }
            ExitCode::SUCCESS
        }
        Some("check") => {
            let stale = files
                .iter()
                .filter(|(name, text)| std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text));
            let stale: Vec<_> = stale.map(|(name, _)| *name).collect();
            if stale.is_empty() {
                println!("vectors: {} files are what the models say", files.len());
                return ExitCode::SUCCESS;
            }
            eprintln!("vectors: {} differ from what the models say", stale.join(", "));
            eprintln!("run: cargo run -p tidegate-model --bin vectors -- write, and read the difference");
            ExitCode::FAILURE
        }
        _ => {
            eprintln!("usage: vectors write|check");
            ExitCode::from(2)
        }
    }
}
