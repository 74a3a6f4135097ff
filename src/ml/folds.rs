//! Which rows does each fold test? Stratified, plain and given folds, in scikit-learn's sizes.
//!
//! Groups stay whole in [`group_k_fold`], which goes its own way: see there.
//!
//! Ported from `sklearn/model_selection/_split.py` of scikit-learn 1.9.1 (StratifiedKFold, KFold, PredefinedSplit). Without
//! `shuffle` the rows are scikit-learn's; with it, sizes and counts per class are scikit-learn's, but who goes where comes from
//! our [`Rng`] and not from numpy's. Where scikit-learn refuses labels whose every class has fewer rows than there are folds,
//! the folds are made here and the classes are listed in [`Folds::rare`].

use std::collections::BTreeMap;

use super::rng::Rng;

/// The test rows of every fold. Rows ascend within a fold and no row is tested twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// Number of rows in all.
    pub rows: usize,
    /// Test rows, one list per fold.
    pub test: Vec<Vec<usize>>,
    /// Classes with fewer rows than there are folds, by class: some fold tests none of them. Empty unless stratified.
    pub rare: Vec<RareClass>,
}

/// A class that cannot be in every fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RareClass {
    /// The class.
    pub class: u32,
    /// How many rows it has.
    pub rows: usize,
}

/// Why rows cannot be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldsError {
    /// One fold would train on nothing.
    #[error("cross-validation needs 2 or more folds, but `folds` is {folds}")]
    TooFew {
        /// How many were asked for.
        folds: usize,
    },
    /// Some fold would test nothing.
    #[error("{folds} folds need {folds} rows or more, but there are {rows}")]
    TooMany {
        /// How many folds were asked for.
        folds: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// A row has no label to stratify by.
    #[error("row {row} has no label, so its fold cannot be stratified")]
    NoLabel {
        /// The first such row, from 0.
        row: usize,
    },
    /// Some fold would test no group.
    #[error("{folds} folds need {folds} groups or more, but the rows are in {groups}")]
    FewGroups {
        /// How many folds were asked for.
        folds: usize,
        /// How many groups there are.
        groups: usize,
    },
    /// The given fold column has fewer than two folds.
    #[error("cross-validation needs 2 folds or more, but the number of those in the given fold column is {folds}")]
    OneFold {
        /// How many distinct folds it names.
        folds: usize,
    },
}

impl Folds {
    /// The training rows of fold `fold`: every row that it does not test, in order.
    pub fn train(&self, fold: usize) -> Vec<usize> {
        let mut tested = vec![false; self.rows];
        for &row in self.test.get(fold).into_iter().flatten() {
            tested[row] = true;
        }
        (0..self.rows).filter(|&row| !tested[row]).collect()
    }

    /// Sorts rows into `folds` lists by the fold each belongs to.
    fn collect(folds: usize, of_row: impl ExactSizeIterator<Item = Option<usize>>) -> Self {
        let (rows, mut test) = (of_row.len(), vec![Vec::new(); folds]);
        for (row, fold) in of_row.enumerate() {
            if let Some(fold) = fold {
                test[fold].push(row);
            }
        }
        Folds { rows, test, rare: Vec::new() }
    }
}

/// `k` folds whose sizes differ by at most one and whose rows of each class differ by at most one.
///
/// Classes are dealt in order of first appearance; within a class, rows go to folds in blocks, which `shuffle` mixes by `seed`
/// (`seed` is without effect otherwise).
///
/// # Errors
/// Fewer than 2 folds, more folds than rows, a row without label.
pub fn stratified_k_fold(labels: &[Option<u32>], k: usize, shuffle: bool, seed: u64) -> Result<Folds, FoldsError> {
    check(k, labels.len())?;
    let mut ranks = BTreeMap::<u32, usize>::new();
    let mut members = Vec::<(u32, Vec<usize>)>::new();
    for (row, label) in labels.iter().enumerate() {
        let class = label.ok_or(FoldsError::NoLabel { row })?;
        let rank = *ranks.entry(class).or_insert(members.len());
        if rank == members.len() {
            members.push((class, Vec::new()));
        }
        members[rank].1.push(row);
    }
    let mut rng = Rng::seeded(seed);
    let mut of_row = vec![None; labels.len()];
    let mut dealt = 0;
    for (_, rows) in &members {
        // dealing the labels, sorted, round robin gives fold f every k-th: so many of this class
        let mut folds: Vec<usize> = (dealt..dealt + rows.len()).map(|place| place % k).collect();
        dealt += rows.len();
        folds.sort_unstable();
        if shuffle {
            rng.shuffle(&mut folds);
        }
        for (&row, fold) in rows.iter().zip(folds) {
            of_row[row] = Some(fold);
        }
    }
    let mut folds = Folds::collect(k, of_row.into_iter());
    folds.rare = members.iter().map(|(class, rows)| RareClass { class: *class, rows: rows.len() }).collect();
    folds.rare.retain(|class| class.rows < k);
    folds.rare.sort_unstable_by_key(|class| class.class);
    Ok(folds)
}

