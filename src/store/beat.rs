//! Is the process that left a file here still at work? Each process keeps a beat going that others can watch.
//!
//! A process that holds leases rewrites one file of its own every second, whatever the number of leases. Others compare the
//! bytes that they see with those that they saw before, by their own clock: clocks and file times of two machines are never
//! held against each other. On Linux, a process of the same host, kernel and pid namespace is asked for directly.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{StoreError, disk};
use crate::table::Digest;

/// How often a beat is written.
const EVERY: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 1000 });

/// For how long a beat may be silent before its process counts as gone.
pub(super) const SILENCE: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 5000 });

/// After how long the file of a silent process is swept, if nobody can ask for the process itself.
const SWEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A process, as far as others can tell it from all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// The host's name.
    pub(super) host: String,
    /// Its pid.
    pub(super) pid: u32,
    /// Where pids mean the same: kernel, pid namespace and user. `None` where that cannot be told.
    place: Option<String>,
    /// When the process started, in the kernel's ticks: a pid is given out again.
    started: Option<u64>,
    /// Chance: no two are alike.
    pub(super) token: String,
}

impl Owner {
    fn of_this_process() -> Self {
        let pid = std::process::id();
        let started = match ask(pid) {
            Answer::Started(at) => Some(at),
            Answer::Gone | Answer::Unknown => None,
        };
        let host = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|file| fs::read_to_string(file).ok());
        let host = host.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        // The standard library seeds its maps from the system's own chance.
        let chance = [(); 2].map(|()| RandomState::new().hash_one(pid)).map(|chance| format!("{chance:016x}")).concat();
        let host = host.unwrap_or_else(|| "unknown".to_owned());
        Owner { host, pid, place: started.and_then(|_| place()), started, token: chance }
    }

    /// What can be said of this process from `here`, without waiting.
    pub(super) fn presence(&self, here: &Owner) -> Presence {
        if self.place.is_none() || (&self.place, &self.host) != (&here.place, &here.host) {
            return Presence::Elsewhere;
        }
        match ask(self.pid) {
            Answer::Started(at) if Some(at) == self.started => Presence::Here,
            Answer::Started(_) | Answer::Gone => Presence::Gone,
            Answer::Unknown => Presence::Elsewhere,
        }
    }
}

/// What can be said of a process at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is there (though it may be stopped).
    Here,
    /// It has ended.
    Gone,
    /// It cannot be asked for; its beat must be watched.
    Elsewhere,
}

/// The beats in a folder: one's own, and what was seen of others.
#[derive(Debug)]
pub(super) struct Beats {
    folder: PathBuf,
    own: Owner,
    pulse: Mutex<Option<Pulse>>,
    seen: Mutex<FxHashMap<String, (Digest, Instant)>>,
}

impl Beats {
    pub(super) fn new(folder: PathBuf) -> Self {
        Beats { folder, own: Owner::of_this_process(), pulse: Mutex::default(), seen: Mutex::default() }
    }

    /// This process.
    pub(super) fn own(&self) -> &Owner {
        &self.own
    }

    /// Starts this process's beat, unless it goes already.
    pub(super) fn start(&self) -> Result<(), StoreError> {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        if pulse.is_none() {
            let path = self.path(&self.own.token);
            fs::create_dir_all(&self.folder).map_err(|error| StoreError::write(&self.folder, error))?;
            *pulse = Some(Pulse::start(&self.own, &path).map_err(|error| StoreError::write(&path, error))?);
        }
        Ok(())
    }

    /// True if the process that left `bytes` somewhere has ended, or has been silent for too long since it was first looked
    /// at. Without an owner (bytes that say nothing) they are taken for a beat themselves.
    pub(super) fn is_over(&self, owner: Option<&Owner>, bytes: &[u8]) -> bool {
        if owner.is_some_and(|owner| owner.presence(&self.own) == Presence::Gone) {
            return true;
        }
        let token = owner.map(|owner| owner.token.as_str()).filter(|token| is_token(token));
        let (name, beat) = match token {
            // One that is not there is as silent as one that stands still.
            Some(token) => (token.to_owned(), Digest::of(&fs::read(self.path(token)).unwrap_or_default())),
            None => (Digest::of(bytes).to_string(), Digest::of(bytes)),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, since) = seen.entry(name).or_insert_with(|| (beat, Instant::now()));
        if *before != beat {
            (*before, *since) = (beat, Instant::now());
        }
        since.elapsed() > SILENCE
    }

    /// Removes what ended processes left, as far as that is possible.
    pub(super) fn sweep(&self) {
        for file in disk::entries(&self.folder).unwrap_or_default() {
            let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if !is_token(name) || name == self.own.token {
                continue;
            }
            let beat = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Beat>(&bytes).ok());
            let over = match beat.map(|beat| beat.owner.presence(&self.own)) {
                Some(Presence::Gone) => true,
                Some(Presence::Here) => false,
                // A process that is at work after all writes its beat anew.
                Some(Presence::Elsewhere) | None => disk::age(&file) > SWEPT,
            };
            if over {
                drop(fs::remove_file(file));
            }
        }
    }

    fn path(&self, token: &str) -> PathBuf {
        self.folder.join(format!("{token}.json"))
    }
}

