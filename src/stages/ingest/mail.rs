//! How does an e-mail become a row?
//!
//! Each part of it is decoded as it declares; what declares nothing, as `encoding` says.

use std::io;

use encoding_rs::UTF_8;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Address, Encoding as Transfer, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType,
};

use super::encoding::{Encoding, Found, Why, Wrong, decode, detect};
use super::files::{Columns, Named, content};
use super::lines::unreadable;
use super::rows::{At, Collector, Opened, Seen};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// What is read of a mail.
const COLUMNS: [&str; 10] =
    ["subject", "from", "to", "cc", "date", "headers", "body", "html", "attachments", "content_type"];

/// Reads a file as a row.
pub(super) fn read(options: &Named, file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let bytes = content(file)?;
    let columns = Columns::of(options, file, &COLUMNS, rows)?;
    let mut text = Texts { encoding: rows.encoding(), found: None, looks: None, wrong: Vec::new() };
    let failed = |error: io::Error| unreadable(&file.source, 1, &error);
    let whole = text.upright(&bytes).map_err(failed)?;
    let message =
        Some(&whole).filter(|whole| begins_with_header(whole)).and_then(|w| MessageParser::default().parse(w));
    let next = match message {
        Some(message) => {
            let cells = text.columns(&message).map_err(failed)?;
            let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
            let found = text.found.unwrap_or(Found { encoding: UTF_8, why: Why::Declared });
            rows.reading(Opened { source: file.source.clone(), found, looks: text.looks });
            columns.take(&cells, 1, &text.wrong, rows)?
        }
        None => {
            let at = At { source: &file.source, unit: "line", number: 1 };
            let start = String::from_utf8_lossy(bytes.get(..1000).unwrap_or(&bytes)).into_owned();
            let error = at.error(None, "the file has no header, so it is no e-mail", &start);
            rows.refuse(error.help("an e-mail begins with lines such as `From: …` and `Subject: …`"))?
        }
    };
    Ok(Seen { rows: 1, next })
}

/// True if the first line is a header's: a name, then a colon.
fn begins_with_header(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    name.len() < line.len() && !name.is_empty() && name.iter().all(|byte| (33..127).contains(byte))
}

/// Decodes what a mail holds.
struct Texts {
    /// Of bytes for which the mail declares none.
    encoding: Encoding,
    /// What the bytes were decoded as that are no text in it, and what they look like.
    found: Option<Found>,
    looks: Option<&'static encoding_rs::Encoding>,
    wrong: Vec<Wrong>,
}

impl Texts {
    /// Bytes as text: in the encoding that they declare, if they do.
    fn decoded(&mut self, bytes: &[u8], declared: Option<&str>) -> io::Result<String> {
        let declared =
            declared.and_then(|label| encoding_rs::Encoding::for_label_no_replacement(label.trim().as_bytes()));
        let (text, found, wrong) = decode(bytes, declared.map_or(self.encoding, Encoding::Named))?;
        if !wrong.is_empty() && self.wrong.is_empty() {
            self.found = Some(found);
            self.looks = Some(detect(bytes, true).encoding);
        }
        self.wrong.extend(wrong);
        Ok(text)
    }

    /// The mail without the line that mailboxes put before it, its header as UTF-8.
    fn upright(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let bytes = match bytes.starts_with(b"From ") {
            true => memchr::memchr(b'\n', bytes).and_then(|at| bytes.get(at + 1..)).unwrap_or_default(),
            false => bytes,
        };
        let ends = [b"\n\n".as_slice(), b"\r\n\r\n"];
        let end = ends.iter().filter_map(|end| memchr::memmem::find(bytes, end)).min();
        let (header, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let mut whole = self.decoded(header, None)?.into_bytes();
        whole.extend_from_slice(rest);
        Ok(whole)
    }

    /// The columns, in the order of [`COLUMNS`].
    fn columns(&mut self, message: &Message<'_>) -> io::Result<Vec<Option<String>>> {
        let (mut bodies, mut pages) = (Vec::new(), Vec::new());
        for part in message.text_body.iter().filter_map(|&id| message.part(id)) {
            match part.body {
                PartType::Text(_) => bodies.push(self.part(message, part)?),
                PartType::Html(_) => bodies.push(html_to_text(&self.part(message, part)?)),
                _ => {}
            }
        }
        for part in message.html_body.iter().filter_map(|&id| message.part(id)) {
            if matches!(part.body, PartType::Html(_)) {
                // what is wrong in it was told with the body, or is not in the text
                let so_far = self.wrong.len();
                pages.push(self.part(message, part)?);
                self.wrong.truncate(so_far);
            }
        }
        let headers = message.headers_raw().map(|(name, value)| format!("{name}: {}", unfolded(value)));
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(vec![
            Some(message.subject().unwrap_or_default().to_owned()),
            message.from().map(addresses).and_then(some),
            message.to().map(addresses).and_then(some),
            message.cc().map(addresses).and_then(some),
            message.date().map(|date| date.to_rfc3339()),
            Some(headers.collect::<Vec<_>>().join("\n")),
            Some(bodies.join("\n")),
            some(pages.join("\n")),
            Some(message.attachment_count().to_string()),
            message.header_raw(HeaderName::ContentType).map(unfolded),
        ])
    }

    /// A part's bytes, unpacked and decoded.
    fn part(&mut self, message: &Message<'_>, part: &MessagePart<'_>) -> io::Result<String> {
        let (from, to) = (part.offset_body as usize, part.offset_end as usize);
        let raw = message.raw_message.get(from..to).unwrap_or_default();
        let unpacked = match part.encoding {
            Transfer::None => None,
            Transfer::QuotedPrintable => quoted_printable_decode(raw),
            Transfer::Base64 => base64_decode(raw),
        };
        let declared = part.content_type().and_then(|kind| kind.attribute("charset"));
        let so_far = self.wrong.len();
        let text = self.decoded(unpacked.as_deref().unwrap_or(raw), declared)?;
        if let Some(wrong) = self.wrong.get_mut(so_far..).filter(|wrong| !wrong.is_empty()) {
            let before = message.raw_message.get(..from).unwrap_or_default();
            let lines = memchr::memchr_iter(b'\n', before).count() as u64;
            wrong.iter_mut().for_each(|wrong| wrong.line += lines);
        }
        Ok(text)
    }
}

/// A header's value on one line.
fn unfolded(value: &str) -> String {
    value.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn addresses(address: &Address<'_>) -> String {
    let one = |name: Option<&str>, address: Option<&str>| match (name, address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (one, other) => one.or(other).unwrap_or_default().to_owned(),
    };
    address.iter().map(|addr| one(addr.name(), addr.address())).collect::<Vec<_>>().join(", ")
}
