"""Very small transformers with weights from a formula, and some of transformers' own numbers for them: tiny.json.

    python make_tiny.py        (transformers 5.24, torch 2.15)

No weights are stored: a test makes them again. All tensors in the order of their names share one sequence of numbers,
state = state * 1103515245 + 12345 modulo 2**31 from 1, each number being state / 2**31 - 0.5; scales of normalisations are 1
more. `layers` says, for some numbers of blocks, the first 6 numbers of the first and of the last token; `scores` the logits of
a head.
"""
import json, os
import torch, transformers as T

torch.set_num_threads(1)
IDS = [5, 17, 3, 28, 11, 30, 9, 9, 2, 14, 23]

BASE = dict(vocab_size=32, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=24, hidden_act="gelu", pad_token_id=0)
BERT = dict(BASE, type_vocab_size=2, layer_norm_eps=1e-12)
HEAD = dict(num_labels=3)
DECODER = dict(BASE, hidden_act="silu", num_key_value_heads=1, rms_norm_eps=1e-6)
DEBERTA = dict(BASE, relative_attention=True, max_relative_positions=-1, norm_rel_ebd="layer_norm",
               layer_norm_eps=1e-7)
MODERN = dict(vocab_size=32, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
              max_position_embeddings=24, hidden_activation="gelu", norm_eps=1e-5, pad_token_id=0, local_attention=4,
              layer_types=["full_attention", "sliding_attention", "sliding_attention"],
              rope_parameters={"full_attention": {"rope_theta": 160000.0, "rope_type": "default"},
                               "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}})
ROPE3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
             original_max_position_embeddings=16)

MODELS = {
    "deberta-v3": (T.DebertaV2Model, dict(DEBERTA, pos_att_type=["p2c", "c2p"], position_buckets=4, share_att_key=True,
                                          position_biased_input=False, type_vocab_size=0)),
    "deberta-v2": (T.DebertaV2Model, dict(DEBERTA, pos_att_type=["c2p"], position_buckets=-1, share_att_key=False,
                                          position_biased_input=True, type_vocab_size=2)),
    "bert": (T.BertForSequenceClassification, dict(BERT, **HEAD)),
    "roberta": (T.RobertaForSequenceClassification, dict(BERT, **HEAD) | dict(pad_token_id=1, type_vocab_size=1)),
    "distilbert": (T.DistilBertForSequenceClassification,
                   dict(vocab_size=32, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=24,
                        activation="gelu", **HEAD)),
    "electra": (T.ElectraForSequenceClassification, dict(BERT, embedding_size=8, **HEAD)),
    "mpnet": (T.MPNetForSequenceClassification,
              dict(BASE, layer_norm_eps=1e-12, relative_attention_num_buckets=32, **HEAD) | dict(pad_token_id=1)),
    "modernbert": (T.ModernBertForSequenceClassification, dict(MODERN, classifier_pooling="mean", norm_bias=True,
                                                               mlp_bias=True, attention_bias=True, **HEAD)),
    "gpt2": (T.GPT2ForSequenceClassification,
             dict(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=24, activation_function="gelu_new",
                  layer_norm_epsilon=1e-5, scale_attn_by_inverse_layer_idx=True, pad_token_id=0, **HEAD)),
    "llama": (T.LlamaForSequenceClassification,
              dict(DECODER, rope_theta=500.0, rope_scaling=ROPE3, attention_bias=True, mlp_bias=True, **HEAD)),
    "qwen2": (T.Qwen2Model, dict(DECODER, rope_theta=10000.0, use_sliding_window=True, sliding_window=4,
                                 max_window_layers=1)),
    "qwen3": (T.Qwen3ForSequenceClassification, dict(DECODER, rope_theta=10000.0, head_dim=6, **HEAD)),
}


def fill(model):
    state = 1
    for name, tensor in sorted(model.state_dict().items()):
        if not tensor.is_floating_point():
            continue
        numbers = []
        for _ in range(tensor.numel()):
            state = (state * 1103515245 + 12345) % 2**31
            numbers.append(state / 2**31 - 0.5)
        scale = tensor.dim() == 1 and name.endswith(".weight")
        tensor.copy_(torch.tensor(numbers, dtype=torch.float64).reshape(tensor.shape).float() + (1.0 if scale else 0.0))


def numbers(tensor):
    return [round(float(v), 7) for v in tensor]


out = {}
for name, (kind, settings) in MODELS.items():
    config = kind.config_class(**json.loads(json.dumps(settings)))
    model = kind(config).eval().float()
    with torch.no_grad():
        fill(model)
        made = model(input_ids=torch.tensor([IDS]), output_hidden_states=True)
    states = [s[0] for s in made.hidden_states]
    if "last_hidden_state" in made:
        states[-1] = made.last_hidden_state[0]
    depths = [0, 1, len(states) - 1]
    out[name] = dict(
        config=dict(model_type=config.model_type, **settings),
        tensors={n: list(t.shape) for n, t in sorted(model.state_dict().items()) if t.is_floating_point()},
        layers={d: numbers(states[d][0][:6]) + numbers(states[d][-1][:6]) for d in depths},
    )
    if "logits" in made:
        out[name]["scores"] = numbers(made.logits[0])
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "tiny.json"), "w") as f:
    models = ",\n".join(f"{json.dumps(n)}: {json.dumps(m)}" for n, m in out.items())
    f.write('{ "transformers": "%s", "ids": %s, "models": {\n%s\n} }\n' % (T.__version__, IDS, models))
