"""How fast do texts become vectors? `cargo bench --bench embed` beside other engines, in turn, on the same texts and weights.

    python benches/embed.py FILE… --bench target/release/deps/embed-… --model FOLDER  [--limit 2000] [--max-length 256]
        [--threads 1 2] [--runs 5] [--precision f32 bf16] [--peers st ov] [--onnx model.onnx]

Peers: `st`, sentence-transformers' encode (sorts by length, pads each batch; batches of 32); `ov`, OpenVINO on `--onnx` (the
model's last hidden states, exported by torch.onnx; two streams on two threads), texts sorted by length in batches of at most 2,048 tokens,
padded. Needs those packages. The texts are in memory and the model is loaded before; tokenising and pooling are timed. Every round
runs each side once, in a process of its own, after one run to warm up; medians of tokens per second are told (tokens of the texts,
without padding), with the least cosine and the largest difference between each side's vectors and sentence-transformers' in f32.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def texts(file, limit):
    lines = Path(file).read_text(encoding="utf-8").split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    return [json.loads(line)["text"] if file.endswith(".jsonl") else line for line in lines][:limit]


def peer(task):
    """One timed run of a peer in this process."""
    os.sched_setaffinity(0, range(task["threads"]))
    import numpy as np

    rows = texts(task["file"], task["limit"])
    run = {"st": sentence_transformers, "ov": openvino}[task["peer"]](task)
    run(rows[:64])
    began = time.perf_counter()
    vectors = run(rows)
    seconds = time.perf_counter() - began
    if task["out"]:
        vectors.astype(np.float32).tofile(task["out"])
    told = {"seconds": [seconds], "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    print(json.dumps(told), flush=True)
    # OpenVINO now and then never ends by itself after its callbacks
    os._exit(0)


def sentence_transformers(task):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(task["threads"])
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[task["precision"]]
    model = SentenceTransformer(task["model"], device="cpu", model_kwargs={"torch_dtype": kind})
    model.max_seq_length = task["max_length"]
    return lambda rows: model.encode(rows, batch_size=32, normalize_embeddings=True)


def openvino(task):
    import numpy as np
    import openvino as ov
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(task["model"] + "/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(task["max_length"])
    threads = task["threads"]
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "INFERENCE_PRECISION_HINT": task["precision"],
    }
    compiled = ov.Core().compile_model(task["onnx"], "CPU", settings)
    names = [port.get_any_name() for port in compiled.inputs]

    def run(rows):
        ids = [encoding.ids for encoding in tokenizer.encode_batch(rows)]
        batches, batch = [], []
        for at in sorted(range(len(ids)), key=lambda at: -len(ids[at])):
            if batch and (len(batch) + 1) * len(ids[batch[0]]) > 2048:
                batches.append(batch)
                batch = []
            batch.append(at)
        batches.append(batch)
        vectors = np.zeros((len(rows), 384), np.float32)

        def pool(request, batch):
            states, mask = request.get_output_tensor(0).data.astype(np.float32), np.array(request.get_tensor(names[1]).data)
            mask = mask[:, :, None].astype(np.float32)
            mean = (states * mask).sum(1) / mask.sum(1)
            vectors[batch] = mean / np.linalg.norm(mean, axis=1, keepdims=True)

        queue = ov.AsyncInferQueue(compiled, threads)
        queue.set_callback(pool)
        for batch in batches:
            shape = (len(batch), max(len(ids[at]) for at in batch))
            given = {"input_ids": np.zeros(shape, np.int64), "attention_mask": np.zeros(shape, np.int64)}
            given["token_type_ids"] = np.zeros(shape, np.int64)
            for row, at in enumerate(batch):
                given["input_ids"][row, : len(ids[at])] = ids[at]
                given["attention_mask"][row, : len(ids[at])] = 1
            queue.start_async({name: given[name] for name in names}, batch)
        queue.wait_all()
        return vectors

    return run


def ours(options, file, threads, precision, out):
    command = ["taskset", "-c", f"0-{threads - 1}", str(options.bench), options.model, file, "--threads", str(threads)]
    command += ["--limit", str(options.limit), "--max-length", str(options.max_length), "--precision", precision]
    return ran(command + (["--out", out] if out else []))


def ran(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--onnx", default="model.onnx")
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--peers", nargs="*", default=["st", "ov"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    if options.peer:
        return peer(json.loads(options.peer))
    if not options.files:
        parser.error("name files of texts, before the options")
    import numpy as np

    for file in options.files:
        base = {"file": file, "limit": options.limit, "max_length": options.max_length, "model": options.model, "onnx": options.onnx}
        with tempfile.TemporaryDirectory() as folder:

            def theirs(name, threads, precision, out=""):
                task = base | {"peer": name, "threads": threads, "precision": precision, "out": out}
                return ran([sys.executable, __file__, "--peer", json.dumps(task)])

            reference = f"{folder}/reference"
            theirs("st", max(options.threads), "f32", reference)
            wanted = np.fromfile(reference, np.float32).reshape(-1, 384)
            for threads in options.threads:
                for precision in options.precision:
                    sides = ["ours", *options.peers]
                    seconds, quality, tokens = {side: [] for side in sides}, {}, 0
                    for turn in range(options.runs):
                        for side in sides:
                            out = f"{folder}/{side}" if turn == 0 else ""
                            told = ours(options, file, threads, precision, out) if side == "ours" else theirs(side, threads, precision, out)
                            seconds[side] += told["seconds"]
                            tokens = told.get("tokens", tokens)
                            if turn == 0:
                                vectors = np.fromfile(out, np.float32).reshape(-1, 384)
                                quality[side] = (float((vectors * wanted).sum(1).min()), float(abs(vectors - wanted).max()))
                    best = {side: tokens / statistics.median(times) for side, times in seconds.items()}
                    for side in sides:
                        spread = f"{tokens / max(seconds[side]):,.0f}–{tokens / min(seconds[side]):,.0f}"
                        print(
                            f"{Path(file).stem} {precision} {threads} threads {side}: {best[side]:,.0f} tokens/s ({spread}), ours "
                            f"{best['ours'] / best[side]:.2f} x, least cosine {quality[side][0]:.6f}, largest difference {quality[side][1]:.1e}",
                            flush=True,
                        )


main()
