//! How does an e-mail become a row?

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Address, Encoding as Transfer, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType,
};

use super::files::{Named, content, row};
use super::rows::{At, Collector, Next};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Reads a file as a row with the columns `subject`, `from`, `to`, `cc`, `date`, `headers`, `body`, `html`, `attachments` and `content_type`.
pub(super) fn read(options: &Named, file: &Fetched, rows: &mut Collector<'_>) -> Result<Next, StageError> {
    let bytes = content(file)?;
    let refuse = |rows: &mut Collector<'_>, message: &str| {
        let at = At { source: &file.source, unit: "line", number: 1 };
        let start = String::from_utf8_lossy(bytes.get(..1000).unwrap_or(&bytes)).into_owned();
        let help = "an e-mail begins with lines such as `From: …` and `Subject: …`";
        rows.refuse(at.error(None, message, &start).help(help))
    };
    let mut replaced = 0;
    let whole = upright(&bytes, &mut replaced);
    if !begins_with_header(&whole) {
        return refuse(rows, "the file has no header, so it is no e-mail");
    }
    let Some(message) = MessageParser::default().parse(&whole) else {
        return refuse(rows, "the file has no header, so it is no e-mail");
    };
    let cells = columns(&message, &mut replaced);
    rows.replaced += replaced;
    row(options, file, &cells, rows)
}

/// True if the first line is a header's: a name, then a colon.
fn begins_with_header(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    name.len() < line.len() && !name.is_empty() && name.iter().all(|byte| (33..127).contains(byte))
}

/// The mail without the line that mailboxes put before it, its header as UTF-8.
fn upright(bytes: &[u8], replaced: &mut u64) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = match bytes.starts_with(b"From ") {
        true => bytes.iter().position(|&byte| byte == b'\n').and_then(|at| bytes.get(at + 1..)).unwrap_or_default(),
        false => bytes,
    };
    let ends = [b"\n\n".as_slice(), b"\r\n\r\n"];
    let end = ends.iter().filter_map(|end| bytes.windows(end.len()).position(|window| window == *end)).min();
    let (header, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let mut whole = decoded(header, None, replaced).into_bytes();
    whole.extend_from_slice(rest);
    whole
}

/// Bytes as text: in the encoding that they declare; else UTF-8; else, as mail programs do, Windows-1252.
fn decoded(bytes: &[u8], declared: Option<&'static Encoding>, replaced: &mut u64) -> String {
    let encoding = match declared {
        Some(encoding) => encoding,
        None if std::str::from_utf8(bytes).is_ok() => UTF_8,
        None => WINDOWS_1252,
    };
    let (text, wrong) = encoding.decode_without_bom_handling(bytes);
    if wrong {
        *replaced += text.matches('\u{fffd}').count() as u64;
    }
    text.into_owned()
}

fn columns(message: &Message<'_>, replaced: &mut u64) -> Vec<(&'static str, Option<String>)> {
    let texts: Vec<String> = message
        .text_body
        .iter()
        .filter_map(|&id| message.part(id))
        .filter_map(|part| text(message, part, replaced))
        .collect();
    let is_html = |part: &&MessagePart<'_>| matches!(part.body, PartType::Html(_));
    let html: Vec<String> = message
        .html_body
        .iter()
        .filter_map(|&id| message.part(id))
        .filter(is_html)
        .map(|part| part_text(message, part, &mut 0))
        .collect();
    let headers: Vec<String> =
        message.headers_raw().map(|(name, value)| format!("{name}: {}", unfolded(value))).collect();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    vec![
        ("subject", Some(message.subject().unwrap_or_default().to_owned())),
        ("from", message.from().and_then(|address| some(addresses(address)))),
        ("to", message.to().and_then(|address| some(addresses(address)))),
        ("cc", message.cc().and_then(|address| some(addresses(address)))),
        ("date", message.date().map(|date| date.to_rfc3339())),
        ("headers", Some(headers.join("\n"))),
        ("body", Some(texts.join("\n"))),
        ("html", some(html.join("\n"))),
        ("attachments", Some(message.attachment_count().to_string())),
        ("content_type", message.header_raw(HeaderName::ContentType).map(unfolded)),
    ]
}

/// What a reader of the mail sees of a part.
fn text(message: &Message<'_>, part: &MessagePart<'_>, replaced: &mut u64) -> Option<String> {
    match part.body {
        PartType::Text(_) => Some(part_text(message, part, replaced)),
        PartType::Html(_) => Some(html_to_text(&part_text(message, part, replaced))),
        _ => None,
    }
}

/// A part's bytes, unpacked and decoded.
fn part_text(message: &Message<'_>, part: &MessagePart<'_>, replaced: &mut u64) -> String {
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
    let unpacked = match part.encoding {
        Transfer::None => Some(raw.to_vec()),
        Transfer::QuotedPrintable => quoted_printable_decode(raw),
        Transfer::Base64 => base64_decode(raw),
    };
    let declared = part.content_type().and_then(|kind| kind.attribute("charset"));
    let declared = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    decoded(&unpacked.unwrap_or_else(|| raw.to_vec()), declared, replaced)
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
