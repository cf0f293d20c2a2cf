"""The command line: one typed function a command, everything else in the packages behind it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scgraph._version import __version__
from scgraph.cli.annotate import annotate
from scgraph.cli.bench import bench
from scgraph.cli.denoise import denoise
from scgraph.cli.doctor import doctor
from scgraph.cli.drugs import drugs
from scgraph.cli.embed import embed
from scgraph.cli.example import example
from scgraph.cli.graph import graph
from scgraph.cli.models import models
from scgraph.cli.options import other_words, repeat_lists
from scgraph.cli.perturb import perturb
from scgraph.cli.prepare import prepare
from scgraph.cli.pretrain import pretrain
from scgraph.cli.probe import probe
from scgraph.cli.profile import profile
from scgraph.cli.push import push
from scgraph.cli.synthetic import synthetic
from scgraph.cli.terminal import complain, say, show, speak_as
from scgraph.cli.tune import tune
from scgraph.errors import ScgraphError, speaking_options
from scgraph.memory import is_out_of_memory, memory_message
from scgraph.train.distributed.world import torchrun_rank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["app", "main"]

EXAMPLES: dict[Callable[..., None], str] = {
    annotate: "scgraph example batches --out atlas.h5ad; scgraph example batches --seed 1 --out query.h5ad; "
    "scgraph annotate query.h5ad --reference atlas.h5ad",
    bench: "scgraph bench --data pbmc68k_reduced --models gnn,tf --set max_steps=250",
    prepare: "scgraph example batches --out batches.h5ad; scgraph prepare batches.h5ad --out store",
    pretrain: "scgraph example pbmc --out pbmc.h5ad; scgraph pretrain pbmc.h5ad --out model --epochs 2",
    probe: "scgraph probe model pbmc.h5ad",
    embed: "scgraph embed model pbmc.h5ad --out vectors.h5ad",
    denoise: "scgraph denoise model pbmc.h5ad --out denoised.h5ad",
    graph: "scgraph graph model --out graph.tsv --check pbmc.h5ad",
    perturb: "scgraph example screen --out screen.h5ad; scgraph pretrain screen.h5ad --out of_screen; "
    "scgraph perturb screen.h5ad --model of_screen",
    drugs: "scgraph drugs --combinations combinations.csv --lines cell_lines.h5ad --drugs drugs.csv --split line",
    push: "scgraph push model ORG/NAME --private",
    profile: "scgraph profile --models gnn,tf --channels 256 --genes 512",
    synthetic: "scgraph synthetic --out results/synthetic",
    tune: "scgraph tune --data pbmc68k_reduced --models gnn --trials 4",
    models: "scgraph models --check torch_geometric.nn.SAGEConv",
    example: "scgraph example pbmc --out pbmc.h5ad",
    doctor: "scgraph doctor",
}
"""The commands, and the line that their help ends with."""

app = typer.Typer(
    name="scgraph",
    help="Graph networks in place of Transformers for single-cell transcriptomics. "
    "With --debug an error shows its traceback.",
    epilog="Example: scgraph example pbmc --out pbmc.h5ad; scgraph bench --data pbmc.h5ad",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        show(f"scgraph {__version__}")
        raise typer.Exit


@app.callback()
def _scgraph(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None: ...


for command, line in EXAMPLES.items():
    app.command(epilog=f"Example: {line}")(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 2 with one message for what a user can mend, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    speak_as(torchrun_rank() or 0)
    words = repeat_lists(other_words([word for word in words if word != "--debug"]))
    # A layer of one's own may stand in the current folder; last, so that it hides no package.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        with speaking_options():
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
