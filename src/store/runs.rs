//! Which runs are there? Those that go on now, which nobody may clear up under, and those that ended, with what they came to.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::beat::{Owner, Presence};
use super::disk::{self, Existing, Lasting};
use super::lease::Leases;
use super::seal::{seal, unseal};
use super::{Key, Store, StoreError};
use crate::table::Digest;

/// A run that ended: what it came to is kept for as long as the run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Which pipeline it was: its file and name.
    pub pipeline: String,
    /// The run folder.
    pub folder: PathBuf,
    /// When it ended, in milliseconds since 1970.
    pub ended: u64,
    /// The keys of all artifacts that it made or used.
    pub keys: Vec<Key>,
}

/// A run that goes on. Ends when dropped.
#[derive(Debug)]
pub struct ActiveRun {
    path: Option<PathBuf>,
    /// Keeps the beat going.
    _leases: Arc<Leases>,
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            drop(fs::remove_file(path));
        }
    }
}

/// What the file of an active run says.
#[derive(Serialize, Deserialize)]
struct Marker {
    owner: Owner,
    /// In seconds since 1970, by its own clock.
    began: u64,
}

impl Store {
    /// Says that a run goes on: until it ends, nothing is cleared up that it made or looked up. In a store that cannot be
    /// written nothing can be cleared up either, so nothing need be said.
    pub fn begin_run(&self) -> Result<ActiveRun, StoreError> {
        match self.mark_run() {
            Ok(path) => Ok(ActiveRun { path: Some(path), _leases: Arc::clone(&self.leases) }),
            Err(error) if error.is_read_only() => Ok(ActiveRun { path: None, _leases: Arc::clone(&self.leases) }),
            Err(error) => Err(error),
        }
    }

    fn mark_run(&self) -> Result<PathBuf, StoreError> {
        self.leases.beats.start()?;
        let owner = self.leases.beats.own().clone();
        let path = self.folder().join("active").join(format!("{}-{}.json", owner.token, self.leases.next()));
        let marker = seal(&Marker { owner, began: disk::now().as_secs() })?;
        disk::write(&self.folder().join("tmp"), &path, &marker, Existing::Replace, Lasting::Passing)?;
        Ok(path)
    }

