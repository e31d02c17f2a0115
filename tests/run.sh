#!/usr/bin/env bash
# Set up where needed, then run the tests and doctests:
#
#   bash tests/run.sh [--family openmmlab|onedl] [--mmcv lite|full|WHEEL] [PYTEST ARGS...]
#
# Works from any folder; paths among pytest's arguments are relative to the repository. Without them it runs all. Unless
# a file is named, each core has a process, up to four (-n 0: one process for all).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
options=()
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --family=* | --mmcv=*) options+=("$1"); shift ;;
        --family | --mmcv) options+=("${@:1:2}"); shift $(($# > 1 ? 2 : 1)) ;;
        *) arguments+=("$1"); shift ;;
    esac
done
env=$(bash "$root/tools/setup_env.sh" ${options[@]+"${options[@]}"})
cores=$(nproc 2>/dev/null || echo 2)
processes=$((cores < 4 ? cores : 4))
cd "$root"
for argument in ${arguments[@]+"${arguments[@]}"}; do
    [ ! -f "${argument%%::*}" ] || processes=0 # a few tests are over before a second process has imported torch
done
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MPLBACKEND=Agg PYTHONNOUSERSITE=1
exec "$env/bin/python" -m pytest -q -n "$processes" --dist worksteal ${arguments[@]+"${arguments[@]}"}
