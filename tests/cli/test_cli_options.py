"""Options: defaults said once, those that were given named, and the options of a model the same everywhere."""

import inspect
from pathlib import Path

import pytest
import typer

from latentlang import defaults
from latentlang.activations import harvest
from latentlang.cli import app, options
from latentlang.comparison import compare, compare_alignment
from latentlang.evaluation import evaluate
from latentlang.geometry import alignment, pca
from latentlang.lens import explore, logit_lens, train_tuned_lens

COMMANDS = {
    name: command for name, command in typer.main.get_command(app).commands.items() if hasattr(command, "params")
}  # fmt: skip
# A command, its option, the function that it calls, and that one's parameter.
SHARED = [
    ("lens", "pivot", logit_lens, "pivot"),
    ("lens", "protocol", logit_lens, "protocol"),
    ("lens", "top", explore, "top"),
    ("tune", "steps", train_tuned_lens, "steps"),
    ("tune", "positions", train_tuned_lens, "positions"),
    ("harvest", "pools", harvest, "pools"),
    ("evaluate", "score", evaluate, "score"),
    *(("align", name, alignment, name) for name in ("layers", "measures", "items", "null", "components")),
    *(("align", name, alignment, name) for name in ("permutations", "resamples", "seed", "device")),
    *(("compare", name, compare, name) for name in ("task", "parts", "measures", "score", "policy", "pivot")),
    ("compare", "pools", compare, "pools"),
]


def _default(command, name):
    return next(option.default for option in COMMANDS[command].params if option.name == name)


@pytest.mark.parametrize(("command", "option", "function", "parameter"), SHARED)
def test_a_command_and_its_function_mean_the_same_when_nothing_is_said(command, option, function, parameter):
    said = inspect.signature(function).parameters[parameter].default
    assert _default(command, option) == (",".join(said) if isinstance(said, tuple) else said)


#: What can be asked of several commands, each with its function, is called the same by both.
FUNCTIONS = {"harvest": harvest, "pca": pca, "align": alignment, "compare": compare, "lens": logit_lens}


@pytest.mark.parametrize("command", FUNCTIONS)
def test_layers_pools_and_sites_are_called_as_in_python(command):
    words = {"layers", "pools", "sites", "pool", "site"}
    options_ = {option.name for option in COMMANDS[command].params} & words
    parameters = set(inspect.signature(FUNCTIONS[command]).parameters) & words
    assert options_ <= parameters
    flags = {flag for option in COMMANDS[command].params if option.name in words for flag in option.opts}
    assert flags == {f"--{name}" for name in options_}


def test_before_and_after_draws_as_its_own_defaults_say():
    for function in (compare, compare_alignment):
        parameters = inspect.signature(function).parameters
        assert parameters["permutations"].default == defaults.COMPARED_PERMUTATIONS == 50
        assert parameters["resamples"].default == defaults.COMPARED_RESAMPLES == 200
    assert inspect.signature(alignment).parameters["permutations"].default == 200


RUN_A_MODEL = (
    "lens",
    "evaluate",
    "harvest",
    "compare",
    "reproduce",
    "doctor",
    "bits",
    "tune",
    "train",
    "neurons",
)


@pytest.mark.parametrize("command", RUN_A_MODEL)
def test_a_command_that_runs_a_model_has_its_options(command):
    names = [option.name for option in COMMANDS[command].params]
    first = names.index("device")
    assert names[first : first + 4] == ["device", "dtype", "quantization", "trust_remote_code"]
    assert "loading" not in names


def _asked(arguments, tmp_path):
    """What is noted of a command line of a small command of its own."""
    noted = {}
    small = typer.Typer()

    @small.command()
    def go(
        context: typer.Context,
        lang: options.StoreLanguages = None,
        source: options.Source = None,
        folder: Path | None = None,
        components: int = defaults.COMPONENTS,
        seed: options.Seed = defaults.SEED,
    ) -> None:
        noted.update(
            options.asked_for(
                context, source=source, lang=lang, folder=folder, components=components, seed=seed
            )
        )

    typer.main.get_command(small).main(arguments, standalone_mode=False)
    return noted


