//! How do a file's bytes become text, and where are the bytes that are none?
//!
//! A [`Decoder`] gives valid text bit by bit. A byte order mark decides by itself; otherwise the encoding that was declared
//! does, or with `auto` the first [`LOOKED_AT`] bytes. Bytes that are no text in that encoding become U+FFFD and are told as
//! [`Wrong`], each with its place; so is NUL, which stands for no character in a text file.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// How many bytes `auto` looks at.
const LOOKED_AT: usize = 16 << 20;
/// How many bytes are decoded at once.
const BLOCK: usize = 256 << 10;
/// A file is taken for UTF-16 if so large a share of its bytes is NUL, all at odd or all at even places.
const NUL_SHARE: usize = 5;

/// UTF-32's byte order marks.
const WIDEST: [&[u8]; 2] = [b"\xff\xfe\0\0", b"\0\0\xfe\xff"];

/// How files are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stages) enum Encoding {
    /// By what the bytes look like.
    Auto,
    /// So.
    Named(&'static encoding_rs::Encoding),
}

impl Default for Encoding {
    fn default() -> Self {
        Encoding::Named(UTF_8)
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Encoding::Auto => serializer.serialize_str("auto"),
            Encoding::Named(encoding) => serializer.serialize_str(&name(encoding)),
        }
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        if label == "auto" {
            return Ok(Encoding::Auto);
        }
        let found = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes());
        found.map(Encoding::Named).ok_or_else(|| {
            de::Error::custom(format!(
                "no encoding is called `{label}`; write `auto`, or a name of the WHATWG's Encoding Standard: `utf-8`, \
                 `utf-16le`, `windows-1252`, `latin1`, `shift_jis`, `euc-kr`, `gb18030`, `big5` …"
            ))
        })
    }
}

impl JsonSchema for Encoding {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Encoding".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// What becomes of bytes that are no text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::stages) enum EncodingErrors {
    /// An error.
    #[default]
    Fail,
    /// U+FFFD stands for them; they are counted.
    Replace,
    /// Their row is left out and counted.
    Skip,
}

/// An encoding's name as it is written in a pipeline.
pub(super) fn name(encoding: &'static encoding_rs::Encoding) -> String {
    encoding.name().to_lowercase()
}

/// Bytes that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where U+FFFD stands for them: bytes of decoded text before it.
    pub(super) at: u64,
    /// The line of the file, from 1.
    pub(super) line: u64,
    /// The byte of the line, from 1.
    pub(super) column: u64,
    /// How many bytes.
    pub(super) count: u8,
    bytes: [u8; 4],
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.bytes.iter().take(usize::from(self.count)).try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// Which encoding a file has, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) encoding: &'static encoding_rs::Encoding,
    pub(super) why: Why,
}

/// How an encoding is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The pipeline says it.
    Declared,
    /// A byte order mark says it.
    Mark,
    /// All bytes that were looked at fit, and not by chance.
    Sure,
    /// It fits best.
    Likely,
    /// It fits no better than others.
    Guessed,
}

impl Why {
    /// For a person.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Why::Declared => "declared",
            Why::Mark => "byte order mark",
            Why::Sure => "certain",
            Why::Likely => "likely",
            Why::Guessed => "a guess",
        }
    }
}

/// Decodes a file.
pub(super) struct Decoder {
    raw: Box<dyn Read + Send>,
    /// Bytes read but not decoded.
    held: Vec<u8>,
    ended: bool,
    /// `None` for UTF-8, which is only checked.
    decoder: Option<encoding_rs::Decoder>,
    pub(super) found: Found,
    /// Text decoded so far.
    decoded: u64,
    /// Bytes taken so far.
    taken: u64,
    /// Line ends so far, and where in the bytes the line after the last one begins.
    lines: u64,
    line_at: u64,
    /// Bytes that are no text, in the order of their places; whoever reads the text takes them away.
    pub(super) wrong: VecDeque<Wrong>,
    /// What the bytes around the first wrong ones look like.
    pub(super) looks: Option<&'static encoding_rs::Encoding>,
}

