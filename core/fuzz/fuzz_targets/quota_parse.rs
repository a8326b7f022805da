//! Any text is a quota that numbers can make as well, or an error that says something.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::Quota;

fuzz_target!(|text: &str| {
    match text.parse::<Quota>() {
        Ok(quota) => {
            let again =
                Quota::new(quota.count(), quota.period()).and_then(|again| again.with_burst(quota.burst().into()));
            assert_eq!(again.as_ref(), Ok(&quota), "{text:?}");
        }
        Err(error) => assert!(!error.message().is_empty() && !error.field().is_empty()),
    }
    if let Ok(many) = Quota::parse_many(text) {
        assert!(!many.is_empty());
    }
});
