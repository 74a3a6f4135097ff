//! Which learners may a pipeline name? One line for each; their parameters are in the files of their families.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bayes::{BernoulliParams, ComplementParams, GaussianParams, MultinomialParams};
use super::boosting::{BoostingParams, BoostingRegressorParams};
use super::kernel::{SvcParams, SvrParams};
use super::lasso::{ElasticNetParams, LassoParams};
use super::learner::{Clash, Learner, Written};
use super::linear::{LinearSvcParams, LogisticParams};
use super::mlp::{MlpClassifierParams, MlpRegressorParams};
use super::neighbors::{NeighborsParams, NeighborsRegressorParams};
use super::ridge::{LinearSvrParams, RidgeClassifierParams, RidgeParams};
use super::sgd::{SgdClassifierParams, SgdRegressorParams};
use super::trees::{Extra, ForestParams, ForestRegressorParams, Random, TreeParams, TreeRegressorParams};
use crate::problem::Problems;
use crate::stage::Scope;

/// A learner by name, with its parameters: `{ linear_svc: { c: 0.5 } }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Estimator {
    /// Logistic regression: probabilities; sparse and dense rows.
    LogisticRegression(LogisticParams),
    /// Linear support vector machine: decision values; sparse and dense rows.
    LinearSvc(LinearSvcParams),
    /// Ridge classifier: decision values; sparse and dense rows.
    RidgeClassifier(RidgeClassifierParams),
    /// Linear classifier learned by stochastic gradient descent: probabilities or decision values, by its loss; sparse and dense rows.
    SgdClassifier(SgdClassifierParams),
    /// Ridge regression: numbers; sparse and dense rows.
    Ridge(RidgeParams),
    /// Linear regression with few weights (L1 penalty): numbers; sparse and dense rows.
    Lasso(LassoParams),
    /// Linear regression with the L1 and L2 penalties: numbers; sparse and dense rows.
    ElasticNet(ElasticNetParams),
    /// Linear support vector regression: numbers; sparse and dense rows.
    LinearSvr(LinearSvrParams),
    /// Linear regression learned by stochastic gradient descent: numbers; sparse and dense rows.
    SgdRegressor(SgdRegressorParams),
    /// One decision tree: class shares of its leaves; dense rows.
    DecisionTree(TreeParams),
    /// Random forest: means of its trees' class shares; dense rows.
    RandomForest(ForestParams<Random>),
    /// Extremely randomised trees: means of their class shares; dense rows.
    ExtraTrees(ForestParams<Extra>),
    /// Gradient boosting on histograms: probabilities; dense rows.
    HistGradientBoosting(BoostingParams),
    /// One decision tree: the means of its leaves, numbers; dense rows.
    DecisionTreeRegressor(TreeRegressorParams),
    /// Random forest: means of its trees' numbers; dense rows.
    RandomForestRegressor(ForestRegressorParams<Random>),
    /// Extremely randomised trees: means of their numbers; dense rows.
    ExtraTreesRegressor(ForestRegressorParams<Extra>),
    /// Gradient boosting on histograms: numbers; dense rows.
    HistGradientBoostingRegressor(BoostingRegressorParams),
    /// Support vector machine with a kernel: decision values; dense rows.
    Svc(SvcParams),
    /// Support vector regression with a kernel: numbers; dense rows.
    Svr(SvrParams),
    /// Multinomial naive Bayes: probabilities; sparse and dense rows of 0 or more.
    MultinomialNb(MultinomialParams),
    /// Complement naive Bayes: probabilities; sparse and dense rows of 0 or more.
    ComplementNb(ComplementParams),
    /// Bernoulli naive Bayes: probabilities; sparse and dense rows.
    BernoulliNb(BernoulliParams),
    /// Gaussian naive Bayes: probabilities; sparse and dense rows.
    GaussianNb(GaussianParams),
    /// The nearest training rows vote: shares of votes; sparse and dense rows.
    KNeighbors(NeighborsParams),
    /// The mean of the nearest training rows: a number; sparse and dense rows.
    KNeighborsRegressor(NeighborsRegressorParams),
    /// A small neural network: probabilities; sparse and dense rows.
    MlpClassifier(MlpClassifierParams),
    /// A small neural network: numbers; sparse and dense rows.
    MlpRegressor(MlpRegressorParams),
}

