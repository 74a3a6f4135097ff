//! Who runs units? As many lanes as there are threads; each takes one whole unit at a time.
//!
//! A lane is a worker of the pool on which the stages' own parallel loops run. While it has no unit it helps with the loops
//! of units on other lanes; while a unit waits for parts of its own loops it may help with others', but it never begins a
//! second unit on top of the first. So a unit ends when its own work ends, and its seconds are its own.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// The lanes' threads.
pub(super) struct Pool {
    workers: ThreadPool,
    /// An idle worker waits here for a unit. Rayon keeps a worker that waits for another pool busy with its own pool's loops.
    waiters: ThreadPool,
}

impl Pool {
    /// So many lanes (at least one).
    pub(super) fn new(lanes: usize) -> Result<Self, ThreadPoolBuildError> {
        let lanes = lanes.max(1);
        let workers = ThreadPoolBuilder::new()
            .num_threads(lanes)
            .thread_name(|index| format!("fuseline-{index}"))
            // A worker that waits may take up parts of several loops on top of each other, hence the room.
            .stack_size(32 << 20)
            .build()?;
        let waiters = ThreadPoolBuilder::new()
            .num_threads(lanes)
            .thread_name(|index| format!("fuseline-wait-{index}"))
            .stack_size(128 << 10)
            .build()?;
        Ok(Pool { workers, waiters })
    }

    /// How many lanes there are.
    pub(super) fn lanes(&self) -> usize {
        self.workers.current_num_threads()
    }

    /// Runs `op` on the pool, where its parallel loops find the workers. Only while no lane is at work.
    pub(super) fn install<R: Send>(&self, op: impl FnOnce() -> R + Send) -> R {
        self.workers.install(op)
    }

    /// Opens the lanes while `schedule` runs on the calling thread: what it hands to the queue is run by `work`, which is told
    /// on which lane.
    pub(super) fn open<Job: Send, R>(
        &self,
        work: impl Fn(Job, usize) + Sync,
        schedule: impl FnOnce(&Queue<Job>) -> R,
    ) -> R {
        let queue = Queue::new();
        self.workers.in_place_scope(|scope| {
            let (queue, work) = (&queue, &work);
            scope.spawn_broadcast(move |_, context| {
                while let Some(job) = self.next(queue) {
                    work(job, context.index());
                }
            });
            // Closed also if the scheduler panics: the scope waits for the lanes.
            let _closing = Closing(queue);
            schedule(queue)
        })
    }

    /// The next job; waits for one, and ends once the queue is closed.
    fn next<Job: Send>(&self, queue: &Queue<Job>) -> Option<Job> {
        loop {
            match queue.take() {
                Taken::Job(job) => return Some(job),
                Taken::Closed => return None,
                Taken::Nothing => self.waiters.install(|| queue.wait()),
            }
        }
    }
}

/// Jobs on their way to the lanes.
pub(super) struct Queue<Job> {
    state: Mutex<Waiting<Job>>,
    changed: Condvar,
}

struct Waiting<Job> {
    jobs: VecDeque<Job>,
    closed: bool,
}

enum Taken<Job> {
    Job(Job),
    Nothing,
    Closed,
}

impl<Job> Queue<Job> {
    fn new() -> Self {
        Queue { state: Mutex::new(Waiting { jobs: VecDeque::new(), closed: false }), changed: Condvar::new() }
    }

    /// Hands a job to the lanes.
    pub(super) fn push(&self, job: Job) {
        self.state().jobs.push_back(job);
        // All of them: the one that wakes may first have to end its part of a loop.
        self.changed.notify_all();
    }

    fn take(&self) -> Taken<Job> {
        let mut state = self.state();
        match state.jobs.pop_front() {
            Some(job) => Taken::Job(job),
            None if state.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    fn wait(&self) {
        let idle = |state: &mut Waiting<Job>| state.jobs.is_empty() && !state.closed;
        drop(self.changed.wait_while(self.state(), idle));
    }

    fn state(&self) -> MutexGuard<'_, Waiting<Job>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Closing<'q, Job>(&'q Queue<Job>);

impl<Job> Drop for Closing<'_, Job> {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use rayon::prelude::*;

    use super::*;

    #[test]
    fn no_lane_begins_a_unit_within_another() {
        let pool = Pool::new(3).unwrap();
        let depth: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
        let (sender, receiver) = channel();
        let sender = Mutex::new(sender);
        let work = |job: usize, lane: usize| {
            assert_eq!(depth[lane].fetch_add(1, Ordering::SeqCst), 0);
            // A loop of its own, in which the lane waits and steals.
            let sum: usize = (0..64usize)
                .into_par_iter()
                .map(|part| {
                    std::thread::sleep(Duration::from_micros(200));
                    part
                })
                .sum();
            assert_eq!(sum, 64 * 63 / 2);
            assert_eq!(depth[lane].fetch_sub(1, Ordering::SeqCst), 1);
            sender.lock().unwrap().send(job).unwrap();
        };
        let mut done = pool.open(work, |queue| {
            (0..40).for_each(|job| queue.push(job));
            (0..40).map(|_| receiver.recv().unwrap()).collect::<Vec<usize>>()
        });
        done.sort_unstable();
        assert_eq!(done, (0..40).collect::<Vec<usize>>());
    }

    #[test]
    fn idle_lanes_help_the_only_unit() {
        let pool = Pool::new(2).unwrap();
        let (sender, receiver) = channel();
        let sender = Mutex::new(sender);
        let work = |(), _| {
            let threads: Vec<String> = (0..200)
                .into_par_iter()
                .map(|_| {
                    std::thread::sleep(Duration::from_micros(500));
                    std::thread::current().name().unwrap_or_default().to_owned()
                })
                .collect();
            sender.lock().unwrap().send(threads).unwrap();
        };
        let mut threads = pool.open(work, |queue| {
            queue.push(());
            receiver.recv().unwrap()
        });
        threads.sort();
        threads.dedup();
        assert_eq!(threads.len(), 2);
    }
}