/// `k` folds whose sizes differ by at most one, the larger first: blocks of rows, or of rows shuffled by `seed`.
///
/// # Errors
/// Fewer than 2 folds, more folds than rows.
pub fn k_fold(rows: usize, k: usize, shuffle: bool, seed: u64) -> Result<Folds, FoldsError> {
    check(k, rows)?;
    let mut order: Vec<usize> = (0..rows).collect();
    if shuffle {
        Rng::seeded(seed).shuffle(&mut order);
    }
    let (least, larger) = (rows / k, rows % k);
    let mut of_row = vec![None; rows];
    let mut order = order.into_iter();
    for fold in 0..k {
        for row in order.by_ref().take(least + usize::from(fold < larger)) {
            of_row[row] = Some(fold);
        }
    }
    Ok(Folds::collect(k, of_row.into_iter()))
}

/// `k` folds in which every group is whole; `groups` has a number for each row, equal where rows belong together. With `labels`
/// each class is spread as evenly as groups allow.
///
/// Groups are dealt one by one, the largest first, equally large ones in order of their first row, or shuffled by `seed`. A group
/// goes where the sum over classes, and over rows as if they were one more, of squared shares in the folds grows least, Σ (n_fc / n_c)²:
/// shares are then as equal as they can be. Of equals, to the fold with the fewest rows, then the first. This is the plan of
/// scikit-learn's StratifiedGroupKFold with squares in the place of standard deviations, which is cheap for many small groups.
///
/// # Errors
/// Fewer than 2 folds, more folds than groups, a row without label.
pub fn group_k_fold(
    groups: &[usize],
    labels: Option<&[Option<u32>]>,
    k: usize,
    shuffle: bool,
    seed: u64,
) -> Result<Folds, FoldsError> {
    check(k, groups.len())?;
    let (members, of_class) = grouped(groups, labels)?;
    if members.len() < k {
        return Err(FoldsError::FewGroups { folds: k, groups: members.len() });
    }
    let mut order: Vec<usize> = (0..members.len()).collect();
    if shuffle {
        Rng::seeded(seed).shuffle(&mut order);
    }
    order.sort_by_key(|&group| std::cmp::Reverse(members[group].len()));
    let classes = of_class.iter().flatten().max().map_or(0, |most| *most as usize + 1);
    let mut whole = vec![0.0; classes];
    of_class.iter().flatten().for_each(|class| whole[*class as usize] += 1.0);
    let all = groups.len() as f64;
    let mut counts = vec![vec![0.0; classes]; k];
    let mut rows = vec![0.0; k];
    let mut of_row = vec![None; groups.len()];
    for group in order {
        let mut own = BTreeMap::<usize, f64>::new();
        members[group].iter().filter_map(|&row| of_class[row]).for_each(|c| *own.entry(c as usize).or_default() += 1.0);
        let size = members[group].len() as f64;
        let growth = |fold: usize| {
            let grows = |has: f64, more: f64, whole: f64| more * (2.0 * has + more) / (whole * whole);
            let by_class: f64 = own.iter().map(|(&class, &n)| grows(counts[fold][class], n, whole[class])).sum();
            by_class + grows(rows[fold], size, all)
        };
        let best = (0..k).min_by(|&a, &b| growth(a).total_cmp(&growth(b)).then(f64::total_cmp(&rows[a], &rows[b])));
        let best = best.unwrap_or(0);
        own.iter().for_each(|(&class, &n)| counts[best][class] += n);
        rows[best] += size;
        members[group].iter().for_each(|&row| of_row[row] = Some(best));
    }
    let mut folds = Folds::collect(k, of_row.into_iter());
    let rare = (0u32..).zip(&whole).map(|(class, &rows)| RareClass { class, rows: rows as usize });
    folds.rare = rare.filter(|class| class.rows > 0 && class.rows < k).collect();
    Ok(folds)
}

/// The rows of each group, in order of first appearance, and each row's class.
type Grouped = (Vec<Vec<usize>>, Vec<Option<u32>>);

