//! How is a model of trees kept? In tables of numbers: its nodes, its leaves and its trees, beside a head in JSON.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array, RecordBatch, UInt32Array};
use serde::{Deserialize, Serialize};

use super::learner::{read_strings, strings};
use crate::ml::trees::{Link, Node, TreeModel, Trees};
use crate::stage::{Output, Parts, StageError};

/// What is not a table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    classes: usize,
    present: Vec<u32>,
    link: LinkName,
    base: Vec<f64>,
    columns: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LinkName {
    Mean,
    Identity,
    Logistic,
    Softmax,
}

/// The parts `head`, `trees` (root), `nodes` (column, cut, below) and `leaves` (leaf, output, value).
pub(super) fn written(model: &TreeModel) -> Result<Output, StageError> {
    let trees = &model.trees;
    let link = match model.link {
        Link::Mean => LinkName::Mean,
        Link::Identity => LinkName::Identity,
        Link::Logistic => LinkName::Logistic,
        Link::Softmax => LinkName::Softmax,
    };
    let (classes, present, base, columns) = (model.classes, model.present.clone(), model.base.clone(), trees.cols);
    let head = Head { classes, present, link, base, columns };
    let head = serde_json::to_string(&head).map_err(StageError::caused)?;
    let leaf = (0u32..).zip(trees.leaf_start.windows(2)).flat_map(|(leaf, span)| (span[0]..span[1]).map(move |_| leaf));
    let nodes = trees.nodes.iter();
    let nodes: [(&str, ArrayRef); 3] = [
        ("column", Arc::new(UInt32Array::from_iter_values(nodes.clone().map(|node| node.column)))),
        ("cut", Arc::new(Float32Array::from_iter_values(nodes.clone().map(|node| node.cut)))),
        ("below", Arc::new(UInt32Array::from_iter_values(nodes.map(|node| node.below)))),
    ];
    let leaves: [(&str, ArrayRef); 3] = [
        ("leaf", Arc::new(UInt32Array::from_iter_values(leaf))),
        ("output", Arc::new(UInt32Array::from(trees.leaf_output.clone()))),
        ("value", Arc::new(Float64Array::from(trees.leaf_value.clone()))),
    ];
    let roots: [(&str, ArrayRef); 1] = [("root", Arc::new(UInt32Array::from(trees.roots.clone())))];
    Ok(Output::new()
        .table("head", strings("json", &[head])?)
        .table("trees", table(roots)?)
        .table("nodes", table(nodes)?)
        .table("leaves", table(leaves)?))
}

/// The model, as it stands there: its parts may not fit together.
pub(super) fn read(learned: &Parts) -> Result<TreeModel, StageError> {
    let head = read_strings(&*learned.table("head")?, "json")?;
    let head: Head = serde_json::from_str(head.first().map_or("", String::as_str)).map_err(StageError::caused)?;
    let link = match head.link {
        LinkName::Mean => Link::Mean,
        LinkName::Identity => Link::Identity,
        LinkName::Logistic => Link::Logistic,
        LinkName::Softmax => Link::Softmax,
    };
    let (nodes, leaves, roots) = (learned.table("nodes")?, learned.table("leaves")?, learned.table("trees")?);
    let columns = column::<UInt32Array>(&nodes, "column")?.values().iter();
    let cuts = column::<Float32Array>(&nodes, "cut")?.values().iter();
    let below = column::<UInt32Array>(&nodes, "below")?.values().iter();
    let nodes = columns.zip(cuts).zip(below).map(|((&column, &cut), &below)| Node { column, cut, below }).collect();
    let mut leaf_start = vec![0];
    for (entry, &leaf) in (0u32..).zip(column::<UInt32Array>(&leaves, "leaf")?.values()) {
        if entry > 0 && leaf as usize == leaf_start.len() {
            leaf_start.push(entry);
        }
        if leaf as usize + 1 != leaf_start.len() {
            return Err(StageError::failed("the leaves of a model are out of order"));
        }
    }
    leaf_start.push(leaves.num_rows() as u32);
    let trees = Trees {
        cols: head.columns,
        outputs: head.base.len(),
        roots: column::<UInt32Array>(&roots, "root")?.values().to_vec(),
        nodes,
        leaf_start,
        leaf_output: column::<UInt32Array>(&leaves, "output")?.values().to_vec(),
        leaf_value: column::<Float64Array>(&leaves, "value")?.values().to_vec(),
    };
    Ok(TreeModel { classes: head.classes, present: head.present, link, base: head.base, trees })
}

pub(super) fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, StageError> {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, false)))
        .map_err(StageError::caused)
}

/// A column of numbers without gaps.
pub(super) fn column<'a, A: Array + 'static>(table: &'a RecordBatch, name: &str) -> Result<&'a A, StageError> {
    let column = table.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<A>());
    let column = column.filter(|column| column.null_count() == 0);
    column.ok_or_else(|| StageError::failed(format!("a model's table lacks its column `{name}`")))
}
