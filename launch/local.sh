#!/bin/bash
# Trains on this machine's cores, one rank each; or on N ranks:
#
#     launch/local.sh train.py --epochs 5
#     N=4 launch/local.sh train.py
#
# mpirun is found beside the Python that runs, so that both are of one MPI. Stop it with Ctrl-C.

set -eu

PYTHON="${PYTHON:-python}"
if [ -z "${N:-}" ]; then
    N=$("$PYTHON" -c 'from distkeras.distribution.environment import available_cores as c; print(c())')
fi

exec "$PYTHON" -m distkeras.launch -n "$N" "$@"