/// A file's name may be made of it.
fn is_token(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[derive(Serialize, Deserialize)]
struct Beat {
    owner: Owner,
    /// Of a fixed width, so that the file is overwritten where it stands, which a full disk cannot hinder.
    beat: String,
}

/// The thread that keeps a beat going.
#[derive(Debug)]
struct Pulse {
    path: PathBuf,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    fn start(owner: &Owner, path: &Path) -> io::Result<Self> {
        beat(path, owner, 0)?;
        let (stop, stopped) = channel::<()>();
        let (owner, file) = (owner.clone(), path.to_owned());
        let mut count = 0;
        let thread = std::thread::Builder::new().name("fuseline-beat".to_owned()).spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                count += 1;
                // A disk that is away for a moment is tried again in a moment.
                drop(beat(&file, &owner, count));
            }
        })?;
        Ok(Pulse { path: path.to_owned(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        drop(fs::remove_file(&self.path));
    }
}

fn beat(path: &Path, owner: &Owner, count: u64) -> io::Result<()> {
    let json = serde_json::to_vec(&Beat { owner: owner.clone(), beat: format!("{count:020}") })?;
    OpenOptions::new().write(true).create(true).truncate(false).open(path)?.write_all(&json)
}

/// What the system says about a process.
enum Answer {
    Started(u64),
    Gone,
    Unknown,
}

#[cfg(target_os = "linux")]
fn ask(pid: u32) -> Answer {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound && Path::new("/proc/self/stat").exists() => {
            return Answer::Gone;
        }
        Err(_) => return Answer::Unknown,
    };
    // After the command in parentheses, which may hold anything: state, 18 more, start time.
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    match fields.next() {
        // It has ended, and nobody has asked how.
        Some("Z" | "X") => Answer::Gone,
        Some(_) => fields.nth(18).and_then(|field| field.parse().ok()).map_or(Answer::Unknown, Answer::Started),
        None => Answer::Unknown,
    }
}

#[cfg(not(target_os = "linux"))]
fn ask(_: u32) -> Answer {
    Answer::Unknown
}

/// Kernel, pid namespace and user: another user's processes may be hidden.
#[cfg(target_os = "linux")]
fn place() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    let user = fs::metadata("/proc/self").ok()?.uid();
    Some(format!("{}/{namespace}/{user}", boot.trim()))
}

#[cfg(not(target_os = "linux"))]
fn place() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beats(folder: &Path) -> Beats {
        Beats::new(folder.to_owned())
    }

    fn foreign(token: &str) -> Owner {
        let (host, place) = ("elsewhere".to_owned(), Some("another".to_owned()));
        Owner { host, pid: 1, place, started: Some(1), token: token.repeat(16) }
    }

    #[test]
    fn a_beat_goes_until_its_process_ends_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (beats(folder.path()), beats(folder.path()));
        ours.start().unwrap();
        ours.start().unwrap();
        assert_ne!(ours.own().token, other.own().token);
        assert_eq!(disk::entries(folder.path()).unwrap(), [ours.path(&ours.own().token)]);
        let until = Instant::now() + 2 * SILENCE;
        while Instant::now() < until {
            assert!(!other.is_over(Some(ours.own()), b""));
            std::thread::sleep(EVERY);
        }
        drop(ours);
        assert!(disk::entries(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn silence_is_told_by_ones_own_clock() {
        let folder = tempfile::tempdir().unwrap();
        let other = beats(folder.path());
        let far = foreign("ab");
        let path = other.path(&far.token);
        fs::write(&path, "1").unwrap();
        // Written long ago, by its time: that says nothing.
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!(!other.is_over(Some(&far), b""));
        std::thread::sleep(SILENCE / 2);
        fs::write(&path, "2").unwrap();
        assert!(!other.is_over(Some(&far), b""));
        std::thread::sleep(SILENCE / 2 + EVERY);
        assert!(!other.is_over(Some(&far), b""), "it has beaten since");
        std::thread::sleep(SILENCE / 2);
        assert!(other.is_over(Some(&far), b""));
        // Whatever says nothing is given the same time.
        assert!(!other.is_over(None, b"\xff"));
        assert!(!other.is_over(Some(&foreign("cd")), b""));
        std::thread::sleep(SILENCE + EVERY);
        assert!(other.is_over(None, b"\xff"));
        assert!(other.is_over(Some(&foreign("cd")), b""));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_has_ended_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let here = beats(folder.path());
        assert_eq!(here.own().presence(here.own()), Presence::Here);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = Owner { pid: child.id(), started: Some(1), ..here.own().clone() };
        assert_eq!(ended.presence(here.own()), Presence::Gone, "its pid was given out again");
        child.wait().unwrap();
        assert!(here.is_over(Some(&ended), b""));
        let contained = Owner { place: Some("another".to_owned()), ..ended.clone() };
        assert_eq!(contained.presence(here.own()), Presence::Elsewhere, "pids of containers are not ours");
        fs::write(
            here.path(&ended.token),
            serde_json::to_vec(&Beat { owner: ended.clone(), beat: "0".into() }).unwrap(),
        )
        .unwrap();
        fs::write(here.path(&foreign("ab").token), "{").unwrap();
        // One's own is never swept, nor what may belong to the living.
        here.sweep();
        assert_eq!(disk::entries(folder.path()).unwrap().len(), 2);
        beats(folder.path()).sweep();
        assert_eq!(disk::entries(folder.path()).unwrap(), [here.path(&foreign("ab").token)]);
    }
}
