"""What training goes on from, an adapter or a whole model: whether it fits the recipe, and what it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError, ModelError, shown
from latentlang.paths import given_path
from latentlang.storage.documents import read_json
from latentlang.storage.files import file_sha256
from latentlang.training.result import CONFIG, WEIGHTS, TrainingResult, is_identity

if TYPE_CHECKING:
    from latentlang.training.recipes import Recipe

# What PEFT may add to a plain LoRA, and a new one of ours never has.
_OTHERS = (
    "use_rslora",
    "use_dora",
    "modules_to_save",
    "layers_to_transform",
    "rank_pattern",
    "alpha_pattern",
)


@dataclass(frozen=True)
class Start:
    """An adapter or a whole model to go on from.

    Attributes:
        folder: where it lies.
        digest: of its weights.
        languages: codes of those it was trained on, as far as its folder says.
        is_adapter: whether it is an adapter.
    """

    folder: Path
    digest: str
    languages: tuple[str, ...]
    is_adapter: bool = True


def starting_point(recipe: Recipe, *, out: Path) -> Start | None:
    """What a recipe starts from; None where that is the model as it is.

    An adapter goes on as an adapter of the same shape, or, where all weights are trained, added to these.

    Args:
        recipe: its `start`, `method` and `lora`.
        out: where the run writes.

    Raises:
        InputError: nothing to start from is there, it is of another shape, or it is what would be overwritten.
    """
    if recipe.start is None or recipe.is_identity:
        return None
    folder = given_path(recipe.start)
    if is_identity(folder):
        raise InputError(
            f"start: {str(folder)!r} is the identity recipe's folder, which has no adapter; leave start out"
        )
    is_adapter = (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file()
    is_model = not is_adapter and (folder / "config.json").is_file()
    if is_model and recipe.method == "lora":
        raise InputError(
            f"start: {str(folder)!r} holds a whole model, and an adapter goes on from an adapter; give it as the model "
            "(--model), or train all weights (method: full)"
        )
    if not is_adapter and not is_model:
        what = f"no adapter ({CONFIG} and {WEIGHTS})" + (" and no model" if recipe.method == "full" else "")
        raise InputError(f"start: {str(folder)!r} holds {what}; give the folder of a finished training")
    if folder.resolve() == out.resolve():
        raise InputError(f"start and out are the same folder, {str(folder)!r}; choose another out")
    if is_model:
        from latentlang.models.fingerprint import checkpoint_fingerprint

        try:
            return Start(folder, checkpoint_fingerprint(folder), _languages(folder), is_adapter=False)
        except ModelError as error:
            raise InputError(f"start: {error}") from error
    if recipe.method == "lora":
        _check_shape(recipe, read_json(folder / CONFIG, kind=dict), folder)
    return Start(folder, file_sha256(folder / WEIGHTS)[:12], _languages(folder))


def _check_shape(recipe: Recipe, config: dict[str, Any], folder: Path) -> None:
    if config.get("peft_type") != "LORA" or any(config.get(name) for name in _OTHERS):
        raise InputError(
            f"start: the adapter in {str(folder)!r} is no plain LoRA, and only such a one is gone on from"
        )
    lora = recipe.lora
    fields: list[tuple[str, object, object]] = [
        ("rank", config.get("r"), lora.rank),
        ("alpha", config.get("lora_alpha"), lora.alpha),
    ]
    modules = config.get("target_modules")
    if isinstance(modules, list) and not isinstance(lora.target_modules, str):
        fields.append(("target_modules", sorted(map(str, modules)), sorted(lora.target_modules)))
    for name, there, here in fields:
        if there != here:
            raise InputError(
                f"start: the adapter in {str(folder)!r} has {name} {shown(there)}, and the recipe's lora.{name} is "
                f"{shown(here)}; say the adapter's"
            )


def _languages(folder: Path) -> tuple[str, ...]:
    try:
        return TrainingResult.load(folder).provenance.languages
    except InputError:
        return ()
