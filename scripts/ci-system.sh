#!/usr/bin/env bash
# Installs what the Makefile expects of a Debian or Ubuntu machine and does not find. Elsewhere: says what is missing.
set -euo pipefail
python=${PYTHON:-python3}

missing=()
command -v make >/dev/null || missing+=(make)
command -v g++ >/dev/null || missing+=(g++)
if ! command -v "$python" >/dev/null; then
    missing+=(python3 python3-venv python3-dev)
else
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
    [[ -f $header ]] || missing+=(python3-dev)
fi
# Searches are tested on a real server where there is one; without it those tests are skipped.
if ! compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null && ! command -v pg_ctl >/dev/null; then
    if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
        missing+=(postgresql)
    else
        echo "no PostgreSQL here: its tests will be skipped (Debian package postgresql)" >&2
    fi
fi
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "missing here: ${missing[*]} (names of Debian packages)" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
