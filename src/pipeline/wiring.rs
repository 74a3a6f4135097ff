//! Do the wires between the stages fit: do they end, do the ports agree, are the rows the same?

use std::collections::BTreeSet;
use std::sync::Arc;

use super::resolve::has_rows;
use crate::problem::{Origin, Problem, Problems};
use crate::stage::{Arity, Fault, Outlook, Port, Refusal, Says, Targets, Unfit, Work};

/// The stages of one variant and their wires. Stages are named by their place in the file.
pub(super) struct Wiring<'a> {
    pub(super) ids: &'a [&'a str],
    /// `None` for a stage that could not be built.
    pub(super) works: &'a [Option<&'a Work>],
    /// `None` for an input that does not exist.
    pub(super) inputs: &'a [Arc<[Option<usize>]>],
    /// Where an input of a stage is written; its whole `from` without one.
    pub(super) at: &'a dyn Fn(usize, Option<usize>) -> Option<Origin>,
    /// Where a parameter of a stage is written, by the way into `with`; the whole stage if that is empty.
    pub(super) with: &'a dyn Fn(usize, &[&str]) -> Option<Origin>,
    pub(super) problems: Problems,
}

/// What is known of each stage once the wires fit.
pub(super) struct Wired {
    /// Inputs first; ties in the order of the file.
    pub(super) order: Vec<usize>,
    pub(super) inputs: Vec<Vec<usize>>,
    pub(super) ports: Vec<Port>,
    /// The stage that last began rows.
    pub(super) frames: Vec<usize>,
    /// What each stage says of a row, where it is a model and that is known.
    pub(super) says: Vec<Option<Says>>,
}

