"""The kernels and the team of each platform, with a program around them that needs no Python."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

FLAGS = [
    "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror",
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
]  # fmt: skip
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "dq", "vl"))]
AVX512.append("-mprefer-vector-width=512")
FLAGS_OF_ISAS = {"baseline": [], "avx2": AVX2, "avx512": AVX512}


@dataclass(frozen=True)
class Platform:
    """How its programs are compiled, linked and run; ``run`` None: not here."""

    name: str
    compiler: tuple[str, ...]
    link: tuple[str, ...] = ()
    run: tuple[str, ...] | None = ()
    is_x86_64: bool = True


ZIG = (sys.executable, "-m", "ziglang", "cc", "-target")
WINE = shutil.which("wine64", path=f"{os.environ['PATH']}{os.pathsep}/usr/lib/wine") or "wine64"
POSIX = ("-lm", "-pthread")

PLATFORMS = [
    Platform("Linux x86_64, glibc, gcc", ("gcc",), POSIX),
    Platform("Linux x86_64, glibc, clang", ("clang",), POSIX),
    Platform("Linux x86_64, musl, gcc", ("musl-gcc",), ("-static", *POSIX)),
    Platform(
        "Linux aarch64, glibc, gcc", ("aarch64-linux-gnu-gcc",), ("-static", *POSIX),
        ("qemu-aarch64",), is_x86_64=False,
    ),
    Platform("Linux aarch64, musl, clang", (*ZIG, "aarch64-linux-musl"), POSIX, ("qemu-aarch64",),
             is_x86_64=False),
    Platform("macOS arm64, clang", (*ZIG, "aarch64-macos"), run=None, is_x86_64=False),
    Platform("macOS x86_64, clang", (*ZIG, "x86_64-macos"), run=None),
    Platform(
        "Windows x86_64, MinGW's gcc",
        ("x86_64-w64-mingw32-gcc", "-Wa,-muse-unaligned-vector-move"), run=(WINE,),
    ),
    Platform("Windows x86_64, MinGW, clang", (*ZIG, "x86_64-windows-gnu"), run=(WINE,)),
]  # fmt: skip


def missing_tool(platform: Platform) -> str | None:
    """The first of its tools that is not here."""
    for tool in (platform.compiler[0], *(platform.run or ())[:1]):
        if shutil.which(tool) is None:
            return tool
    if "ziglang" in platform.compiler:
        found = subprocess.run([*ZIG[:3], "version"], capture_output=True, check=False)
        return None if found.returncode == 0 else "ziglang"
    return None


def build(platform: Platform, folder: Path) -> Path:
    """The program. Warnings are errors."""
    sources = {
        PROJECT / "csrc" / f"{isa}_{dtype}.c": flags
        for isa, flags in FLAGS_OF_ISAS.items()
        if isa == "baseline" or platform.is_x86_64
        for dtype in ("f32", "f64")
    }
    sources |= {PROJECT / "csrc" / f"{name}.c": [] for name in ("dispatch", "float_state", "team")}
    sources[Path(__file__).with_name("program.c")] = []
    objects = []
    for source, flags in sources.items():
        objects.append(folder / f"{source.stem}.o")
        subprocess.run(
            [*platform.compiler, *FLAGS, *flags, f"-I{PROJECT / 'csrc'}", "-c", source, "-o",
             objects[-1]],
            check=True,
        )  # fmt: skip
    program = folder / "program.exe"
    subprocess.run([*platform.compiler, *objects, "-o", program, *platform.link], check=True)
    return program


def digests(printed: str) -> dict[tuple[str, ...], str]:
    """What a program printed: a text by words that say of what."""
    lines = [line.split() for line in printed.splitlines()]
    return {tuple(words[:-1]): words[-1] for words in lines}


def differences(
    found: dict[tuple[str, ...], str], expected: dict[tuple[str, ...], str], fused: bool
) -> list[str]:
    """Names of what is other than expected, or missing there.

    Parameters
    ----------
    fused : bool
        Whether its baseline kernels have fused multiply-adds, as AVX2's have.
    """
    other = []
    for words, text in found.items():
        name = ("avx2", *words[1:]) if fused and words[0] == "baseline" else words
        if expected.get(name) != text:
            other.append(" ".join(words))
    return other if found else ["nothing was printed"]


def show() -> bool:
    """Builds, runs and compares; whether all went well."""
    expected: dict[tuple[str, ...], str] = {}
    well = True
    for platform in PLATFORMS:
        tool = missing_tool(platform)
        if tool is not None:
            print(f"-    {platform.name}: left out, {tool} is not here", flush=True)
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                program = build(platform, Path(folder))
                if platform.run is None:
                    print(f"ok   {platform.name}: compiled and linked, not run", flush=True)
                    continue
                result = subprocess.run(
                    [*platform.run, program],
                    capture_output=True, text=True, check=True, timeout=1200,
                )  # fmt: skip
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            well = False
            print(f"FAIL {platform.name}: {error}", flush=True)
            continue
        found = digests(result.stdout)
        expected = expected or found
        other = differences(found, expected, fused=not platform.is_x86_64)
        well &= not other
        verdict = f"others: {', '.join(other)}" if other else f"{len(found)} results as expected"
        print(f"{'FAIL' if other else 'ok  '} {platform.name}: {verdict}", flush=True)
    return well