fn grouped(groups: &[usize], labels: Option<&[Option<u32>]>) -> Result<Grouped, FoldsError> {
    let mut ranks = BTreeMap::<usize, usize>::new();
    let mut members = Vec::<Vec<usize>>::new();
    for (row, group) in groups.iter().enumerate() {
        let rank = *ranks.entry(*group).or_insert(members.len());
        if rank == members.len() {
            members.push(Vec::new());
        }
        members[rank].push(row);
    }
    let of_class = match labels {
        None => vec![None; groups.len()],
        Some(labels) => {
            if let Some(row) = labels.iter().position(Option::is_none) {
                return Err(FoldsError::NoLabel { row });
            }
            labels.to_vec()
        }
    };
    Ok((members, of_class))
}

/// The folds that a column gives, in ascending order of its values. Rows with no value or −1 are never tested and train
/// every fold (PredefinedSplit).
///
/// # Errors
/// Fewer than two distinct folds.
pub fn predefined(folds: &[Option<i64>]) -> Result<Folds, FoldsError> {
    let named = |fold: &Option<i64>| fold.filter(|&fold| fold != -1);
    let mut distinct: Vec<i64> = folds.iter().filter_map(named).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 2 {
        return Err(FoldsError::OneFold { folds: distinct.len() });
    }
    let of_row = folds.iter().map(|fold| named(fold).and_then(|fold| distinct.binary_search(&fold).ok()));
    Ok(Folds::collect(distinct.len(), of_row))
}

