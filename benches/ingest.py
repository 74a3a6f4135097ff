"""How fast are files read? Fuseline's `ingest` beside pandas' and polars' readers, in one run, on the same file.

    python benches/ingest.py --fuseline target/release/fuseline [--data ../shared/data/lid_commonvoice/train.tsv.gz]

Needs pandas, polars and pyarrow. Every reader is run in turn, `--repeats` times; medians are told. Fuseline starts with an
empty cache, digests the file, counts its rows, writes two Parquet tables (text, target) and their digests; its time is that
of the unit, and from the start of the process to the end of the unit. The others are told once for reading alone and once with writing the table as
Parquet (zstd 1). All must find the same number of rows. Seconds of all cores (those of Fuseline from the start) tell more than
the clock on a machine that does other things too.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import pandas
import polars


def fuseline(binary, data, folder):
    """Seconds of the unit that ingests, and from the start of the process to its end; what comes after it is cut off."""
    cache = tempfile.mkdtemp(dir=folder)
    pipeline = Path(cache) / "p.yaml"
    pipeline.write_text(f"name: read\nstages:\n  rows: {{ use: ingest, with: {{ source: '{data}', label: lang }} }}\n")
    command = [binary, "run", pipeline, "--out", cache + "/out", "--message-format", "json"]
    environment = os.environ | {"FUSELINE_CACHE_DIR": cache + "/cache"}
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        for line in run.stdout:
            event = json.loads(line)
            if event["event"] == "finished":
                whole = time.perf_counter() - began
                ticks = Path(f"/proc/{run.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
                run.kill()
                cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
                told = {"fuseline, the unit": (event["seconds"], cpu), "fuseline, from the start": (whole, cpu)}
                return told, event["rows"]
    raise SystemExit(f"fuseline ended with {run.returncode}")


def timed(read, write):
    def now():
        return time.perf_counter(), time.process_time()

    began = now()
    table = read()
    middle = now()
    write(table)
    ended = now()
    return [tuple(b - a for a, b in zip(began, at)) for at in (middle, ended)], len(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuseline", required=True, type=Path)
    parser.add_argument("--data", default="../shared/data/lid_commonvoice/train.tsv.gz", type=Path)
    parser.add_argument("--repeats", default=7, type=int)
    options = parser.parse_args()
    data = options.data.resolve()
    seconds, rows = {}, set()

    def note(name, value):
        seconds.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder:
        parquet = Path(folder) / "x.parquet"
        readers = {
            "pandas": (
                lambda: pandas.read_csv(data, sep="\t", quoting=3, dtype=str, keep_default_na=False, lineterminator="\n"),
                lambda table: table.to_parquet(parquet, compression="zstd", compression_level=1),
            ),
            "polars": (
                lambda: polars.read_csv(data, separator="\t", quote_char=None),
                lambda table: table.write_parquet(parquet, compression="zstd", compression_level=1),
            ),
        }
        for _ in range(options.repeats):
            told, count = fuseline(options.fuseline.resolve(), data, folder)
            rows.add(count)
            for name, value in told.items():
                note(name, value)
            for name, (read, write) in readers.items():
                (reading, both), count = timed(read, write)
                rows.add(count)
                note(f"{name}, reading", reading)
                note(f"{name}, reading and writing", both)
    print(f"pandas {pandas.__version__}, polars {polars.__version__}, {os.cpu_count()} cores, rows: {sorted(rows)}")
    for name, values in sorted(seconds.items(), key=lambda item: statistics.median(item[1])):
        wall, cpu = zip(*values)
        print(
            f"{statistics.median(wall):7.3f} s  ({min(wall):.3f} to {max(wall):.3f})  "
            f"{statistics.median(cpu):7.3f} s of all cores  {name}"
        )


if __name__ == "__main__":
    main()
