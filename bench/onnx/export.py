"""Exports a GGUF file's model to ONNX for transformers.js, which runs no GGUF: `npm run bench -- text --engines transformers`.

    pip install -r requirements.txt
    python export.py MODEL.gguf OUT

Writes OUT in the layout that transformers.js reads: config, tokenizer, `onnx/model_q4.onnx` (4-bit weights in blocks of 32, activations
in f32) and `onnx/model_quantized.onnx` (q8: 8-bit weights, activations quantised as they come), each with its data beside it. The graphs
come from ONNX Runtime's own model builder, as those of onnx-community do: fused attention with a key/value cache, fused norms.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModelForCausalLM, AutoTokenizer

CONFIGURATION = ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"]


def build(folder: Path, precision: str, work: Path) -> Path:
    """Returns the folder of `model.onnx` and its data."""
    out = work / precision
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    # Embeddings that share the head's 4-bit matrix would need an operation that ONNX Runtime's WASM build lacks.
    options = ["--extra_options", "shared_embeddings=false"]
    subprocess.run(
        [*builder, "-i", folder, "-o", out, "-p", precision, "-e", "cpu", "-c", work / "cache", *options], check=True
    )
    return out


def place(model: onnx.ModelProto, out: Path, name: str, head: int) -> None:
    """Saves a graph with its weights in one file beside it, under the name that transformers.js expects.

    transformers.js makes the empty cache by the graph's own shapes, so the width of a head must be a number there.
    """
    for value in [*model.graph.input, *model.graph.output]:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param == "kv_cache_dim":
                size.dim_value = head
    (out / f"{name}_data").unlink(missing_ok=True)
    onnx.save_model(model, out / name, save_as_external_data=True, location=f"{name}_data", size_threshold=1024)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    graphs = arguments.out / "onnx"
    graphs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        source = work / "source"
        where = {"pretrained_model_name_or_path": str(arguments.model.parent), "gguf_file": arguments.model.name}
        read = AutoModelForCausalLM.from_pretrained(**where, dtype="float32")
        # What was read from GGUF says that it is quantized and refuses to be saved; its weights in a fresh model of the same configuration do not.
        del read.config.quantization_config
        model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        model.tie_weights()
        model.save_pretrained(source)
        AutoTokenizer.from_pretrained(**where).save_pretrained(source)
        for name in CONFIGURATION:
            if (source / name).exists():
                shutil.copy(source / name, arguments.out / name)

        # transformers.js asks for a graph's data only where the configuration says that there is some.
        path = arguments.out / "config.json"
        config = json.loads(path.read_text())
        config["transformers.js_config"] = {"use_external_data_format": True}
        path.write_text(json.dumps(config, indent=2))

        place(onnx.load(build(source, "int4", work) / "model.onnx"), graphs, "model_q4.onnx", config["head_dim"])
        quantized = work / "quantized.onnx"
        quantize_dynamic(
            build(source, "fp32", work) / "model.onnx",
            quantized,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )
        place(onnx.load(quantized), graphs, "model_quantized.onnx", config["head_dim"])
    for file in sorted(graphs.iterdir()):
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
