//! `fuseline predict`: asks an exported pipeline about new texts, as they come.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tempfile::NamedTempFile;

use super::args::{AnswerFormat, RowsArgs, RowsFormat};
use super::context::Context;
use super::exit::Exit;
use super::export::failed;
use crate::bundle::answers::{Header, Scores, csv, jsonl, table};
use crate::bundle::input::{Format, Wanted, parquet, rows};
use crate::bundle::{BundleError, Replay, Row, Running};
use crate::machine::Machine;
use crate::problem::{Problem, Problems};
use crate::table::{Packing, ParquetWriter, TableError};
use crate::ui::Verbosity;

/// Rows, and about how many bytes of text, that are asked for at once.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 16 << 20;
/// How long rows from a pipe wait for others.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often a pipe that is still is left to see whether to end.
const GLANCE: Duration = Duration::from_millis(100);
/// Rows that may wait to be asked for.
const WAITING: usize = 1024;
/// Rows of a group in Parquet.
const GROUP: usize = 64 * 1024;

/// Where answers go.
pub(super) struct To {
    pub(super) format: AnswerFormat,
    pub(super) out: Option<PathBuf>,
    pub(super) scores: Scores,
}

/// Runs the command.
pub(super) fn predict(context: &Context, folder: &Path, files: &[PathBuf], args: &RowsArgs, to: &To) -> Exit {
    match try_predict(context, folder, files, args, to) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_predict(context: &Context, folder: &Path, files: &[PathBuf], args: &RowsArgs, to: &To) -> Result<Exit, Exit> {
    let told = |error: BundleError| failed(context, &error);
    let replay = open(context, folder)?;
    let pool = pool(context)?;
    let running = pool.install(|| replay.begin(&context.settings.device)).map_err(told)?;
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        let problem = Problem::error("not-found", format!("there is no file `{}`", missing.display()));
        context.tell(&problem.into());
        return Err(Exit::Usage);
    }
    let wanted = Wanted::of(&replay.bundle, &args.text, args.id.as_deref());
    let incoming = Incoming::start(sources(files, args.format), wanted);
    let mut sink = Sink::open(to).map_err(told)?;
    let mut said_something = false;
    loop {
        let (batch, end) = incoming.batch(context);
        // Without any row, tables still have a head.
        if !batch.is_empty() || (matches!(end, End::Done) && !said_something && to.format != AnswerFormat::Jsonl) {
            let walked = pool.install(|| running.walk(&batch, &context.cancelled)).map_err(told)?;
            let answers = table(&walked, to.scores).map_err(told)?;
            match sink.write(&answers) {
                Ok(()) => said_something = true,
                Err(BundleError::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
                    return Ok(Exit::Success);
                }
                Err(error) => return Err(told(error)),
            }
        }
        match end {
            End::More => {}
            End::Done => break,
            End::Failed(error) => return Err(told(error)),
        }
    }
    sink.finish().map_err(told)?;
    Ok(Exit::Success)
}

/// Opens a bundle; says so if this machine may give other last bits.
pub(super) fn open(context: &Context, folder: &Path) -> Result<Replay, Exit> {
    let replay = Replay::open(folder, &context.cancelled).map_err(|error| failed(context, &error))?;
    let here = Machine::asked(replay.numeric(), &context.settings.device).classes();
    for (name, class) in &replay.bundle.numeric {
        if let Some(here) = here.get(name).filter(|here| *here != class)
            && context.look.verbosity > Verbosity::Quiet
        {
            let said = format!("it was fitted on a machine of numeric class `{class}`, and this is `{here}`");
            let problem = Problem::warning("advice", said).note("the last bits of scores may differ");
            context.tell(&Problems::from(problem));
        }
    }
    Ok(replay)
}

/// The threads that settings give.
pub(super) fn pool(context: &Context) -> Result<ThreadPool, Exit> {
    ThreadPoolBuilder::new().num_threads(context.settings.threads()).build().map_err(|error| {
        context.tell(&Problem::error("io", "cannot start worker threads").because(error.to_string()).into());
        Exit::StageFailed
    })
}

