#!/usr/bin/env bash
# Train for so many minutes and keep the weights, in half precision: seven tenths of the time at the full learning rate,
# then a fourth as many iterations, in which a schedule of the type TrapezoidLR cools down.
#
#   bash tools/train_minutes.sh CONFIG MINUTES WEIGHTS.pth [KEY=VALUE ...]
#
# CONFIG has a variable max_iters, as configs/gfl/gfl_dark_mobilenetv2_wider.py; KEY=VALUE are --cfg-options.
# WORK_DIR is where it trains (default: work_dirs/NAME_minutes); what is there already goes on.
set -euo pipefail

if [ $# -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
config=$1 minutes=$2 weights=$3
shift 3
work_dir=${WORK_DIR:-work_dirs/$(basename "$config" .py)_minutes}
tools=$(dirname "$0")
start=$(date +%s)
total=$(awk "BEGIN { print int($minutes * 60) }")

train() { # until SECONDS after the start, when SIGTERM has it save and end
    local left=$(($1 - $(date +%s) + start))
    shift
    timeout --signal TERM "$((left > 1 ? left : 1))" \
        python "$tools/train.py" "$config" --work-dir "$work_dir" --amp --resume --cfg-options "$@" || [ $? -eq 124 ]
}

train $((total * 7 / 10)) "$@"
[ -f "$work_dir/last_checkpoint" ] || { echo "error: no iteration was trained in $minutes minutes" >&2; exit 1; }
done_by_now=$(basename "$(cat "$work_dir/last_checkpoint")" | tr -dc 0-9)
last=$(((done_by_now * 5 + 3) / 4))
train "$total" "$@" "max_iters=$last"
reached=$(basename "$(cat "$work_dir/last_checkpoint")" | tr -dc 0-9)
[ "$reached" -ge "$last" ] || echo "warning: the time was over at iteration $reached of $last: not cooled down" >&2
python "$tools/model_converters/export_weights.py" "$(cat "$work_dir/last_checkpoint")" "$weights" --half
