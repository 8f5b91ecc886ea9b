"""The drawings as a browser draws them: measured by its own text boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.diagrams.build import circuit_of
from service.diagrams.svg import draw
from tests.browser.conftest import Watched
from tests.diagrams import circuits

pytestmark = pytest.mark.browser

MEASURE = """() => {
    const page = document.documentElement.getBoundingClientRect();
    const texts = [...document.querySelectorAll("text")].map((t) => {
        const b = t.getBoundingClientRect();
        const gate = t.parentNode.matches(".gate, .group") && t.previousElementSibling
            && t.previousElementSibling.matches("circle, rect");
        // A text's box has room for accents and descenders: digits fill its middle.
        const trim = b.height * 0.2;
        return { words: t.textContent, gate: Boolean(gate), l: b.left, r: b.right,
                 t: b.top + trim, b: b.bottom - trim };
    });
    const faults = [];
    for (const one of texts)
        if (one.l < page.left || one.r > page.right || one.t < page.top || one.b > page.bottom)
            faults.push(`${one.words} is cut off`);
    const meets = (a, b) => a.l < b.r && b.l < a.r && a.t < b.b && b.t < a.b;
    texts.sort((a, b) => a.l - b.l);
    texts.forEach((one, i) => {
        for (let j = i + 1; j < texts.length && texts[j].l < one.r; j += 1)
            if (meets(one, texts[j])) faults.push(`${one.words} overlaps ${texts[j].words}`);
    });
    const labels = texts.filter((one) => !one.gate);
    for (const path of document.querySelectorAll("path.line")) {
        const length = path.getTotalLength();
        const box = path.getBoundingClientRect();
        const near = labels.filter((one) => one.l < box.right && box.left < one.r
            && one.t < box.bottom + 1 && box.top - 1 < one.b);
        if (!near.length) continue;
        for (let at = 0; at <= length; at += 2) {
            const p = path.getPointAtLength(at);
            for (const one of near)
                if (one.l < p.x && p.x < one.r && one.t < p.y && p.y < one.b)
                    faults.push(`a wire crosses ${one.words}`);
        }
    }
    return { faults, texts: texts.length };
}"""


@pytest.mark.parametrize("name", circuits.NAMED)
def test_nothing_overlaps_and_nothing_is_cut_off(
    watched: Watched, name: str, tmp_path: Path, pictures: Path
) -> None:
    svg = draw(circuit_of(circuits.NAMED[name](), {}))
    file = tmp_path / f"{name}.svg"
    file.write_text(svg, encoding="utf-8")
    watched.base = "file://"
    watched.page.goto(f"file://{file}")
    found = watched.page.evaluate(MEASURE)
    assert found["texts"] > 8
    assert found["faults"] == []
    size = watched.page.evaluate(
        "[document.documentElement.width, document.documentElement.height]"
        ".map((one) => Math.ceil(one.baseVal.value))"
    )
    watched.page.set_viewport_size({"width": size[0], "height": size[1]})
    watched.page.screenshot(path=pictures / f"circuit-{name}.png")


def test_a_drawing_works_as_a_data_url(watched: Watched, tmp_path: Path) -> None:
    import base64

    svg = draw(circuit_of(circuits.product(), {}))
    encoded = base64.b64encode(svg.encode()).decode()
    file = tmp_path / "page.html"
    file.write_text(f'<img src="data:image/svg+xml;base64,{encoded}">', encoding="utf-8")
    watched.base = "file://"
    watched.page.goto(f"file://{file}")
    assert watched.page.evaluate("document.images[0].naturalWidth") > 200
