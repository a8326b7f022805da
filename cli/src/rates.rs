//! How fast counters move between two pictures.

use crate::snapshot::{ObjectView, Seen, Snapshot};

/// Of one object, each second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) admitted: f64,
    pub(crate) denied: f64,
}

impl Rates {
    /// `None`: it was not there before, was made anew, or no time has passed.
    pub(crate) fn of(seen: &Seen, now: &Snapshot, before: &Snapshot) -> Option<Self> {
        let then = before.objects.iter().find(|then| then.info.name == seen.info.name)?;
        let (view, then) = (seen.view.as_ref().ok()?, then.view.as_ref().ok()?);
        Self::between(view, then, now.taken_ns.checked_sub(before.taken_ns)?)
    }

    fn between(now: &ObjectView, before: &ObjectView, ns: u64) -> Option<Self> {
        if std::mem::discriminant(now) != std::mem::discriminant(before) || ns == 0 {
            return None;
        }
        let ((admitted, denied), (admitted_then, denied_then)) = (now.decided(), before.decided());
        let each_second = |now: u64, then: u64| Some(now.checked_sub(then)? as f64 * 1e9 / ns as f64);
        Some(Self { admitted: each_second(admitted, admitted_then)?, denied: each_second(denied, denied_then)? })
    }

    /// The denied part of all calls; `None` without any.
    pub(crate) fn denial_rate(self) -> Option<f64> {
        let all = self.admitted + self.denied;
        (all > 0.0).then(|| self.denied / all)
    }
}

/// The denied part of all calls there ever were.
pub(crate) fn denial_rate(view: &ObjectView) -> Option<f64> {
    let (admitted, denied) = view.decided();
    Rates { admitted: admitted as f64, denied: denied as f64 }.denial_rate()
}
