"""Options of commands whose work can be shared out over workers: said once, as those of `options`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.remote_paths import RemotePath

if TYPE_CHECKING:
    from latentlang.cli.options import LoadOptions

_PANEL = "On several processes or machines"


@dataclass(frozen=True)
class ClusterOptions:
    """Options of every command whose work can be shared out over workers.

    A command takes them as one parameter ``spread``, as `options.LoadOptions`.
    """

    cluster: Annotated[
        str | None,
        typer.Option(
            help="Share the work out over workers: auto (processes on this machine), or HOST:PORT of a Ray cluster; "
            "needs the extra cluster.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            help="With --cluster: how many, each with the model; by default one per GPU.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    cpus: Annotated[
        int | None,
        typer.Option(
            help="With --cluster: cores of each worker; by default an even share of this machine with auto, else 1.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def check(self) -> None:
        """Refuse what cannot be, before anything slow.

        Raises:
            InputError: numbers without a cluster, or such as make no sense; or Ray is not installed.
        """
        check_count("--workers", self.workers, least=1)
        check_count("--cpus", self.cpus, least=1)
        if self.cluster is not None:
            from latentlang.cluster.ray_pool import check_ray

            check_ray()
            return
        for name in ("workers", "cpus"):
            if getattr(self, name) is not None:
                raise InputError(
                    f"--{name} is for --cluster; give --cluster auto for workers on this machine"
                )

    def fill(
        self,
        call: str,
        options: Mapping[str, Any],
        folder: Path,
        *,
        model: str,
        loading: LoadOptions,
        adapter: str | None,
        out: Path,
        chat: bool = False,
    ) -> None:
        """Have workers do all of a call but its end, where a cluster was asked for.

        Args:
            call: of `cluster.calls.CALLS`.
            options: of the call, with its task or texts.
            folder: of the store, or where finished languages are kept.
            model: its name.
            loading: how it is loaded.
            adapter: that is put on it.
            out: the command's output folder, where the workers' logs go.
            chat: ``--chat``.

        Raises:
            InputError: as of `Cluster.fill`.
        """
        if self.cluster is None:
            return
        from latentlang.cli.console import note, say
        from latentlang.cluster.run import LOGS, Cluster

        say("starting workers")
        with Cluster(
            self.cluster, workers=self.workers, cpus=self.cpus, tell=note,
            model_options={**loading.named(), "adapter": adapter},
        ) as cluster:  # fmt: skip
            # what goes to another filesystem has its finished languages in the cache of this machine
            cluster.fill(
                call, model, options, folder=folder, logs=out / LOGS, chat=chat,
                shared=not isinstance(out, RemotePath),
            )  # fmt: skip
