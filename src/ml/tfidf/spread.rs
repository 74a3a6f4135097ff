//! How are jobs shared out among threads that are not the pool's? What they come to is in the order of the jobs.
//!
//! Counting is done once for many units, which wait for it on the threads of the pool: a loop of the pool could pick up the
//! work of one that waits, and wait for itself.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` on each of `jobs`, on at most `threads` threads. Each has a state of its own, which `state` makes from its number
/// (from 0 up). Gives the answers in the order of the jobs, and the states in the order of their numbers.
pub(super) fn spread<J: Send, S: Send, R: Send>(
    threads: usize,
    jobs: Vec<J>,
    state: impl Fn(usize) -> S + Sync,
    work: impl Fn(&mut S, J) -> R + Sync,
) -> (Vec<R>, Vec<S>) {
    let threads = threads.min(jobs.len()).max(1);
    if threads == 1 {
        let mut own = state(0);
        return (jobs.into_iter().map(|job| work(&mut own, job)).collect(), vec![own]);
    }
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let one = |number: usize| {
        let (mut own, mut done) = (state(number), Vec::new());
        while let Some((place, job)) = next() {
            done.push((place, work(&mut own, job)));
        }
        (own, done)
    };
    let (mut done, mut states) = (Vec::new(), Vec::with_capacity(threads));
    thread::scope(|scope| {
        let one = &one;
        let hands: Vec<_> = (0..threads).map(|number| scope.spawn(move || one(number))).collect();
        for hand in hands {
            let (own, some) = hand.join().unwrap_or_else(|panic| resume_unwind(panic));
            states.push(own);
            done.extend(some);
        }
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    (done.into_iter().map(|(_, answer)| answer).collect(), states)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_order_of_the_jobs_and_every_job_is_done_once() {
        for threads in [0, 1, 3, 200] {
            let jobs: Vec<u32> = (0..100).collect();
            let count = |done: &mut Vec<u32>, job: u32| {
                done.push(job);
                job * 2
            };
            let (answers, states) = spread(threads, jobs, |_| Vec::new(), count);
            assert_eq!(answers, (0..100).map(|job| job * 2).collect::<Vec<_>>());
            let mut all: Vec<u32> = states.concat();
            all.sort_unstable();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
        }
        assert_eq!(spread(2, Vec::<u32>::new(), |_| (), |(), job| job).0, Vec::<u32>::new());
    }
}
