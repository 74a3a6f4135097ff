//! Which known word did the person mean?

/// The known word nearest to `word`, if one is near enough to be worth a "did you mean".
///
/// Case, `-` and `_` do not count. A known word that begins with `word` (three letters or more), or the other way round,
/// is near; otherwise at most a third of the letters may differ. Of equally near words the one most alike in length wins, then
/// the first.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain =
        |s: &str| s.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect::<String>();
    let wanted = plain(word);
    let letters = wanted.chars().count();
    if letters == 0 {
        return None;
    }
    let mut best: Option<((usize, usize), &str)> = None;
    for candidate in known {
        let name = plain(candidate);
        let length = name.chars().count();
        let apart = strsim::osa_distance(&wanted, &name);
        let near = if letters.min(length) >= 3 && (name.starts_with(&wanted) || wanted.starts_with(&name)) {
            (apart.min(2), apart)
        } else if apart <= (letters.max(length) / 3).max(1) && apart < letters {
            (apart, letters.abs_diff(length))
        } else {
            continue;
        };
        if best.is_none_or(|(distance, _)| near < distance) {
            best = Some((near, candidate));
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    const WORDS: [&str; 6] = ["min_df", "max_df", "max_features", "ngram_range", "norm", "c"];

    #[test]
    fn near_words_are_found() {
        for (word, expected) in [
            ("ngram", Some("ngram_range")),
            ("min-df", Some("min_df")),
            ("mindf", Some("min_df")),
            ("max_feature", Some("max_features")),
            ("nrom", Some("norm")),
            ("C", Some("c")),
            ("max_fd", Some("max_df")),
        ] {
            assert_eq!(suggest(word, WORDS), expected, "{word}");
        }
    }

    #[test]
    fn far_words_are_not() {
        for word in ["", "banana", "k", "x_y_z", "df"] {
            assert_eq!(suggest(word, WORDS), None, "{word}");
        }
    }
}
