#!/bin/sh
# The environment in .venv: the torch that fits the machine, everything else as pinned in constraints.txt.
# A torch with a GPU that the machine already has is used as it is; otherwise the pinned release is installed.
# BSTRUCT_TORCH names another one, for example BSTRUCT_TORCH=torch==2.11.0.
set -eu
python=${PYTHON:-python3}
$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "bstruct needs Python 3.11 or newer, $python is $($python -V 2>&1); name one with PYTHON=python3.12" >&2; exit 2; }
log=.venv/setup.log
site=
if $python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then site=--system-site-packages; fi
test -x .venv/bin/python || $python -m venv $site .venv
echo "setting up .venv (a minute or a few the first time; log in $log)"
: >$log
py=.venv/bin/python
slow() { $py -m pip install -q --no-compile --disable-pip-version-check "$@" >>$log 2>&1; }
# uv does it in a fifth of pip's time, with the indexes that pip was told of; what uv cannot do, pip does
told() { $py -m pip config list 2>/dev/null | sed -n "s/^[^.]*\.$1='\(.*\)'$/\1/p" | sed 's/\\n/ /g' | tr '\n' ' '; }
fast() { test -z "$site" && test -x .venv/bin/uv && env UV_INDEX_STRATEGY=unsafe-best-match UV_NATIVE_TLS=1 UV_SYSTEM_CERTS=1 \
    UV_DEFAULT_INDEX="$(told index-url | cut -d' ' -f1)" UV_INDEX="$(told extra-index-url)" \
    UV_FIND_LINKS="$(told find-links | tr -s ' ' ,)" \
    .venv/bin/uv pip install -q --python $py "$@" >>$log 2>&1; }
install() { fast "$@" || slow "$@" || {
    grep -v '^WARNING' $log | tail -n 20 >&2; echo "installing failed: $*" >&2; exit 1; }; }
slow -c constraints.txt uv || true
if [ -n "$site" ]; then constraints=.venv/constraints.txt; grep -v '^torch==' constraints.txt >$constraints
else constraints=constraints.txt; install "${BSTRUCT_TORCH:-$(grep '^torch==' constraints.txt)}"; fi
test -z "${BSTRUCT_TORCH:-}" || { grep -v '^torch==' constraints.txt >.venv/constraints.txt; constraints=.venv/constraints.txt; }
install -c $constraints setuptools wheel
install -c $constraints --no-build-isolation -e '.[dev,parquet,distributed]'
install -c $constraints --no-deps djangocms-katex  # for KaTeX, which it ships, and nothing else
# bytecode by both cores at once, which pip makes by one; templates that are no Python are passed over
$py -m compileall -q -j 0 -x '/tests?/' .venv/lib >>$log 2>&1 || true
touch .venv/.ready