impl Wiring<'_> {
    /// Checks everything; `None` if anything is wrong.
    pub(super) fn resolve(&mut self) -> Option<Wired> {
        for stage in 0..self.ids.len() {
            self.arity(stage);
        }
        let order = self.order()?;
        let mut ports: Vec<Option<Port>> = vec![None; self.ids.len()];
        let mut frames: Vec<Option<usize>> = vec![None; self.ids.len()];
        let mut refused: Vec<(usize, Refusal)> = Vec::new();
        for stage in &order {
            match self.port(*stage, &ports) {
                Some(Ok(port)) => set(&mut ports, *stage, port),
                Some(Err(refusal)) => refused.push((*stage, refusal)),
                None => {}
            }
            if let Some(frame) = self.frame(*stage, &ports, &frames) {
                set(&mut frames, *stage, frame);
            }
        }
        for (stage, refusal) in refused {
            self.refuse(stage, &refusal, &ports);
        }
        if !self.problems.0.is_empty() {
            return None;
        }
        let says = self.says(&order);
        if !self.problems.0.is_empty() {
            return None;
        }
        let inputs = self.inputs.iter().map(|inputs| inputs.iter().copied().collect::<Option<Vec<usize>>>());
        Some(Wired {
            says,
            order,
            inputs: inputs.collect::<Option<_>>()?,
            ports: ports.into_iter().collect::<Option<_>>()?,
            frames: frames.into_iter().collect::<Option<_>>()?,
        })
    }

    fn id(&self, stage: usize) -> &str {
        self.ids.get(stage).copied().unwrap_or_default()
    }

    fn work(&self, stage: usize) -> Option<&Work> {
        self.works.get(stage).copied().flatten()
    }

    fn wires(&self, stage: usize) -> &[Option<usize>] {
        self.inputs.get(stage).map(AsRef::as_ref).unwrap_or_default()
    }

    /// The stages that a stage reads and that exist.
    fn sources(&self, stage: usize) -> impl Iterator<Item = usize> {
        self.wires(stage).iter().copied().flatten()
    }

    fn arity(&mut self, stage: usize) {
        let Some(work) = self.work(stage) else { return };
        let (id, count) = (self.id(stage), self.wires(stage).len());
        let (message, help) = match (work.stage().arity(), count) {
            (Arity::None, 0) | (Arity::One, 1) | (Arity::Many, 1..) => return,
            (Arity::None, _) => (format!("`{id}` reads files and takes no input"), "take `from` out".to_owned()),
            (Arity::One | Arity::Many, 0) => (format!("`{id}` needs an input"), "add `from: STAGE`".to_owned()),
            (Arity::One, _) => (
                format!("`{id}` takes one input, but is given {count}"),
                "name one stage; a `fuse` stage joins features, an `ensemble` stage joins models".to_owned(),
            ),
        };
        let problem = Problem::error("arity", message).at((self.at)(stage, None)).help(help);
        self.problems.push(problem);
    }

    /// Stages with their inputs before them, or the cycle that forbids it.
    fn order(&mut self) -> Option<Vec<usize>> {
        let mut order = Vec::new();
        let mut done = BTreeSet::new();
        while let Some(next) = (0..self.ids.len())
            .find(|stage| !done.contains(stage) && self.sources(*stage).all(|input| done.contains(&input)))
        {
            done.insert(next);
            order.push(next);
        }
        if order.len() == self.ids.len() {
            return Some(order);
        }
        let open = |stage: usize| self.sources(stage).find(|input| !done.contains(input));
        let mut walk: Vec<usize> = (0..self.ids.len()).find(|stage| !done.contains(stage)).into_iter().collect();
        while let Some(next) = walk.last().and_then(|stage| open(*stage)) {
            if let Some(start) = walk.iter().position(|stage| *stage == next) {
                self.cycle(walk.split_off(start));
                break;
            }
            walk.push(next);
        }
        None
    }

    /// `stages`: each reads the next, the last reads the first.
    fn cycle(&mut self, mut stages: Vec<usize>) {
        stages.reverse();
        let first = stages.iter().enumerate().min_by_key(|(_, stage)| **stage).map_or(0, |(place, _)| place);
        stages.rotate_left(first);
        let Some(start) = stages.first().copied() else { return };
        let reads = stages.last().and_then(|last| self.wires(start).iter().position(|input| *input == Some(*last)));
        let names: Vec<String> = stages.iter().chain([&start]).map(|stage| format!("`{}`", self.id(*stage))).collect();
        let message = match names.as_slice() {
            [one, _] => format!("{one} reads itself"),
            _ => format!("stages wait for each other: {}", names.join(" → ")),
        };
        let problem =
            Problem::error("cycle", message).at((self.at)(start, reads)).help("change the `from` of one of them");
        self.problems.push(problem);
    }

    /// What a stage gives; `None` where that cannot be known because of another problem.
    fn port(&self, stage: usize, ports: &[Option<Port>]) -> Option<Result<Port, Refusal>> {
        let given = self.wires(stage).iter().map(|input| ports.get((*input)?).copied().flatten());
        let given: Vec<Port> = given.collect::<Option<_>>()?;
        let work = self.work(stage)?;
        let fits = match work.stage().arity() {
            Arity::None => given.is_empty(),
            Arity::One => given.len() == 1,
            Arity::Many => !given.is_empty(),
        };
        fits.then(|| work.stage().port(&given))
    }

    fn frame(&mut self, stage: usize, ports: &[Option<Port>], frames: &[Option<usize>]) -> Option<usize> {
        let mut first: Option<(usize, usize)> = None;
        for (number, input) in self.wires(stage).iter().enumerate() {
            let Some(input) = input else { continue };
            let rows = ports.get(*input).copied().flatten().is_some_and(has_rows);
            let Some(frame) = frames.get(*input).copied().flatten().filter(|_| rows) else { continue };
            match first {
                None => first = Some((*input, frame)),
                Some((other, other_frame)) if other_frame != frame => {
                    let message = format!(
                        "`{}` cannot join `{}` with `{}`: one has the rows of `{}`, the other the rows of `{}`",
                        self.id(stage),
                        self.id(other),
                        self.id(*input),
                        self.id(other_frame),
                        self.id(frame)
                    );
                    let later = if other_frame > frame { other_frame } else { frame };
                    let help = format!("wire both from the same stage, such as `{}`", self.id(later));
                    let problem = Problem::error("frame", message).at((self.at)(stage, Some(number))).help(help);
                    self.problems.push(problem);
                    return None;
                }
                Some(_) => {}
            }
        }
        let begins = self.work(stage).is_some_and(|work| matches!(work, Work::Source(_)) || !work.stage().keeps_rows());
        let inherited = || self.sources(stage).find_map(|input| frames.get(input).copied().flatten());
        if begins { Some(stage) } else { first.map(|(_, frame)| frame).or_else(inherited) }
    }

    /// What each stage says of a row; complains where a stage cannot learn from what it reads.
    fn says(&mut self, order: &[usize]) -> Vec<Option<Says>> {
        let mut targets: Vec<Option<Targets>> = vec![None; self.ids.len()];
        let mut says: Vec<Option<Says>> = vec![None; self.ids.len()];
        for stage in order.iter().copied() {
            let Some(work) = self.work(stage) else { continue };
            let inherited = || self.sources(stage).find_map(|input| targets.get(input).copied().flatten());
            let rows = work.stage().targets().or_else(inherited);
            let models: Vec<Option<Says>> =
                self.sources(stage).map(|input| says.get(input).copied().flatten()).collect();
            match work.stage().says(&Outlook { targets: rows, models: &models }) {
                Ok(said) => says[stage] = said,
                Err(unfit) => self.unfit(stage, unfit),
            }
            targets[stage] = rows;
        }
        says
    }

    fn unfit(&mut self, stage: usize, unfit: Unfit) {
        let id = self.id(stage);
        let (message, origin) = match unfit.at {
            Fault::Param(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                (format!("`{id}`: {}", unfit.message), (self.with)(stage, &path))
            }
            Fault::Input(input, gives) => {
                let name = self.wires(stage).get(input).copied().flatten().map_or("?", |input| self.id(input));
                let message = format!("`{id}` needs {}, but `{name}` {gives}", unfit.message);
                (message, (self.at)(stage, Some(input)))
            }
        };
        let problem = Problem::error("unfit", message).at(origin);
        self.problems.push(unfit.help.into_iter().fold(problem, Problem::help));
    }

    fn refuse(&mut self, stage: usize, refusal: &Refusal, ports: &[Option<Port>]) {
        let input = self.wires(stage).get(refusal.input).copied().flatten();
        let given = input.and_then(|input| Some((self.id(input), ports.get(input).copied().flatten()?)));
        let message = match given {
            Some((name, port)) => format!("`{}` needs {}, but `{name}` gives {port}", self.id(stage), refusal.wants),
            None => format!("`{}` needs {}", self.id(stage), refusal.wants),
        };
        let mut problem = Problem::error("port-type", message).at((self.at)(stage, Some(refusal.input)));
        let below = self.below(stage);
        let fitting = |other: &usize| {
            !below.contains(other) && ports.get(*other).copied().flatten().is_some_and(|port| (refusal.fits)(port))
        };
        let names: Vec<String> =
            (0..self.ids.len()).filter(fitting).map(|other| format!("`{}`", self.id(other))).collect();
        if !names.is_empty() {
            problem = problem.help(format!("stages that give {}: {}", refusal.wants, names.join(", ")));
        } else if refusal.help.is_none() {
            problem = problem.help(format!("no stage here gives {}; add one between the two", refusal.wants));
        }
        if let Some(help) = &refusal.help {
            problem = problem.help(help.clone());
        }
        self.problems.push(problem);
    }

    /// A stage and everything that reads it, directly or not.
    fn below(&self, stage: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([stage]);
        loop {
            let more: Vec<usize> = (0..self.ids.len())
                .filter(|other| !found.contains(other) && self.sources(*other).any(|input| found.contains(&input)))
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }
}

fn set<T>(list: &mut [Option<T>], index: usize, value: T) {
    if let Some(place) = list.get_mut(index) {
        *place = Some(value);
    }
}
