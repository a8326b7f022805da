//! What settings are set to.

/// What a setting is set to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Real(f64),
    /// Nanoseconds.
    Span(u64),
    Flag(bool),
    Text(String),
    List(Vec<Self>),
    Map(Settings),
}

/// Settings by name, in the order in which they are described.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Settings(pub(super) Vec<(String, Value)>);

impl Settings {
    pub(super) fn put(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    pub(super) fn put_some(&mut self, name: impl Into<String>, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(|value| if let Value::Count(count) = value { Some(*count) } else { None })
    }

    /// A count that its description keeps below 2^32.
    pub(super) fn count32(&self, name: &str) -> Option<u32> {
        self.count(name).and_then(|count| count.try_into().ok())
    }

    pub(super) fn real(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(|value| if let Value::Real(real) = value { Some(*real) } else { None })
    }

    pub(super) fn span(&self, name: &str) -> Option<std::time::Duration> {
        let ns = self.get(name).and_then(|value| if let Value::Span(ns) = value { Some(*ns) } else { None });
        ns.map(std::time::Duration::from_nanos)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(|value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    pub(super) fn map(&self, name: &str) -> Option<&Self> {
        self.get(name).and_then(|value| if let Value::Map(map) = value { Some(map) } else { None })
    }

    /// What is there of a text that its type reads; it was checked by its description.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let Some(Value::List(list)) = self.get(name) else { return Vec::new() };
        list.iter().filter_map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None }).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<f64> for Value {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::List(texts.into_iter().map(Self::Text).collect())
    }
}

impl From<Settings> for Value {
    fn from(settings: Settings) -> Self {
        Self::Map(settings)
    }
}
