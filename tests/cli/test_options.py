"""The options of every command: what a script of a user may rely on."""

from __future__ import annotations

from typing import Any


def test_options_are_frozen() -> None:
    """A new option is a decision: knobs go to configurations (`--set`)."""
    import typer

    from scgraph.cli.app import app

    group: Any = typer.main.get_command(app)
    options = {
        name: sorted(o for p in command.params if p.name != "help" for o in p.opts if o.startswith("-"))
        for name, command in group.commands.items()
    }
    assert options == {
        "annotate": sorted(
            [
                "--reference",
                "--label",
                "--batch-key",
                "--model",
                "--pretrain",
                "--save",
                "--out",
                "--majority",
                "--top",
                "--max-novelty",
                "--threshold",
                "--key-added",
                "--layer",
                "--values",
                "--reference-layer",
                "--reference-values",
                "--min-matched",
                "--device",
                "--allow-conv",
                "--seed",
                "--overwrite",
                "--json",
            ]
        ),
        "bench": sorted(
            [
                "--models",
                "--data",
                "--corpus",
                "--out",
                "--label",
                "--layer",
                "--values",
                "--batch-key",
                "--split",
                "--uses",
                "--transfer",
                "--classes",
                "--drop-leaks",
                "--seeds",
                "--epochs",
                "--channels",
                "--layers",
                "--genes",
                "--network",
                "--config",
                "--set",
                "--device",
                "--devices",
                "--precision",
                "--overwrite",
                "--json",
            ]
        ),
        "prepare": sorted(
            [
                "--out",
                "--vocabulary",
                "--n-top-genes",
                "--min-cells",
                "--min-matched",
                "--layer",
                "--values",
                "--obs-value-filter",
                "--shard-cells",
                "--check",
                "--overwrite",
                "--json",
            ]
        ),
        "pretrain": sorted(
            [
                "--out",
                "--model",
                "--layer",
                "--values",
                "--batch-key",
                "--obs-value-filter",
                "--epochs",
                "--channels",
                "--layers",
                "--genes",
                "--seed",
                "--network",
                "--config",
                "--set",
                "--device",
                "--devices",
                "--nodes",
                "--strategy",
                "--precision",
                "--resume",
                "--log",
                "--license",
                "--overwrite",
                "--json",
            ]
        ),
        "push": sorted(["--private", "--license", "--allow-conv"]),
        "probe": sorted(
            [
                "--label",
                "--layer",
                "--values",
                "--batch-key",
                "--seeds",
                "--config",
                "--set",
                "--device",
                "--allow-conv",
                "--json",
            ]
        ),
        "embed": sorted(
            [
                "--out",
                "--vectors",
                "--part",
                "--layer",
                "--values",
                "--min-matched",
                "--device",
                "--allow-conv",
                "--resume",
                "--overwrite",
                "--json",
            ]
        ),
        "denoise": sorted(
            [
                "--out",
                "--layer-key",
                "--scale",
                "--layer",
                "--values",
                "--min-matched",
                "--device",
                "--allow-conv",
                "--overwrite",
                "--json",
            ]
        ),
        "graph": sorted(
            [
                "--out",
                "--top-k",
                "--layer",
                "--values",
                "--weights",
                "--genes",
                "--data",
                "--min-share",
                "--embeddings",
                "--figure",
                "--check",
                "--families",
                "--known",
                "--other",
                "--permutations",
                "--seed",
                "--allow-conv",
                "--overwrite",
                "--json",
            ]
        ),
        "perturb": sorted(
            [
                "--model",
                "--perturbation",
                "--control",
                "--covariate",
                "--network",
                "--out",
                "--seeds",
                "--config",
                "--set",
                "--layer",
                "--values",
                "--device",
                "--allow-conv",
                "--overwrite",
                "--json",
            ]
        ),
        "drugs": sorted(
            [
                "--combinations",
                "--lines",
                "--drugs",
                "--split",
                "--model",
                "--out",
                "--config",
                "--set",
                "--layer",
                "--values",
                "--device",
                "--overwrite",
                "--json",
            ]
        ),
        "profile": sorted(
            [
                "--models",
                "--channels",
                "--genes",
                "--layers",
                "--rank",
                "--batch-size",
                "--vocabulary",
                "--network",
                "--zero-genes",
                "--data",
                "--values",
                "--attention",
                "--device",
                "--precision",
                "--json",
            ]
        ),
        "synthetic": sorted(["--out", "--config", "--set", "--variants", "--overwrite", "--json"]),
        "tune": sorted(
            [
                "--data",
                "--models",
                "--trials",
                "--objective",
                "--storage",
                "--study",
                "--workers",
                "--corpus",
                "--out",
                "--label",
                "--layer",
                "--values",
                "--batch-key",
                "--drop-leaks",
                "--network",
                "--config",
                "--set",
                "--seed",
                "--no-final",
                "--overwrite",
                "--json",
            ]
        ),
        "models": sorted(["--check", "--set", "--json"]),
        "example": sorted(["--out", "--seed", "--overwrite"]),
        "doctor": ["--json"],
    }
