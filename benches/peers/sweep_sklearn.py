#!/usr/bin/env python3
"""The sweep of pipelines/sweep.yaml in scikit-learn, on the same rows and the same folds.

    python benches/peers/sweep_sklearn.py ROWS.jsonl --how grid|memory|shared [--jobs 2] [--runs 1] [--tol 1e-4]

ROWS.jsonl has one row a line: text, label, fold (benches/sweep.py makes it). `grid` is GridSearchCV over a Pipeline, `memory`
the same with `memory=`, `shared` vectorises once for each fold, ngram_range and min_df by hand and fits every C on it.
Prints one JSON line. Seconds are those of the search alone: starting Python and importing are not counted.
Needs scikit-learn (seen with 1.9.1).
"""
import argparse
import os

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[pool] = "1"  # as many processes as there are jobs: one thread each

import itertools
import json
import shutil
import statistics
import tempfile
import time

import numpy as np
from joblib import Parallel, delayed
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import Pipeline

NGRAMS = [(1, 1), (1, 2), (1, 3)]
MIN_DF = [1, 2]
MAX_ITER = 1000
CS = [0.03, 0.1, 0.3, 1, 3, 10]
GRID = {"tfidf__ngram_range": NGRAMS, "tfidf__min_df": MIN_DF, "model__C": CS}


def searched(texts, labels, folds, jobs, tol, remembered):
    """Mean accuracy by (ngram_range, min_df, C), by GridSearchCV."""
    memory = tempfile.mkdtemp() if remembered else None
    try:
        steps = [("tfidf", TfidfVectorizer()), ("model", LogisticRegression(max_iter=MAX_ITER, tol=tol))]
        search = GridSearchCV(
            Pipeline(steps, memory=memory), GRID, cv=PredefinedSplit(folds), n_jobs=jobs, scoring="accuracy", refit=False
        ).fit(texts, labels)
    finally:
        if memory:
            shutil.rmtree(memory, ignore_errors=True)
    params = search.cv_results_["params"]
    keys = [(p["tfidf__ngram_range"], p["tfidf__min_df"], p["model__C"]) for p in params]
    return dict(zip(keys, search.cv_results_["mean_test_score"]))


def shared(texts, labels, folds, jobs, tol):
    """The same, each vectoriser fitted once."""

    def one(ngrams, min_df, fold):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        tfidf = TfidfVectorizer(ngram_range=ngrams, min_df=min_df)
        x, z = tfidf.fit_transform([texts[i] for i in train]), tfidf.transform([texts[i] for i in test])
        return [LogisticRegression(C=c, max_iter=MAX_ITER, tol=tol).fit(x, labels[train]).score(z, labels[test]) for c in CS]

    jobs_to_do = list(itertools.product(NGRAMS, MIN_DF, np.unique(folds)))
    scores = Parallel(n_jobs=jobs)(delayed(one)(*job) for job in jobs_to_do)
    sums = {}
    for (ngrams, min_df, _), row in zip(jobs_to_do, scores):
        for c, score in zip(CS, row):
            sums.setdefault((ngrams, min_df, c), []).append(score)
    return {key: float(np.mean(scores)) for key, scores in sums.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows")
    parser.add_argument("--how", choices=["grid", "memory", "shared"], default="grid")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--tol", type=float, default=1e-4, help="scikit-learn's own is 1e-4, which leaves lbfgs short of the optimum")
    args = parser.parse_args()
    with open(args.rows, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [row["text"] for row in rows]
    labels, folds = np.array([row["label"] for row in rows]), np.array([row["fold"] for row in rows])
    seconds = []
    for _ in range(args.runs):
        start = time.perf_counter()
        if args.how == "shared":
            means = shared(texts, labels, folds, args.jobs, args.tol)
        else:
            means = searched(texts, labels, folds, args.jobs, args.tol, args.how == "memory")
        seconds.append(time.perf_counter() - start)
    best = max(means, key=means.get)
    named = {f"{list(ngrams)} {min_df} {c:g}": round(float(mean), 6) for (ngrams, min_df, c), mean in means.items()}
    best = f"{list(best[0])} {best[1]} {best[2]:g}"
    print(json.dumps({"how": args.how, "jobs": args.jobs, "seconds": statistics.median(seconds), "best": best, "means": named}))


if __name__ == "__main__":
    main()
