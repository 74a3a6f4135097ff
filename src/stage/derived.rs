//! What has been worked out from tables already, and may be used again while this process lives?
//!
//! Many units begin alike: the fits of six `c` lay out the same training rows, and all folds count the same terms. What they
//! work out before their own parameters matter is kept in memory under the digests of the tables that it came from, and is
//! worked out once even if several units ask at the same time. Nothing here is stored, and no key depends on it.
//!
//! [`Parts::derived`] sees just the rows that the unit may see. [`Parts::by_row`] works on all rows, one by one, and
//! opens those that the unit may see.

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{BooleanArray, RecordBatch};

use super::StageError;
use super::parts::{Part, PartKind, Parts, divided};
use crate::table::Digest;

/// What is worked out from tables.
pub trait Derived: Any + Send + Sync {
    /// Bytes that it takes, about.
    fn bytes(&self) -> usize;
}

/// What has one entry for each row of a table, which depends on that row alone.
pub trait ByRow: Derived {
    /// An entry.
    type Row<'a>;

    /// How many there are.
    fn rows(&self) -> usize;

    /// The entry of row `row`, which is below [`ByRow::rows`].
    fn row(&self, row: usize) -> Self::Row<'_>;
}

/// Entries of those rows that a unit may see.
#[derive(Debug)]
pub struct OpenRows<T> {
    all: Arc<T>,
    /// The rows; all if `None`.
    open: Option<Vec<u32>>,
}

impl<T: ByRow> OpenRows<T> {
    /// How many rows are open.
    pub fn rows(&self) -> usize {
        self.open.as_ref().map_or_else(|| self.all.rows(), Vec::len)
    }

    /// The entry of the open row `row`, which is below [`OpenRows::rows`].
    pub fn row(&self, row: usize) -> T::Row<'_> {
        self.all.row(self.open.as_ref().map_or(row, |open| open[row] as usize))
    }
}

/// Which rows of a table a unit may see.
pub(super) struct Mask {
    pub(super) keep: BooleanArray,
    /// Where it is from, if it is from a stored table.
    pub(super) from: Option<Digest>,
}

impl Parts {
    /// What `make` works out from the parts whose names begin with `prefix`. `what` tells apart what may be worked out from the
    /// same parts as the same type. `make` must not use the thread pool: other units wait for it on its threads.
    pub fn derived<T: Derived>(
        &self,
        prefix: &str,
        what: &str,
        make: impl FnOnce(&Parts) -> Result<T, StageError>,
    ) -> Result<Arc<T>, StageError> {
        let mut key = Ident::of::<T>(what);
        let mut load = None;
        for (name, part) in self.with_prefix(prefix) {
            match &part.kind {
                PartKind::Stored { digest, load: from } if key.add(name, digest, part.rows.as_deref()) => {
                    load = Some(from)
                }
                _ => return make(self).map(Arc::new),
            }
        }
        match load {
            Some(load) => load.derivations().find_or(key.digest(), || make(self)),
            None => make(self).map(Arc::new),
        }
    }

    /// What `make` works out from each row of the part `name` by itself, open at the rows that this part has. `make` gets all
    /// rows, so that all folds share it; no entry may depend on another row. It must not use the thread pool.
    pub fn by_row<T: ByRow>(
        &self,
        name: &str,
        what: &str,
        make: impl FnOnce(&RecordBatch) -> Result<T, StageError>,
    ) -> Result<OpenRows<T>, StageError> {
        let missing = || StageError::failed(format!("an input has no table `{name}`"));
        let part = self.part(name).ok_or_else(missing)?;
        let whole = Part { kind: part.kind.clone(), rows: None };
        let mut key = Ident::of::<T>(what);
        let all = match &whole.kind {
            PartKind::Stored { digest, load } if key.add(name, digest, None) => {
                load.derivations().find_or(key.digest(), || make(&*whole.table()?))?
            }
            _ => Arc::new(make(&*whole.table()?)?),
        };
        let open = match &part.rows {
            None => None,
            Some(mask) if mask.keep.len() == all.rows() => {
                let row = |(row, open): (u32, Option<bool>)| open.unwrap_or_default().then_some(row);
                Some((0..).zip(&mask.keep).filter_map(row).collect())
            }
            Some(mask) => return Err(divided(all.rows(), mask.keep.len())),
        };
        Ok(OpenRows { all, open })
    }
}

/// What something derived is, in the making.
struct Ident(Vec<u8>);

impl Ident {
    fn of<T>(what: &str) -> Ident {
        Ident(format!("{}\0{what}", type_name::<T>()).into_bytes())
    }

    /// False if the rows are of nobody knows where.
    fn add(&mut self, name: &str, digest: &Digest, rows: Option<&Mask>) -> bool {
        self.0.extend_from_slice(format!("\0{name}\0{digest}\0").as_bytes());
        match rows.map(|mask| mask.from) {
            Some(Some(from)) => self.0.extend_from_slice(from.as_bytes()),
            Some(None) => return false,
            None => {}
        }
        true
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// What has been worked out, up to a bound; what was used longest ago goes first.
pub struct Derivations {
    most: usize,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    held: usize,
    clock: u64,
    entries: BTreeMap<Digest, Entry>,
}

struct Entry {
    place: Place,
    bytes: usize,
    used: u64,
}

/// Where one waits for what another is working out.
type Place = Arc<Mutex<Option<Arc<dyn Any + Send + Sync>>>>;

impl fmt::Debug for Derivations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derivations").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Derivations {
    /// Keeps at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Derivations { most, books: Mutex::new(Books::default()) }
    }

