"""What commands that make instruction data have in common: ask or only plan, keep, save and say what was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.cli.asking_options import AskingOptions
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.cli.options import MachineOptions
from latentlang.errors import InputError, LatentlangError, shown
from latentlang.text import counted

if TYPE_CHECKING:
    from latentlang.instructions.built import Built
    from latentlang.instructions.providers import Asker, CallPlan, Planner, Prices, Provider
    from latentlang.instructions.providers.asking import Asking
    from latentlang.instructions.providers.registry import ProviderOptions

#: Where replies are kept in the output folder.
REPLIES = "replies"


def make(
    out: Path,
    build: Callable[[Asking], Built],
    *,
    provider: str,
    asking: AskingOptions,
    loading: MachineOptions,
    as_json: bool,
) -> None:
    """Build with a provider and save, or say what it would take.

    Args:
        out: folder to write to.
        build: the step.
        provider: what answers, in its text form.
        asking: how it is asked.
        loading: how a local model is run.
        as_json: whether JSON is printed.

    Raises:
        InputError: an option, the provider or the folder cannot be used.
        CommandInterrupt: the user stopped it; what came is kept.
    """
    from latentlang.instructions.built import check_made_here
    from latentlang.instructions.providers import provider as provider_of
    from latentlang.storage.files import prepare_folder
    from latentlang.storage.lock import FolderLock

    prices = prices_of(asking)
    source = provider_of(provider, options=provider_options(asking, loading))
    cache = asking.cache or out / REPLIES
    if asking.dry_run:
        (planner,) = planners([source], asking, cache=cache)
        build(planner)
        return print_plan(planner.plan(prices), as_json=as_json)
    check_made_here(out)
    (asker,) = askers([source], asking, cache=cache)
    prepare_folder(out)
    with FolderLock(out, joins=True, needed=False):
        with keeping_replies([asker], cache=cache):
            built = build(asker)
        built.save(out)
    print_built(built, out, as_json=as_json)


def save_and_print(built: Built, out: Path, *, as_json: bool) -> None:
    """The same for a step that asks nobody.

    Raises:
        InputError: the folder cannot be used.
    """
    built.save(out)
    print_built(built, out, as_json=as_json)


def provider_options(asking: AskingOptions, loading: MachineOptions) -> ProviderOptions:
    """What a command says of a provider beside its name.

    Raises:
        InputError: the temperature is none.
    """
    from latentlang.instructions.providers.registry import ProviderOptions

    return ProviderOptions(
        max_tokens=asking.max_tokens,
        temperature=_temperature(asking.temperature),
        timeout=asking.timeout,
        loading=loading.named(),
        planned=asking.dry_run,
    )


def planners(sources: Sequence[Provider], asking: AskingOptions, *, cache: Path) -> list[Planner]:
    """What plans the calls of providers, with the tokenizer that was named for it."""
    from latentlang.instructions.providers import Planner
    from latentlang.instructions.providers.planning import token_counter

    tokenizer = None
    if asking.tokenizer is not None:
        from latentlang.models import load_tokenizer

        tokenizer = load_tokenizer(asking.tokenizer)
    return [
        Planner(
            source,
            cache=cache,
            counter=token_counter(source, tokenizer=tokenizer, name=asking.tokenizer or ""),
        )
        for source in sources
    ]


def askers(
    sources: Sequence[Provider], asking: AskingOptions, *, cache: Path, earlier: int = 0
) -> list[Asker]:
    """What asks providers, as the options say; `earlier` calls of the run were made by others."""
    from latentlang.instructions.providers import Asker

    return [
        Asker(
            source,
            cache=cache,
            at_once=asking.at_once,
            attempts=asking.attempts,
            max_calls=asking.max_calls,
            earlier=earlier,
        )
        for source in sources
    ]


class PipelineAsking:
    """Makes what asks the providers of a pipeline, each set up once; all together keep to the limit of calls.

    Attributes:
        askers: made so far.
    """

    def __init__(self, asking: AskingOptions, loading: MachineOptions, *, cache: Path) -> None:
        self._asking, self._options, self._cache = asking, provider_options(asking, loading), cache
        self._sources: dict[str, Provider] = {}
        self._planners: list[Planner] = []
        self.askers: list[Asker] = []

    def __call__(self, provider: str, *, prices: Prices | None) -> Asking:
        """What asks a provider, or of a dry run only counts."""
        from latentlang.instructions.providers import provider as provider_of

        if provider not in self._sources:
            self._sources[provider] = provider_of(provider, options=self._options)
        source = self._sources[provider]
        if self._asking.dry_run:
            self._planners += planners([source], self._asking, cache=self._cache)
            return self._planners[-1]
        asked = sum(asker.usage.calls for asker in self.askers)
        self.askers += askers([source], self._asking, cache=self._cache, earlier=asked)
        return self.askers[-1]

    @property
    def counted_by(self) -> list[str]:
        """How tokens were counted."""
        return list(dict.fromkeys(planner.plan().counted_by for planner in self._planners))


@contextmanager
def keeping_replies(askers: Sequence[Asker], *, cache: Path) -> Iterator[None]:
    """Where asking is stopped or fails, say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise CommandInterrupt(f"interrupted; {_what_was_kept(askers, cache)}") from None
    except LatentlangError as error:
        if not any(asker.usage.calls for asker in askers):
            raise
        raise InputError(f"{error} ({_what_was_kept(askers, cache)})") from error