impl Decoder {
    /// Looks at the first bytes of a file.
    pub(super) fn new(mut raw: Box<dyn Read + Send>, encoding: Encoding) -> io::Result<Decoder> {
        let mut held = Vec::new();
        let first = if encoding == Encoding::Auto { LOOKED_AT } else { BLOCK };
        let count = (&mut raw).take(first as u64).read_to_end(&mut held)?;
        let ended = count < first;
        if WIDEST.iter().any(|mark| held.starts_with(mark)) {
            return Err(io::Error::other("it is UTF-32, which is not read here: write it anew as UTF-8"));
        }
        let (found, mark) = match (encoding_rs::Encoding::for_bom(&held), encoding) {
            (Some((encoding, mark)), _) => (Found { encoding, why: Why::Mark }, mark),
            (None, Encoding::Named(encoding)) => (Found { encoding, why: Why::Declared }, 0),
            (None, Encoding::Auto) => (detect(&held, ended), 0),
        };
        held.drain(..mark);
        let decoder = (found.encoding != UTF_8).then(|| found.encoding.new_decoder_without_bom_handling());
        let (taken, lines, line_at, decoded) = (mark as u64, 0, mark as u64, 0);
        let wrong = VecDeque::new();
        Ok(Decoder { raw, held, ended, decoder, found, decoded, taken, lines, line_at, wrong, looks: None })
    }

