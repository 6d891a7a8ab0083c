"""The extension modules: which sources, which flags. Everything else is in pyproject.toml.

FASTNN_DEBUG=1 builds with bounds checks, assertions and debugging symbols.
FASTNN_SANITIZE=address,undefined (or thread) adds a sanitizer to the C and Cython code.
On Windows the compiler is MinGW-w64's GCC, or CC=clang (docs/platforms.md).
"""

import os
import platform
import sysconfig

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

DEBUG = os.environ.get("FASTNN_DEBUG", "0") not in ("", "0")
SANITIZE = os.environ.get("FASTNN_SANITIZE", "")

TARGET = sysconfig.get_platform()  # of the build, which may be for another machine
if TARGET.endswith("universal2"):  # python.org's for macOS is of two architectures: one of them
    TARGET = os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
IS_X86_64 = TARGET.endswith(("x86_64", "amd64"))
IS_WINDOWS = TARGET.startswith("win")

C_FLAGS = ["-std=c11", "-fvisibility=hidden", *(["-O1", "-g"] if DEBUG else ["-O3", "-g0"])]
if SANITIZE:
    # Python's own -fwrapv would take the check of signed overflow away
    C_FLAGS += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-fno-wrapv"]

# For the kernels. No contraction: an expression has the same bits under every instruction set.
# Neither of the next two changes a result: errno is never read, no exception is ever unmasked.
KERNEL_FLAGS = ["-Wall", "-Wextra", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
if not DEBUG and not SANITIZE:
    # Threads may have small stacks: no function of the kernels takes more than 16 KiB of one.
    KERNEL_FLAGS.append("-Wframe-larger-than=16384")

ISA_FLAGS = {"baseline": []}
if IS_X86_64:
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma"]
    ISA_FLAGS["avx512"] = [
        "-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl",
        "-mprefer-vector-width=512",
    ]  # fmt: skip

if IS_WINDOWS and "clang" not in os.environ.get("CC", ""):
    # GCC's stack is aligned to 16 bytes there, whatever a vector needs
    # (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=54412).
    KERNEL_FLAGS.append("-Wa,-muse-unaligned-vector-move")

LINK_FLAGS = [] if IS_WINDOWS else ["-pthread"]
if SANITIZE:
    LINK_FLAGS.append(f"-fsanitize={SANITIZE}")
else:
    LINK_FLAGS.append("-Wl,-x" if platform.system() == "Darwin" else "-Wl,-s")

# One translation unit for each instruction set and element type.
FLAGS_OF_FILES = {
    f"csrc/{isa}_{dtype}.c": flags for isa, flags in ISA_FLAGS.items() for dtype in ("f32", "f64")
}
C_SOURCES = [*FLAGS_OF_FILES, "csrc/dispatch.c", "csrc/float_state.c", "csrc/team.c"]
C_HEADERS = [f"csrc/{name}" for name in sorted(os.listdir("csrc")) if name.endswith(".h")]

CYTHON_DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": True,
}


class BuildExt(build_ext):
    """Gives each C file of the kernels its own flags."""

    def initialize_options(self) -> None:
        super().initialize_options()
        if IS_WINDOWS:
            self.compiler = "mingw32"

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            raise CompileError(
                "fastnn's kernels use the vector types of GCC and Clang, which MSVC does not have: "
                "build with MinGW-w64's gcc on PATH, or with CC=clang"
            )
        compile_one = self.compiler._compile

        def compile_with_flags(obj, src, ext, cc_args, extra_postargs, pp_opts):
            name = src.replace(os.sep, "/")
            if name.startswith("csrc/"):
                extra_postargs = [*extra_postargs, *KERNEL_FLAGS, *FLAGS_OF_FILES.get(name, [])]
            compile_one(obj, src, ext, cc_args, extra_postargs, pp_opts)

        self.compiler._compile = compile_with_flags
        super().build_extensions()


def extension(name: str, c_sources: list[str] | None = None) -> Extension:
    """The module fastnn._core.<name>."""
    return Extension(
        f"fastnn._core.{name}",
        [f"fastnn/_core/{name}.pyx", *(c_sources or [])],
        include_dirs=["csrc", np.get_include()],
        depends=C_HEADERS,
        extra_compile_args=C_FLAGS,
        extra_link_args=LINK_FLAGS,
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            *([("MS_WIN64", "")] if IS_WINDOWS else []),  # Python 3.11 says so to MSVC only
        ],
    )


setup(
    ext_modules=cythonize(
        [
            extension("kernels", C_SOURCES),  # owns the C code: the others reach it through this
            extension("single"),
            extension("access"),
            extension("gemm"),
            extension("layers"),
            extension("sparse"),
            extension("deferred"),
            extension("tuner"),
            extension("plan"),
            extension("rows"),
            extension("weights"),
            extension("regularization"),
            extension("stages"),
            extension("buckets"),
            extension("exchange"),
            extension("state"),
            extension("signals"),
            extension("others"),
            extension("batches"),
            extension("step"),
            extension("workspace"),
            extension("training"),
            extension("inference"),
            extension("predictor"),
        ],
        compiler_directives=CYTHON_DIRECTIVES,
    ),
    cmdclass={"build_ext": BuildExt},
)
