"""NumPy's .npz: an array an input in; `value`, and `dNAME` for each gradient, out."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np

from service.bulk.rows import Column, Computed, Layout, Rows, Summary, UnreadablePoints

_EPOCH = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 1 << 20
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Npz:
    """The arrays of an .npz, read along their leading axis."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        try:
            self._archive = zipfile.ZipFile(file)
            self._members = {
                member.removesuffix(".npy"): _Member(self._archive.open(member))
                for member in self._archive.namelist()
            }
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise UnreadablePoints(f"{name} is not an .npz of arrays") from error
        lengths = {name: one.shape[0] if one.shape else None for name, one in self._members.items()}
        if None in lengths.values() or len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise UnreadablePoints(f"the arrays have no common leading axis ({shown})")
        self.names = tuple(self._members)
        self.size = next(iter(lengths.values()), 0)
        self._first = {n: one.read(min(1, self.size or 0)) for n, one in self._members.items()}

    def first(self) -> dict[str, Any]:
        """The first row."""
        return self._first

    def blocks(self, length: int) -> Iterator[dict[str, Any]]:
        """`length` rows of every array at a time."""
        left = (self.size or 0) - 1
        if left < 0:
            return
        head = {n: one.read(min(length - 1, left)) for n, one in self._members.items()}
        yield {n: np.concatenate((self._first[n], array)) for n, array in head.items()}
        left -= length - 1
        while left > 0:
            yield {n: one.read(min(length, left)) for n, one in self._members.items()}
            left -= length


class _Member:
    """An array in an .npz, read row by row. Raises ValueError for one that holds objects."""

    def __init__(self, file: IO[bytes]) -> None:
        version = np.lib.format.read_magic(file)
        if version not in _READ_HEADER:
            raise ValueError(version)
        self.shape, fortran, self._dtype = _READ_HEADER[version](file)
        if self._dtype.hasobject:
            raise ValueError("objects")
        self._file = file
        self._row = math.prod(self.shape[1:])
        # In Fortran's order a row is spread over the whole file.
        self._whole = None
        if fortran and len(self.shape) > 1:
            data = np.frombuffer(file.read(), self._dtype)
            self._whole = data.reshape(self.shape[::-1]).T
        self._at = 0

    def read(self, rows: int) -> Any:
        """The next rows."""
        shape = (rows, *self.shape[1:])
        if self._whole is not None:
            self._at += rows
            return np.ascontiguousarray(self._whole[self._at - rows : self._at])
        data = self._file.read(rows * self._row * self._dtype.itemsize)
        return np.frombuffer(data, self._dtype, rows * self._row).reshape(shape)


open_source = Npz


def layout(first: dict[str, Any], names: frozenset[str]) -> Layout:
    """The shapes and kinds of the arrays."""
    if not first or not len(next(iter(first.values()))):
        raise UnreadablePoints("there are no points")
    inputs = {
        name: Column(array.shape[1:], array.dtype.kind)
        for name, array in first.items()
        if name in names
    }
    return Layout(inputs, tuple(name for name in first if name not in inputs))


def rows(block: dict[str, Any], layout: Layout) -> Rows:
    """The rows of a block: all are good."""
    return Rows(
        len(next(iter(block.values()))),
        {name: block[name] for name in layout.inputs},
        {name: block[name] for name in layout.extra},
    )


def encode(computed: Computed) -> bytes:
    """The block as an .npz of its own, with `error` as text."""
    rows = computed.rows
    arrays = {name: _array(values) for name, values in rows.extra.items()}
    arrays |= {"value": computed.value} | {f"d{n}": g for n, g in computed.gradients.items()}
    if rows.errors:
        arrays["error"] = np.array([rows.errors.get(place, "") for place in range(rows.size)])
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _array(values: Any) -> Any:
    if hasattr(values, "to_pylist"):
        values = values.to_pylist()
    array = np.asarray(values)
    return np.array([str(value) for value in values]) if array.dtype.hasobject else array


def head(computed: Computed) -> list[str]:
    """The arrays that a block has, but for `error`."""
    return [*computed.rows.extra, "value", *(f"d{name}" for name in computed.gradients)]


def assemble(
    parts: Callable[[], Iterable[bytes]], titles: list[str], file: IO[bytes], summary: Summary
) -> None:
    """Write the arrays one after the other, each through all blocks."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in titles + (["error"] if summary.bad else []):
            shape, dtype = _whole(parts(), name)
            with _member(archive, name) as member:
                header = {
                    "descr": np.lib.format.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": shape,
                }
                np.lib.format.write_array_header_1_0(member, header)
                for part in parts():
                    member.write(np.ascontiguousarray(_of(part, name), dtype).tobytes())
        for name, total in summary.reduced.items():
            with _member(archive, f"d{name}") as member:
                np.lib.format.write_array(member, np.asarray(total), allow_pickle=False)


def _whole(parts: Iterable[bytes], name: str) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of an array through all blocks: text is as wide as the widest."""
    size, tail, dtypes = 0, (), set()
    for array in (_of(part, name) for part in parts):
        size += len(array)
        tail = array.shape[1:]
        dtypes.add(array.dtype)
    return (size, *tail), np.result_type(*dtypes)


def _of(part: bytes, name: str) -> Any:
    with np.load(io.BytesIO(part), allow_pickle=False) as archive:
        if name in archive.files:
            return archive[name]
        return np.zeros(len(archive["value"]), "U1")


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    return archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True)