    /// Adds more text to `text`; false once there is none.
    pub(super) fn more(&mut self, text: &mut String) -> io::Result<bool> {
        let before = text.len();
        while text.len() == before {
            if !self.ended && self.held.len() < BLOCK {
                let room = BLOCK - self.held.len();
                let count = (&mut self.raw).take(room as u64).read_to_end(&mut self.held)?;
                self.ended = count < room;
            }
            if self.held.is_empty() && self.decoder.is_none() {
                return Ok(false);
            }
            let held = std::mem::take(&mut self.held);
            let rest = match self.decoder.take() {
                None => self.check(&held, text),
                Some(decoder) => self.decode(&held, decoder, text),
            };
            self.held = held;
            self.held.drain(..rest);
            if self.ended && text.len() == before {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes UTF-8, as far as it is whole; says how many bytes.
    fn check(&mut self, held: &[u8], text: &mut String) -> usize {
        let mut at = 0;
        loop {
            let rest = held.get(at..).unwrap_or_default();
            match std::str::from_utf8(rest) {
                Ok(good) => {
                    self.take(rest, good, text);
                    return held.len();
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.take(good, std::str::from_utf8(good).unwrap_or_default(), text);
                    at += good.len();
                    let count = match error.error_len() {
                        Some(count) => count,
                        None if self.ended => bad.len(),
                        None => return at,
                    };
                    self.replace(bad.get(..count).unwrap_or(bad), held, text);
                    self.taken += count as u64;
                    at += count;
                }
            }
        }
    }

    /// Takes bytes of another encoding; says how many.
    fn decode(&mut self, held: &[u8], mut decoder: encoding_rs::Decoder, text: &mut String) -> usize {
        let mut at = 0;
        let mut piece = String::new();
        loop {
            let rest = held.get(at..).unwrap_or_default();
            piece.clear();
            piece.reserve(decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(4 * BLOCK));
            let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut piece, self.ended);
            let used = rest.get(..read).unwrap_or(rest);
            at += read;
            match result {
                DecoderResult::Malformed(count, after) => {
                    let bad = read.saturating_sub(usize::from(count) + usize::from(after));
                    let (good, bad) = used.split_at(bad);
                    self.take(good, &piece, text);
                    self.replace(bad.get(..usize::from(count)).unwrap_or(bad), held, text);
                    self.taken += bad.len() as u64;
                }
                DecoderResult::InputEmpty | DecoderResult::OutputFull => {
                    self.take(used, &piece, text);
                    if result == DecoderResult::InputEmpty {
                        // a decoder that has been told of the end may not be asked again
                        self.decoder = (!self.ended).then_some(decoder);
                        return held.len();
                    }
                }
            }
        }
    }

    /// Adds decoded text, its NULs replaced.
    fn take(&mut self, raw: &[u8], good: &str, text: &mut String) {
        if memchr::memchr(0, good.as_bytes()).is_none() {
            self.pass(raw, good, text);
            return;
        }
        let wide = self.wide();
        let (mut raw_rest, mut rest) = (raw, good);
        while let Some((before, after)) = rest.split_once('\0') {
            let zero = self.length(before, raw_rest);
            let (raw_before, raw_after) = raw_rest.split_at(zero.min(raw_rest.len()));
            self.pass(raw_before, before, text);
            let (nul, raw_after) = raw_after.split_at(if wide { 2 } else { 1 }.min(raw_after.len()));
            self.replace(nul, raw, text);
            self.taken += nul.len() as u64;
            (raw_rest, rest) = (raw_after, after);
        }
        self.pass(raw_rest, rest, text);
    }

    /// How many bytes `text` was before it was decoded, at the start of `raw`.
    fn length(&self, text: &str, raw: &[u8]) -> usize {
        if self.found.encoding == UTF_8 {
            return text.len();
        }
        if self.wide() {
            return 2 * text.encode_utf16().count();
        }
        memchr::memchr(0, raw).unwrap_or(raw.len())
    }

    fn wide(&self) -> bool {
        self.found.encoding == UTF_16LE || self.found.encoding == UTF_16BE
    }

    fn pass(&mut self, raw: &[u8], good: &str, text: &mut String) {
        self.lines += memchr::memchr_iter(b'\n', good.as_bytes()).count() as u64;
        let after_end = match self.wide() {
            false => memchr::memrchr(b'\n', raw).map(|end| end + 1),
            true => {
                let end: [u8; 2] = if self.found.encoding == UTF_16LE { [b'\n', 0] } else { [0, b'\n'] };
                let pairs = raw.chunks_exact(2);
                pairs.rev().position(|pair| pair == end).map(|from_last| raw.len() - raw.len() % 2 - 2 * from_last)
            }
        };
        if let Some(after_end) = after_end {
            self.line_at = self.taken + after_end as u64;
        }
        self.taken += raw.len() as u64;
        self.decoded += good.len() as u64;
        text.push_str(good);
    }

    fn replace(&mut self, bad: &[u8], around: &[u8], text: &mut String) {
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(bad).for_each(|(to, from)| *to = *from);
        self.wrong.push_back(Wrong {
            at: self.decoded,
            line: self.lines + 1,
            column: self.taken - self.line_at.min(self.taken) + 1,
            count: bad.len().min(4) as u8,
            bytes,
        });
        if self.looks.is_none() {
            self.looks = Some(detect(around, false).encoding);
        }
        text.push(char::REPLACEMENT_CHARACTER);
        self.decoded += char::REPLACEMENT_CHARACTER.len_utf8() as u64;
    }
}

/// Bytes in memory, decoded: the text, which encoding it was, and the bytes that are none.
pub(super) fn decode(bytes: &[u8], encoding: Encoding) -> io::Result<(String, Found, Vec<Wrong>)> {
    let mut decoder = Decoder::new(Box::new(io::Cursor::new(bytes.to_vec())), encoding)?;
    let mut text = String::with_capacity(bytes.len());
    while decoder.more(&mut text)? {}
    Ok((text, decoder.found, decoder.wrong.into()))
}

/// What bytes look like.
pub(super) fn detect(bytes: &[u8], whole: bool) -> Found {
    if let Some(encoding) = sixteen_bits(bytes) {
        return Found { encoding, why: Why::Likely };
    }
    let utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !whole && error.error_len().is_none(),
    };
    // ISO-2022-JP is ASCII throughout, but for what its escapes say
    let escapes = bytes.is_ascii() && memchr::memchr(0x1b, bytes).is_some();
    if utf8 && !(escapes && guess(bytes, whole) == ISO_2022_JP) {
        return Found { encoding: UTF_8, why: Why::Sure };
    }
    let encoding = guess(bytes, whole);
    // a guess that some of the bytes alone would not lead to, or that not all fit, is no more than that
    let half = bytes.get(..bytes.len() / 2).unwrap_or(bytes);
    let agrees = half.is_ascii() || guess(half, false) == encoding;
    let fits = encoding.decode_without_bom_handling_and_without_replacement(bytes).is_some();
    Found { encoding, why: if agrees && (fits || !whole) { Why::Likely } else { Why::Guessed } }
}

fn guess(bytes: &[u8], whole: bool) -> &'static encoding_rs::Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, whole);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a mark: text of Latin letters has a NUL beside each.
fn sixteen_bits(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let some = bytes.get(..bytes.len().min(BLOCK)).unwrap_or(bytes);
    let nuls = |from: usize| some.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    match (even * NUL_SHARE > some.len(), odd * NUL_SHARE > some.len()) {
        (false, true) => Some(UTF_16LE),
        (true, false) => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], encoding: Encoding) -> (String, Found, Vec<(u64, u64, String)>) {
        let (text, found, wrong) = decode(bytes, encoding).unwrap();
        (text, found, wrong.iter().map(|wrong| (wrong.line, wrong.column, wrong.to_string())).collect())
    }

