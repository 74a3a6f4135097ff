//! `fuseline check`: reads pipeline files and says what is wrong with them. Runs nothing.

use std::path::PathBuf;

use super::args::MessageFormat;
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use super::{load, lock};
use crate::pipeline::Choosing;
use crate::run::Missing;
use crate::ui::{Verbosity, count};

/// What files are held to, beyond being sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing more.
    ToNothing,
    /// The lock beside each.
    ToTheLock,
}

/// Runs the command.
pub(super) fn check(context: &Context, files: &[PathBuf], sets: &[String], held: Held) -> Exit {
    let mut exit = Exit::Success;
    let sound = |file: &PathBuf| {
        let pipeline = load(context, file, sets, &Choosing::default())?;
        if held == Held::ToTheLock {
            lock::hold(context, &pipeline, Missing::LeftOut)?;
        }
        Ok(pipeline)
    };
    for file in files {
        match sound(file) {
            Err(failed) => exit = failed,
            Ok(pipeline) if context.format == MessageFormat::Json => {
                let line = serde_json::json!({ "event": "checked", "file": file, "variants": pipeline.variants.len() });
                out(format!("{line}\n").as_bytes());
            }
            Ok(pipeline) if context.look.verbosity > Verbosity::Quiet => {
                let (stages, variants) = (pipeline.stage_order.len(), pipeline.variants.len());
                let plural = if variants == 1 { "" } else { "s" };
                say(&format!("{}: ok ({stages} stages, {} variant{plural})", file.display(), count(variants as u64)));
            }
            Ok(_) => {}
        }
    }
    exit
}
