#!/usr/bin/env bash
# Test with several processes:  bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGS of tools/test.py...]
# GPUS processes on this node; without CUDA they talk through gloo. One node finds a free port by itself (PORT sets
# one). Several nodes: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail

[ $# -ge 3 ] || { sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
config=$1 checkpoint=$2 gpus=$3
shift 3

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=python
if [ -z "${VIRTUAL_ENV-}${CONDA_PREFIX-}" ] && [ -x "$root/.venv/bin/python" ]; then
    python=$root/.venv/bin/python
fi
nodes=${NNODES:-1}
if [ "$nodes" = 1 ] && [ -z "${PORT-}" ]; then
    meeting=(--rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:0 --local_addr=127.0.0.1)
else
    meeting=(--node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi
exec "$python" -m torch.distributed.run --nnodes="$nodes" --nproc_per_node="$gpus" "${meeting[@]}" \
    "$root/tools/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
