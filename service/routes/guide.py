"""The guide at /guide: the pages of docs/, as they stand, searched without the internet."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Annotated

from fastapi import Query
from fastapi.responses import FileResponse, HTMLResponse
from markdown_it import MarkdownIt

from service.codes import Refusal
from service.http.routing import Router

router = Router(access="any key", offers=None)

DOCS = Path(__file__).resolve().parent.parent / "docs"
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}</title>
  <link rel="icon" type="image/svg+xml" href="{up}static/playground/icon.svg">
  <script src="{up}static/playground/theme.js"></script>
  <link rel="stylesheet" href="{up}static/guide.css">
</head>
<body>
  <header><a href="{up}guide">Guide</a> <a href="{up}./">Page</a> <a href="{up}docs">API</a>
    <form action="{up}guide" role="search"><input type="search" name="q" value="{query}"
      aria-label="Search the guide" placeholder="search"></form></header>
  <main>{body}</main>
</body>
</html>
"""


@lru_cache(maxsize=64)
def _rendered(name: str) -> str:
    """A page of the guide as HTML, its links to other pages as they are served."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    html: str = _MARKDOWN.render(re.sub(r"<!--.*?-->\n?", "", text, flags=re.S))
    return _anchored(html).replace('.md"', '"').replace(".md#", "#")


def _anchored(html: str) -> str:
    """Headings with an id to link to."""
    return re.sub(
        r"<h([23])>(.*?)</h\1>",
        lambda found: f'<h{found[1]} id="{_slug(found[2])}">{found[2]}</h{found[1]}>',
        html,
    )


def _slug(heading: str) -> str:
    return re.sub(r"[^\w]+", "-", re.sub(r"<[^>]+>", "", heading).lower()).strip("-")


@lru_cache(maxsize=1)
def _sections() -> list[tuple[str, str, str]]:
    """Page, heading and text of every section."""
    found = []
    for path in sorted(DOCS.glob("*.md")):
        for part in re.split(r"^(?=#{1,3} )", path.read_text(encoding="utf-8"), flags=re.M):
            heading = part.partition("\n")[0].lstrip("# ").strip()
            if heading:
                found.append((path.stem, heading, part))
    return found


def _search(query: str) -> str:
    """The sections that have all words of `query`, those first whose heading has them."""
    words = query.lower().split()
    hits = [one for one in _sections() if all(word in one[2].lower() for word in words)]
    hits.sort(key=lambda one: not all(word in one[1].lower() for word in words))
    items = [
        f'<li><a href="guide/{page}#{_slug(heading)}">{escape(heading)}</a> '
        f"<span>{escape(_around(text, words[0]))}</span></li>"
        for page, heading, text in hits[:40]
    ]
    found = f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing has all of these words.</p>"
    return f"<h1>{escape(query)}</h1>{found}"


def _around(text: str, word: str) -> str:
    place = max(0, text.lower().find(word))
    return re.sub(r"\s+", " ", text[max(0, place - 60) : place + 100])


def _page(title: str, body: str, up: str, query: str = "") -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=escape(title), body=body, up=up, query=escape(query)))


@router.get("/guide", include_in_schema=False)
async def guide(q: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """The table of contents, or what a search finds."""
    if q.strip():
        return _page(f"Search: {q}", _search(q), "", q)
    body = re.sub(r'href="(?!\.\.|http|/)', 'href="guide/', _rendered("index"))
    return _page("Guide", body.replace('href="../', 'href="'), "")


@router.get("/guide/{name}", include_in_schema=False)
async def guide_page(name: str) -> HTMLResponse:
    """One page."""
    if not re.fullmatch(r"[a-z][a-z-]*", name) or not (DOCS / f"{name}.md").is_file():
        raise Refusal("not_found", "the guide has no such page")
    return _page(name.replace("-", " ").capitalize(), _rendered(name), "../")


@router.get("/guide/pictures/{name}", include_in_schema=False)
async def guide_picture(name: str) -> FileResponse:
    """A picture of the guide."""
    path = DOCS / "pictures" / name
    if not re.fullmatch(r"[a-z-]+\.(svg|png)", name) or not path.is_file():
        raise Refusal("not_found", "the guide has no such picture")
    return FileResponse(path)
