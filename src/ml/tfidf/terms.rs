//! How are many terms kept in little room? One text with an end for each.

/// A list of terms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    text: String,
    ends: Vec<usize>,
}

impl Terms {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without terms.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The term at `at`; empty past the end.
    pub fn term(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or_default() };
        let end = self.ends.get(at).copied().unwrap_or_default();
        self.text.get(start..end).unwrap_or_default()
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|at| self.term(at))
    }

    /// Adds a term at the end.
    pub fn push(&mut self, term: &str) {
        self.text.push_str(term);
        self.ends.push(self.text.len());
    }

    /// All of `lists`, one after another.
    pub(super) fn joined(mut lists: Vec<Terms>) -> Terms {
        if lists.len() == 1 {
            return lists.swap_remove(0);
        }
        let (bytes, terms) =
            lists.iter().fold((0, 0), |(bytes, terms), some| (bytes + some.text.len(), terms + some.len()));
        let mut all = Terms { text: String::with_capacity(bytes), ends: Vec::with_capacity(terms) };
        for some in lists {
            let start = all.text.len();
            all.text.push_str(&some.text);
            all.ends.extend(some.ends.iter().map(|end| start + end));
        }
        all
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> usize {
        self.text.len() + 8 * self.ends.len()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Terms {
    fn from_iter<I: IntoIterator<Item = S>>(terms: I) -> Self {
        let mut all = Terms::default();
        terms.into_iter().for_each(|term| all.push(term.as_ref()));
        all
    }
}

impl<S: AsRef<str>, const N: usize> PartialEq<[S; N]> for Terms {
    fn eq(&self, other: &[S; N]) -> bool {
        self.iter().eq(other.iter().map(AsRef::as_ref))
    }
}
