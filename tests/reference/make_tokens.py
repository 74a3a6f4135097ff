"""Vectors of given tokens, as transformers has them for all-MiniLM-L6-v2: tokens.json.

    python make_tokens.py FOLDER        (transformers 5.24, torch 2.15; FOLDER has the model's files)

Each sentence goes in with `is_split_into_words=True`; `word_ids` says which states belong to a token. `mean` has the mean of
these, `first` the first of them: the first 6 numbers of each, null for a token without any. `cut` reads 12 ids at most.
"""
import json, os, sys
import torch, transformers

torch.set_num_threads(1)
SENTENCES = [
    ["Barack", "Obama", "visited", "Llanfairpwllgwyngyll", ",", "didn't", "he", "?"],
    ["", "naïve", "\u200b", "東京", "Zürich", "…", "👩‍👩‍👧", "U.S.A."],
    ["antidisestablishmentarianism", "is", "a", "counterrevolutionary", "word", "of", "electroencephalographers"],
]
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
model = transformers.AutoModel.from_pretrained(sys.argv[1]).eval().float()


def numbers(vector):
    return None if vector is None else [round(x, 7) for x in vector[:6].tolist()]


def states(words, longest):
    encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt", truncation=True, max_length=longest)
    with torch.no_grad():
        hidden = model(**encoded).last_hidden_state[0]
    owners = encoded.word_ids(0)
    return [hidden[[at for at, owner in enumerate(owners) if owner == word]] for word in range(len(words))]


def of(words, longest):
    found = states(words, longest)
    return {"mean": [numbers(s.mean(0) if len(s) else None) for s in found],
            "first": [numbers(s[0] if len(s) else None) for s in found]}


cases = [{"tokens": words, "whole": of(words, 256), "cut": of(words, 12)} for words in SENTENCES]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens.json")
with open(path, "w") as file:
    json.dump({"cases": cases}, file, indent=None, separators=(",", ":"), ensure_ascii=False)
    file.write("\n")
