//! `fuseline check`: reads pipeline files and says what is wrong with them. Runs nothing.

use std::path::PathBuf;

use super::args::MessageFormat;
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use super::load;
use crate::pipeline::Choosing;
use crate::ui::{Verbosity, count};

/// Runs the command.
pub(super) fn check(context: &Context, files: &[PathBuf], sets: &[String]) -> Exit {
    let mut exit = Exit::Success;
    for file in files {
        match load(context, file, sets, &Choosing::default()) {
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
