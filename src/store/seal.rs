//! Are the bytes of a record those that were written? Its last field holds the digest of everything before it.
//!
//! A record stays ordinary JSON: `{…,"check":"<digest of all bytes before the comma>"}` and a line break. One changed bit
//! anywhere in it is noticed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::table::Digest;

/// What stands before the digest, and after it.
const BEFORE: &[u8] = b",\"check\":\"";
const AFTER: &[u8] = b"\"}\n";

/// Bytes of `before`, digest and `after` together.
const LENGTH: usize = BEFORE.len() + 64 + AFTER.len();

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Its bytes are not those that were written.
    #[error("its bytes have changed")]
    Bytes,
    /// It is whole, and says something else than what is looked for.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// A record (a struct with at least one field) in writing.
pub(super) fn seal(record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut json = serde_json::to_vec(record).map_err(|error| StoreError::Record { why: error.to_string() })?;
    if json.pop() != Some(b'}') {
        return Err(StoreError::Record { why: "it is no object".to_owned() });
    }
    let check = Digest::of(&json).to_string();
    json.extend([BEFORE, check.as_bytes(), AFTER].concat());
    Ok(json)
}

/// The record that was sealed, if no bit of it has changed since.
pub(super) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
    let (said, end) = bytes.split_at_checked(bytes.len().wrapping_sub(LENGTH)).ok_or(Broken::Bytes)?;
    let check = end.strip_prefix(BEFORE).and_then(|end| end.strip_suffix(AFTER)).ok_or(Broken::Bytes)?;
    if check != Digest::of(said).to_string().as_bytes() {
        return Err(Broken::Bytes);
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_changed_bit_is_noticed() {
        let record = BTreeMap::from([("seconds", 0.25), ("rows", 7.0)]);
        let whole = seal(&record).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!((&value["rows"], value.as_object().unwrap().len()), (&serde_json::json!(7.0), 3), "plain JSON");
        assert_eq!(unseal::<BTreeMap<String, serde_json::Value>>(&whole).unwrap()["seconds"], 0.25);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal::<serde_json::Value>(&flipped).is_err(), "bit {bit}");
        }
        for end in 0..whole.len() {
            assert!(unseal::<serde_json::Value>(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(matches!(unseal::<Vec<u8>>(&whole), Err(Broken::Json(_))));
    }
}
