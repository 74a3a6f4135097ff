//! Do the lengths that an Arrow file tells fit the file? Its reader takes memory by them before it sees what is there.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use arrow::error::ArrowError;
use arrow::ipc::{Message, RecordBatch, root_as_footer, root_as_message};

/// What stands before the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// A footer's length and the word after it.
const TAIL: u64 = 10;
/// A buffer may unpack to so many times its size, and in any case to so many bytes.
const MOST_RATIO: u64 = 200;
const ALWAYS_BYTES: u64 = 256 << 20;

type Bytes = BufReader<File>;

/// An error if some part of a file with a footer would lie outside it or unpack to more than it can hold.
pub(super) fn check_file(file: File) -> Result<(), ArrowError> {
    let size = file.metadata()?.len();
    let mut bytes = BufReader::new(file);
    let tail = at(&mut bytes, size.checked_sub(TAIL).ok_or_else(cut_off)?, 4)?;
    let length = u64::from(u32_of(&tail));
    let footer = at(&mut bytes, size.checked_sub(TAIL + length).ok_or_else(cut_off)?, length)?;
    let footer = root_as_footer(&footer).map_err(|error| ArrowError::ParseError(format!("its footer: {error}")))?;
    let blocks = footer.dictionaries().into_iter().chain(footer.recordBatches()).flatten();
    for block in blocks {
        let (start, head, body) =
            (u64::try_from(block.offset()), u64::try_from(block.metaDataLength()), u64::try_from(block.bodyLength()));
        let (Ok(start), Ok(head), Ok(body)) = (start, head, body) else { return Err(outside()) };
        let body_at = start.checked_add(head).filter(|_| head >= 8).ok_or_else(outside)?;
        if body_at.checked_add(body).is_none_or(|end| end > size) {
            return Err(outside());
        }
        let head = at(&mut bytes, start, head)?;
        let words = if head.starts_with(&CONTINUATION) { 8 } else { 4 };
        check_message(&mut bytes, head.get(words..).unwrap_or_default(), body_at, Some(body))?;
    }
    Ok(())
}

/// The same of a stream.
pub(super) fn check_stream(file: File) -> Result<(), ArrowError> {
    let size = file.metadata()?.len();
    let mut bytes = BufReader::new(file);
    let mut here = 0_u64;
    // a stream may end without saying so
    while here + 4 <= size {
        let mut length = at(&mut bytes, here, 4)?;
        here += 4;
        if length == CONTINUATION {
            length = at(&mut bytes, here, 4)?;
            here += 4;
        }
        let length = u64::from(u32_of(&length));
        if length == 0 {
            break;
        }
        if here + length > size {
            return Err(cut_off());
        }
        let head = at(&mut bytes, here, length)?;
        here += length;
        let body = check_message(&mut bytes, &head, here, None)?;
        here = here.checked_add(body).filter(|end| *end <= size).ok_or_else(cut_off)?;
    }
    Ok(())
}

/// Checks a message whose body begins at `body_at`; gives the body's length, which is `body` if that is known.
fn check_message(bytes: &mut Bytes, head: &[u8], body_at: u64, body: Option<u64>) -> Result<u64, ArrowError> {
    let message = root_as_message(head).map_err(|error| ArrowError::ParseError(format!("a message: {error}")))?;
    let told = u64::try_from(message.bodyLength()).map_err(|_| outside())?;
    let body = body.unwrap_or(told);
    let Some(batch) = batch_of(&message) else { return Ok(body) };
    for buffer in batch.buffers().into_iter().flatten() {
        let (Ok(from), Ok(length)) = (u64::try_from(buffer.offset()), u64::try_from(buffer.length())) else {
            return Err(outside());
        };
        if from.checked_add(length).is_none_or(|end| end > body) {
            return Err(outside());
        }
        if batch.compression().is_none() || length == 0 {
            continue;
        }
        if length < 8 {
            return Err(ArrowError::ParseError("a packed buffer is too short".to_owned()));
        }
        let mut unpacked = [0; 8];
        unpacked.iter_mut().zip(at(bytes, body_at + from, 8)?).for_each(|(to, byte)| *to = byte);
        // -1: it is not packed
        let unpacked = i64::from_le_bytes(unpacked);
        if unpacked < -1 || unpacked.unsigned_abs() > length.saturating_mul(MOST_RATIO).max(ALWAYS_BYTES) {
            let message = format!("a buffer of {length} bytes says that it unpacks to {unpacked}");
            return Err(ArrowError::ParseError(message));
        }
    }
    Ok(body)
}

/// The rows or the dictionary that a message holds.
fn batch_of<'m>(message: &Message<'m>) -> Option<RecordBatch<'m>> {
    message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch()?.data())
}

fn at(bytes: &mut Bytes, from: u64, length: u64) -> Result<Vec<u8>, ArrowError> {
    bytes.seek(SeekFrom::Start(from))?;
    let mut read = Vec::new();
    bytes.take(length).read_to_end(&mut read)?;
    if read.len() as u64 == length { Ok(read) } else { Err(cut_off()) }
}

fn u32_of(bytes: &[u8]) -> u32 {
    let mut four = [0; 4];
    four.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
    u32::from_le_bytes(four)
}

fn cut_off() -> ArrowError {
    ArrowError::ParseError("it ends too early: the file was cut off".to_owned())
}

fn outside() -> ArrowError {
    ArrowError::ParseError("a part of it would lie outside the file: it is damaged".to_owned())
}
