#!/usr/bin/env bash
# Train with several processes:  bash tools/dist_train.sh CONFIG GPUS [ARGS of tools/train.py...]
# GPUS processes on this node; without CUDA they talk through gloo. One node finds a free port by itself (PORT sets
# one). Several nodes: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set, the work directory on a disk that
# all of them see. A node that was lost may be started again with the same command: all go on from the newest whole
# checkpoint. MAX_RESTARTS (3 with several nodes, else 0) is how often; NODE_ADDR is this node's address where the others
# cannot resolve its name.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,7s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
config=$1 gpus=$2
shift 2

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=python
if [ -z "${VIRTUAL_ENV-}${CONDA_PREFIX-}" ] && [ -x "$root/.venv/bin/python" ]; then
    python=$root/.venv/bin/python
fi
nodes=${NNODES:-1} rank=${NODE_RANK:-0} master=${MASTER_ADDR:-127.0.0.1} port=${PORT:-29500}
if [ "$nodes" -gt 1 ]; then
    # The first node keeps the meeting place (c10d), which lets a node that was started again back in.
    [ "$rank" = 0 ] && host=1 address=${NODE_ADDR:-$master} || host=0 address=${NODE_ADDR-}
    meeting=(--rdzv_backend=c10d --rdzv_endpoint="$master:$port" --rdzv_id="${RDZV_ID:-mmdark}"
        --rdzv_conf="is_host=$host${RDZV_CONF:+,$RDZV_CONF}" ${address:+--local_addr="$address"})
    # torch 2.13 tells a node that comes back nothing of a store that the others share since the first meeting.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
elif [ -z "${PORT-}" ]; then
    meeting=(--rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:0 --local_addr=127.0.0.1)
else
    meeting=(--node_rank="$rank" --master_addr="$master" --master_port="$port")
fi
export MMDARK_LAUNCHED
MMDARK_LAUNCHED=$(date +%Y%m%d_%H%M%S)
exec "$python" -m torch.distributed.run --nnodes="$nodes" --nproc_per_node="$gpus" \
    --max_restarts="${MAX_RESTARTS:-$((nodes > 1 ? 3 : 0))}" "${meeting[@]}" \
    "$root/tools/train.py" "$config" --launcher pytorch "$@"
