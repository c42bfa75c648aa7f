#!/bin/sh
# Installs forestall with the named extras into .venv, exactly as constraints.txt pins it.
# usage: infra/deploy/install.sh web[,train,…]     (uv where it is there, else venv and pip)
set -eu
cd "$(dirname "$0")/../.."
extras=$1

# PYTHON decides where it is set; else the first that is 3.11 or newer.
find_python() {
    for name in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "forestall needs Python 3.11 or newer; none of ${PYTHON:-python3.11 python3.12 python3.13 python3} is." >&2
    echo "Install it (Debian: apt-get install python3.11 python3.11-venv), or say make PYTHON=/path/to/python3" >&2
    exit 1
}

if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || uv venv --quiet --python "$(find_python)" .venv
    uv pip install --quiet --python .venv/bin/python -c constraints.txt -e ./sdk -e ".[$extras]"
else
    if ! [ -x .venv/bin/python ]; then
        python=$(find_python)
        "$python" -m venv .venv || {
            echo "$python cannot make a virtual environment (Debian: apt-get install python3-venv), and uv is not there." >&2
            rm -rf .venv
            exit 1
        }
    fi
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip --default-pip >/dev/null
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ./sdk -e ".[$extras]"
fi
