//! Breakers by key as a list of places.

use crate::breaker::{Breaker, Config, Permit, State};

const MS: u64 = 1_000_000;
/// For how long nobody looks for room again after a search in vain.
const SEARCH_EVERY_MS: u64 = 10;
/// How far ahead a last call may lie before it counts as long ago.
const SLACK_MS: u64 = 60_000;

#[derive(Debug)]
struct Place {
    key: String,
    /// Tells one that stood here from the next.
    number: u64,
    /// Milliseconds.
    last_call: u64,
    breaker: Breaker,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A place, and the number of who stood there.
    Place(usize, u64),
    /// The breaker that those share who found no room.
    Overflow,
}

/// A registry that one thread uses.
#[derive(Debug)]
pub struct Registry {
    places: Vec<Option<Place>>,
    overflow: Breaker,
    defaults: Config,
    overrides: Vec<(String, Config)>,
    start: u64,
    made: u64,
    full_until: u64,
    evicted: u64,
    overflowed: u64,
}

impl Registry {
    /// Empty.
    pub fn new(max_breakers: usize, defaults: Config, overrides: Vec<(String, Config)>, start: u64) -> Self {
        Self {
            places: (0..max_breakers).map(|_| None).collect(),
            overflow: Breaker::new(defaults, start),
            defaults,
            overrides,
            start,
            made: 0,
            full_until: 0,
            evicted: 0,
            overflowed: 0,
        }
    }

    fn ms(&self, now: u64) -> u64 {
        now.saturating_sub(self.start) / MS
    }

    /// Where the key stands, made where it does not.
    pub fn get(&mut self, now: u64, key: &str) -> At {
        self.find(key).or_else(|| self.make(now, key)).unwrap_or_else(|| {
            self.overflowed += 1;
            At::Overflow
        })
    }

    /// Where the key stands.
    pub fn find(&self, key: &str) -> Option<At> {
        let stands = |place: &Option<Place>| place.as_ref().is_some_and(|place| place.key == key);
        let at = self.places.iter().position(stands)?;
        Some(At::Place(at, self.places[at].as_ref()?.number))
    }

    fn make(&mut self, now: u64, key: &str) -> Option<At> {
        let now_ms = self.ms(now);
        if now_ms < self.full_until && self.full_until <= now_ms + SEARCH_EVERY_MS {
            return None;
        }
        let at = self.places.iter().position(Option::is_none).or_else(|| self.oldest(now_ms));
        let Some(at) = at else {
            self.full_until = now_ms + SEARCH_EVERY_MS;
            return None;
        };
        if self.places[at].is_some() {
            self.evicted += 1;
            self.full_until = 0;
        }
        self.made += 1;
        let config = settings(&self.overrides, key).unwrap_or(self.defaults);
        let breaker = Breaker::new(config, self.start);
        self.places[at] = Some(Place { key: key.to_owned(), number: self.made, last_call: now_ms, breaker });
        Some(At::Place(at, self.made))
    }

    /// The closed one whose last call is the oldest, of equals the first.
    fn oldest(&self, now_ms: u64) -> Option<usize> {
        let age = |at: usize| {
            let place = self.places[at].as_ref().filter(|place| place.breaker.state() == State::Closed)?;
            // 0: a bad reading's; else no moment is 0.
            Some(if place.last_call > now_ms + SLACK_MS { 0 } else { place.last_call + 1 })
        };
        (0..self.places.len()).filter_map(|at| Some((age(at)?, at))).min().map(|(_, at)| at)
    }

    /// The breaker there, unless it has made room.
    pub fn breaker(&mut self, at: At) -> Option<&mut Breaker> {
        match at {
            At::Overflow => Some(&mut self.overflow),
            At::Place(at, number) => {
                self.places[at].as_mut().filter(|place| place.number == number).map(|place| &mut place.breaker)
            }
        }
    }

    /// The name of the breaker there.
    pub fn name(&self, at: At) -> &str {
        match at {
            At::Overflow => "(overflow)",
            At::Place(at, _) => self.places[at].as_ref().map_or("", |place| &place.key),
        }
    }

    /// A call there.
    pub fn acquire(&mut self, now: u64, at: At) -> Result<Permit, u64> {
        let now_ms = self.ms(now);
        if let At::Place(at, _) = at
            && let Some(place) = &mut self.places[at]
            && !matches!(place.breaker.state(), State::ForcedOpen | State::Disabled)
            && (place.last_call < now_ms || place.last_call > now_ms + SLACK_MS)
        {
            place.last_call = now_ms;
        }
        self.breaker(at).expect("found just now").acquire(now, 0.0)
    }

    /// Takes a key away; whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        let Some(At::Place(at, _)) = self.find(key) else { return false };
        self.places[at] = None;
        self.full_until = 0;
        true
    }

    /// Changes some settings of the keys that a pattern means, of those that it holds for.
    pub fn set_config(&mut self, pattern: &str, change: &dyn Fn(&mut Config)) {
        let at = self.overrides.iter().position(|(other, _)| other == pattern).unwrap_or_else(|| {
            // Nothing but a star means a star: as a key the pattern stands for all that it means.
            let config = settings(&self.overrides, pattern).unwrap_or(self.defaults);
            self.overrides.push((pattern.to_owned(), config));
            self.overrides.len() - 1
        });
        change(&mut self.overrides[at].1);
        for place in self.places.iter_mut().flatten().filter(|it| holding(&self.overrides, &it.key) == Some(at)) {
            place.breaker.change(change);
        }
        if pattern == "*" {
            self.overflow.change(change);
        }
    }

    /// The keys, in the order of their places.
    pub fn keys(&self) -> Vec<String> {
        self.places.iter().flatten().map(|place| place.key.clone()).collect()
    }

    /// How many keys have a breaker, how many made room, how often a key found none.
    pub fn stats(&self) -> (u64, u64, u64) {
        (self.places.iter().flatten().count() as u64, self.evicted, self.overflowed)
    }
}

fn settings(overrides: &[(String, Config)], key: &str) -> Option<Config> {
    holding(overrides, key).map(|at| overrides[at].1)
}

/// Of the patterns that mean a key the one with the most letters other than stars, of equals the first.
fn holding(overrides: &[(String, Config)], key: &str) -> Option<usize> {
    let weight = |at: usize| overrides[at].0.bytes().filter(|&byte| byte != b'*').count();
    let mut fitting: Vec<usize> =
        (0..overrides.len()).filter(|&at| matches(overrides[at].0.as_bytes(), key.as_bytes())).collect();
    // Stable.
    fitting.sort_by_key(|&at| std::cmp::Reverse(weight(at)));
    fitting.first().copied()
}

fn matches(pattern: &[u8], key: &[u8]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=key.len()).any(|from| matches(rest, &key[from..])),
        (Some((a, pattern)), Some((b, key))) => a == b && matches(pattern, key),
        _ => false,
    }
}