    /// Remembers a run that ended, so that `cache gc` keeps what it came to. A run with the same artifacts as an earlier one
    /// of its pipeline takes that one's place.
    pub fn record_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        let mut run = run.clone();
        run.keys.sort_unstable();
        run.keys.dedup();
        let identity: Vec<u8> = Digest::of(run.pipeline.as_bytes())
            .as_bytes()
            .iter()
            .copied()
            .chain(run.keys.iter().flat_map(|key| *key.digest().as_bytes()))
            .collect();
        let path = self.folder().join("runs").join(format!("{}.json", Digest::of(&identity)));
        disk::write(&self.folder().join("tmp"), &path, &seal(&run)?, Existing::Replace, Lasting::Passing).map(|_| ())
    }

    /// The runs that are remembered, the latest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.recorded_runs()?.into_iter().map(|(_, run)| run).collect())
    }

    /// The runs that are remembered, with their files, the latest first. Damaged records are set aside.
    pub(super) fn recorded_runs(&self) -> Result<Vec<(PathBuf, RunRecord)>, StoreError> {
        let mut runs = Vec::new();
        for file in disk::entries(&self.folder().join("runs"))?.into_iter().filter(|file| disk::is_ours(file, "json")) {
            let Ok(bytes) = fs::read(&file) else { continue };
            match unseal::<RunRecord>(&bytes) {
                Ok(run) => runs.push((file, run)),
                Err(_) => drop(self.set_aside(&file)),
            }
        }
        runs.sort_by(|(a_file, a), (b_file, b)| b.ended.cmp(&a.ended).then_with(|| a_file.cmp(b_file)));
        Ok(runs)
    }

    /// When the oldest run began that goes on; `None` if none does. What is left of runs that ended otherwise is removed.
    /// A run that can only be told by its beat counts as going on until it was `watched` for long enough.
    pub(super) fn oldest_active(&self) -> Result<Option<SystemTime>, StoreError> {
        let mut oldest: Option<SystemTime> = None;
        for (file, presence) in self.active_runs()? {
            if presence == Presence::Gone {
                drop(fs::remove_file(&file));
                continue;
            }
            // Written by the disk's clock, and said by the run's own: whichever is earlier.
            let written = fs::metadata(&file).and_then(|metadata| metadata.modified()).ok();
            let said = fs::read(&file).ok().and_then(|bytes| unseal::<Marker>(&bytes).ok());
            let said = said.map(|marker| SystemTime::UNIX_EPOCH + Duration::from_secs(marker.began));
            oldest = oldest.into_iter().chain(written).chain(said).min();
        }
        Ok(oldest)
    }

    /// The files of runs that go on, or were left by runs that ended otherwise.
    pub(super) fn active_runs(&self) -> Result<Vec<(PathBuf, Presence)>, StoreError> {
        let beats = &self.leases.beats;
        let files = disk::entries(&self.folder().join("active"))?;
        let presence = |file: PathBuf| {
            let bytes = fs::read(&file).ok()?;
            let owner = unseal::<Marker>(&bytes).ok().map(|marker| marker.owner);
            let presence = match owner.as_ref().map(|owner| owner.presence(beats.own())) {
                Some(presence @ (Presence::Here | Presence::Gone)) => presence,
                Some(Presence::Elsewhere) | None if beats.is_over(owner.as_ref(), &bytes) => Presence::Gone,
                Some(Presence::Elsewhere) | None => Presence::Elsewhere,
            };
            Some((file, presence))
        };
        let ours = |file: &PathBuf| file.extension().is_some_and(|found| found == "json");
        Ok(files.into_iter().filter(ours).filter_map(presence).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pipeline: &str, ended: u64, keys: &[u8]) -> RunRecord {
        let keys = keys.iter().map(|byte| Key::new([*byte; 32])).collect();
        RunRecord { pipeline: pipeline.to_owned(), folder: PathBuf::from("/runs/p"), ended, keys }
    }

    #[test]
    fn runs_are_remembered_the_latest_first_and_equal_ones_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for record in [run("p", 1, &[1, 2]), run("q", 2, &[1, 2]), run("p", 3, &[3]), run("p", 4, &[2, 1, 2])] {
            store.record_run(&record).unwrap();
        }
        let runs: Vec<RunRecord> = store.recorded_runs().unwrap().into_iter().map(|(_, run)| run).collect();
        assert_eq!(runs, [run("p", 4, &[1, 2]), run("p", 3, &[3]), run("q", 2, &[1, 2])]);
        let file = store.recorded_runs().unwrap().remove(0).0;
        fs::write(&file, fs::read_to_string(&file).unwrap().replace(":4,", ":5,")).unwrap();
        assert_eq!(store.recorded_runs().unwrap().len(), 2);
        assert_eq!(disk::entries(&store.folder().join("damaged")).unwrap().len(), 1);
    }

    #[test]
    fn a_run_goes_on_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (store, other) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        assert_eq!(other.oldest_active().unwrap(), None);
        let (first, second) = (store.begin_run().unwrap(), store.begin_run().unwrap());
        let began = other.oldest_active().unwrap().unwrap();
        assert!(began.elapsed().unwrap() < Duration::from_secs(5));
        drop(first);
        assert!(other.oldest_active().unwrap().is_some());
        drop(second);
        assert_eq!(other.oldest_active().unwrap(), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_run_whose_process_has_ended_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let left = |name: &str, change: fn(&mut Owner)| {
            let mut owner = store.leases.beats.own().clone();
            change(&mut owner);
            let path = store.folder().join("active").join(name);
            fs::write(&path, seal(&Marker { owner, began: 7 }).unwrap()).unwrap();
            path
        };
        let dead = left("dead.json", |owner| owner.pid = u32::MAX);
        assert_eq!(store.oldest_active().unwrap(), None);
        assert!(!dead.exists());
        let far = left("far.json", |owner| owner.host = "elsewhere".to_owned());
        assert_eq!(store.oldest_active().unwrap(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)));
        std::thread::sleep(super::super::beat::SILENCE + Duration::from_millis(50));
        assert_eq!(store.oldest_active().unwrap(), None);
        assert!(!far.exists());
    }
}
