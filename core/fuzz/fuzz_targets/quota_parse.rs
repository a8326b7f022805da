//! Any text is a quota that numbers can make as well, or an error that says something.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tidegate::Quota;

/// In which a burst must come back.
const LONGEST: Duration = Duration::from_secs(36 * 365 * 86_400);

fuzz_target!(|text: &str| {
    match text.parse::<Quota>() {
        // A count with a fraction may become more, in more time, than `Quota::new` takes with the burst that it gives:
        // 31.11 per year are 3,111 per century, with a burst of 32.
        Ok(quota) if quota.period() > LONGEST || quota.count() > u32::MAX.into() => {
            assert!(quota.fill_time() <= LONGEST, "{text:?}");
        }
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