/// Something that rows are read from.
pub(super) struct Origin {
    /// Standard input if there is none.
    path: Option<PathBuf>,
    format: Format,
}

/// The files, or standard input where there are none.
pub(super) fn sources(files: &[PathBuf], format: Option<RowsFormat>) -> Vec<Origin> {
    let format = format.map(|format| match format {
        RowsFormat::Lines => Format::Lines,
        RowsFormat::Jsonl => Format::Jsonl,
        RowsFormat::Csv => Format::Csv,
        RowsFormat::Parquet => Format::Parquet,
    });
    if files.is_empty() {
        return vec![Origin { path: None, format: format.unwrap_or(Format::Lines) }];
    }
    let of =
        |path: &PathBuf| Origin { path: Some(path.clone()), format: format.unwrap_or_else(|| Format::of_name(path)) };
    files.iter().map(of).collect()
}

/// Rows on their way, read by a thread of their own.
pub(super) struct Incoming {
    rows: Receiver<Result<Row, BundleError>>,
    /// True if rows come from a pipe, on which somebody may wait for an answer.
    live: bool,
}

/// What comes after a batch.
pub(super) enum End {
    More,
    Done,
    Failed(BundleError),
}

impl Incoming {
    pub(super) fn start(origins: Vec<Origin>, wanted: Wanted) -> Incoming {
        let (give, take) = sync_channel(WAITING);
        let live = origins.iter().any(|origin| origin.path.is_none());
        // Not joined: it may wait for a pipe for ever.
        drop(std::thread::spawn(move || read(origins, &wanted, &give)));
        Incoming { rows: take, live }
    }

    /// The next rows: as many as there are, up to a bound, in order.
    pub(super) fn batch(&self, context: &Context) -> (Vec<Row>, End) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut first: Option<Instant> = None;
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            if context.cancelled.load(std::sync::atomic::Ordering::Relaxed) {
                return (Vec::new(), End::Failed(BundleError::Interrupted));
            }
            let wait = match first {
                Some(first) if self.live => PATIENCE.saturating_sub(first.elapsed()),
                _ => GLANCE,
            };
            match self.rows.recv_timeout(wait) {
                Ok(Ok(row)) => {
                    bytes += row.text.len();
                    batch.push(row);
                    first.get_or_insert_with(Instant::now);
                }
                Ok(Err(error)) => return (batch, End::Failed(error)),
                Err(RecvTimeoutError::Disconnected) => return (batch, End::Done),
                Err(RecvTimeoutError::Timeout) if self.live && first.is_some() => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        (batch, End::More)
    }
}

/// Reads all rows of all origins, numbered unless they have ids, until one is wrong or nobody listens any more.
fn read(origins: Vec<Origin>, wanted: &Wanted, give: &SyncSender<Result<Row, BundleError>>) {
    let mut number = 0_u64;
    for origin in origins {
        let rows = match begin(origin, wanted) {
            Ok(rows) => rows,
            Err(error) => return drop(give.send(Err(error))),
        };
        for row in rows {
            let row = row.map(|row| Row { id: if wanted.id.is_none() { number.to_string() } else { row.id }, ..row });
            number += 1;
            let wrong = row.is_err();
            if give.send(row).is_err() || wrong {
                return;
            }
        }
    }
}

fn begin(origin: Origin, wanted: &Wanted) -> Result<crate::bundle::input::Rows, BundleError> {
    let Some(path) = origin.path else {
        return rows(origin.format, "standard input", Box::new(BufReader::new(stdin())), wanted);
    };
    if origin.format == Format::Parquet {
        return parquet(&path, wanted);
    }
    let file = File::open(&path).map_err(|source| BundleError::Io { path: path.clone(), source })?;
    let from: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(1 << 16, file));
    rows(origin.format, &path.display().to_string(), from, wanted)
}

