//! Which entities do the tags of a sentence mark?

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::table::spans::Span;

/// How tags mark entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Scheme {
    /// `B-` begins an entity where one of the same class ends just before; else `I-` does.
    Iob1,
    /// `B-` begins every entity.
    Iob2,
    /// `B-` begins, `I-` goes on, `E-` ends; `S-` is an entity of one token.
    Bioes,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Iob1 => "iob1",
            Scheme::Iob2 => "iob2",
            Scheme::Bioes => "bioes",
        })
    }
}

/// A tag that cannot stand where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrongTag {
    /// The number of the token.
    pub(super) token: usize,
    pub(super) message: String,
    /// A scheme under which the whole sentence can be read.
    pub(super) fits: Option<Scheme>,
}

/// The entities of a sentence, in order.
pub(super) fn entities(tags: &[&str], scheme: Scheme) -> Result<Vec<Span>, WrongTag> {
    strict(tags, scheme).map_err(|(token, message)| {
        let others = [Scheme::Iob2, Scheme::Iob1, Scheme::Bioes];
        let fits = others.into_iter().find(|&other| other != scheme && strict(tags, other).is_ok());
        WrongTag { token, message, fits }
    })
}

/// What a tag says: which letter, for which class.
fn parts(tag: &str) -> Option<(char, &str)> {
    match tag.split_once('-') {
        Some((letter, class)) if !class.is_empty() => {
            let mut letters = letter.chars();
            letters.next().filter(|_| letters.as_str().is_empty()).map(|letter| (letter, class))
        }
        _ => None,
    }
}

fn strict(tags: &[&str], scheme: Scheme) -> Result<Vec<Span>, (usize, String)> {
    let mut found: Vec<Span> = Vec::new();
    // the class of the entity that the token before belongs to and that may go on
    let mut open: Option<&str> = None;
    for (number, (&tag, at)) in tags.iter().zip(0_u32..).enumerate() {
        let wrong = |message: String| (number, message);
        if tag == "O" {
            ended(scheme, open).map_err(wrong)?;
            open = None;
            continue;
        }
        let (letter, class) = parts(tag)
            .ok_or_else(|| wrong(format!("`{tag}` is no tag: `O`, or a letter and a class as in `B-PER`")))?;
        let goes_on = open == Some(class);
        let begins = match (scheme, letter) {
            (Scheme::Iob1, 'I') => !goes_on,
            (Scheme::Iob1, 'B') if goes_on => true,
            (Scheme::Iob1, 'B') => {
                return Err(wrong(format!(
                    "`{tag}` follows no entity of its class, but under iob1 only then is `B-` written"
                )));
            }
            (Scheme::Iob2, 'B') => true,
            (Scheme::Iob2, 'I') | (Scheme::Bioes, 'I' | 'E') if goes_on => false,
            (Scheme::Iob2, 'I') | (Scheme::Bioes, 'I' | 'E') => {
                return Err(wrong(format!(
                    "`{tag}` goes on with no entity: under {scheme} `B-{class}` must come before"
                )));
            }
            (Scheme::Bioes, 'B' | 'S') => {
                ended(scheme, open).map_err(wrong)?;
                true
            }
            _ => return Err(wrong(format!("`{tag}` is no tag of {scheme}"))),
        };
        match found.last_mut().filter(|_| !begins) {
            Some(entity) => entity.end = at + 1,
            None => found.push(Span { start: at, end: at + 1, label: class.to_owned() }),
        }
        open = (!matches!((scheme, letter), (Scheme::Bioes, 'E' | 'S'))).then_some(class);
    }
    ended(scheme, open).map_err(|message| (tags.len().saturating_sub(1), message))?;
    Ok(found)
}

/// Under BIOES an entity of several tokens must have an end.
fn ended(scheme: Scheme, open: Option<&str>) -> Result<(), String> {
    match open {
        Some(class) if scheme == Scheme::Bioes => {
            Err(format!("an entity of class `{class}` has no end: no `E-{class}`"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tags: &str, scheme: Scheme) -> Vec<(u32, u32, String)> {
        let tags: Vec<&str> = tags.split(' ').collect();
        entities(&tags, scheme).unwrap().into_iter().map(|e| (e.start, e.end, e.label)).collect()
    }

    fn wrong(tags: &str, scheme: Scheme) -> WrongTag {
        entities(&tags.split(' ').collect::<Vec<_>>(), scheme).unwrap_err()
    }

    fn spans(all: &[(u32, u32, &str)]) -> Vec<(u32, u32, String)> {
        all.iter().map(|(start, end, label)| (*start, *end, (*label).to_owned())).collect()
    }

    #[test]
    fn each_scheme_is_read_by_its_own_rules() {
        assert_eq!(found("B-A I-A O B-A B-A", Scheme::Iob2), spans(&[(0, 2, "A"), (3, 4, "A"), (4, 5, "A")]));
        assert_eq!(
            found("I-A I-A B-A O I-B I-A-b", Scheme::Iob1),
            spans(&[(0, 2, "A"), (2, 3, "A"), (4, 5, "B"), (5, 6, "A-b")])
        );
        assert_eq!(found("B-A I-A E-A S-B B-A E-A", Scheme::Bioes), spans(&[(0, 3, "A"), (3, 4, "B"), (4, 6, "A")]));
        assert_eq!(found("O O", Scheme::Iob2), []);
    }

    #[test]
    fn a_tag_out_of_place_is_named_with_the_scheme_that_fits() {
        let inside = wrong("O I-A", Scheme::Iob2);
        assert_eq!((inside.token, inside.fits), (1, Some(Scheme::Iob1)));
        assert!(inside.message.contains("`B-A` must come before"));
        assert_eq!(wrong("B-A I-B", Scheme::Iob2).fits, None);
        assert_eq!(wrong("B-A O", Scheme::Iob1).fits, Some(Scheme::Iob2));
        assert_eq!(wrong("S-A O", Scheme::Iob2).fits, Some(Scheme::Bioes));
        assert!(wrong("B-A I-A O", Scheme::Bioes).message.contains("no end"));
        assert!(wrong("B-A O B", Scheme::Iob2).message.contains("no tag"));
    }
}
