"""COMET (Rei et al. 2020, 2022), where it is installed: a trained judge of translations, which has read some languages.

Scores of languages that its encoder never saw are numbers without a meaning that anybody has tested: they are listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlang.errors import InputError, ModelError
from latentlang.language_names import language as find_language
from latentlang.paths import is_file
from latentlang.storage.documents import read_yaml

#: The model that is meant by ``comet=True``.
USUAL_MODEL = "Unbabel/wmt22-comet-da"
#: The encoder that COMET's published models stand on.
ENCODER = "xlm-r"
_LANGUAGES = Path(__file__).resolve().parent / "encoder_languages.yaml"
_BATCH = 8


@cache
def encoder_languages(encoder: str = ENCODER) -> frozenset[str]:
    """Codes of the languages that an encoder was trained on."""
    return frozenset(read_yaml(_LANGUAGES)[encoder])


def unseen_languages(codes: Iterable[str]) -> list[str]:
    """Those of some languages that COMET's encoder was not trained on."""
    known = encoder_languages()
    return [code for code in dict.fromkeys(codes) if find_language(code).code not in known]


class CometModel:
    """A COMET model, loaded when it first scores.

    Attributes:
        name: of the model, or its file.
    """

    def __init__(self, name: str) -> None:
        """Take a model.

        Raises:
            InputError: COMET is not installed.
        """
        try:
            import comet
        except ImportError as error:
            raise InputError(
                "COMET is not installed: `pip install 'unbabel-comet>=2.2'`, in an environment of its own where its "
                "versions do not go with latentlang's; or leave comet out"
            ) from error
        self.name, self._comet, self._loaded = name, comet, None

    def __call__(
        self, sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]
    ) -> NDArray[np.float64]:
        """A score for each item, 1 the best.

        Raises:
            ModelError: the model cannot be loaded or run.
        """
        data = [
            {"src": source, "mt": hypothesis, "ref": reference}
            for source, hypothesis, reference in zip(sources, hypotheses, references, strict=True)
        ]
        try:
            output = self._model().predict(data, batch_size=_BATCH, gpus=_gpus(), progress_bar=False)
        except Exception as error:  # whatever its checkpoint, its encoder or the network raises
            raise ModelError(f"COMET {self.name!r} cannot score: {error}; leave comet out") from error
        return np.array([float(score) for score in output.scores])

    def _model(self) -> Any:
        if self._loaded is None:
            path = self.name if is_file(self.name) else self._comet.download_model(self.name)
            self._loaded = self._comet.load_from_checkpoint(path)
        return self._loaded


def _gpus() -> int:
    import torch

    return int(torch.cuda.is_available())
