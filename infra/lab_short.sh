#!/bin/sh
# Every measurement of the lab in its short form, on data that lie beside the tests; the full ones stand in docs/results.
set -eu
cd "$(dirname "$0")/.."
data=tests/data

lab() {
    echo
    echo "── forestall lab $*"
    .venv/bin/forestall lab "$@"
}

lab detect --data $data/smd
lab history --trace $data/infinitehbd/faults-days-0-174.csv.gz
lab predict --quick
lab ablate --quick
lab compare --profile llama3-16k --seeds 4
lab compare --profile small-256 --seeds 100
lab compare --profile llama3-16k-ample --seeds 4 --trace $data/infinitehbd/faults-days-0-174.csv.gz
lab experiment 1
lab experiment 2
lab experiment 3
lab pool
lab checkpoint-cost --quick
