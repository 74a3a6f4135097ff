//! Which n-grams does a text have? Of characters, of characters inside words, and of tokens, in scikit-learn's order.

/// Calls `each` with every n-gram of `tokens`, joined with one space, smaller n first: `ngram_range` is the smallest and
/// the largest n, both counted in. `joined` is scratch space that callers keep between rows.
///
/// scikit-learn's `_VectorizerMixin._word_ngrams`, after its stop words.
pub fn word_ngrams(tokens: &[&str], ngram_range: (usize, usize), joined: &mut String, each: &mut dyn FnMut(&str)) {
    let (min, max) = ngram_range;
    for n in min.max(1)..=max.min(tokens.len()) {
        for gram in tokens.windows(n) {
            if let [only] = gram {
                each(only);
                continue;
            }
            joined.clear();
            for (i, token) in gram.iter().enumerate() {
                if i > 0 {
                    joined.push(' ');
                }
                joined.push_str(token);
            }
            each(joined);
        }
    }
}

/// scikit-learn's `_char_ngrams`: runs of white space become one space, then every n-gram, smaller n first.
pub(super) fn char_ngrams(text: &str, (min, max): (usize, usize), each: &mut impl FnMut(&str)) {
    let text = one_space(text);
    let mut ends = Vec::new();
    boundaries(&text, &mut ends);
    for n in min..=max.min(ends.len() - 1) {
        for window in ends.windows(n + 1) {
            if let Some(gram) = text.get(window[0]..window[n]) {
                each(gram);
            }
        }
    }
}

/// scikit-learn's `_char_wb_ngrams`: each word padded with a space at both ends; a word shorter than n counts once, whole.
pub(super) fn char_wb_ngrams(text: &str, (min, max): (usize, usize), each: &mut impl FnMut(&str)) {
    let (mut padded, mut ends) = (String::new(), Vec::new());
    for word in text.split(is_python_space).filter(|word| !word.is_empty()) {
        padded.clear();
        padded.push(' ');
        padded.push_str(word);
        padded.push(' ');
        boundaries(&padded, &mut ends);
        let chars = ends.len() - 1;
        for n in min..=max {
            if n >= chars {
                each(&padded);
                break;
            }
            for window in ends.windows(n + 1) {
                if let Some(gram) = padded.get(window[0]..window[n]) {
                    each(gram);
                }
            }
        }
    }
}

/// Whether Python's `str.isspace` and `\s` hold for `c`: Unicode white space and the four ASCII separators.
pub(super) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Replaces runs of two or more white-space characters by one space; a lone one stays what it is (`\s\s+` → `" "`).
fn one_space(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_python_space(c) && chars.next_if(|&next| is_python_space(next)).is_some() {
            while chars.next_if(|&next| is_python_space(next)).is_some() {}
            out.push(' ');
        } else {
            out.push(c);
        }
    }
    out
}

/// Makes `ends` the byte offsets of all characters and of the end: one more than there are characters.
fn boundaries(text: &str, ends: &mut Vec<usize>) {
    ends.clear();
    match text.is_ascii() {
        true => ends.extend(0..text.len()),
        false => ends.extend(text.char_indices().map(|(at, _)| at)),
    }
    ends.push(text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(grams: impl FnOnce(&mut Box<dyn FnMut(&str) + '_>)) -> Vec<String> {
        let mut out = Vec::new();
        let mut each: Box<dyn FnMut(&str)> = Box::new(|gram| out.push(gram.to_owned()));
        grams(&mut each);
        drop(each);
        out
    }

    #[test]
    fn word_ngrams_come_in_scikit_learns_order() {
        let tokens = ["one", "two", "three"];
        let grams = |range| collect(|each| word_ngrams(&tokens, range, &mut String::new(), each));
        assert_eq!(grams((1, 2)), ["one", "two", "three", "one two", "two three"]);
        assert_eq!(grams((2, 9)), ["one two", "two three", "one two three"]);
        assert_eq!(grams((4, 5)), Vec::<String>::new());
    }

    #[test]
    fn char_ngrams_keep_a_lone_separator_and_fold_runs() {
        assert_eq!(collect(|each| char_ngrams("a\tb", (1, 2), each)), ["a", "\t", "b", "a\t", "\tb"]);
        assert_eq!(collect(|each| char_ngrams("é \r\n\x1cx", (2, 4), each)), ["é ", " x", "é x"]);
        assert_eq!(collect(|each| char_ngrams("", (1, 3), each)), Vec::<String>::new());
    }

    #[test]
    fn char_wb_counts_a_short_word_once() {
        assert_eq!(collect(|each| char_wb_ngrams("ab c", (3, 5), each)), [" ab", "ab ", " ab ", " c "]);
        assert_eq!(collect(|each| char_wb_ngrams(" \n", (1, 2), each)), Vec::<String>::new());
    }
}