    /// What is there under `key`, or what `make` makes of it; of several that ask at once one makes it and the others wait.
    fn find_or<T: Derived>(
        &self,
        key: Digest,
        make: impl FnOnce() -> Result<T, StageError>,
    ) -> Result<Arc<T>, StageError> {
        let place = self.place(key);
        let mut found = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.as_ref().and_then(|any| Arc::clone(any).downcast::<T>().ok()) {
            return Ok(known);
        }
        match make() {
            Ok(made) => {
                let (bytes, made) = (made.bytes(), Arc::new(made));
                *found = Some(Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
                self.weigh(key, bytes);
                Ok(made)
            }
            Err(error) => {
                self.books().entries.remove(&key);
                Err(error)
            }
        }
    }

    fn place(&self, key: Digest) -> Place {
        let mut books = self.books();
        books.clock += 1;
        let used = books.clock;
        let entry = books.entries.entry(key).or_insert_with(|| Entry { place: Place::default(), bytes: 0, used });
        entry.used = used;
        Arc::clone(&entry.place)
    }

    /// Notes how much an entry takes, and lets go of others, or of it, if that is too much.
    fn weigh(&self, key: Digest, bytes: usize) {
        let mut books = self.books();
        if let Some(entry) = books.entries.get_mut(&key) {
            entry.bytes = bytes;
            books.held += bytes;
        }
        while books.held > self.most {
            let there = books.entries.iter().filter(|(_, entry)| entry.bytes > 0);
            let Some(oldest) = there.min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key) else { return };
            let gone = books.entries.remove(&oldest).map_or(0, |entry| entry.bytes);
            books.held -= gone;
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{Array, ArrayRef, StringArray, UInt32Array};

    use super::*;
    use crate::stage::Load;

    struct Numbers(Vec<u32>);

    impl Derived for Numbers {
        fn bytes(&self) -> usize {
            100
        }
    }

    impl ByRow for Numbers {
        type Row<'a> = u32;

        fn rows(&self) -> usize {
            self.0.len()
        }

        fn row(&self, row: usize) -> u32 {
            self.0[row]
        }
    }

    /// One table under every digest.
    struct Tables(Derivations);

    impl Load for Tables {
        fn load(&self, _: &Digest) -> Result<Arc<RecordBatch>, StageError> {
            let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
            let numbers: ArrayRef = Arc::new(UInt32Array::from(vec![1, 2, 3]));
            Ok(Arc::new(RecordBatch::try_from_iter([("row_id", ids), ("number", numbers)]).unwrap()))
        }

        fn derivations(&self) -> &Derivations {
            &self.0
        }
    }

    fn numbers(table: &RecordBatch) -> Numbers {
        let column = table.column_by_name("number").unwrap();
        Numbers(column.as_any().downcast_ref::<UInt32Array>().unwrap().values().to_vec())
    }

    fn parts(load: &Arc<Tables>, keep: Option<[bool; 3]>) -> Parts {
        let mut parts = Parts::default();
        parts.insert("numbers", Part::stored(Digest::of(b"numbers"), Arc::clone(load) as Arc<dyn Load>));
        let Some(keep) = keep else { return parts };
        let from = Some(Digest::of(format!("{keep:?}").as_bytes()));
        parts.filtered(&Arc::new(Mask { keep: keep.to_vec().into(), from }))
    }

    #[test]
    fn units_that_see_the_same_rows_share_what_is_worked_out() {
        let load = Arc::new(Tables(Derivations::new(1000)));
        let made = AtomicUsize::new(0);
        let sum = |keep| {
            let make = |parts: &Parts| {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(numbers(&*parts.table("numbers")?))
            };
            parts(&load, keep).derived("num", "", make).unwrap().0.iter().sum::<u32>()
        };
        let of = |keep| (sum(keep), made.load(Ordering::Relaxed));
        assert_eq!(of(None), (6, 1));
        assert_eq!(of(Some([true, false, true])), (4, 2));
        assert_eq!(of(Some([false, true, false])), (2, 3));
        assert_eq!(of(Some([true, false, true])), (4, 3));
    }

    #[test]
    fn rows_are_open_to_whoever_may_see_them() {
        let load = Arc::new(Tables(Derivations::new(1000)));
        let made = AtomicUsize::new(0);
        let seen = |keep| {
            let make = |table: &RecordBatch| {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(numbers(table))
            };
            let rows = parts(&load, keep).by_row("numbers", "", make).unwrap();
            (0..rows.rows()).map(|row| rows.row(row)).collect::<Vec<_>>()
        };
        assert_eq!(seen(Some([true, false, true])), [1, 3]);
        assert_eq!(seen(Some([false, true, false])), [2]);
        assert_eq!(seen(None), [1, 2, 3]);
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let all = Derivations::new(250);
        let made = AtomicUsize::new(0);
        let ask = |name: &str| {
            let make = || {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(Numbers(Vec::new()))
            };
            all.find_or(Digest::of(name.as_bytes()), make).unwrap();
            made.load(Ordering::Relaxed)
        };
        assert_eq!(["a", "b", "a", "c", "a", "b"].map(ask), [1, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn of_many_that_ask_at_once_one_works() {
        let all = Derivations::new(1000);
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let make = || {
                        made.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        Ok(Numbers(vec![7]))
                    };
                    assert_eq!(all.find_or(Digest::of(b"x"), make).unwrap().0, [7]);
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_could_not_be_worked_out_is_tried_again() {
        let all = Derivations::new(1000);
        let failed = || Err::<Numbers, _>(StageError::failed("no"));
        assert!(all.find_or(Digest::of(b"x"), failed).is_err());
        assert_eq!(all.find_or(Digest::of(b"x"), || Ok(Numbers(vec![1]))).unwrap().0, [1]);
    }
}