def _what_was_kept(askers: Sequence[Asker], cache: Path) -> str:
    came = sum(asker.usage.calls + asker.usage.kept for asker in askers)
    return (
        f"{counted(came, 'question')} asked; replies are kept in {cache}: run the same command again to go on"
    )


def _temperature(text: str) -> float | None:
    """A temperature; None where it is left to the server.

    Raises:
        InputError: it is none.
    """
    if text == "server":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"--temperature takes a number such as 0 or 0.7, or server, not {shown(text, most=60)}"
        ) from None


def prices_of(asking: AskingOptions) -> Prices | None:
    """``0.15,0.60`` as prices.

    Raises:
        InputError: these are no two numbers, or nothing is planned.
    """
    if asking.price is None and asking.tokenizer is None:
        return None
    if not asking.dry_run:
        raise InputError("--price and --tokenizer are for a plan; add --dry-run")
    if asking.price is None:
        return None
    from latentlang.instructions.providers import Prices

    parts = asking.price.split(",")
    try:
        prompt, answer = map(float, parts)
    except ValueError:
        raise InputError(
            f"--price takes what a million tokens cost, asked and answered, e.g. 0.15,0.60, not {asking.price!r}"
        ) from None
    return Prices(prompt, answer)


def print_plan(*plans: CallPlan, as_json: bool) -> None:
    """What a run would take, of each provider."""
    from latentlang.cli.console import echo_json, output

    if as_json:
        return echo_json(plans[0].record() if len(plans) == 1 else [plan.record() for plan in plans])
    for plan in plans:
        output().print(plan.describe(), soft_wrap=True)


def print_built(built: Built, out: Path, *, as_json: bool) -> None:
    """What was made and dropped, and where it lies."""
    from latentlang.cli.console import echo_json, output
    from latentlang.instructions.built import COUNTS, DIALOGUES, DROPPED, RECORD

    files = [out / name for name in (DIALOGUES, COUNTS, DROPPED, RECORD)]
    files += [out / name / DIALOGUES for name in built.others]
    if as_json:
        return echo_json(
            {
                "step": built.step, "counts": built.table.to_dict("records"),
                "dropped": [drop.record() for drop in built.examples()], "files": [str(file) for file in files],
            }
        )  # fmt: skip
    console = output()
    console.print(built.describe(), soft_wrap=True)
    for file in files:
        console.print(f"wrote {file}", soft_wrap=True)


def given_languages(lang: Sequence[str] | None, option: str) -> list[str]:
    """Codes of the languages of an option that must be given.

    Raises:
        InputError: none is.
    """
    from latentlang.language_names import languages

    if not lang:
        raise InputError(f"{option} says which languages; e.g. {option} ru,ja")
    return [entry.code for entry in languages(lang)]