def test_options_that_were_given_are_noted_by_their_names_in_order(tmp_path):
    line = ["--lang", "ja", "--lang", "hi,de", "--from", "fr", "--components", "4", "--folder", str(tmp_path)]
    asked = _asked(line, tmp_path)
    assert list(asked.items()) == [
        ("from", "fr"), ("lang", "ja,hi,de"), ("folder", str(tmp_path)), ("components", "4"),
    ]  # fmt: skip


@pytest.mark.parametrize("line", [[], ["--components", "3"], ["--seed", "0", "--from", ""]])
def test_what_is_as_by_default_is_not_noted(line, tmp_path):
    assert _asked(line, tmp_path) == {}


def test_load_options_reach_a_command_as_one_and_leave_the_others():
    def command(
        model: options.Model, loading: options.LoadOptions, share_prefix: options.SharePrefix = True
    ) -> object:
        return model, loading, share_prefix

    whole = options.with_load_options(command)
    assert list(inspect.signature(whole).parameters) == [
        "model", "device", "dtype", "quantization", "trust_remote_code", "name", "share_prefix",
    ]  # fmt: skip
    given = {"device": "cpu", "dtype": "fp32", "quantization": None, "trust_remote_code": False, "name": None}
    assert whole(model="m", share_prefix=False, **given) == ("m", options.LoadOptions("cpu", "fp32"), False)
    assert options.LoadOptions("cpu", "fp32").named() == given

    def without(model: options.Model) -> None: ...

    assert options.with_load_options(without) is without


@pytest.mark.parametrize(
    ("command", "there"),
    [
        (("bits", "--text", "texts"), "6 in de, en, ja; there are no more"),
        (("mass", "--text", "texts", "--lang", "de,ja"), "6 in de, ja; there are no more"),
        (("fertility", "--text", "texts", "--lang", "en"), "6 in en; there are no more"),
        (("barrier", "--lang", "de", "--data", "words.csv", "--shots", "0"), "5 in de; there are no more"),
    ],
)
def test_fewer_items_than_asked_for_are_said_with_the_reason(run, tmp_path, command, there):
    (tmp_path / "texts").mkdir()
    for code in ("en", "de", "ja"):
        (tmp_path / "texts" / f"{code}.txt").write_text("Haus und Hof\n" * 6, encoding="utf-8")
    rows = (
        "id,en,fr,de",
        "1,hand,main,Hand",
        "2,book,livre,Buch",
        "3,dog,chien,Hund",
        "4,sea,mer,Meer",
        "5,red,rouge,rot",
    )
    words = "\n".join(rows) + "\n"
    (tmp_path / "words.csv").write_text(words, encoding="utf-8")
    outcome = run(*command, "--items", "9", "--out", "out")
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines()[0] == f"note: fewer items than the 9 asked for: {there}"
    outcome = run(*command, "--items", "3", "--out", "out")
    assert "fewer items" not in outcome.err


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("features --sae nope --text none --rule x", "unknown rule 'x'"),
        ("features --sae nope --text none", "'nope' does not exist; give the folder of an SAE"),
        ("neurons --text none --rule x", "unknown rule 'x'"),
        ("lens --lang ja --tuned nope", "'nope' holds no tuned lens"),
        ("lens --lang ja --protocol x", "unknown protocol 'x'"),
        ("barrier --lang ja --jacobian nope", "'nope' holds no tuned lens"),
        ("trace --lang ja,en --prompt a --tuned nope", "'nope' holds no tuned lens"),
        ("lenses --lang ja --lens logit --lens tuned:nope", "'nope' holds no tuned lens"),
        ("lenses --lang ja --lens logit --lens a=logit --policy x", "unknown policy 'x'"),
        ("steer --lang ja --other xx", "unknown language 'xx'"),
        ("patch --data nope.csv", "nope.csv does not exist"),
        ("tune --out out --steps 0", "--steps must be at least 1"),
    ],
)
def test_what_is_cheap_to_see_is_told_first_and_before_a_model_is_loaded(run, monkeypatch, typed, first):
    monkeypatch.setattr("latentlang.models.load", lambda *_, **__: pytest.fail("a model is loaded"))
    outcome = run(*typed.split())
    assert outcome.code == 2 and first in outcome.err
