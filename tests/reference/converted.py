"""Loads what `maquette convert` makes in mlx-lm: every family, or those named.

    python tests/reference/converted.py MAQUETTE [FAMILY …]    (needs mlx-lm 0.32.2)

Each family's first case is written as mlx-lm names it, converted to floats and
to eight bits, and loaded by mlx-lm, strictly. Floats have to give the very
logits of the original, eight bits nearly.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mlx.core as mx
from mlx_lm.utils import load_model

import make
from cases import FAMILIES, FEWER, NULLS, VOCAB, cases


def logits(folder):
    model, _ = load_model(folder)
    prompt = [int(t) for t in make.words("prompt", make.PROMPT) % VOCAB]
    result = model(mx.array([prompt]))[0]
    mx.eval(result)
    return result


def check(maquette, family):
    _, config, dtype = next(iter(cases(family)))
    config = {k: v for k, v in config.items() if v is not None or k in NULLS}
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        source = home / "source"
        source.mkdir()
        (source / "config.json").write_text(json.dumps(config))
        tensors = make.weights(config, dtype, make.table_of(config))
        mx.save_safetensors(str(source / "model.safetensors"), tensors)
        wanted = logits(source)
        errors = []
        for name, options in (("floats", []), ("eight", ["--bits", "8", "--group", "32"])):
            command = [maquette, "convert", source, home / name, *options]
            subprocess.run(command, check=True, capture_output=True)
            got = logits(home / name)
            errors.append(float(mx.abs(got - wanted).max() / mx.abs(wanted).max()))
    assert errors[0] < 1e-5 and errors[1] < 0.3, errors
    return errors


def main():
    mx.set_default_device(mx.cpu)
    maquette, *families = sys.argv[1:]
    failed = []
    for family in families or [*FAMILIES, *FEWER]:
        try:
            floats, eight = check(maquette, family)
            print(f"{family}: floats {floats:.1e}, eight bits {eight:.1e}", flush=True)
        except Exception as error:
            failed.append(family)
            detail = getattr(error, "stderr", None) or str(error)
            print(f"{family}: FAILED: {str(detail)[:300]}", flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
