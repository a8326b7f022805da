//! Which keys a pattern means: `*` stands for any bytes, none included, everything else for itself.

/// Whether the pattern means the key. Takes at most the product of their lengths.
pub(super) fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // The last star, and where in the key what follows it was tried.
    let mut star: Option<(usize, usize)> = None;
    while seen < key.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, seen));
            at += 1;
        } else if pattern.get(at) == Some(&key[seen]) {
            (at, seen) = (at + 1, seen + 1);
        } else if let Some((of_star, tried)) = star {
            star = Some((of_star, tried + 1));
            (at, seen) = (of_star + 1, tried + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Whether it means every key that `other` means. Nothing but a star means a star, so a pattern's own stars are to be
/// met by such as stand for any bytes.
pub(super) fn covers(pattern: &[u8], other: &[u8]) -> bool {
    matches(pattern, other)
}

/// How much of a key a pattern says: the more, the more it counts.
pub(super) fn weight(pattern: &[u8]) -> usize {
    pattern.iter().filter(|&&byte| byte != b'*').count()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_bytes() {
        let yes: [(&str, &str); 9] = [
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("*.internal", "db.internal"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "ac"),
            ("*aab", "aaaab"),
            ("", ""),
            ("*ü*", "für"),
        ];
        let no = [("", "a"), ("a", ""), ("a*", "b"), ("*.internal", "db.internal.evil"), ("a*b", "a"), ("a?c", "abc")];
        for (pattern, key) in yes {
            assert!(matches(pattern.as_bytes(), key.as_bytes()), "{pattern} {key}");
        }
        for (pattern, key) in no {
            assert!(!matches(pattern.as_bytes(), key.as_bytes()), "{pattern} {key}");
        }
    }

    /// By all keys of up to six letters, and one letter that no pattern has.
    #[test]
    fn covers_what_means_no_other_key() {
        let texts = |letters: &[u8], longest: usize| {
            let mut all = vec![Vec::new()];
            let mut from = 0;
            for _ in 0..longest {
                let until = all.len();
                for at in from..until {
                    all.extend(
                        letters.iter().map(|&letter| [all[at].as_slice(), &[letter]].concat()).collect::<Vec<_>>(),
                    );
                }
                from = until;
            }
            all
        };
        let (patterns, keys) = (texts(b"ab*", 3), texts(b"abc", 6));
        for one in &patterns {
            for other in &patterns {
                let means_all = keys.iter().all(|key| !matches(other, key) || matches(one, key));
                assert_eq!(covers(one, other), means_all, "{one:?} {other:?}");
            }
        }
    }
}
