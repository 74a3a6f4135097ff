//! Which kinds of stages are there, and what do they say of their parameters?

use std::collections::BTreeMap;

use super::schema::ParamSchema;
use crate::stage::Kind;

/// The registry with the schema of each kind.
pub(super) struct Kinds {
    list: &'static [Kind],
    schemas: BTreeMap<&'static str, ParamSchema>,
}

impl Kinds {
    /// The kinds of a registry.
    pub(super) fn of(list: &'static [Kind]) -> Self {
        Kinds { list, schemas: list.iter().map(|kind| (kind.name, ParamSchema::of(kind))).collect() }
    }

    /// The kind called `name`.
    pub(super) fn find(&self, name: &str) -> Option<&'static Kind> {
        self.list.iter().find(|kind| kind.name == name)
    }

    /// What the kind called `name` says of its parameters.
    pub(super) fn schema(&self, name: &str) -> Option<&ParamSchema> {
        self.schemas.get(name)
    }

    /// All names, in the registry's order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.list.iter().map(|kind| kind.name)
    }
}