fn check(folds: usize, rows: usize) -> Result<(), FoldsError> {
    match folds {
        0 | 1 => Err(FoldsError::TooFew { folds }),
        _ if folds > rows => Err(FoldsError::TooMany { folds, rows }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(classes: &[u32]) -> Vec<Option<u32>> {
        classes.iter().copied().map(Some).collect()
    }

    /// `StratifiedKFold(3).split` of scikit-learn 1.9.1 on labels b a a b c a b b a c a (b = 1, a = 0, c = 2).
    #[test]
    fn stratified_rows_are_scikit_learns() {
        let folds = stratified_k_fold(&labels(&[1, 0, 0, 1, 2, 0, 1, 1, 0, 2, 0]), 3, false, 0).unwrap();
        assert_eq!(folds.test, STRATIFIED);
        assert_eq!(folds.rare, [RareClass { class: 2, rows: 2 }]);
        assert_eq!(folds.train(1), (0..11).filter(|row| !STRATIFIED[1].contains(row)).collect::<Vec<_>>());
    }

    const STRATIFIED: [&[usize]; 3] = [&[0, 1, 3, 4], &[2, 5, 6, 9], &[7, 8, 10]];

    #[test]
    fn plain_folds_are_blocks_with_the_larger_first() {
        let folds = k_fold(8, 3, false, 0).unwrap();
        assert_eq!(folds.test, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]);
        assert_eq!(folds.train(2), [0, 1, 2, 3, 4, 5]);
        assert_eq!(folds.train(9).len(), 8);
    }

    #[test]
    fn given_folds_keep_their_order_and_leave_rows_out() {
        let folds = predefined(&[Some(7), Some(-1), Some(2), None, Some(7)]).unwrap();
        assert_eq!(folds.test, [vec![2], vec![0, 4]]);
        assert_eq!(folds.train(0), [0, 1, 3, 4]);
        assert_eq!(predefined(&[Some(3), Some(3), None]), Err(FoldsError::OneFold { folds: 1 }));
    }

    #[test]
    fn what_cannot_be_folded_is_an_error() {
        assert_eq!(k_fold(5, 1, true, 0), Err(FoldsError::TooFew { folds: 1 }));
        assert_eq!(k_fold(2, 3, true, 0), Err(FoldsError::TooMany { folds: 3, rows: 2 }));
        assert_eq!(stratified_k_fold(&[], 2, true, 0), Err(FoldsError::TooMany { folds: 2, rows: 0 }));
        let unlabelled = [Some(1), None, Some(0)];
        assert_eq!(stratified_k_fold(&unlabelled, 2, true, 0), Err(FoldsError::NoLabel { row: 1 }));
    }

    #[test]
    fn a_seed_decides_the_shuffle() {
        let classes = labels(&(0..60).map(|row| row % 3).collect::<Vec<_>>());
        let of_seed = |seed| stratified_k_fold(&classes, 5, true, seed).unwrap().test;
        assert_eq!(of_seed(1), of_seed(1));
        assert_ne!(of_seed(1), of_seed(2));
        assert_ne!(of_seed(1), stratified_k_fold(&classes, 5, false, 1).unwrap().test);
        assert_ne!(k_fold(60, 5, true, 1).unwrap().test, k_fold(60, 5, true, 2).unwrap().test);
    }

    #[test]
    fn groups_are_dealt_largest_first() {
        let folds = group_k_fold(&[7, 7, 7, 3, 3, 5, 5, 9], None, 2, false, 0).unwrap();
        assert_eq!(folds.test, [vec![0, 1, 2, 7], vec![3, 4, 5, 6]]);
        let too_few = group_k_fold(&[1, 1, 2, 2], None, 3, true, 0);
        assert_eq!(too_few, Err(FoldsError::FewGroups { folds: 3, groups: 2 }));
        let unlabelled = group_k_fold(&[1, 2, 3], Some(&[Some(0), None, Some(1)]), 2, false, 0);
        assert_eq!(unlabelled, Err(FoldsError::NoLabel { row: 1 }));
    }

    #[test]
    fn groups_of_one_class_each_are_spread_by_class() {
        // eight groups of five rows: four of class 0, four of class 1
        let groups: Vec<usize> = (0..40).map(|row| row / 5).collect();
        let classes = labels(&(0..40).map(|row| u32::from(row / 5 >= 4)).collect::<Vec<_>>());
        for seed in 0..20 {
            let folds = group_k_fold(&groups, Some(&classes), 4, true, seed).unwrap();
            for test in &folds.test {
                assert_eq!(test.iter().filter(|&&row| classes[row] == Some(1)).count(), 5);
                assert_eq!(test.len(), 10);
            }
        }
        let of_seed = |seed| group_k_fold(&groups, Some(&classes), 4, true, seed).unwrap().test;
        assert_eq!(of_seed(1), of_seed(1));
        assert!((2..20).any(|seed| of_seed(seed) != of_seed(1)));
    }

    fn spread(sizes: impl Iterator<Item = usize> + Clone) -> usize {
        sizes.clone().max().unwrap_or(0) - sizes.min().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn groups_stay_whole(
            rows in prop::collection::vec((0usize..40, 0u32..4), 2..160),
            k in 2usize..8,
            shuffle: bool,
            stratify: bool,
            seed: u64,
        ) {
            let (groups, classes): (Vec<usize>, Vec<u32>) = rows.into_iter().unzip();
            let mut sizes = BTreeMap::<usize, usize>::new();
            groups.iter().for_each(|group| *sizes.entry(*group).or_default() += 1);
            prop_assume!(sizes.len() >= k);
            let classes = labels(&classes);
            let folds = group_k_fold(&groups, stratify.then_some(classes.as_slice()), k, shuffle, seed).unwrap();
            let mut all: Vec<usize> = folds.test.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..groups.len()).collect::<Vec<_>>());
            prop_assert!(folds.test.iter().all(|test| !test.is_empty() && test.is_sorted()));
            for (fold, test) in folds.test.iter().enumerate() {
                let train = folds.train(fold);
                prop_assert!(!test.iter().any(|&row| train.iter().any(|&other| groups[row] == groups[other])));
            }
            if !stratify {
                // no fold is larger than the smallest by more than the largest group
                prop_assert!(spread(folds.test.iter().map(Vec::len)) <= sizes.values().copied().max().unwrap_or(0));
            }
        }

        #[test]
        fn groups_of_one_are_spread_evenly(classes in prop::collection::vec(0u32..3, 20..150), k in 2usize..6, seed: u64) {
            let groups: Vec<usize> = (0..classes.len()).collect();
            let folds = group_k_fold(&groups, Some(&labels(&classes)), k, true, seed).unwrap();
            for class in 0..3 {
                let of_class = |rows: &Vec<usize>| rows.iter().filter(|&&row| classes[row] == class).count();
                prop_assert!(spread(folds.test.iter().map(of_class)) <= 2);
            }
        }

        #[test]
        fn folds_partition_rows_evenly(classes in prop::collection::vec(0u32..6, 2..200), k in 2usize..12, shuffle: bool, seed: u64) {
            prop_assume!(k <= classes.len());
            let stratified = stratified_k_fold(&labels(&classes), k, shuffle, seed).unwrap();
            for folds in [&stratified, &k_fold(classes.len(), k, shuffle, seed).unwrap()] {
                let mut all: Vec<usize> = folds.test.concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..classes.len()).collect::<Vec<_>>());
                prop_assert!(spread(folds.test.iter().map(Vec::len)) <= 1);
                for (fold, test) in folds.test.iter().enumerate() {
                    prop_assert!(test.is_sorted());
                    prop_assert_eq!(folds.train(fold).len() + test.len(), classes.len());
                }
            }
            for class in 0..6 {
                let of_class = |rows: &Vec<usize>| rows.iter().filter(|&&row| classes[row] == class).count();
                prop_assert!(spread(stratified.test.iter().map(of_class)) <= 1);
                let rows = classes.iter().filter(|&&other| other == class).count();
                prop_assert_eq!(stratified.rare.contains(&RareClass { class, rows }), rows > 0 && rows < k);
            }
        }
    }
}