    fn named(label: &str) -> Encoding {
        serde_json::from_value(label.into()).unwrap()
    }

    #[test]
    fn wrong_bytes_are_told_with_their_places() {
        let (text, _, wrong) = read(b"ab\ncaf\xe9 x\n\xff\xc3", Encoding::default());
        assert_eq!(text, "ab\ncaf\u{fffd} x\n\u{fffd}\u{fffd}");
        assert_eq!(wrong, [(2, 4, "0xE9".to_owned()), (3, 1, "0xFF".to_owned()), (3, 2, "0xC3".to_owned())]);
        let (text, _, wrong) = read(b"a\nb\0c", Encoding::default());
        assert_eq!((text.as_str(), wrong), ("a\nb\u{fffd}c", vec![(2, 2, "0x00".to_owned())]));
        let (text, _, wrong) = read(b"x\n\x83\x65\x81", named("shift_jis"));
        assert_eq!((text.as_str(), wrong), ("x\nテ\u{fffd}", vec![(2, 3, "0x81".to_owned())]));
    }

    #[test]
    fn marks_and_names_decide() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for encoding in [Encoding::default(), Encoding::Auto, named("latin1")] {
            let (text, found, wrong) = read(&[&[0xff, 0xfe], utf16("é\n€").as_slice()].concat(), encoding);
            assert_eq!((text.as_str(), found.why, wrong.len()), ("é\n€", Why::Mark, 0));
        }
        assert_eq!(read(&utf16("a\nb"), named("utf-16")).0, "a\nb");
        let mut odd = utf16("ab\ncd");
        odd.extend([0x00, 0xd8, b'x', 0]);
        assert_eq!(read(&odd, named("utf-16le")).2, [(2, 5, "0x00D8".to_owned())]);
        assert_eq!(read(b"caf\xe9\x85", named("latin1")).0, "café…");
        assert_eq!(read(b"\xef\xbb\xbfa", Encoding::default()).0, "a");
        assert!(serde_json::from_value::<Encoding>("latin-99".into()).unwrap_err().to_string().contains("`latin-99`"));
    }

    #[test]
    fn encodings_are_detected() {
        let detected = |bytes: &[u8]| {
            let (_, found, wrong) = read(bytes, Encoding::Auto);
            assert_eq!(wrong.len(), 0);
            (name(found.encoding), found.why)
        };
        assert_eq!(detected("ascii".as_bytes()), ("utf-8".to_owned(), Why::Sure));
        assert_eq!(detected("größer".as_bytes()), ("utf-8".to_owned(), Why::Sure));
        assert_eq!(detected(b"Le caf\xe9 \xe9tait tr\xe8s bon, d\xe9j\xe0 vu").0, "windows-1252");
        let (korean, ..) = encoding_rs::EUC_KR.encode("이 영화는 정말 재미있었어요. 다시 보고 싶습니다.");
        assert_eq!(detected(&korean).0, "euc-kr");
        assert_eq!(detected(b"x\x1b$B%F%9%H\x1b(B\n").0, "iso-2022-jp");
        assert_eq!(read(b"\x1b[31mred\x1b[0m", Encoding::Auto).1.why, Why::Sure);
        let wide: Vec<u8> = "plain text".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(detected(&wide), ("utf-16le".to_owned(), Why::Likely));
    }

    #[test]
    fn blocks_change_nothing() {
        let long = "größer\tテ\n".repeat(80_000);
        let (text, _, wrong) = read(long.as_bytes(), Encoding::default());
        assert!(text == long && wrong.is_empty());
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode("テスト\tabc\n");
        let (text, _, wrong) = read(&bytes.repeat(60_000), named("shift_jis"));
        assert!(text == "テスト\tabc\n".repeat(60_000) && wrong.is_empty());
    }
}
