"""A figure that suits the notebook it is shown in: its theme, and a narrow form in a narrow cell."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from latentlang.errors import running_shell

_TERMINAL = "TerminalInteractiveShell"


class NotebookFigure(go.Figure):  # type: ignore[misc]  # plotly has no types
    """A plotly figure; in a notebook it is dark where the notebook is, and has its panels below each other where the
    cell is too narrow for them (`latentlang.figures.notebook`).

    A theme or a width that was asked for is kept. Elsewhere it is shown as plotly shows figures.
    """

    def _ipython_display_(self) -> None:
        from latentlang.figures.notebook import show_figure

        shell = running_shell()
        if shell is None or type(shell).__name__ == _TERMINAL or not show_figure(self):
            super()._ipython_display_()

    def show(self, *args: Any, **kwargs: Any) -> None:
        """Show it; with a renderer or another option of plotly's, as plotly does.

        Args:
            *args: as of plotly's ``Figure.show``.
            **kwargs: likewise.
        """
        if args or kwargs:
            super().show(*args, **kwargs)
        else:
            self._ipython_display_()
