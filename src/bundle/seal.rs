//! Is `bundle.json` what was written? Its last field, `check`, is the digest of everything that stands before it.

use crate::table::Digest;

/// What stands before the digest, and after it.
const BEFORE: &str = ",\n  \"check\": \"";
const AFTER: &str = "\"\n}\n";

/// The text of an object in indented JSON, with its digest; `None` if it is no such text.
pub(super) fn sealed(json: &str) -> Option<String> {
    let said = json.strip_suffix("\n}")?;
    Some(format!("{said}{BEFORE}{}{AFTER}", Digest::of(said.as_bytes())))
}

/// True if no bit has changed since the text was sealed.
pub(super) fn is_whole(text: &str) -> bool {
    let parts = text.strip_suffix(AFTER).and_then(|text| text.rsplit_once(BEFORE));
    parts.is_some_and(|(said, check)| Digest::of(said.as_bytes()).to_string() == check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_is_noticed() {
        let whole = sealed("{\n  \"a\": 1.25\n}").unwrap();
        assert!(is_whole(&whole) && whole.starts_with("{\n  \"a\": 1.25,\n  \"check\": \""));
        assert!(serde_json::from_str::<serde_json::Value>(&whole).unwrap()["check"].is_string());
        for at in 0..whole.len() {
            for bit in 0..7 {
                let mut bytes = whole.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(!is_whole(std::str::from_utf8(&bytes).unwrap()), "bit {bit} of byte {at}");
            }
        }
        assert!(!is_whole("{\n  \"a\": 1.25\n}\n") && !is_whole(""));
        assert_eq!(sealed("[]"), None);
    }
}
