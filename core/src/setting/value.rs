//! A config's settings by their descriptions, so that who has all of them need not name each.

use super::Field;
use std::time::Duration;

/// What a setting is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// A fraction or a factor.
    Real(f64),
    /// A span of time.
    Span(Duration),
}

/// A place for a value within a config.
pub(crate) trait Slot {
    /// What it holds; `None`: it is left out.
    fn value(&self) -> Option<Value>;

    /// Puts a value in, or takes it out.
    ///
    /// # Panics
    /// It is not of the setting's kind, or nothing where there is always something.
    fn put(&mut self, field: &Field, value: Option<Value>);
}

macro_rules! slots {
    ($($type:ty: $to:expr, $kind:ident($of:ident) => $from:expr;)+) => {$(
        impl Slot for $type {
            fn value(&self) -> Option<Value> {
                Some(Value::$kind($to(*self)))
            }

            fn put(&mut self, field: &Field, value: Option<Value>) {
                *self = match value {
                    Some(Value::$kind($of)) => $from,
                    other => panic!("{} cannot be {other:?}", field.name),
                };
            }
        }

        impl Slot for Option<$type> {
            fn value(&self) -> Option<Value> {
                self.as_ref().and_then(Slot::value)
            }

            fn put(&mut self, field: &Field, value: Option<Value>) {
                *self = value.map(|value| {
                    let mut own = <$type>::default();
                    own.put(field, Some(value));
                    own
                });
            }
        }
    )+};
}

slots! {
    // What is more than fits is outside of every range.
    u32: u64::from, Count(count) => u32::try_from(count).unwrap_or(u32::MAX);
    f64: f64::from, Real(real) => real;
    Duration: Duration::from, Span(span) => span;
}
