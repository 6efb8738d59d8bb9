# Blocks of random bits and gguf-py's dequantisation of them, as a fixture for test/load/repack.test.ts.
import json, base64, numpy as np, gguf
from gguf import GGMLQuantizationType as T
from gguf.quants import dequantize, quantize
rng = np.random.default_rng(20)
out = {"gguf": "gguf-py %s" % __import__("importlib.metadata").metadata.version("gguf"), "cases": []}
for name, block, size in (("IQ4_NL", 32, 18), ("IQ4_XS", 256, 136), ("MXFP4", 32, 17)):
    count = 6 if block == 256 else 16
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if name == "MXFP4":
        data[:, 0] = rng.integers(104, 140, count)
    else:
        d = rng.normal(0, 0.01, count).astype(np.float16)
        if name == "IQ4_XS": d = (d / 32).astype(np.float16)
        data[:, 0:2] = d.view(np.uint8).reshape(count, 2)
    values = dequantize(data, getattr(T, name)).astype(np.float32).reshape(-1)
    out["cases"].append({"format": name, "blocks": base64.b64encode(data.tobytes()).decode(), "values": base64.b64encode(values.tobytes()).decode()})
print(json.dumps(out, indent=1))
