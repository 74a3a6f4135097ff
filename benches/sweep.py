#!/usr/bin/env python3
"""How long does pipelines/sweep.yaml take, beside the same sweep in scikit-learn?

    python benches/sweep.py [--fuseline target/release/fuseline] [--python python3] [--runs 3] [--threads 2] [--peers DIR]
                            [--data FILE]

Runs ours (cold: an empty cache, then warm: the same again) and theirs in turn, on the same processors, and prints medians and
ratios. Our figures are whole processes; theirs leave out starting Python. Both see the same rows in the same folds: theirs are
written from what `fuseline show` prints. Then best parameters and mean accuracies are compared.

`--python` names an interpreter with scikit-learn; without one their side is skipped, aloud. `--peers` names a folder with
sk_grid.py, a GridSearchCV script that prints a JSON line with `wall_s`; without it that is skipped too. `--quick` runs
`shared` alone of theirs (the fastest). Needs a POSIX system.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PIPELINE = os.path.join(ROOT, "pipelines", "sweep.yaml")
OURS = os.path.join(ROOT, "benches", "peers", "sweep_sklearn.py")


def process(command):
    """Wall and processor seconds, peak memory in MB, and output of a whole process."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = child.stdout.read(), None
    _, status, usage = os.wait4(child.pid, 0)
    wall, err = time.perf_counter() - start, child.stderr.read()
    if status:
        sys.exit(f"{' '.join(command)}\n{err}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024, "out": out}


def rows_for_theirs(fuseline, data, cache, path):
    """Texts, labels and folds as ours saw them."""
    show = [fuseline, "show", PIPELINE, *data, "--cache-dir", cache, "--progress", "none", "--format", "jsonl"]

    def read(*what):
        said = process([*show[:3], *what, *show[3:]])
        return [json.loads(line) for line in said["out"].splitlines()]

    scored = {row["row_id"]: row for row in read("scores", "--part", "predictions")}
    with open(path, "w", encoding="utf-8") as file:
        for row in read("reviews", "--part", "text"):
            known = scored[row["row_id"]]
            line = {"text": row["text"], "label": known["label"], "fold": known["fold"]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def means_of(summary):
    """Mean accuracy by the parameters that the sweep sets."""
    means = {}
    for variant in summary["variants"]:
        params = variant["params"]
        ngrams = {"words": [1, 1], "pairs": [1, 2], "triples": [1, 3]}.get(params["ngrams"], params["ngrams"])
        means[f"{ngrams} {params['tfidf.min_df']} {float(params['c']):g}"] = variant["metrics"]["accuracy"]["mean"]
    return means


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuseline", default=os.path.join(ROOT, "target", "release", "fuseline"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers")
    parser.add_argument("--data", help="the film snippets, where they cannot be fetched (plain or .gz)")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.threads]))
    theirs = ["shared"] if args.quick else ["grid", "memory", "shared"]
    if subprocess.run([args.python, "-c", "import sklearn"], capture_output=True).returncode:
        print(f"skipped: {args.python} has no scikit-learn; name one that has it with --python")
        theirs = []
    if not args.peers:
        print("skipped: no --peers folder")
    with tempfile.TemporaryDirectory() as work:
        run(args, theirs, work)


def run(args, theirs, work):
    data = ["--set", f"reviews.source={os.path.abspath(args.data)}"] if args.data else []
    cache, out, rows = (os.path.join(work, name) for name in ("cache", "out", "rows.jsonl"))
    ours = [args.fuseline, "run", PIPELINE, *data, "--cache-dir", cache, "--out", out, "--threads", str(args.threads)]
    ours += ["--progress", "none"]
    process([args.fuseline, "fetch", PIPELINE, *data, "--cache-dir", cache])
    seen = {name: [] for name in ["cold", "warm", *theirs, *(["peers", "peers --smart"] if args.peers else [])]}
    processor, memory, answers = {"cold": [], "warm": []}, {"cold": [], "warm": []}, {}
    for number in range(args.runs):
        # what was fetched stays; everything that was computed goes
        process([args.fuseline, "cache", "clear", "--cache-dir", cache])
        for name in ("cold", "warm"):
            done = process(ours)
            seen[name].append(done["wall"])
            processor[name].append(done["cpu"])
            memory[name].append(done["mb"])
        if number == 0:
            rows_for_theirs(args.fuseline, data, cache, rows)
        for how in theirs:
            said = process([args.python, OURS, rows, "--how", how, "--jobs", str(args.threads)])
            answers[how] = json.loads(said["out"])
            seen[how].append(answers[how]["seconds"])
        for name in [name for name in seen if name.startswith("peers")]:
            command = [args.python, os.path.join(args.peers, "sk_grid.py"), "--runs", "1", "--n-jobs", str(args.threads)]
            said = process(command + (["--smart"] if "smart" in name else []))
            seen[name].append(json.loads(said["out"].splitlines()[-1])["wall_s"])
    report(args, seen, processor, memory)
    if theirs:
        # at its default tolerance lbfgs stops short of the optimum: for accuracies, not for times, let it get there
        said = process([args.python, OURS, rows, "--how", "shared", "--jobs", str(args.threads), "--tol", "1e-8"])
        answers["shared, tol 1e-8"] = json.loads(said["out"])
    with open(os.path.join(out, "summary.json"), encoding="utf-8") as file:
        compare(means_of(json.load(file)), answers)


def report(args, seen, processor, memory):
    print(f"\n{args.runs} runs in turn, {args.threads} threads; medians (fastest to slowest)")
    cold = statistics.median(seen["cold"])
    for name, seconds in seen.items():
        middle = statistics.median(seconds)
        ratios = statistics.median([theirs / ours for theirs, ours in zip(seconds, seen["cold"])])
        line = f"  {name:14} {middle:7.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        if name in processor:
            line += f"  {statistics.median(processor[name]):6.2f} processor s, {statistics.median(memory[name]):.0f} MB"
        else:
            line += f"  {ratios:.1f} times ours, cold"
        print(line)


def compare(ours, answers):
    best = max(ours, key=ours.get)
    print(f"\nbest of ours: [ngram_range] min_df C = {best}, mean accuracy {ours[best]:.4f}")
    for how, said in answers.items():
        apart = max(abs(ours[key] - mean) for key, mean in said["means"].items())
        same = "the same" if said["best"] == best else f"{said['best']} ({said['means'][said['best']]:.4f})"
        print(f"  {how}: best is {same}; mean accuracies at most {apart:.5f} apart over {len(said['means'])} variants")


if __name__ == "__main__":
    main()