impl Estimator {
    /// Its name in pipelines, and its parameters.
    fn parts(&self) -> (&'static str, &dyn Known) {
        match self {
            Estimator::LogisticRegression(params) => ("logistic_regression", params),
            Estimator::LinearSvc(params) => ("linear_svc", params),
            Estimator::RidgeClassifier(params) => ("ridge_classifier", params),
            Estimator::SgdClassifier(params) => ("sgd_classifier", params),
            Estimator::Ridge(params) => ("ridge", params),
            Estimator::Lasso(params) => ("lasso", params),
            Estimator::ElasticNet(params) => ("elastic_net", params),
            Estimator::LinearSvr(params) => ("linear_svr", params),
            Estimator::SgdRegressor(params) => ("sgd_regressor", params),
            Estimator::DecisionTree(params) => ("decision_tree", params),
            Estimator::RandomForest(params) => ("random_forest", params),
            Estimator::ExtraTrees(params) => ("extra_trees", params),
            Estimator::HistGradientBoosting(params) => ("hist_gradient_boosting", params),
            Estimator::DecisionTreeRegressor(params) => ("decision_tree_regressor", params),
            Estimator::RandomForestRegressor(params) => ("random_forest_regressor", params),
            Estimator::ExtraTreesRegressor(params) => ("extra_trees_regressor", params),
            Estimator::HistGradientBoostingRegressor(params) => ("hist_gradient_boosting_regressor", params),
            Estimator::Svc(params) => ("svc", params),
            Estimator::Svr(params) => ("svr", params),
            Estimator::MultinomialNb(params) => ("multinomial_nb", params),
            Estimator::ComplementNb(params) => ("complement_nb", params),
            Estimator::BernoulliNb(params) => ("bernoulli_nb", params),
            Estimator::GaussianNb(params) => ("gaussian_nb", params),
            Estimator::KNeighbors(params) => ("k_neighbors", params),
            Estimator::KNeighborsRegressor(params) => ("k_neighbors_regressor", params),
            Estimator::MlpClassifier(params) => ("mlp_classifier", params),
            Estimator::MlpRegressor(params) => ("mlp_regressor", params),
        }
    }

    /// The learner, unchecked.
    #[cfg(test)]
    pub(super) fn learner(&self) -> Box<dyn Learner> {
        self.parts().1.learner()
    }

    /// The learner; `way` leads to this estimator in the parameters of the stage. Errors: parameters that do not go together.
    pub(super) fn checked(&self, way: &[&str], at: &Scope<'_>) -> Result<Box<dyn Learner>, Problems> {
        let (name, params) = self.parts();
        let Some(Clash { param, message, help }) = params.clash() else { return Ok(params.learner()) };
        let way: Vec<&str> = way.iter().copied().chain([name, param]).collect();
        Err(at.problem("invalid-param", &way, format!("`{name}`: {message}")).help(help).into())
    }

    /// As in a pipeline.
    pub(super) fn name(&self) -> &'static str {
        self.parts().0
    }

    /// Defaults elided.
    pub(super) fn canonical(&self) -> Value {
        let (name, params) = self.parts();
        json!({ name: params.canonical() })
    }
}

/// Parameters of any learner.
trait Known {
    fn learner(&self) -> Box<dyn Learner>;
    fn clash(&self) -> Option<Clash>;
    fn canonical(&self) -> Value;
}

impl<P: Written> Known for P {
    fn learner(&self) -> Box<dyn Learner> {
        Written::learner(self)
    }

    fn clash(&self) -> Option<Clash> {
        Written::clash(self)
    }

    fn canonical(&self) -> Value {
        crate::stage::elided(self, &P::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_spelled_out_are_the_same_learner() {
        let short: Estimator = serde_json::from_value(json!({ "linear_svc": {} })).unwrap();
        let long: Estimator =
            serde_json::from_value(json!({ "linear_svc": { "c": 1.0, "loss": "squared_hinge" } })).unwrap();
        assert_eq!(short.canonical(), long.canonical());
        assert_eq!(short.canonical(), json!({ "linear_svc": {} }));
        let other: Estimator = serde_json::from_value(json!({ "linear_svc": { "c": 2 } })).unwrap();
        assert_eq!(other.canonical(), json!({ "linear_svc": { "c": 2.0 } }));
    }

    #[test]
    fn every_learner_has_its_name() {
        let schema = schemars::schema_for!(Estimator).to_value();
        let all = schema["oneOf"].as_array().unwrap();
        for one in all {
            let name = one["required"][0].as_str().unwrap();
            let known: Estimator = serde_json::from_value(json!({ name: {} })).unwrap();
            assert_eq!((known.name(), known.canonical()), (name, json!({ name: {} })));
        }
        assert!(all.len() > 4);
    }
}
