"""Tasks that lie in a folder as JSON files, read only."""

from __future__ import annotations

from pathlib import Path

from service.store.model import StoreUnavailable, is_name


class TaskFolder:
    """The task ID is the file `ID.json`. Files are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, task_id: str) -> str | None:
        """The text of the task's file; None if there is none. Raises StoreUnavailable."""
        if not is_name(task_id):
            return None
        try:
            return (self._path / f"{task_id}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreUnavailable("the folder of tasks can't be read now") from error

    def __contains__(self, task_id: str) -> bool:
        return is_name(task_id) and (self._path / f"{task_id}.json").is_file()

    def ids(self) -> list[str]:
        """The ids of all tasks of the folder, sorted."""
        try:
            return sorted(path.stem for path in self._path.glob("*.json") if is_name(path.stem))
        except OSError as error:
            raise StoreUnavailable("the folder of tasks can't be read now") from error
