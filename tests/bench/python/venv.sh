# python_venv: a venv in target/bench with tidegate's wheel and the peers; sets PYTHON. Source it after lib.sh.
python_venv() {
    PYTHON=$BENCH_OUT/venv/bin/python
    [ -x "$PYTHON" ] || logged python-venv.log python3 -m venv "$BENCH_OUT/venv"
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    rm -rf "$BENCH_OUT/wheels"
    say "the wheel and its peers (target/bench/venv)"
    logged python-wheel.log "$PYTHON" -m pip wheel --no-deps -w "$BENCH_OUT/wheels" ./bindings-python
    logged python-peers.log "$PYTHON" -m pip install -r tests/bench/python/requirements.txt
    logged python-install.log "$PYTHON" -m pip install --force-reinstall --no-deps "$BENCH_OUT"/wheels/tidegate-*.whl
}
