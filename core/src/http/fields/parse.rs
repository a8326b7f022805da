//! The two fields as a client reads them.

use super::structured::{Bare, Item, list};
use crate::ConfigError;

/// A member of `RateLimit-Policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaPolicy {
    /// The policy's name.
    pub name: String,
    /// `q`: the quota, in `unit`.
    pub quota: u64,
    /// `w`: the window, in seconds.
    pub window: Option<u64>,
    /// `qu`: the quota's unit; `None` means requests.
    pub unit: Option<String>,
    /// `pk`: what the quota is counted per.
    pub partition_key: Option<Vec<u8>>,
}

/// A member of `RateLimit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLimit {
    /// The policy's name.
    pub name: String,
    /// `r`: what is left.
    pub remaining: u64,
    /// `t`: seconds until there is more.
    pub reset: Option<u64>,
    /// `pk`: what the quota is counted per.
    pub partition_key: Option<Vec<u8>>,
}

/// Reads the value of `RateLimit-Policy`; several lines of the field are joined by commas first.
///
/// Strict, as RFC 9651 and the draft want it: the whole field or nothing. Unknown parameters must be well formed and
/// are dropped; of two of one name the later counts.
///
/// Errors: `rate_limit_policy`, kind [`Syntax`](crate::ConfigErrorKind::Syntax), with what was expected and where. A
/// client ignores such a field.
pub fn parse_policies(value: &str) -> Result<Vec<QuotaPolicy>, ConfigError> {
    let field = Field("rate_limit_policy");
    let policies = field.members(value, |mut item| {
        let quota = item.number("q")?.ok_or("q is missing")?;
        let window = item.number("w")?;
        if window == Some(0) {
            return Err("w is zero");
        }
        let (unit, partition_key) = (item.string("qu")?, item.bytes("pk")?);
        Ok(QuotaPolicy { name: item.value, quota, window, unit, partition_key })
    })?;
    if policies.is_empty() { Err(field.malformed("there is no policy in it")) } else { Ok(policies) }
}

/// Reads the value of `RateLimit`; several lines of the field are joined by commas first. An empty one has no members.
///
/// Errors: `rate_limit`, as [`parse_policies`].
pub fn parse_service_limits(value: &str) -> Result<Vec<ServiceLimit>, ConfigError> {
    Field("rate_limit").members(value, |mut item| {
        let remaining = item.number("r")?.ok_or("r is missing")?;
        let (reset, partition_key) = (item.number("t")?, item.bytes("pk")?);
        Ok(ServiceLimit { name: item.value, remaining, reset, partition_key })
    })
}

/// A field under its argument's name.
struct Field(&'static str);

impl Field {
    fn members<T>(
        &self,
        value: &str,
        member: impl Fn(Item<'_>) -> Result<T, &'static str>,
    ) -> Result<Vec<T>, ConfigError> {
        let items = list(value)
            .map_err(|error| self.malformed(&format!("expected {} at byte {}", error.expected, error.at)))?;
        let read = |(index, item)| {
            member(item).map_err(|what| self.malformed(&format!("{what} in member {} of the list", index + 1)))
        };
        items.into_iter().enumerate().map(read).collect()
    }

    fn malformed(&self, what: &str) -> ConfigError {
        ConfigError::syntax(self.0, format!("{what}; a malformed field is ignored as a whole"))
    }
}

impl Item<'_> {
    fn parameter(&mut self, name: &str) -> Option<Bare> {
        let index = self.parameters.iter().position(|(known, _)| *known == name)?;
        Some(self.parameters.swap_remove(index).1)
    }

    fn number(&mut self, name: &'static str) -> Result<Option<u64>, &'static str> {
        match self.parameter(name) {
            None => Ok(None),
            Some(Bare::Integer(number)) => u64::try_from(number).map(Some).map_err(|_| "a number below zero"),
            Some(_) => Err("a parameter that must be a whole number"),
        }
    }

    fn string(&mut self, name: &str) -> Result<Option<String>, &'static str> {
        match self.parameter(name) {
            None => Ok(None),
            Some(Bare::String(text)) => Ok(Some(text)),
            Some(_) => Err("a parameter that must be a string"),
        }
    }

    fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, &'static str> {
        match self.parameter(name) {
            None => Ok(None),
            Some(Bare::Bytes(bytes)) => Ok(Some(bytes)),
            Some(_) => Err("a parameter that must be a byte sequence"),
        }
    }
}
