//! Keys as the vector files spell them.

use serde::{Deserialize, Serialize};

/// Text, bytes in hexadecimal, or a text many times over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the forms")]
pub enum Key {
    Text(String),
    Bytes { hex: String },
    Long { repeat: String, times: usize },
}

impl Key {
    /// The key itself.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Bytes { hex } => (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hexadecimal digits a byte"))
                .collect(),
            Self::Long { repeat, times } => repeat.repeat(*times).into_bytes(),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
