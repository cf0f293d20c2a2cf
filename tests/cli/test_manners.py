"""The command line answers at once, in its own words, and has something to try."""

from __future__ import annotations

import ast
import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anndata
import pytest
import typer

import scgraph
from scgraph.catalogue import listed_convs
from scgraph.cli.app import EXAMPLES, app, main
from scgraph.cli.options import other_words
from scgraph.data import read_cells
from scgraph.errors import DataError
from scgraph.nn import conv_class, conv_names
from scgraph.nn.conv.registry import ENTRY_POINTS
from scgraph.reporting import doctor
from tests.helpers import make_cells

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_names_and_typos_need_no_torch() -> None:
    code = """
import sys
from scgraph.cli import main

for words in (
    "models --json -", "bench --models transformer", "bench --models asym:gmn", "pretrain x.h5ad --out m --model gnm",
    "tune --data x.h5ad --models gnm", "profile --models gnm", "bench --set epochs=5", "bench --set train.epoch=5",
    "--version",
):
    try:
        main(words.split())
    except SystemExit:
        assert "torch" not in sys.modules, words
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "multi-head attention" in done.stdout
    assert "There is no model 'transformer'. Did you mean 'tf'?" in done.stderr
    assert done.stderr.count("Did you mean 'gnn'?") == 4
    assert "Did you mean 'train.epochs' or 'probe.epochs'?" in done.stderr
    assert "Did you mean 'epochs'?" in done.stderr


def test_the_list_of_files_is_the_registry() -> None:
    built_in = [name for name in conv_names() if conv_class(name).__module__.startswith("scgraph.nn.conv.")]
    registered = [(name, conv_class(name).summary, conv_class(name).cost) for name in built_in]
    assert [(one.name, one.summary, one.cost) for one in listed_convs()] == registered
    assert ENTRY_POINTS == "scgraph.convs"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("bench --model gnn", "bench --models gnn"),
        ("bench --model=gnn", "bench --models=gnn"),
        ("pretrain x --models gnn", "pretrain x --model gnn"),
        ("embed x.h5ad --models m --out y", "embed m x.h5ad --out y"),
        ("probe --model=m x.h5ad", "probe m x.h5ad"),
        ("perturb x --models m", "perturb x --model m"),
        ("models --check gnn", "models --check gnn"),
        ("embed m x.h5ad --out y", "embed m x.h5ad --out y"),
    ],
)
def test_model_and_models_are_both_understood(words: str, meant: str) -> None:
    assert other_words(words.split()) == meant.split()


def test_version_and_short_help(capsys: pytest.CaptureFixture[str]) -> None:
    import scgraph

    assert run(capsys, "--version")[:2] == (0, f"scgraph {scgraph.__version__}\n")
    code, text, _ = run(capsys, "-h")
    assert code == 0
    assert "--install-completion" in text
    assert run(capsys, "embed", "-h")[0] == 0


def test_completion_names_the_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_SCGRAPH_COMPLETE": "complete_bash", "COMP_WORDS": "scgraph ex", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    assert run(capsys)[1].split() == ["example"]


def test_the_help_of_each_command_ends_with_a_line_that_uses_it() -> None:
    assert {command.__name__ for command in EXAMPLES} == set(COMMANDS)
    for command, text in EXAMPLES.items():
        assert COMMANDS[command.__name__].epilog == f"Example: {text}"
        for line in text.split("; "):  # words of it are parsed, so that no option is out of date
            program, name, *words = line.split()
            assert program == "scgraph"
            COMMANDS[name].make_context(name, words)
        assert f"scgraph {command.__name__}" in text


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("examples")
    made = {name: folder / f"{name}.h5ad" for name in ("pbmc", "batches", "screen")}
    for name, path in made.items():
        with pytest.raises(SystemExit):
            main(["example", name, "--out", str(path)])
    return made


def test_example_sets_are_read(files: dict[str, Path]) -> None:
    cells = read_cells(files["pbmc"], label="cell_type")
    assert cells.matrix.shape == (700, 765)
    batches = read_cells(files["batches"], label="cell_type", batch_key="batch")
    assert sorted(set(batches.batches)) == ["first", "second"]
    assert len(set(batches.labels)) == 6
    adata = anndata.read_h5ad(files["batches"])
    assert (adata.X.data % 1 == 0).all()
    assert list(adata.obs.groupby("batch", observed=True).size()) == [400, 400]
    assert "control" in set(anndata.read_h5ad(files["screen"]).obs["perturbation"])


def test_an_example_replaces_nothing(capsys: pytest.CaptureFixture[str], files: dict[str, Path]) -> None:
    code, _, err = run(capsys, "example", "pbmc", "--out", str(files["pbmc"]))
    assert code == 2
    assert "--overwrite" in err
    assert "ends in .h5ad" in run(capsys, "example", "pbmc", "--out", "x.csv")[2]


def test_doctor_says_why_a_package_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scgraph_broken.py").write_text("raise OSError('undefined symbol: _ZN3c10')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor, "_extras", lambda: [("scatter", "scgraph-broken"), ("umap", "scgraph-absent")])
    code, text, _ = run(capsys, "doctor")
    assert code == 0
    assert "[scatter] scgraph-broken" in text
    assert "cannot be imported: OSError: undefined symbol: _ZN3c10" in text
    assert "[umap] scgraph-absent" in text
    assert "not installed" in text
    assert "torch " in text
    assert "cuda" in text


def test_doctor_reads_the_extras_from_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["torch>=2.6", "umap-learn>=0.5.7 ; extra == 'umap'", 'ruff>=0.17; extra == "dev"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: lines)
    assert doctor._extras() == [("umap", "umap-learn")]


def test_resume_without_a_run_says_so_and_ctrl_c_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scgraph import pretrain
    from scgraph.train import callbacks
    from scgraph.train.signals import StopRequested

    path = tmp_path / "small.h5ad"
    with pytest.raises(SystemExit):
        main(["example", "batches", "--out", str(path)])
    adata = anndata.read_h5ad(path)[::8].copy()
    settings = {
        "model": {"channels": 8, "layers": 1, "rank": 4},
        "train": {"epochs": 2, "genes": 16, "checkpoint_every": 1},
    }
    told: list[str] = []
    counted = callbacks.RunCallback.on_train_epoch_end

    def interrupted(self: Any, trainer: Any, module: Any) -> None:
        counted(self, trainer, module)
        raise StopRequested(signal.SIGINT)

    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.RunCallback, "on_train_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain([adata], config=settings, out=out, resume=True, say=told.append)
    assert f"resume=True: {out} holds no run to go on with; this one begins at its start." in told
    assert told[-1] == f"The state of the run is saved in {out}; the same command with resume=True goes on."
    told.clear()
    pretrain([adata], config=settings, out=out, resume=True, say=told.append)
    assert not [text for text in told if "resume=True" in text]


def test_bars_name_elapsed_and_left() -> None:
    from rich.console import Console
    from rich.progress import Progress

    from scgraph.reporting.bars import bar_columns

    console = Console(width=100, record=True, force_terminal=True, file=io.StringIO())
    bar = Progress(*bar_columns(), console=console)
    bar.add_task("embedding", total=10, completed=4)
    console.print(bar.get_renderable())
    assert re.search(r"embedding .* 4/10 elapsed .* left ", console.export_text())


def test_a_message_speaks_options_on_the_command_line_and_arguments_in_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    adata = make_cells()
    adata.X = adata.X - 2
    adata.write_h5ad("scaled.h5ad")
    with pytest.raises(DataError, match=r"as with layer='raw'\."):
        read_cells("scaled.h5ad")
    code, _, err = run(capsys, "pretrain", "scaled.h5ad", "--out", "m")
    assert code == 2
    assert "as with --layer raw." in err
    with pytest.raises(DataError, match=r"as with layer='raw'\."):  # whoever comes after a command is no command
        read_cells("scaled.h5ad")


def test_no_message_of_the_library_names_an_option_by_hand() -> None:
    """Whoever calls it in Python has none; `argument`, `flag` and `setting` of `scgraph.errors` know who reads."""
    options = [one for command in COMMANDS.values() for one in command.params]
    known = {word for one in options for word in (*one.opts, *one.secondary_opts) if word.startswith("--")}
    root = Path(scgraph.__file__).parent
    spoken = {"errors.py", "genes/run.py", "reporting/redact.py"}  # the words themselves, the body of a command, a scan
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name in spoken or name.startswith("cli/"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = [node for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        told += [node for node in calls if getattr(node.func, "id", "") == "say"]
        texts = [one.value for node in told for one in ast.walk(node) if isinstance(one, ast.Constant)]
        words = {word for text in texts if isinstance(text, str) for word in re.findall(r"--[a-z][a-z-]+", text)}
        if any(isinstance(text, str) and "prepare FILES --out STORE" in text for text in texts):
            words -= {"--out"}  # a whole command
        assert not words & known, (name, words & known)
