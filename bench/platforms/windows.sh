#!/usr/bin/env bash
# The Cython modules for Windows, as far as MinGW's gcc can check them without a python3xx.dll: each
# against the headers of Python 3.11 and NumPy for Windows, without a warning. On Debian 12, in the
# environment that built fastnn in place (pip install -e .):
#
#     apt-get install gcc-mingw-w64-x86-64-win32
#     bash bench/platforms/windows.sh
#
# It keeps what it downloads in a folder of /tmp, which the argument names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=${1:-/tmp/fastnn-windows}
mirror=http://deb.debian.org/debian

mkdir -p "$folder"/{lists/partial,cache/archives/partial}
if [ ! -d "$folder"/Python-* ]; then
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" \
        > "$folder/sources.list"
    cat > "$folder/apt.conf" <<END
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$folder/lists";
Dir::Cache "$folder/cache";
END
    (
        export APT_CONFIG=$folder/apt.conf
        apt-get -q update
        cd "$folder"
        apt-get -q source --download-only python3.11
        tar -xf python3.11_*.orig.tar.gz --wildcards '*/PC/pyconfig.h' '*/Include/*'
    )
    python -m pip download -q --only-binary=:all: --no-deps --python-version 3.11 \
        --platform win_amd64 -d "$folder" numpy
    python -m zipfile -e "$folder"/numpy-*.whl "$folder/site"
fi

headers=("$folder"/Python-*)
for file in fastnn/_core/*.c; do
    x86_64-w64-mingw32-gcc -std=c11 -Wall -Wextra -Wno-missing-field-initializers \
        -Wno-unused-parameter -Wno-cast-function-type -Werror -fsyntax-only \
        -DMS_WIN64= -DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION "-I$headers/PC" \
        "-I$headers/Include" "-I$folder/site/numpy/_core/include" -Icsrc "$file"
done
echo "$(ls fastnn/_core/*.c | wc -l) modules pass"
