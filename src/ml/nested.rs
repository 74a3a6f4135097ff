//! Which rows stand for all of them where fewer are to be used? Sets of which each smaller one lies in the larger.

use std::collections::BTreeMap;

use super::rng::Rng;

/// The rows `rows` in sets that stay together, in an order of which every beginning has the classes in the shares of the whole.
///
/// `groups` and `classes` have an entry for each row there is: equal numbers where rows belong together (without it each row is a
/// set of its own), and its class. Within a class, sets are shuffled by `seed`; the j-th of n (from 0) stands at j / n, and sets
/// are sorted by that, the larger class first where it is equal. Each class is there before any has a second set; by Adams' rule
/// of apportionment no class is ahead of its share by more than one set. A group counts for the class that most of its rows
/// have.
pub fn nested(rows: &[usize], groups: Option<&[usize]>, classes: Option<&[Option<u32>]>, seed: u64) -> Vec<Vec<usize>> {
    let mut by_class: BTreeMap<Option<u32>, Vec<Vec<usize>>> = BTreeMap::new();
    for set in together(rows, groups) {
        by_class.entry(commonest(&set, classes)).or_default().push(set);
    }
    let mut rng = Rng::seeded(seed);
    let mut placed: Vec<(u64, u64, Vec<usize>)> = Vec::new();
    let mut all: Vec<Vec<Vec<usize>>> = by_class.into_values().collect();
    all.sort_by_key(|sets| std::cmp::Reverse(sets.len()));
    for mut sets in all {
        rng.shuffle(&mut sets);
        let count = sets.len() as u64;
        placed.extend(sets.into_iter().enumerate().map(|(at, set)| (at as u64, count, set)));
    }
    // stable: what is equal stays in the order of the classes
    placed.sort_by(|(a, of_a, _), (b, of_b, _)| (a * of_b).cmp(&(b * of_a)));
    placed.into_iter().map(|(_, _, set)| set).collect()
}

/// The rows of each group, in order of first appearance.
fn together(rows: &[usize], groups: Option<&[usize]>) -> Vec<Vec<usize>> {
    let Some(groups) = groups else { return rows.iter().map(|row| vec![*row]).collect() };
    let mut places = BTreeMap::<usize, usize>::new();
    let mut sets: Vec<Vec<usize>> = Vec::new();
    for &row in rows {
        let place = *places.entry(groups[row]).or_insert(sets.len());
        if place == sets.len() {
            sets.push(Vec::new());
        }
        sets[place].push(row);
    }
    sets
}

/// The class that most rows have; of equals the first.
fn commonest(rows: &[usize], classes: Option<&[Option<u32>]>) -> Option<u32> {
    let classes = classes?;
    let mut counts = BTreeMap::<Option<u32>, usize>::new();
    rows.iter().for_each(|&row| *counts.entry(classes[row]).or_default() += 1);
    let most = counts.values().copied().max();
    counts.into_iter().find(|(_, count)| Some(*count) == most).and_then(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_class_is_there_before_any_has_a_second_row() {
        let classes: Vec<Option<u32>> = (0..30).map(|row| Some(if row < 24 { 0 } else { row % 2 + 1 })).collect();
        let rows: Vec<usize> = (0..30).collect();
        let order = nested(&rows, None, Some(&classes), 7).concat();
        let of = |count: usize, class: u32| order[..count].iter().filter(|&&row| classes[row] == Some(class)).count();
        assert_eq!([of(3, 0), of(3, 1), of(3, 2)], [1, 1, 1]);
        assert_eq!([of(13, 0), of(13, 1), of(13, 2)], [9, 2, 2]);
        assert_ne!(order, nested(&rows, None, Some(&classes), 8).concat());
        assert_eq!(order, nested(&rows, None, Some(&classes), 7).concat());
    }

    proptest! {
        #[test]
        fn beginnings_have_the_shares_of_the_whole(
            given in prop::collection::vec((0u32..4, any::<bool>()), 1..150),
            seed: u64,
        ) {
            let classes: Vec<Option<u32>> = given.iter().map(|(class, _)| Some(*class)).collect();
            let rows: Vec<usize> = (0..given.len()).filter(|row| given[*row].1).collect();
            let order = nested(&rows, None, Some(&classes), seed).concat();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&sorted, &rows);
            for count in 1..=order.len() {
                for class in 0..4 {
                    let of = |rows: &[usize]| rows.iter().filter(|&&row| classes[row] == Some(class)).count() as f64;
                    let share = of(&rows) / rows.len() as f64;
                    let ahead = of(&order[..count]) - share * count as f64;
                    prop_assert!(ahead <= 1.0 && ahead >= -4.0 * share - 1e-9, "{} of class {}: {}", count, class, ahead);
                }
            }
        }

        #[test]
        fn groups_stay_whole(groups in prop::collection::vec(0usize..12, 1..80), seed: u64) {
            let rows: Vec<usize> = (0..groups.len()).collect();
            let sets = nested(&rows, Some(&groups), None, seed);
            let mut seen = Vec::new();
            for set in &sets {
                prop_assert!(set.iter().all(|&row| groups[row] == groups[set[0]]));
                prop_assert!(!seen.contains(&groups[set[0]]));
                seen.push(groups[set[0]]);
            }
            prop_assert_eq!(sets.concat().len(), rows.len());
        }
    }
}
