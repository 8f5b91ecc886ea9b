"""Machine code from LLVM's intermediate representation, kept on disk between starts.

llvmlite alone is enough for it: wheels for every system and Python that numba has them for
(numba is built on it), without the rest of numba to load, and object code that may be kept
in a folder nobody can write to. Where there is none, it is compiled at each start, which takes
some two seconds; reading it takes 30 ms.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from service.engine.run.ir import C_FUNCTIONS

cache_folder: Path | None = None
"""Where object code is kept, if not in the user's folder for such things."""


@cache
def installed() -> bool:
    """Whether llvmlite, the extra `jit`, is there."""
    return importlib.util.find_spec("llvmlite") is not None


def _folder() -> Path:
    if cache_folder is not None:
        return cache_folder
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "gradient-service"


class Library:
    """Functions of a module of LLVM's, compiled or read from the cache."""

    def __init__(self, source: str, functions: Mapping[str, Sequence[Any]]) -> None:
        """`functions` are the names with the ctypes of their arguments; none returns a value."""
        import llvmlite
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        _add_symbols(llvm)
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
        )
        # Whatever the code depends on: it may be read on another machine.
        cpu = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
        about = (source, llvmlite.__version__, target.triple, *cpu)
        key = hashlib.sha256("\n".join(about).encode()).hexdigest()
        path = _folder() / f"{key[:32]}.o"
        code = None
        with suppress(OSError):
            code = _sealed(path.read_bytes())
        if code is None:
            code = _compiled(llvm, target, source)
            _keep(path, code)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.functions = {
            name: ctypes.CFUNCTYPE(None, *arguments)(self._engine.get_function_address(name))
            for name, arguments in functions.items()
        }


def _compiled(llvm: Any, target: Any, source: str) -> bytes:
    module = llvm.parse_assembly(source)
    module.triple = target.triple
    module.data_layout = str(target.target_data)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    # Several copies of a loop's body take as long again to compile, and gain little here.
    tuning.loop_interleaving = tuning.loop_unrolling = tuning.slp_vectorization = False
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    code: bytes = target.emit_object(module)
    return code


def _sealed(content: bytes) -> bytes | None:
    """The code of a file of the cache; None where the file is not whole."""
    digest, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _keep(path: Path, code: bytes) -> None:
    """Write the file in one step, for other processes may read it; nothing where that fails."""
    with suppress(OSError, RuntimeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(file.name, path)


def _add_symbols(llvm: Any) -> None:
    """Tell LLVM where the C library's functions are: the very ones that Python calls."""
    if sys.platform == "win32":
        library = ctypes.CDLL("ucrtbase")
    else:
        library = ctypes.CDLL(ctypes.util.find_library("m"))
    for name in (*C_FUNCTIONS, "fmod"):
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        llvm.add_symbol(name, address)
