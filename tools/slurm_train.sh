#!/usr/bin/env bash
# Train on a Slurm cluster:  bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGS of tools/train.py...]
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS are taken from the environment. On preemption it saves and
# ends with status 0; a job that Slurm has put into the queue again goes on by itself, others with --resume.
set -euo pipefail

[ $# -ge 4 ] || { sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=python
if [ -z "${VIRTUAL_ENV-}${CONDA_PREFIX-}" ] && [ -x "$root/.venv/bin/python" ]; then
    python=$root/.venv/bin/python
fi
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
case " $* " in *' --resume'*) ;; *) [ "${SLURM_RESTART_COUNT:-0}" = 0 ] || set -- --resume auto "$@" ;; esac
# SRUN_ARGS is a list of words.
# shellcheck disable=SC2086
exec srun -p "$partition" --job-name="$job_name" --gres="gpu:$gpus_per_node" --ntasks="$gpus" \
    --ntasks-per-node="$gpus_per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "$python" -u "$root/tools/train.py" "$config" --work-dir="$work_dir" --launcher slurm "$@"
