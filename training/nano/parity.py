"""Write models/nano/parity.json: what PyTorch decodes from nano.gguf, for the engines to be checked against.

    python parity.py

Five prompts of growing length: ids, greedy ids with <|im_end|>, and the eight highest logits of the
first step, all with the dequantised Q8_0 weights in f32.
"""

import json
from pathlib import Path
from random import Random

import torch

from batches import Codec
from documents import make_document
from generate import greedy, load_gguf

HERE = Path(__file__).parents[2] / "models/nano"


def main() -> None:
    torch.set_num_threads(1)
    codec = Codec()
    model = load_gguf(HERE / "nano.gguf", codec)
    cases = []
    for i, (tokens, density) in enumerate([(40, 1.0), (120, 0.3), (300, 1.0), (700, 0.08), (1500, 0.08)]):
        r = Random(f"parity/{i}")
        document = make_document(r, tokens, density, codec.count, held_out=True)
        question, answer = r.choice(document.questions)
        prompt = codec.first_turn(document.text, question)
        reply, logits = greedy(model, prompt, codec.end)
        top = logits.topk(8)
        cases.append({
            "document": document.text, "question": question, "expected": answer, "promptIds": prompt, "greedyIds": reply,
            "text": codec.tokenizer.decode(reply),
            "firstLogits": {str(k): round(v, 5) for k, v in zip(top.indices.tolist(), top.values.tolist())},
        })
        print(len(prompt), repr(cases[-1]["text"]), "expected", answer)
    note = f"nano.gguf, dequantised to f32, PyTorch {torch.__version__.split('+')[0]}; firstLogits: the eight highest of the first step"
    (HERE / "parity.json").write_text(json.dumps({"note": note, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
