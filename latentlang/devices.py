"""Where to compute: a device that a user named, if it is there and can do what is wanted of it."""

from __future__ import annotations

import torch

from latentlang.errors import InputError

# Tensors there have shapes and no numbers.
_EMPTY = "meta"


def devices_here() -> list[str]:
    """Names of the devices of this machine."""
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*names, *(["mps"] if torch.backends.mps.is_available() else [])]


def named_device(device: str | torch.device, *, dtype: torch.dtype = torch.float32) -> torch.device:
    """The device of a name.

    Args:
        device: its name, e.g. ``"cuda:1"``.
        dtype: what it is to compute in.

    Raises:
        InputError: there is none of this name here, or it cannot compute in this dtype.
    """
    here = ", ".join(devices_here())
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved)
        if resolved.type == _EMPTY:
            raise ValueError("no numbers")
    except (
        Exception
    ) as error:  # torch raises what the backend does, of whatever class, with a list of all backends
        raise InputError(f"no device {str(device)!r} on this machine; there is {here}") from error
    try:
        torch.zeros(1, dtype=dtype, device=resolved)
    except Exception as error:
        kind = str(dtype).removeprefix("torch.")
        raise InputError(f"the device {str(device)!r} cannot compute in {kind}; use 'cpu'") from error
    return resolved
