//! Switches for the operator: off, and only watching.

use crate::Decision;

/// What a limit does with its decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Decides.
    Enforce,
    /// Decides, charges and counts, but refuses nothing: what it would have denied is in `would_deny`.
    DryRun,
    /// Admits everything and touches nothing.
    Disabled,
}

impl Mode {
    /// `Disabled` where the environment says `TIDEGATE_DISABLED=1` (or `true`, `yes`, `on`), else `Enforce`.
    pub fn from_env() -> Self {
        let off = std::env::var("TIDEGATE_DISABLED")
            .is_ok_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"));
        if off { Self::Disabled } else { Self::Enforce }
    }

    /// What the caller hears of a decision: a dry run refuses nothing.
    pub(crate) fn answer(self, decision: Decision) -> Decision {
        match self {
            Self::DryRun if !decision.allowed => Decision { allowed: true, retry_after_ns: 0, delay_ns: 0, ..decision },
            _ => decision,
        }
    }

    /// From the two switches that the bindings offer; `enabled` is `None` where the caller said nothing.
    pub fn of(enabled: Option<bool>, dry_run: bool) -> Self {
        match (enabled, Self::from_env()) {
            (Some(false), _) | (_, Self::Disabled) => Self::Disabled,
            _ if dry_run => Self::DryRun,
            _ => Self::Enforce,
        }
    }
}

impl Default for Mode {
    /// [`from_env`](Self::from_env).
    fn default() -> Self {
        Self::from_env()
    }
}
