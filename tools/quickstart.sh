#!/usr/bin/env bash
# Set up where needed, then train, test and draw a small dark-face detector: bash tools/quickstart.sh [ARGS...]
# The arguments are those of tools/quickstart.py; --help lists them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
env=$(bash "$root/tools/setup_env.sh")
exec "$env/bin/python" "$root/tools/quickstart.py" "$@"
