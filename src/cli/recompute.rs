//! `fuseline cache verify --recompute`: are cached units what they would be if they ran again?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::args::{MessageFormat, PipelineArgs};
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use super::{limits, load_args};
use crate::problem::{Problem, Problems};
use crate::run::{Listeners, Options, Session, State, Status, Wanted};
use crate::store::{Key, Manifest};
use crate::table::Digest;
use crate::ui::counted;

/// Which units, as a share of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

/// Reads `2%`, `0.5%` or `100%`.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number.filter(|percent| *percent > 0.0 && *percent <= 100.0) {
        Some(percent) => Ok(Share(percent / 100.0)),
        None => Err(format!("`{text}` is no share: write a number above 0 and up to 100 with a %, as in 2%")),
    }
}

/// A cached unit that is to run again.
struct Sampled {
    title: String,
    manifest: Box<Manifest>,
}

/// Runs a share of a pipeline's cached units again, beside the cache, and compares their tables.
pub(super) fn recompute(
    context: &Context,
    args: &PipelineArgs,
    share: Share,
    sample: Option<u64>,
) -> Result<Exit, Exit> {
    let pipeline = load_args(context, args)?;
    let (store, fetcher) = (context.store()?, context.fetcher());
    let options = Options { ..limits::plain(context) };
    let display = context.display();
    let listeners = Listeners(display.listeners());
    let mut session = Session {
        pipeline: &pipeline,
        store: Arc::clone(&store),
        fetcher: &fetcher,
        options,
        listener: &listeners,
        cancelled: &context.cancelled,
    };
    // Until this is over, nobody clears up what is compared with.
    let _active = store.begin_run().map_err(|error| context.store_failed(&error))?;
    let look = session.look().map_err(|error| context.run_failed(&error))?;
    let units = look.status.len();
    let missing = look.status.iter().filter(|status| matches!(status, Status::Miss(_))).count() as u64;
    if missing > 0 {
        let problem =
            Problem::error("not-cached", format!("{} of this pipeline are not cached", counted(missing, "unit")));
        let file = args.file.display();
        context.tell(&problem.help(format!("run it first: `fuseline run {file}`")).into());
        return Err(Exit::Usage);
    }
    // Another sample each day, so that in time all is looked at.
    let day = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / (24 * 60 * 60);
    let sample = sample.unwrap_or(day);
    let chosen = chosen(
        look.status.iter().filter_map(|status| match status {
            Status::Hit(manifest) => Some(manifest.key),
            Status::Miss(_) => None,
        }),
        share,
        sample,
    );
    let scratch = store.scratch().map_err(|error| context.store_failed(&error))?;
    let mut sampled: BTreeMap<Key, Sampled> = BTreeMap::new();
    for (index, status) in look.status.into_iter().enumerate() {
        let Status::Hit(manifest) = status else { continue };
        if chosen.contains(&manifest.key) {
            let title = look.plan.unit(look.plan.order[index]).title();
            sampled.insert(manifest.key, Sampled { title, manifest });
        } else {
            scratch.lend(&store, &manifest).map_err(|error| context.store_failed(&error))?;
        }
    }
    session.store = Arc::clone(&scratch.store);
    let done = session.run(&Wanted::Everything);
    display.clear();
    let done = done.map_err(|error| context.run_failed(&error))?;
    let mut made: BTreeMap<Key, &Manifest> = BTreeMap::new();
    made.extend(done.states.iter().filter_map(State::manifest).map(|manifest| (manifest.key, manifest)));
    let differing = differing(&sampled, &made);
    let again = sampled.keys().filter(|key| made.contains_key(key)).count() as u64;
    tell(context, units as u64, again, sample, &differing);
    Ok(match (differing.is_empty(), done.interrupted, again == sampled.len() as u64) {
        (false, ..) => Exit::Integrity,
        (true, true, _) => Exit::Partial,
        (true, false, true) => Exit::Success,
        (true, false, false) => Exit::StageFailed,
    })
}

/// The share of all keys that a sample takes: always the same ones, and at least one.
fn chosen(keys: impl Iterator<Item = Key>, share: Share, sample: u64) -> Vec<Key> {
    let drawn = |key: &Key| {
        let digest = Digest::of(format!("{sample} {key}").as_bytes());
        let first: [u8; 8] = std::array::from_fn(|at| digest.as_bytes()[at]);
        u64::from_le_bytes(first)
    };
    let mut all: Vec<(u64, Key)> = keys.map(|key| (drawn(&key), key)).collect();
    all.sort_unstable();
    all.dedup();
    let number = (all.len() as f64 * share.0).ceil() as usize;
    all.into_iter().take(number).map(|(_, key)| key).collect()
}

/// What differs, in words.
fn differing(sampled: &BTreeMap<Key, Sampled>, made: &BTreeMap<Key, &Manifest>) -> Vec<String> {
    let mut all = Vec::new();
    for (key, Sampled { title, manifest }) in sampled {
        let Some(made) = made.get(key) else { continue };
        for part in &manifest.parts {
            let again = made.parts.iter().find(|again| again.name == part.name).map(|again| again.digest);
            if again != Some(part.digest) {
                let short: String = key.to_string().chars().take(12).collect();
                all.push(format!("`{title}` ({short}): `{}` has other bytes", part.name));
            }
        }
    }
    all
}

fn tell(context: &Context, units: u64, again: u64, sample: u64, differing: &[String]) {
    if context.format == MessageFormat::Json {
        let said = serde_json::json!({ "units": units, "ran": again, "sample": sample, "differing": differing });
        out(format!("{}\n", serde_json::json!({ "recomputed": said })).as_bytes());
        return;
    }
    let problems: Vec<Problem> = differing
        .iter()
        .map(|what| Problem::error("nondeterministic", what.clone()))
        .map(|problem| problem.help("`fuseline run --force=STAGE` with another `--cache-dir` shows what it gives now"))
        .collect();
    if !problems.is_empty() {
        context.tell(&Problems(problems));
    }
    let verdict = if differing.is_empty() { "the same bytes" } else { "other bytes" };
    say(&format!("ran {again} of {} again (sample {sample}): {verdict}", counted(units, "unit")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!((share("2%"), share("100 %"), share("0.5%")), (Ok(Share(0.02)), Ok(Share(1.0)), Ok(Share(0.005))));
        for wrong in ["2", "0%", "101%", "%", "-1%", "NaN%", "two%"] {
            assert!(share(wrong).unwrap_err().contains("as in 2%"), "{wrong}");
        }
    }

    #[test]
    fn a_sample_is_always_the_same_and_never_empty() {
        let keys = || (0..100u8).map(|byte| Key::new([byte; 32]));
        let [one, again, other] = [7, 7, 8].map(|sample| chosen(keys(), Share(0.1), sample));
        assert_eq!((one.len(), &one), (10, &again));
        assert_ne!(one, other);
        assert_eq!(chosen(keys(), Share(0.0001), 1).len(), 1);
        assert_eq!(chosen(keys(), Share(1.0), 1).len(), 100);
    }
}
