# SPDX-License-Identifier: Apache-2.0
"""The course of a training as a table and a picture, renewed after every epoch."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
from ignite import distributed as idist
from ignite.engine import Engine, Events
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from monai.handlers import from_engine
from pranet_monai.storage.tables import write_atomically

__all__ = ["TrainingCurve"]

_loss_of = from_engine(["loss"], first=True)


class TrainingCurve:
    """Writes ``curve.csv`` and ``curve.png``: mean loss, learning rate and the validation's score per epoch.

    Args:
        output_dir: where to write. An existing ``curve.csv`` is continued, as after a resume.
        optimizer: whose learning rate is noted.
        validator: evaluator whose key metric is noted, in the epochs in which it ran.
    """

    def __init__(self, output_dir: str | Path, optimizer: Any, validator: Engine | None = None) -> None:
        self.folder = Path(output_dir)
        self.optimizer = optimizer
        self.validator = validator
        self._losses: list[float] = []
        self._score: tuple[str, float] | None = None

    def attach(self, engine: Engine) -> None:
        """Follow the trainer, and the validator where there is one."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._losses.clear)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._note_loss)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)
        if self.validator is not None:
            self.validator.add_event_handler(Events.COMPLETED, self._note_score)

    def _note_loss(self, engine: Any) -> None:
        self._losses.append(_loss_of(engine.state.output).item())

    def _note_score(self, validator: Any) -> None:
        name = validator.state.key_metric_name
        self._score = (name, float(validator.state.metrics[name]))

    def write(self, engine: Engine) -> None:
        """Add this epoch's row to the table and draw the picture anew; of several processes only the first does."""
        if idist.get_rank() > 0:
            return
        path = self.folder / "curve.csv"
        row: dict[str, float] = {
            "epoch": engine.state.epoch,
            "loss": sum(self._losses) / len(self._losses) if self._losses else math.nan,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        if self._score is not None:
            row[self._score[0]] = self._score[1]
            self._score = None
        table = pd.DataFrame([row])
        if path.is_file():
            former = pd.read_csv(path)
            table = pd.concat([former[former["epoch"] < engine.state.epoch], table], ignore_index=True)
        write_atomically(path, table.to_csv(index=False))
        self._draw(table)

    def _draw(self, table: pd.DataFrame) -> None:
        figure = Figure(figsize=(7, 3.5), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axis = figure.add_subplot(xlabel="epoch", ylabel="training loss")
        axis.plot(table["epoch"], table["loss"], color="tab:blue", label="training loss")
        scores = [name for name in table.columns if name not in ("epoch", "loss", "learning_rate")]
        if scores:
            right = axis.twinx()
            for name in scores:
                seen = table[["epoch", name]].dropna()
                right.plot(seen["epoch"], seen[name], "o-", color="tab:orange", label=f"validation {name}")
            right.set_ylabel(f"validation {', '.join(scores)}")
        figure.legend(loc="outside upper center", ncols=1 + len(scores), frameon=False)
        picture = io.BytesIO()
        canvas.print_png(picture)
        write_atomically(self.folder / "curve.png", picture.getvalue())
