//! Bodies of refusals: `application/problem+json` (RFC 9457) with the problem types of
//! draft-ietf-httpapi-ratelimit-headers-10 section 5.

use crate::ConfigError;
use std::fmt::Write as _;
use std::str::FromStr;

/// The media type of [`body`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemType {
    /// A quota is used up: 429.
    QuotaExceeded,
    /// The service protects itself (a full queue, an open circuit, a lowered limit): 503.
    TemporaryReducedCapacity,
    /// The client does what no honest one does, and is blocked for a while: 429.
    AbnormalUsageDetected,
    /// The client is on a deny list: 403. No type of its own (`about:blank`), so its title is the status's.
    Forbidden,
    /// What the request needs did not answer in time: 504. No type of its own either.
    Timeout,
}

impl ProblemType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::QuotaExceeded,
        Self::TemporaryReducedCapacity,
        Self::AbnormalUsageDetected,
        Self::Forbidden,
        Self::Timeout,
    ];

    /// The name in every language: `"quota_exceeded"`, `"temporary_reduced_capacity"`, `"abnormal_usage_detected"`,
    /// `"forbidden"`, `"timeout"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "quota_exceeded",
            Self::TemporaryReducedCapacity => "temporary_reduced_capacity",
            Self::AbnormalUsageDetected => "abnormal_usage_detected",
            Self::Forbidden => "forbidden",
            Self::Timeout => "timeout",
        }
    }

    /// The member `type`: a URI.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "https://iana.org/assignments/http-problem-types#quota-exceeded",
            Self::TemporaryReducedCapacity => {
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
            }
            Self::AbnormalUsageDetected => "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
            Self::Forbidden | Self::Timeout => "about:blank",
        }
    }

    /// The member `title`, as the draft words it (its misspelt "satisifed" mended).
    pub const fn title(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "Request cannot be satisfied as assigned quota has been exceeded",
            Self::TemporaryReducedCapacity => {
                "Request cannot be satisfied due to temporary server capacity constraints"
            }
            Self::AbnormalUsageDetected => "Request not satisfied due to detection of abnormal request pattern",
            Self::Forbidden => "Forbidden",
            Self::Timeout => "Gateway Timeout",
        }
    }

    /// The status that usually goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::QuotaExceeded | Self::AbnormalUsageDetected => 429,
            Self::TemporaryReducedCapacity => 503,
            Self::Forbidden => 403,
            Self::Timeout => 504,
        }
    }

    /// The member `detail` where the caller has nothing better to say.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "Too many requests; Retry-After tells when to come back.",
            Self::TemporaryReducedCapacity => "The service is protecting itself; Retry-After tells when to come back.",
            Self::AbnormalUsageDetected => "Blocked for a while; Retry-After tells when to come back.",
            Self::Forbidden => "This client is not served.",
            Self::Timeout => "What this request needs did not answer in time.",
        }
    }
}

impl FromStr for ProblemType {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|problem| problem.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            ConfigError::syntax("kind", format!("{text:?} is not a problem type; allowed are {names}"))
        })
    }
}

/// The body: JSON without spaces, members in the order type, title, status, detail, violated-policies.
///
/// `status` is the status it is sent with; `violated` are the names of the policies that refused, and the member
/// `violated-policies` is left out where there are none. Any text is escaped, so that none can change the JSON.
///
/// ```
/// use tidegate::http::problem::{ProblemType, body};
/// let problem = ProblemType::QuotaExceeded;
/// let text = body(problem, problem.status(), problem.detail(), &["per-user"]);
/// assert!(text.ends_with(r#","violated-policies":["per-user"]}"#));
/// ```
pub fn body(problem: ProblemType, status: u16, detail: &str, violated: &[&str]) -> String {
    let mut json = String::with_capacity(320);
    json.push_str("{\"type\":");
    push_string(&mut json, problem.uri());
    json.push_str(",\"title\":");
    push_string(&mut json, problem.title());
    // Writing to a String cannot fail.
    let _ = write!(json, ",\"status\":{status},\"detail\":");
    push_string(&mut json, detail);
    for (index, name) in violated.iter().enumerate() {
        json.push_str(if index == 0 { ",\"violated-policies\":[" } else { "," });
        push_string(&mut json, name);
    }
    json.push_str(if violated.is_empty() { "}" } else { "]}" });
    json
}

/// A JSON string (RFC 8259 section 7).
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\0'..='\x1f' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            _ => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn says_what_the_draft_says() {
        let problem = ProblemType::TemporaryReducedCapacity;
        let text = body(problem, 529, problem.detail(), &[]);
        let expected = json!({
            "type": "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
            "title": "Request cannot be satisfied due to temporary server capacity constraints",
            "status": 529,
            "detail": problem.detail(),
        });
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), expected);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_the_json(detail: String, names in prop::collection::vec(any::<String>(), 0..4)) {
            let violated: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = body(ProblemType::QuotaExceeded, 429, &detail, &violated);
            let parsed: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(&parsed["detail"], &json!(detail));
            let expected = (!names.is_empty()).then(|| json!(names));
            prop_assert_eq!(parsed.get("violated-policies"), expected.as_ref());
        }
    }
}
