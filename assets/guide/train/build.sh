#!/bin/sh
# Makes the guide from facts.json: tokenizer, training text, weights, scores. MINUTES of training, default 8.
# With a checkpoint as argument, keeps the tokenizer and goes on from that checkpoint.
set -e
cd "$(dirname "$0")"
work="${WORK:-/tmp/guide}"
mkdir -p "$work"
rm -rf "$work/shards" "$work/run"
test -n "$1" || python3 tokenizer.py
python3 generate.py --out "$work/shards" --shards "${SHARDS:-500}" &
python3 train.py --shards "$work/shards" --out "$work/run" --minutes "${MINUTES:-8}" ${1:+--start "$1"}
wait
python3 export.py "$work/run"
python3 evaluate.py --failures "$work/failures.txt"
