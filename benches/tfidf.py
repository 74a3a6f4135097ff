"""How fast are texts weighed? `cargo bench --bench tfidf` beside scikit-learn's vectorisers, in turn, on the same texts.

    python benches/tfidf.py --bench target/release/deps/tfidf-… FILE…  [--threads 1 2] [--runs 5] [--task words|char_wb|hashing]

Needs scikit-learn. A file holds JSON lines with a field `text`, or a text on each line. All read the texts into memory first; what is
timed is `fit_transform`. Every round runs each side once, in a process of its own; medians are told, and the most memory that
a process held, texts and (for scikit-learn) Python counted. Both must find the same number of columns and of stored values.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

TASKS = {
    "words": (["--ngrams", "1,2"], {"ngram_range": (1, 2)}),
    "char_wb": (["--char-wb", "1,3"], {"analyzer": "char_wb", "ngram_range": (1, 3)}),
    "hashing": (["--char-wb", "1,3", "--hashing", "1048576"], {"analyzer": "char_wb", "ngram_range": (1, 3)}),
}


def texts(file):
    lines = Path(file).read_text(encoding="utf-8").split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    return [json.loads(line)["text"] for line in lines] if file.endswith(".jsonl") else lines


def peer(file, task):
    """One run of scikit-learn in this process."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    options = TASKS[task][1]
    if task == "hashing":
        model = make_pipeline(HashingVectorizer(norm=None, n_features=1 << 20, **options), TfidfTransformer())
    else:
        model = TfidfVectorizer(**options)
    rows = texts(file)
    began = time.perf_counter()
    weighed = model.fit_transform(rows)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = {"columns": weighed.shape[1], "stored": weighed.nnz, "sum": float(weighed.sum()), "seconds": [seconds], "peak_mb": peak}
    print(json.dumps(told))


def ran(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--task", choices=sorted(TASKS), default="words")
    parser.add_argument("--peer", action="store_true", help="one run of scikit-learn alone")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    if options.peer:
        return peer(options.files[0], options.task)
    print(f"{os.cpu_count()} cores, medians of {options.runs}, {options.task}")
    for file in options.files:
        ours, theirs = {threads: [] for threads in options.threads}, []
        for _ in range(options.runs):
            theirs.append(ran([sys.executable, __file__, "--peer", "--task", options.task, file]))
            for threads, told in ours.items():
                more = TASKS[options.task][0] + ["--threads", str(threads), "--runs", "1"]
                told.append(ran([options.bench.resolve(), file] + more))
        shapes = {(told["columns"], told["stored"]) for told in sum(ours.values(), theirs)}
        sums = [told["sum"] for told in sum(ours.values(), theirs)]
        assert len(shapes) == 1 and max(sums) - min(sums) < 1e-5 * max(map(abs, sums)), (shapes, sums)
        slow = statistics.median(told["seconds"][0] for told in theirs)
        print(f"{file}: {shapes.pop()}; scikit-learn {slow:.3f} s, {max(told['peak_mb'] for told in theirs)} MB")
        for threads, told in ours.items():
            fast = statistics.median(one["seconds"][0] for one in told)
            peak = max(one["peak_mb"] for one in told)
            print(f"  {threads} threads: {fast:.3f} s, {slow / fast:.1f} times as fast, {peak} MB")


if __name__ == "__main__":
    main()
