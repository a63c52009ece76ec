"""From scores of arms to their gap."""

from __future__ import annotations

from collections.abc import Iterable

from latentlang.arguments import check_count, checked_call, split_names
from latentlang.defaults import GAP_EXCHANGES
from latentlang.errors import InputError, unknown
from latentlang.judging.arm_scores import Scores, read_scores
from latentlang.judging.gap_measures import cell_means
from latentlang.judging.gap_result import GapResult
from latentlang.judging.judging_settings import GapSettings
from latentlang.provenance import Provenance

_MOST_NAMED = 4


@checked_call
def gap(
    scores: Scores,
    *,
    native: str = "native",
    translated: str | Iterable[str] | None = None,
    base: str = "base",
    permutations: int = GAP_EXCHANGES,
    seed: int = 0,
) -> GapResult:
    """Compare training on native data with training on translated data.

    Args:
        scores: a table or file of scores, or arm to saved evaluations, as of `latentlang.judging.read_scores`.
        native: name of the arm of native data.
        translated: names of the arms of translated data; by default all but the native one and the base.
        base: name of the arm without training: whether native data help or translated ones harm is seen against it.
        permutations: random exchanges of arms behind the null of the correlation with the score.
        seed: of the exchanges and intervals.

    Raises:
        InputError: an arm that is not there, no cell that has all of them, or scores that are none.
    """
    check_count("permutations", permutations, least=1)
    check_count("seed", seed, least=0)
    table = read_scores(scores, base=base)
    arms = list(map(str, dict.fromkeys(table["arm"])))
    if native not in arms:
        raise unknown("arm of these scores", native, arms, hint="native= names the one of native data")
    others = (
        [arm for arm in arms if arm not in (native, base)] if translated is None else split_names(translated)
    )
    for arm in others:
        if arm not in arms:
            raise unknown("arm of these scores", arm, arms)
    if native in others or base in others or native == base:
        raise InputError(
            f"the arms {native!r} (native), {', '.join(map(repr, others))} (translated) and {base!r} (base) must differ"
        )
    if not others:
        raise InputError(
            f"there is no arm of translated data, only {', '.join(map(repr, arms))}; a gap is between two"
        )
    complete = cell_means(table).reindex(columns=[native, *others]).dropna()
    if complete.empty:
        raise InputError(
            f"no benchmark, model and language has scores of {native!r} and of {', '.join(map(repr, others))}: their "
            "names must be the same for all arms"
        )
    settings = GapSettings(native=native, translated=others, base=base, permutations=permutations)
    models = list(dict.fromkeys(filter(None, table["model"])))
    more = len(models[_MOST_NAMED:])
    provenance = Provenance(
        model=", ".join(models[:_MOST_NAMED]) + (f" and {more} more" if more else "") or "not given",
        task="gap", languages=tuple(dict.fromkeys(filter(None, table["language"]))), policy="", seed=seed,
        settings=settings.stored(),
    )  # fmt: skip
    return GapResult(table=table, provenance=provenance)
