"""How fast are scikit-learn's linear learners, at the same objective?  The other side of `benches/linear.rs`.

    python benches/linear.py prepare texts.csv.gz texts.features [--dense vectors.npy]   # columns text, label; both sides read the result
    python benches/linear.py fit texts.features --features sparse --model logistic

`prepare` counts words and pairs of words (TF-IDF), and takes the dense vectors from a file, or makes 384 columns of them by a
truncated SVD with a common mean, rotated and scaled to length 1: correlated, as sentence vectors are. `fit` times every solver that fits the
objective, each at tolerances from loose to tight, and prints for each the first that comes within a relative 1e-6 of the best
objective seen. One thread: set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1.
"""
import argparse
import csv
import gzip
import json
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy.sparse as sp

warnings.filterwarnings("ignore")
GAP = 1e-6


def texts(path):
    if path.endswith(".jsonl"):
        rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    else:
        read = gzip.open if path.endswith(".gz") else open
        rows = list(csv.DictReader(read(path, "rt", encoding="utf-8")))
    names = sorted({str(row["label"]) for row in rows})
    return [row["text"] for row in rows], np.array([names.index(str(row["label"])) for row in rows], dtype="<u4")


def vectors(sparse):
    from sklearn.utils.extmath import randomized_svd

    rng = np.random.default_rng(0)
    left, singular, _ = randomized_svd(sparse, 384, n_iter=2, random_state=0)
    made = left * np.sqrt(singular)
    made = made @ np.linalg.qr(rng.standard_normal((384, 384)))[0]
    made += 0.5 * np.linalg.norm(made, axis=1).mean() * rng.standard_normal(384) / np.sqrt(384)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def prepare(args):
    from sklearn.feature_extraction.text import TfidfVectorizer

    text, y = texts(args.texts)
    sparse = TfidfVectorizer(ngram_range=(1, 2)).fit_transform(text).astype(np.float32).tocsr()
    sparse.sort_indices()
    dense = np.load(args.dense)[: len(text)] if args.dense else vectors(sparse.astype(np.float64))
    sizes = [len(text), int(y.max()) + 1, sparse.shape[1], sparse.nnz, dense.shape[1]]
    with open(args.out, "wb") as out:
        np.array(sizes, dtype="<u8").tofile(out)
        for values, kind in ((y, "<u4"), (sparse.indptr, "<u8"), (sparse.indices, "<u4"), (sparse.data, "<f4"), (dense, "<f4")):
            np.ascontiguousarray(values, dtype=kind).tofile(out)
    print(dict(zip(("rows", "classes", "sparse columns", "stored", "dense columns"), sizes)))


def read(path, features):
    with open(path, "rb") as file:
        rows, classes, cols, stored, width = (int(size) for size in np.fromfile(file, "<u8", 5))
        y = np.fromfile(file, "<u4", rows)
        indptr, indices = np.fromfile(file, "<u8", rows + 1).astype(np.int32), np.fromfile(file, "<u4", stored).astype(np.int32)
        data = np.fromfile(file, "<f4", stored).astype(np.float64)
        dense = np.fromfile(file, "<f4", rows * width).reshape(rows, width).astype(np.float64)
    sparse = sp.csr_matrix((data, indices, indptr), shape=(rows, cols))
    x = {"sparse": sparse, "dense": dense, "both": sp.hstack([sparse, sp.csr_matrix(dense)]).tocsr()}[features]
    return x, y, classes


def objective(fitted, x, y, classes, c, model, penalised):
    scores = np.asarray(x @ fitted.coef_.T) + fitted.intercept_
    value = 0.5 * (fitted.coef_**2).sum() + (0.5 * (fitted.intercept_**2).sum() if penalised else 0.0)
    if model == "logistic" and classes > 2:
        from scipy.special import logsumexp

        return value + c * (logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]).sum()
    signs = np.where(y[:, None] == (np.arange(classes) if classes > 2 else 1), 1.0, -1.0) * scores
    losses = np.logaddexp(0, -signs) if model == "logistic" else np.maximum(0, 1 - signs) ** 2
    return value + c * losses.sum()


def solvers(model, classes, features, c):
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    if model == "svc":
        dual = lambda tol: LinearSVC(C=c, tol=tol, dual=True, max_iter=100000, random_state=0)
        return {"dual": dual, "primal": lambda tol: LinearSVC(C=c, tol=tol, dual=False, max_iter=100000)}
    named = lambda solver: lambda tol: LogisticRegression(solver=solver, C=c, tol=tol, max_iter=100000, random_state=0)
    names = ["lbfgs", "newton-cg"] + (["liblinear"] if classes == 2 else [])
    names += ["newton-cholesky"] if features == "dense" and classes == 2 else []
    return {name: named(name) for name in names}


def fit(args):
    x, y, classes = read(args.file, args.features)
    best, tried = {}, []
    for name, make in solvers(args.model, classes, args.features, args.c).items():
        if args.solver and name not in args.solver.split(","):
            continue
        # liblinear penalises the intercept, so its optimum is another one
        kind = args.model == "svc" or name == "liblinear"
        for tol in (float(tol) for tol in args.tols.split(",")):
            seconds = []
            for _ in range(args.runs):
                start = time.perf_counter()
                fitted = make(tol).fit(x, y)
                seconds.append(time.perf_counter() - start)
            value = objective(fitted, x, y, classes, args.c, args.model, kind)
            best[kind] = min(best.get(kind, np.inf), value)
            tried.append((name, kind, tol, float(np.median(seconds)), value, int(np.max(fitted.n_iter_))))
    for name in dict.fromkeys(t[0] for t in tried):
        close = [t for t in tried if t[0] == name and t[4] - best[t[1]] <= GAP * best[t[1]]]
        for _, kind, tol, seconds, value, iterations in sorted(close, key=lambda t: t[3])[:1]:
            gap = (value - best[kind]) / best[kind]
            print(f"{args.model} {args.features} {name} tol {tol:g}: {seconds:.4f} s, objective {value:.6f}, gap {gap:.1e}, {iterations} iterations")
        if not close:
            print(f"{args.model} {args.features} {name}: none of its tolerances comes within {GAP:g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(required=True)
    made = steps.add_parser("prepare")
    made.add_argument("texts")
    made.add_argument("out")
    made.add_argument("--dense")
    made.set_defaults(run=prepare)
    timed = steps.add_parser("fit")
    timed.add_argument("file")
    timed.add_argument("--features", choices=["sparse", "dense", "both"], default="sparse")
    timed.add_argument("--model", choices=["logistic", "svc"], default="logistic")
    timed.add_argument("--solver", help="solvers, comma-separated; all if left out")
    timed.add_argument("--tols", default="1e-2,1e-3,1e-4,1e-5,1e-6,1e-7,1e-8")
    timed.add_argument("--c", type=float, default=1.0)
    timed.add_argument("--runs", type=int, default=3)
    timed.set_defaults(run=fit)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
