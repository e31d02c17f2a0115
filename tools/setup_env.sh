#!/usr/bin/env bash
# Make or reuse mmdark's environment and print where it is (last line of standard output; all else goes to stderr).
#
#   bash tools/setup_env.sh [--family openmmlab|onedl] [--mmcv lite|full|WHEEL]
#
# --family  openmmlab: mmengine, mmcv-lite, mmdet (default, in .venv);  onedl: the onedl packages (in .venv-onedl)
# --mmcv    lite: no compiled ops (default);  full: compile them, 20 minutes and more;  WHEEL: take them from this file
#           (full and WHEEL: in .venv-mmcv, .venv-onedl-mmcv). A full mmcv already in the environment is kept untouched.
#
# Versions come from requirements/constraints.txt. A second call with nothing changed does nothing; an environment that
# was left half made is completed, a broken one made anew.
#
#   PYTHON              the Python to use (default: the first of python3, python3.13 ... python3.10 that is >= 3.10)
#   MMDARK_TORCH_INDEX  package index for torch alone, such as PyTorch's CPU or another CUDA's (default: as pip is set)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
family=openmmlab
mmcv=lite

say() { printf '%s\n' "$*" >&2; }
stop() { say "setup_env: $*"; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --family=* | --mmcv=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --family) family=${2-}; shift $(($# > 1 ? 2 : 1)) ;;
        --mmcv) mmcv=${2-}; shift $(($# > 1 ? 2 : 1)) ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) stop "unknown option $1; options are --family openmmlab|onedl and --mmcv lite|full|WHEEL" ;;
    esac
done
case $family in
    openmmlab) name=.venv; full=mmcv ;;
    onedl) name=.venv-onedl; full=onedl-mmcv ;;
    *) stop "unknown family '$family': openmmlab or onedl" ;;
esac
case $mmcv in
    lite) ;;
    full) name=$name-mmcv ;;
    *.whl)
        [ -f "$mmcv" ] || stop "there is no wheel $mmcv"
        mmcv=$(cd "$(dirname "$mmcv")" && pwd)/$(basename "$mmcv")
        name=$name-mmcv
        ;;
    *) stop "--mmcv is '$mmcv': lite, full, or the path of an mmcv wheel" ;;
esac
env=$root/$name
log=$env/setup.log

find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11 python3.10 python)
    [ -z "${PYTHON-}" ] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    stop "Python 3.10 or newer is needed${PYTHON:+ and PYTHON=$PYTHON is none}; set PYTHON=/path/to/python3"
}

# What the environment was made from: any change here makes the next call complete it anew.
fingerprint() {
    {
        printf '%s\n' "$root" "$family" "$mmcv"
        case $mmcv in *.whl) wc -c <"$mmcv" ;; esac
        cat "$root"/requirements/*.txt "$root"/setup.py "$root"/pyproject.toml "${BASH_SOURCE[0]}"
        grep '^__version__' "$root/mmdark/__init__.py"
    } | cksum
}

works() { "$env/bin/python" -c 'import pip' 2>/dev/null || "$env/bin/python" -m ensurepip >/dev/null 2>&1; }

has() { "$env/bin/python" -c 'import sys; from importlib.metadata import version; version(sys.argv[1])' "$1" 2>/dev/null; }

install() {
    say "  $1"
    shift
    if ! PYTHONNOUSERSITE=1 "$env/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
        -c "$root/requirements/constraints.txt" "$@" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        stop "pip could not install this; the whole log is $log. Run the same command again to go on from here."
    fi
}

make_env() {
    local python
    python=$(find_python)
    [ ! -e "$env" ] || say "$name is broken: making it anew"
    say "making $name with $("$python" --version 2>&1)"
    rm -rf "$env"
    "$python" -m venv "$env" >&2 || {
        rm -rf "$env"
        stop "$python cannot make environments; install its venv module (Debian: apt-get install python3-venv)"
    }
}

install_family() {
    local packages
    packages=$(cat "$root/requirements/$family.txt")
    case $mmcv in
        *.whl) install "mmcv from $(basename "$mmcv")" "$mmcv" ;;
        full)
            if ! "$env/bin/python" -c 'import torch, mmcv._ext' 2>/dev/null; then
                install 'what compiles mmcv' ninja psutil
                MMCV_WITH_OPS=1 install 'mmcv with compiled ops (20 minutes and more)' --no-build-isolation \
                    --no-cache-dir --no-binary "$full" --force-reinstall --no-deps "$full"
            fi
            ;;
    esac
    if [ "$family" = openmmlab ] && has mmcv; then
        [ "$mmcv" != lite ] || say '  full mmcv is here already and stays as it is'
        packages=$(grep -v '^mmcv' "$root/requirements/$family.txt")
    fi
    # shellcheck disable=SC2086 # one word a package
    install "the $family packages" $packages
}

stamp=$env/setup.stamp
print=$(fingerprint)
works || make_env
if [ "$(cat "$stamp" 2>/dev/null)" != "$print" ] || ! has torch || ! has mmdark; then
    say "setting up $name ($family, mmcv: $(basename "$mmcv")); log: $log"
    rm -f "$stamp"
    : >"$log"
    install 'build tools' setuptools wheel
    install 'torch (the longest step)' ${MMDARK_TORCH_INDEX:+--index-url "$MMDARK_TORCH_INDEX"} torch
    install_family
    install 'the rest' -r "$root/requirements/runtime.txt" -r "$root/requirements/demo.txt" \
        -r "$root/requirements/onnx.txt" -r "$root/requirements/video.txt" -r "$root/requirements/dev.txt"
    install 'mmdark, editable' --no-deps --no-build-isolation -e "$root"
    printf '%s\n' "$print" >"$stamp"
    say "$name is ready"
fi
printf '%s\n' "$env"
