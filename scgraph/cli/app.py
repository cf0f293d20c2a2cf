"""The command line: one typed function a command, everything else in the packages behind it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scgraph.cli.annotate import annotate
from scgraph.cli.bench import bench
from scgraph.cli.denoise import denoise
from scgraph.cli.embed import embed
from scgraph.cli.graph import graph
from scgraph.cli.models import models
from scgraph.cli.options import (
    repeat_lists,
)
from scgraph.cli.perturb import perturb
from scgraph.cli.prepare import prepare
from scgraph.cli.pretrain import pretrain
from scgraph.cli.probe import probe
from scgraph.cli.profile import profile
from scgraph.cli.synthetic import synthetic
from scgraph.cli.terminal import complain, say, speak_as
from scgraph.cli.tune import tune
from scgraph.errors import ScgraphError
from scgraph.memory import is_out_of_memory, memory_message
from scgraph.train.distributed.world import torchrun_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

app = typer.Typer(
    name="scgraph",
    help="Graph networks in place of Transformers for single-cell transcriptomics. "
    "With --debug an error shows its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


COMMANDS = (annotate, bench, prepare, pretrain, probe, embed, denoise, graph, perturb, profile, synthetic, tune, models)

for command in COMMANDS:
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 2 with one message for what a user can mend, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    speak_as(torchrun_rank() or 0)
    words = repeat_lists([word for word in words if word != "--debug"])
    # A layer of one's own may stand in the current folder; last, so that it hides no package.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        code = app(words, prog_name="scgraph", standalone_mode=True)
    except ScgraphError as error:
        if debug:
            raise
        complain(str(error))
        code = 2
    except KeyboardInterrupt:
        say("scgraph: stopped.")
        code = 130
    except (MemoryError, RuntimeError) as error:
        if debug or not is_out_of_memory(error):
            raise
        complain(memory_message(error))
        code = 2
    sys.exit(code)
