#!/usr/bin/env bash
# The whole package for aarch64: cross-compiled, and run by Debian's Python in qemu, where it trains
# the networks of tests/test_bits.py to the bits that tests/bits.json has from x86_64. On Debian 12:
#
#     apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
#     pip install setuptools Cython numpy && bash bench/platforms/aarch64.sh
#
# It needs 1 GB in a folder of /tmp, which the argument names, and which it keeps: the second time
# it downloads nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
project=$PWD
folder=${1:-/tmp/fastnn-aarch64}
mirror=http://deb.debian.org/debian

mkdir -p "$folder"/{lists/partial,cache/archives/partial,debs,root,wheels}
if [ ! -x "$folder/root/usr/bin/python3.11" ]; then
    echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" \
        > "$folder/sources.list"
    cat > "$folder/apt.conf" <<END
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$folder/lists";
Dir::State::status "/dev/null";
Dir::Cache "$folder/cache";
APT::Architecture "arm64";
APT::Architectures "arm64";
END
    export APT_CONFIG=$folder/apt.conf
    apt-get -q update
    (cd "$folder/debs" && apt-get -q download python3.11-minimal libpython3.11-minimal \
        libpython3.11-stdlib libpython3.11-dev libpython3.11 libc6 libexpat1 zlib1g libssl3 libffi8 \
        libgcc-s1 libstdc++6 libbz2-1.0 liblzma5 libuuid1 libcrypt1)
    for package in "$folder"/debs/*.deb; do dpkg -x "$package" "$folder/root"; done
fi
if [ -z "$(ls "$folder/wheels")" ]; then
    python -m pip download -q --only-binary=:all: --no-deps --python-version 3.11 \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 -d "$folder/wheels" \
        "numpy$(python -c 'import numpy; print("==" + numpy.__version__)')" \
        scipy-openblas32 safetensors tqdm
    for wheel in "$folder"/wheels/*.whl; do python -m zipfile -e "$wheel" "$folder/site"; done
fi

_PYTHON_HOST_PLATFORM=linux-aarch64 SETUPTOOLS_EXT_SUFFIX=.cpython-311-aarch64-linux-gnu.so \
    CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared" \
    CFLAGS="-I$folder/root/usr/include/python3.11 -I$folder/root/usr/include" \
    python setup.py -q build --build-base "$folder/build" -j2
cp -r "$folder"/build/lib.linux-aarch64-*/fastnn "$folder/site"

cd "$folder"
PYTHONPATH=$folder/site qemu-aarch64 -L "$folder/root" "$folder/root/usr/bin/python3.11" -P - \
    "$project/tests" <<'END'
import ast
import json
import sys
import textwrap
from pathlib import Path

tests = Path(sys.argv[1])
texts = {
    node.targets[0].id: node.value.value
    for node in ast.parse((tests / "test_bits.py").read_text()).body
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
}
names = {}
exec(textwrap.dedent(texts["SCRIPT"]).replace("dump_traceback_later(50", "dump_traceback_later(5000"), names)
for case in names["CASES"]:
    names["train"](case, [2, 2, 2])
same = names["parameters"] == json.loads((tests / "bits.json").read_text())["parameters"]
print(f"{len(names['parameters'])} networks on {names['kernels'].ISA} kernels:",
      "the bits of x86_64" if same else "OTHER BITS")
sys.exit(not same)
END
