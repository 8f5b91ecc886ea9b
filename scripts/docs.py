"""Write the pages of docs/ that are made from the code: settings and error codes."""

from __future__ import annotations

from pathlib import Path

from service.codes import CODES
from service.settings import described

DOCS = Path(__file__).resolve().parent.parent / "docs"


def settings() -> str:
    """The page of all settings."""
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {_cell(meaning)} |"
        for name, default, meaning in described()
    ]
    return (
        "# Settings\n\nEnvironment variables. Sizes are in bytes, times in seconds; lists and "
        "objects are JSON.\n\n| variable | default | meaning |\n|---|---|---|\n" + "\n".join(rows)
    ) + "\n"


def errors() -> str:
    """The page of all error codes."""
    rows = [f"| `{code.name}` | {code.status} | {_cell(code.meaning)} |" for code in CODES.values()]
    return (
        "# Error codes\n\nThe `code` of a problem document stays the same from version to version; "
        "its texts may change. Each is described at `/problems/CODE`, too.\n\n"
        "| code | status | meaning |\n|---|---|---|\n" + "\n".join(rows)
    ) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES = {"settings.md": settings, "errors.md": errors}

if __name__ == "__main__":
    for name, write in PAGES.items():
        (DOCS / name).write_text(write(), encoding="utf-8")
