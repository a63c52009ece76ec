"""A GGUF file as transformers makes a model and a tokenizer of it, held against what the file says."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from latentlang.errors import ModelError
from latentlang.installing import install_command
from latentlang.models.gguf_config import ROPE_FACTORS, mend_config
from latentlang.models.gguf_header import GGUFHeader, gguf_package, read_header
from latentlang.models.gguf_reader import quick_reader
from latentlang.models.gguf_tokenizer import TOKENS, checked_tokenizer
from latentlang.models.quiet import quiet
from latentlang.progress import is_bar_shown, reporting
from latentlang.storage.documents import printed

logger = logging.getLogger(__name__)

_AGAIN = "fetch the file again, or take another one"


def architectures() -> tuple[str, ...]:
    """Architectures of GGUF files that transformers reads, encoder-decoders left out."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES as LEGACY

    names = set(LEGACY) - {"general", "tokenizer", "t5", "umt5", "t5encoder"}
    with suppress(ImportError):  # of later versions
        from transformers.integrations.gguf import GGUF_ARCHS

        names |= set(GGUF_ARCHS)
    # transformers calls some otherwise than the files do
    other = {
        "qwen2_moe": "qwen2moe",
        "qwen3_moe": "qwen3moe",
        "gpt_oss": "gpt-oss",
        "minimax_m2": "minimax-m2",
    }
    return tuple(sorted({other.get(name, name) for name in names}))


def converted(path: Path, dtype: str, *, name: str) -> tuple[GGUFHeader, Any, Any, tuple[str, ...]]:
    """The model of a file, dequantised, its tokenizer, and notes.

    Raises:
        ModelError: transformers cannot make it, or would leave something out.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    gguf_package()
    header = read_header(path, arrays=(TOKENS,))
    readable = architectures()
    if header.architecture not in readable:
        raise ModelError(
            f"{name!r} is a GGUF file of the architecture {header.architecture!r}, which transformers does not read "
            f"from GGUF; it reads {', '.join(readable)}. Use the model's own files (config.json and *.safetensors)"
        )
    try:
        metadata.version("accelerate")
    except metadata.PackageNotFoundError as error:
        raise ModelError(f"GGUF files need accelerate; `{install_command('gguf')}`") from error
    logger.info("dequantising %s (%s)", name, header.quantization)
    where: dict[str, Any] = {
        "gguf_file": path.name, "local_files_only": True, "trust_remote_code": False,
    }  # fmt: skip
    folder = str(path.parent.absolute())
    with quick_reader():
        try:
            large, own_bar = header.parameters > 2**27, is_bar_shown()
            with (
                reporting(large and not own_bar, f"dequantising {name}"),
                dequantising_bar(shown=large and own_bar),
            ):
                config = AutoConfig.from_pretrained(folder, **where)
                mend_config(config, header, _rope_factors(header))
                model, report = AutoModelForCausalLM.from_pretrained(
                    folder, config=config, dtype=getattr(torch, dtype), output_loading_info=True,
                    ignore_mismatched_sizes=True, **where, **_unpacked(),
                )  # fmt: skip
                tokenizer = AutoTokenizer.from_pretrained(folder, **where)
        except (ModelError, MemoryError):
            raise
        except Exception as error:
            line = printed(str(error).strip() or type(error).__name__, most=300)
            raise ModelError(f"{name!r} cannot be made of its GGUF file: {line}") from error
        _check_report(model, report, header, name=name)
    _forget_packing(model)
    tokenizer, notes = checked_tokenizer(tokenizer, header.metadata, name=name)
    return header, model.eval(), _plain(tokenizer), notes


def _unpacked() -> dict[str, Any]:
    """The option by which later versions of transformers unpack all weights, whatever kernels there are."""
    try:
        from transformers import GgufConfig
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def _check_report(model: Any, report: Mapping[str, Any], header: GGUFHeader, *, name: str) -> None:
    """Refuse a model that lacks weights, or of whose file something would be left out."""
    if missing := sorted(report.get("missing_keys") or ()):
        raise ModelError(f"the GGUF file of {name!r} lacks {missing[0]!r}{_more(missing)}; {_AGAIN}")
    if mismatched := sorted(report.get("mismatched_keys") or ()):
        raise ModelError(
            f"the weight {mismatched[0][0]!r} of {name!r} has another shape than its metadata say{_more(mismatched)}; "
            f"{_AGAIN}"
        )
    left = sorted(report.get("unexpected_keys") or ()) or _not_read(model, header)
    if left:
        raise ModelError(
            f"transformers would leave out {left[0]!r}{_more(left)} of the GGUF file of {name!r}; use the model's own "
            "files (config.json and *.safetensors)"
        )


def _more(keys: Sequence[Any]) -> str:
    return f" and {len(keys) - 1} more" if len(keys) > 1 else ""


def _not_read(model: Any, header: GGUFHeader) -> list[str]:
    """Tensors of a file that transformers' older reader has no place for, and leaves out without a word."""
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    with suppress(ImportError):
        from transformers.integrations.gguf import GGUF_ARCHS

        if header.architecture in GGUF_ARCHS:  # its newer reader reports what it has no place for
            return []
    processor = TENSOR_PROCESSORS.get(header.architecture, TensorProcessor)(config=model.config.to_dict())
    places = set(get_gguf_hf_weights_map(model, processor))
    # a head of its own, which that reader puts in its place apart from the others
    places |= {ROPE_FACTORS, "output.weight"}
    # experts that lie in one tensor have no suffix there
    return sorted(
        tensor.name
        for tensor in header.tensors
        if tensor.name not in places and tensor.name.removesuffix(".weight") not in places
    )


def _rope_factors(header: GGUFHeader) -> list[float] | None:
    """The tensor of rotary factors; None where the file has none."""
    import numpy as np

    entry = next((tensor for tensor in header.tensors if tensor.name == ROPE_FACTORS), None)
    if entry is None:
        return None
    if entry.kind != 0:
        raise ModelError(f"the tensor {ROPE_FACTORS!r} of {str(header.path)!r} is no float32; {_AGAIN}")
    factors = np.fromfile(
        header.path,
        dtype="<f4",
        count=entry.shape[-1] if entry.shape else 0,
        offset=header.start + entry.offset,
    )
    return [float(value) for value in factors]


def _forget_packing(model: Any) -> None:
    """Take off what says that the weights are packed: they are not any more, and could not be saved."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        if name in model.__dict__:
            delattr(model, name)


def _plain(tokenizer: Any) -> Any:
    """The same tokenizer as its file alone makes it: a class of its own would build parts of it anew."""
    from transformers import PreTrainedTokenizerFast

    roles = ("bos_token", "eos_token", "unk_token", "pad_token")
    plain = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, clean_up_tokenization_spaces=False,
        **{role: value for role in roles if (value := getattr(tokenizer, role, None)) is not None},
    )  # fmt: skip
    plain.chat_template = getattr(tokenizer, "chat_template", None)
    return plain


@contextmanager
def dequantising_bar(*, shown: bool) -> Iterator[None]:
    """Keep the progress bar of dequantising off where nobody would see it move."""
    from transformers import modeling_gguf_pytorch_utils as reader

    bar = reader.tqdm
    if not shown:
        reader.tqdm = lambda things, **_: things
    try:
        with quiet(progress=shown):
            yield
    finally:
        reader.tqdm = bar
