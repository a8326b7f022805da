//! Of which keys a registry of Python or Node watches the calls: of its process, and no setting of the breakers.

use super::key::{KEPT, PREFIX};
use super::pattern;

/// Whether calls are watched, of all keys and of those that a pattern means: by the same rules as settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    of_all: bool,
    patterns: Vec<(Vec<u8>, bool)>,
}

impl Choices {
    /// The same for all keys.
    pub fn of_all(of_all: bool) -> Self {
        Self { of_all, patterns: Vec::new() }
    }

    /// A pattern's own, or what a new one begins with.
    pub fn of_pattern(&self, pattern: &[u8]) -> bool {
        let known = self.patterns.iter().find(|(other, _)| other == pattern);
        known.map_or_else(|| self.most(|other| pattern::covers(other, pattern)), |(_, on)| *on)
    }

    /// Gives a pattern its own.
    pub fn set(&mut self, pattern: &[u8], on: bool) {
        match self.patterns.iter_mut().find(|(other, _)| other == pattern) {
            Some((_, known)) => *known = on,
            None => self.patterns.push((pattern.to_vec(), on)),
        }
    }

    /// Declares patterns, each with its own or with what it begins with, whatever their order.
    pub fn declare(&mut self, patterns: &mut [(Vec<u8>, Option<bool>)]) {
        // Stable: of equals the first holds.
        patterns.sort_by_key(|(pattern, _)| pattern::weight(pattern));
        for (pattern, on) in patterns {
            let on = on.unwrap_or_else(|| self.of_pattern(pattern));
            self.set(pattern, on);
        }
    }

    /// That of a key.
    pub fn of(&self, key: &[u8]) -> bool {
        // As settings have it.
        let text = if key.len() > KEPT { &key[..PREFIX] } else { key };
        self.most(|pattern| pattern::matches(pattern, text))
    }

    /// That of the pattern that says most among those that fit, of equals the first.
    fn most(&self, fits: impl Fn(&[u8]) -> bool) -> bool {
        let mut found = (0, self.of_all);
        let mut is_found = false;
        for (pattern, on) in &self.patterns {
            let weight = pattern::weight(pattern);
            if (!is_found || weight > found.0) && fits(pattern) {
                (found, is_found) = ((weight, *on), true);
            }
        }
        found.1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_that_says_most_chooses() {
        let mut choices = Choices::of_all(false);
        assert!(!choices.of(b"a") && !choices.of_pattern(b"*"));
        choices.set(b"*.internal", true);
        assert!(choices.of(b"db.internal") && !choices.of(b"db.example") && choices.of_pattern(b"db.internal"));
        assert!(!choices.of_pattern(b"db.*"), "it means others as well");
        choices.set(b"db.internal", false);
        assert!(!choices.of(b"db.internal") && choices.of(b"queue.internal"));
        choices.set(b"*", true);
        assert!(choices.of(b"db.example") && !choices.of(b"db.internal"));
        let long = [vec![b'x'; 300], b".internal".to_vec()].concat();
        choices.set(b"*", false);
        assert!(!choices.of(&long), "its end is not known");
        assert!(choices.of(&long[60..]));
    }
}
