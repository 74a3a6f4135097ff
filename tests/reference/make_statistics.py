"""What scipy, statsmodels and mlxtend say of some small inputs: statistics.json.

    python make_statistics.py        (numpy 2.x, scipy 1.17, statsmodels 0.15, mlxtend 0.25; the file names the exact ones)

Inputs stand beside the answers. The bootstrap's bounds come from 100,000 resamples of scipy and are held to a statistical
tolerance; all else is exact. The corrected resampled t has no function there: its formula (Nadeau and Bengio 2003) is spelled out.
mlxtend fits two models for its 5x2 tests, so models are given that only count how often they were asked.
"""
import json

import mlxtend, numpy as np, scipy, statsmodels
from mlxtend.evaluate import combined_ftest_5x2cv, mcnemar as mlxtend_mcnemar, paired_ttest_5x2cv
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

out = {"versions": {m.__name__: m.__version__ for m in (np, scipy, statsmodels, mlxtend)}}

pairs = [(0, 1), (1, 5), (3, 12), (9, 21), (25, 30), (41, 9), (120, 170), (900, 1010), (5000, 5200)]
out["mcnemar"] = []
for b, c in pairs:
    exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue
    again = mlxtend_mcnemar(np.array([[0, b], [c, 0]]), exact=True)[1]
    assert abs(exact - again) < 1e-9, (exact, again)
    binom = stats.binom(b + c, 0.5)
    out["mcnemar"].append([b, c, float(exact), float(2 * binom.cdf(min(b, c)) - binom.pmf(min(b, c)))])

families = [[0.01, 0.04, 0.03, 0.005], [0.5, 0.001, 0.02], [0.04, 0.04, 0.04], [0.9], [1e-9, 0.0499, 0.2, 0.6, 0.0131]]
out["holm"] = [[p, multipletests(p, method="holm")[1].tolist()] for p in families]

out["wilson"] = [[k, n, *map(float, proportion_confint(k, n, alpha=a, method="wilson")), 1 - a]
                 for k, n, a in [(8, 10, 0.05), (37, 120, 0.05), (990, 1000, 0.05), (8135, 10568, 0.01)]]

def corrected(values, ratio, confidence=0.95):
    values = np.array(values)
    se = np.sqrt((1 / len(values) + ratio) * values.var(ddof=1))
    t = values.mean() / se
    half = stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * se
    return [float(se), float(2 * stats.t.sf(abs(t), len(values) - 1)),
            float(values.mean() - half), float(values.mean() + half)]

rng = np.random.default_rng(1)
folds = [[0.02, 0.01, 0.03, -0.005, 0.015], rng.normal(0.01, 0.02, 50).round(4).tolist(), [0.5, 0.25]]
out["corrected_t"] = [[f, r, *corrected(f, r)] for f, r in zip(folds, [0.25, 1 / 9, 1.0])]


class Told:
    """A model whose scores are given beforehand."""

    def __init__(self, scores):
        self.scores = list(scores)

    def fit(self, X, y):
        return self


def told(estimator, X, y):
    return estimator.scores.pop(0)


out["five_by_two"] = []
for _ in range(3):
    # mlxtend scores the second half first, then the first
    diffs = rng.normal(0.02, 0.03, (5, 2)).round(4)
    arguments = dict(X=np.zeros((10, 1)), y=np.array([0, 1] * 5), scoring=told, random_seed=1)
    t, t_p = paired_ttest_5x2cv(Told(diffs.ravel()), Told(np.zeros(10)), **arguments)
    f, f_p = combined_ftest_5x2cv(Told(diffs.ravel()), Told(np.zeros(10)), **arguments)
    out["five_by_two"].append([diffs.tolist(), *map(float, (t, t_p, f, f_p))])

out["tails"] = {
    "normal": [[z, float(stats.norm.cdf(z)), float(2 * stats.norm.sf(abs(z)))] for z in [-8.0, -2.5, -0.1, 0.0, 1.0, 3.7]],
    "t": [[t, n, float(2 * stats.t.sf(abs(t), n))] for t, n in [(0.3, 4), (-2.776, 4), (5.0, 49), (12.0, 9), (1.0, 1)]],
    "f": [[x, a, b, float(stats.f.sf(x, a, b))] for x, a, b in [(4.735, 10, 5), (0.5, 10, 5), (40.0, 10, 5)]],
}

skewed = [((i * 7 % 40) / 40 + 0.0125) ** 3 * 10 for i in range(40)]
out["bootstrap"] = {}
for method in ["BCa", "percentile"]:
    found = stats.bootstrap((np.array(skewed),), np.mean, n_resamples=100_000, method=method, rng=np.random.default_rng(2))
    ci = found.confidence_interval
    out["bootstrap"][method] = [float(ci.low), float(ci.high), float(found.standard_error)]
# a ratio of correlated columns, which is biased as well as skewed
x = np.array(skewed)
y = np.array([(i * 11 % 40) / 40 + 0.5 for i in range(40)])
found = stats.bootstrap((x, y), lambda a, b, axis=-1: a.mean(axis) / b.mean(axis), paired=True, vectorized=True,
                        n_resamples=100_000, method="BCa", rng=np.random.default_rng(3))
out["bootstrap"]["ratio"] = [float(found.confidence_interval.low), float(found.confidence_interval.high),
                             float(found.standard_error)]

with open("statistics.json", "w") as file:
    json.dump(out, file, indent=1)
    file.write("\n")
