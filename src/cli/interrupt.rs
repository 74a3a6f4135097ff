//! What does Ctrl-C do? Once: units stop at the next safe point and what is finished is kept. Twice: the program ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Exit;

/// A flag that Ctrl-C (and SIGTERM, SIGHUP) sets.
pub(super) fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let installed = ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            #[expect(clippy::exit, reason = "the second Ctrl-C ends the program without waiting for anything")]
            std::process::exit(Exit::Partial as i32);
        }
    });
    // Without a handler Ctrl-C ends the program at once, which loses no finished unit either.
    drop(installed);
    flag
}
