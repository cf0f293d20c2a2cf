#!/usr/bin/env bash
# Usage: ci-scatter.sh PYTHON FOLDER
# Puts torch-scatter into FOLDER (for PYTHONPATH), so that the environment itself stays as users have it.
# It is a source package that takes minutes to compile against one torch and one Python: the wheel is kept in
# $SCGRAPH_WHEEL_CACHE and found again by these two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$1
folder=$2

requirement=$(grep '^torch-scatter==' constraints.txt)
version=${requirement#*==}
key=$("$python" -c 'import sys, torch; print(f"cp{sys.version_info[0]}{sys.version_info[1]}-torch{torch.__version__}")')
cache=${SCGRAPH_WHEEL_CACHE:-${HOME:-$PWD}/.cache/scgraph/wheels}/$key

find_wheel() { find "$cache" -maxdepth 1 -name "torch_scatter-$version-*.whl" -print -quit; }

mkdir -p "$cache"
wheel=$(find_wheel)
if [[ -z $wheel ]]; then
    "$python" - <<'PY' || { echo "Python.h is missing: on Debian or Ubuntu, apt-get install python3-dev" >&2; exit 1; }
import sys, sysconfig
from pathlib import Path
sys.exit(not (Path(sysconfig.get_path("include")) / "Python.h").is_file())
PY
    echo "Compiling torch-scatter $version for $key: about five minutes on two cores, once."
    building=$(realpath "$(mktemp -d "$cache/building.XXXXXX")")
    trap 'rm -rf "$building"' EXIT
    # By default it compiles one module after the other, with the debugging symbols that Python was compiled with.
    printf '[build_ext]\nparallel = %s\n' "$("$python" -c 'import os; print(os.cpu_count())')" > "$building/setup.cfg"
    # pip's own cache of wheels does not know the torch they were compiled against.
    DIST_EXTRA_CONFIG="$building/setup.cfg" CFLAGS=-g0 CXXFLAGS=-g0 FORCE_ONLY_CPU=1 \
        "$python" -m pip wheel --disable-pip-version-check --no-cache-dir --no-build-isolation --no-deps \
        -w "$building" "$requirement"
    mv "$building"/torch_scatter-*.whl "$cache/"
    wheel=$(find_wheel)
else
    echo "torch-scatter $version for $key is in the cache."
fi

rm -rf "$folder"
"$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --target "$folder" "$wheel"
PYTHONPATH=$(realpath "$folder") "$python" - <<'PY'
import sys
from torch_geometric.typing import WITH_TORCH_SCATTER
sys.exit(not WITH_TORCH_SCATTER and "PyG does not find the torch-scatter that was just installed")
PY
