"""Settings of Sphinx for the sources that `docs.site.staging` lays out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import scgraph
import scgraph.api
from docs.site.staging import ROOT
from scgraph import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "scgraph"
author = "scgraph developers"
release = version = __version__
project_copyright = author
root_doc = "index"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "scanpydoc.elegant_typehints",
    "scanpydoc.definition_list_typed_field",
    "scanpydoc.theme",
]
exclude_patterns = ["scgraph/**", "configs/**"]

# Links lead to headings by the names that a forge gives them.
myst_heading_anchors = 6

# Tutorials run each time: a cell that raises fails the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 1800  # of a cell: a busy machine is no error
nb_merge_streams = True

napoleon_numpy_docstring = False
napoleon_custom_sections = [("Shapes", "params_style"), ("Class attributes a subclass may set", "params_style")]
default_role = "literal"  # `name` in a docstring is code
napoleon_use_ivar = True  # autodoc lists the attributes too: each is described once
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # a lambda is shown as it is written
napoleon_use_rtype = False  # "The record: what was tried" names what is returned, not its type
always_use_bars_union = True

html_theme = "scanpydoc"
html_title = "scgraph"
html_static_path = [str(ROOT / "docs" / "site" / "static")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {"show_toc_level": 2, "use_download_button": False, "use_fullscreen_button": False}


def setup(app: Sphinx) -> None:
    """Prepare this process; tests import the settings, and nothing of theirs may change."""
    # Shell cells find the command, and small tensors are as quick on busy cores as on idle ones.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # A package that is also a function is documented as the function.
    for name in ("annotate", "bench", "perturb"):
        setattr(scgraph, name, getattr(scgraph.api, name))
