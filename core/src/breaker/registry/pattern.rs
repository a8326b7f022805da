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
}