/// Takes answers as they come.
struct Sink {
    format: AnswerFormat,
    to: PathBuf,
    out: Option<Box<dyn Write + Send>>,
    table: Option<ParquetWriter<Box<dyn Write + Send>>>,
    header: Header,
    /// A file beside its place, which it gets in the end.
    file: Option<NamedTempFile>,
}

impl Sink {
    fn open(to: &To) -> Result<Sink, BundleError> {
        let mut sink = Sink {
            format: to.format,
            to: to.out.clone().unwrap_or_else(|| PathBuf::from("standard output")),
            out: None,
            table: None,
            header: Header::First,
            file: None,
        };
        sink.out = Some(match &to.out {
            None => Box::new(BufWriter::new(stdout())),
            Some(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let failed = |source| BundleError::Io { path: path.clone(), source };
                if !parent.is_dir() {
                    return Err(BundleError::Io {
                        path: parent.to_owned(),
                        source: std::io::Error::new(ErrorKind::NotFound, "there is no such folder"),
                    });
                }
                let file = crate::whole::within(parent).map_err(failed)?;
                let out = file.reopen().map_err(failed)?;
                sink.file = Some(file);
                Box::new(BufWriter::new(out))
            }
        });
        Ok(sink)
    }

    fn write(&mut self, answers: &RecordBatch) -> Result<(), BundleError> {
        let bytes = match self.format {
            AnswerFormat::Jsonl => jsonl(answers),
            AnswerFormat::Csv => csv(answers, std::mem::replace(&mut self.header, Header::Written))?,
            AnswerFormat::Parquet => {
                if let Some(out) = self.out.take() {
                    let packing = Packing::Small { group: GROUP };
                    self.table = Some(ParquetWriter::new(out, &answers.schema(), packing)?);
                }
                let written = self.table.as_mut().map_or(Ok(()), |table| table.write(answers));
                return written.map_err(|error| unwritten(&self.to, error));
            }
        };
        let failed = |source| BundleError::Io { path: self.to.clone(), source };
        match &mut self.out {
            Some(out) => out.write_all(&bytes).and_then(|()| out.flush()).map_err(failed),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(), BundleError> {
        let failed = |source| BundleError::Io { path: self.to.clone(), source };
        if let Some(table) = self.table.take() {
            self.out = Some(table.finish().map_err(|error| unwritten(&self.to, error))?);
        }
        if let Some(mut out) = self.out.take() {
            match out.flush() {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(failed(error)),
                _ => {}
            }
        }
        let Some(file) = self.file.take() else { return Ok(()) };
        file.persist(&self.to).map(drop).map_err(|error| failed(error.error))
    }
}

/// The table of answers could not be written.
fn unwritten(to: &Path, error: TableError) -> BundleError {
    BundleError::Io { path: to.to_owned(), source: std::io::Error::other(error) }
}

/// Asks about the rows of standard input, or one text, one after the other.
pub(super) fn each(
    context: &Context,
    running: &Running<'_>,
    text: Option<String>,
    args: &RowsArgs,
    one: &mut dyn FnMut(&Row) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let wanted = Wanted::of(running.bundle(), &args.text, args.id.as_deref());
    if let Some(text) = text {
        // Columns that the pipeline reads are as missing here as in lines.
        let nothing = rows(Format::Lines, "TEXT", Box::new(std::io::empty()), &wanted);
        drop(nothing.map_err(|error| failed(context, &error))?);
        return one(&Row { id: "0".to_owned(), text, cells: Vec::new() });
    }
    let incoming = Incoming::start(sources(&[], args.format), wanted);
    loop {
        let (batch, end) = incoming.batch(context);
        batch.iter().try_for_each(&mut *one)?;
        match end {
            End::More => {}
            End::Done => return Ok(()),
            End::Failed(error) => {
                return Err(failed(context, &error));
            }
        }
    }
}
