"""The page as people use it."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Watched
from tests.explain.test_staged import execute
from tests.serving import serving

pytestmark = pytest.mark.browser

EXAMPLES = {
    "(x + y) z": ("f = −12", ["−4", "3"]),
    "Neuron": ("f = 0.731", ["−0.197", "0.393", "−0.590"]),
    "Staged": ("f = 1.55", ["2.06", "1.59"]),
    "Add, mul, max": ("f = −20", ["−8", "6", "2", "0"]),
    "Branch": ("f = 18", ["12", "9"]),
    "Matrices": ("f = ", []),
    "Two layers": ("loss = ", []),
}
NETWORK = "h = maximum(X @ W1 + b1, 0)\ns = h @ W2 + b2\nL = cross_entropy(s, y)"


def choose(watched: Watched, name: str) -> None:
    before = watched.painted()
    watched.page.click("#examples-menu summary")
    watched.page.get_by_role("button", name=name, exact=True).click()
    watched.wait_for_paint(before)


def write(watched: Watched, text: str) -> None:
    before = watched.painted()
    watched.page.fill("#text", text)
    watched.wait_for_paint(before)


def said(page: Page) -> str:
    """What stands under the formula once something is wrong."""
    page.wait_for_selector("#errors .note")
    return page.inner_text("#errors")


def entries(page: Page, name: str) -> list[str]:
    """The exact entries of a matrix's sheet."""
    cells = page.locator(f'#inputs [data-of="{name}"] .sheet input')
    return [cell.get_attribute("title") or "" for cell in cells.all()]


def shape_of(page: Page, name: str) -> str:
    return page.locator(f'#inputs [data-of="{name}"] .under input').input_value()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_two_clicks_away(watched: Watched, name: str, pictures: Path) -> None:
    page = watched.open()
    if name != "(x + y) z":
        choose(watched, name)
    result, gradients = EXAMPLES[name]
    assert page.inner_text("#result").startswith(result)
    shown = page.locator("#circuit .gradient").all_text_contents()
    for gradient in gradients:
        assert gradient in shown
    page.click("#copy-pane")
    page.wait_for_function("() => document.body.dataset.copied")
    scope = execute(page.evaluate("document.body.dataset.copied"))
    assert any(variable.startswith("d") for variable in scope)
    page.screenshot(path=pictures / f"playground-{list(EXAMPLES).index(name)}.png")


# One's own matrices


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("D = W @ X", {"W": "2×3", "X": "3×4"}),
        ("f = dot(w, x)", {"w": "2", "x": "2"}),
        ("f = sum(softmax(s)**2)", {"s": "2"}),
        ("f = v[0] * v[2]", {"v": "3"}),
        ("loss = mean((X @ w - t)**2)", {"X": "2×3", "w": "3", "t": "2"}),
        ("f = log(det(A @ A.T))", {"A": "2×3"}),
        ("h = sigmoid(W @ x + b)\nf = sum(h)", {"W": "3×2", "x": "2", "b": "3"}),
    ],
)
def test_matrices_get_fields_of_a_shape_that_fits(
    watched: Watched, text: str, shapes: dict[str, str]
) -> None:
    page = watched.open()
    page.fill("#text", "")
    write(watched, text)
    assert page.locator("#errors .note").count() == 0
    for name, shape in shapes.items():
        assert shape_of(page, name) == shape
        assert len(set(entries(page, name))) > 1, "all entries alike hide mistakes"


def test_a_network_is_typed_from_nothing_without_leaving_the_keyboard(
    watched: Watched, pictures: Path
) -> None:
    page = watched.open()
    page.focus("#text")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.wait_for_selector("#empty:visible")
    page.keyboard.type(NETWORK, delay=3)
    page.wait_for_function("() => document.querySelector('#result').innerText.startsWith('L = ')")
    assert page.locator("#errors .note").count() == 0
    assert entries(page, "y") == ["0", "1"]
    page.keyboard.press("Control+Enter")
    assert page.evaluate("document.activeElement.id") == "circuit"
    loss = float(page.locator("#result .value").get_attribute("title") or "nan")
    page.keyboard.press("Shift+N")
    page.wait_for_function(
        "loss => Number(document.querySelector('#result .value').title) < loss / 2", arg=loss
    )
    page.click("#tab-gradients")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#pane-gradients .checked')].length >= 5 &&"
        " [...document.querySelectorAll('#pane-gradients [data-input]')].filter(r =>"
        " r.dataset.input !== 'y').every(r => r.innerText.includes('agrees'))"
    )
    page.screenshot(path=pictures / "playground-network.png")


def test_a_sheet_is_edited_by_cells_keys_paste_and_shape(watched: Watched) -> None:
    page = watched.open()
    choose(watched, "Matrices")
    assert entries(page, "W") == ["1", "2", "-1", "0.5", "-2", "3"]
    before = watched.painted()
    page.get_by_label("W[0, 1]", exact=True).fill("1/2")
    watched.wait_for_paint(before)
    assert entries(page, "W")[1] == "0.5"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "W[1, 1]"
    before = watched.painted()
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.setData("text", "array([[1., 0., 0.],\\n       [0., 1., 0.]])");
            const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
            document.querySelector('[aria-label="W[0, 0]"]').dispatchEvent(event);
        }"""
    )
    watched.wait_for_paint(before)
    assert page.inner_text("#result") == "f = 7"
    before = watched.painted()
    page.get_by_label("Shape of W").fill("4x3")
    page.keyboard.press("Enter")
    watched.wait_for_paint(before)
    assert len(entries(page, "W")) == 12


# Nothing is invented


@pytest.mark.parametrize(
    ("text", "hint"),
    [("f = sin(pi*x)", "np.pi"), ("f = e**x", "np.e"), ("f = lnx * y", "log(x)")],
)
def test_names_that_may_be_meant_otherwise_are_asked_about(
    watched: Watched, text: str, hint: str
) -> None:
    page = watched.open()
    write(watched, text)
    assert hint in page.inner_text("#hints")
    for name in ("pi", "e"):
        assert page.locator(f'#inputs [data-of="{name}"]').count() == 0


def test_pi_is_written_or_made_an_input(watched: Watched) -> None:
    page = watched.open()
    write(watched, "f = sin(pi*x)")
    before = watched.painted()
    page.get_by_role("button", name="Write np.pi").click()
    watched.wait_for_paint(before)
    assert page.input_value("#text") == "f = sin(np.pi*x)"
    write(watched, "f = pi * x")
    before = watched.painted()
    page.get_by_role("button", name="Make it an input").click()
    watched.wait_for_paint(before)
    assert page.locator('#inputs [data-of="pi"]').count() == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [("torch.max(x, y)", "torch"), ("f = sin", "sin(x)"), ("f = 2x", "2 * x"), ("f = x^2", "**")],
)
def test_what_is_not_read_is_a_note_and_no_slider(watched: Watched, text: str, word: str) -> None:
    page = watched.open()
    page.fill("#text", text)
    page.locator("#text").blur()
    assert word in said(page)
    for name in ("torch", "sin"):
        assert page.locator(f'#inputs [data-of="{name}"]').count() == 0


def test_no_alert_while_a_word_is_being_typed(watched: Watched) -> None:
    page = watched.open()
    page.evaluate(
        """() => {
            window.said = 0;
            const box = document.querySelector("#errors");
            const look = () => { window.said += box.children.length; };
            new MutationObserver(look).observe(box, { childList: true });
        }"""
    )
    page.focus("#text")
    page.keyboard.press("Control+a")
    page.keyboard.type("f = tanh(x * y) + z", delay=40)
    page.wait_for_function("() => document.querySelector('#result').innerText.startsWith('f = ')")
    assert page.evaluate("window.said") == 0
    assert page.locator("[role=alert]").count() == 0


# Numbers


def test_numbers_are_short_and_exact_ones_are_at_hand(watched: Watched) -> None:
    page = watched.open()
    write(watched, "f = x / 3")
    before = watched.painted()
    page.get_by_label("x", exact=True).fill("0,5")
    watched.wait_for_paint(before)
    assert page.inner_text("#result") == "f = 0.167"
    assert page.locator("#result .value").get_attribute("title") == "0.16666666666666666"
    page.get_by_label("x", exact=True).fill("1e-12")
    page.wait_for_function("() => document.querySelector('#result').innerText === 'f = 3.3·10⁻¹³'")
    page.get_by_label("x", exact=True).blur()
    assert page.get_by_label("x", exact=True).input_value() == "1·10⁻¹²"
    page.get_by_label("x", exact=True).focus()
    assert page.get_by_label("x", exact=True).input_value() == "1e-12"


def test_small_matrices_are_matrices_and_large_ones_pictures_with_a_norm(watched: Watched) -> None:
    page = watched.open()
    choose(watched, "Matrices")
    assert page.locator('#circuit .label[data-source="W"] .cells.value rect').count() == 6
    page.locator('#circuit .label[data-source="W"]').first.click()
    assert page.locator("#pane-wire .matrix").count() == 2
    before = watched.painted()
    page.get_by_label("Shape of X").fill("3×40")
    page.keyboard.press("Enter")
    watched.wait_for_paint(before)
    written = page.locator('#circuit .label[data-source="X"]').first.text_content()
    assert "‖" in (written or "")
    page.locator('#circuit .label[data-source="X"]').first.click()
    assert page.locator("#pane-wire .heat").count() == 2


def test_what_is_not_finite_is_said_where_one_looks(watched: Watched) -> None:
    page = watched.open()
    write(watched, "f = log(x) * y")
    before = watched.painted()
    page.get_by_label("x", exact=True).fill("0")
    watched.wait_for_paint(before)
    page.wait_for_selector("#finite:visible")
    assert "log" in page.inner_text("#finite")
    assert page.locator("#circuit .node.notfinite").count() == 1
    assert page.locator("#result .value").count() == 0


# Nothing is lost


def test_undo_goes_back_over_examples_text_and_values(watched: Watched) -> None:
    page = watched.open()
    write(watched, "g = x * x * y")
    before = watched.painted()
    page.get_by_label("x", exact=True).fill("7")
    watched.wait_for_paint(before)
    choose(watched, "Neuron")
    before = watched.painted()
    page.click("#undo")
    watched.wait_for_paint(before)
    assert page.input_value("#text") == "g = x * x * y"
    assert page.get_by_label("x", exact=True).get_attribute("title") == "7"
    before = watched.painted()
    page.click("#redo")
    watched.wait_for_paint(before)
    assert "exp" in page.input_value("#text")


def test_tour_and_quiz_give_the_work_back(watched: Watched) -> None:
    page = watched.open()
    write(watched, "mine = x * y * 3")
    for mode in ("Tour", "Quiz"):
        before = watched.painted()
        page.get_by_role("link", name=mode, exact=True).click()
        watched.wait_for_paint(before)
        assert page.input_value("#text") != "mine = x * y * 3"
    before = watched.painted()
    page.get_by_role("link", name="Explore", exact=True).click()
    watched.wait_for_paint(before)
    assert page.input_value("#text") == "mine = x * y * 3"


def test_the_last_work_is_offered_and_the_theme_is_kept(watched: Watched) -> None:
    page = watched.open()
    write(watched, "kept = x + 41")
    page.click("#theme")
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.wait_for_function("() => localStorage.getItem('work')")
    page.wait_for_timeout(400)
    page.goto("about:blank")
    page.goto(f"{watched.base}/")
    page.wait_for_selector("#circuit svg")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    before = watched.painted()
    page.get_by_role("button", name="Go on with your last formula").click()
    watched.wait_for_paint(before)
    assert page.input_value("#text") == "kept = x + 41"


def test_nodes_stay_nodes(watched: Watched) -> None:
    page = watched.open()
    graph = json.dumps(
        {"nodes": [{"id": "a", "op": "input"}, {"id": "b", "op": "exp", "inputs": ["a"]}]}
    )
    write(watched, graph)
    choose(watched, "Branch")
    before = watched.painted()
    page.click("#undo")
    watched.wait_for_paint(before)
    assert page.input_value("#text") == graph


def test_new_inputs_get_a_value_and_old_ones_come_back(watched: Watched) -> None:
    page = watched.open()
    write(watched, "f = x * k")
    assert page.inner_text("#result") == "f = −2"
    write(watched, "f = x * k * z")
    assert page.inner_text("#result") == "f = 8"


# The circuit


def test_a_changed_value_changes_the_picture(watched: Watched) -> None:
    page = watched.open()
    slider = page.get_by_role("slider", name="x, slider")
    for value in ("1", "2.5", "-3", "0.5"):
        before = watched.painted()
        slider.evaluate(
            "(slider, value) => { slider.value = value;"
            " slider.dispatchEvent(new Event('input', { bubbles: true })); }",
            value,
        )
        watched.wait_for_paint(before)
    # x = 0.5, y = 5, z = −4
    page.wait_for_function("() => document.querySelector('#result').innerText === 'f = −22'")
    assert "5.5" in page.locator("#circuit .value").all_text_contents()


def test_a_leaf_can_be_dragged_in_the_drawing(watched: Watched) -> None:
    page = watched.open()
    box = page.locator('#circuit [data-node="z"]').bounding_box()
    assert box is not None
    before = watched.painted()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 105, box["y"] + 5, steps=8)
    watched.wait_for_paint(before)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('#result').innerText === 'f = −6'")


def chain(count: int) -> str:
    lines = [f"h{i} = tanh(h{i - 1} * w + {i % 3})" for i in range(1, count)]
    return "\n".join(["h0 = x * w", *lines])


def test_a_large_graph_is_zoomed_panned_and_surveyed(watched: Watched, pictures: Path) -> None:
    page = watched.open()
    write(watched, chain(67))
    page.wait_for_selector("#overview:visible")
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('#circuit text')].map(t =>"
        " t.getCTM().a * parseFloat(t.getAttribute('font-size'))))"
    )
    assert smallest >= 11
    width = "document.querySelector('#circuit svg').getBoundingClientRect().width"
    before = page.evaluate(width)
    page.click("#larger")
    assert page.evaluate(width) > before
    box = page.locator("#overview").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 150, box["y"] + 45)
    assert page.evaluate("document.querySelector('#circuit').scrollLeft") > 100
    page.screenshot(path=pictures / "playground-large.png")
    page.click("#fit")
    assert page.evaluate(width) <= before + 1


def test_wires_are_as_thick_as_their_gradient(watched: Watched) -> None:
    page = watched.open()
    choose(watched, "Add, mul, max")
    page.select_option("#wires", "gradient")
    thickness = {
        name: page.evaluate(
            "name => parseFloat(getComputedStyle(document.querySelector("
            '`#circuit path.line[data-source="${name}"]`)).strokeWidth)',
            name,
        )
        for name in "xyzw"
    }
    assert thickness["x"] > thickness["y"] > thickness["z"] > thickness["w"]


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_a_gate_shows_its_local_gradients(watched: Watched, how: str) -> None:
    page = watched.open()
    if how == "hover":
        page.locator('#circuit [data-node="f"]').hover()
    else:
        page.locator("#circuit").focus()
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.node") == "f":
                break
    card = page.inner_text("#card")
    assert "switcher" in card
    assert "local gradient" in card
    assert "−4" in card
    page.keyboard.press("Escape")
    assert page.is_hidden("#card")


# Steps


def test_stepping_goes_wire_by_wire_through_both_passes(watched: Watched) -> None:
    page = watched.open()
    choose(watched, "Add, mul, max")
    page.click("#first")
    hidden = page.locator("#circuit .gradient.pending").count()
    assert hidden == page.locator("#circuit .label .gradient").count() == 8
    assert page.locator("#inputs .of span").count() == 0, "the values give the answers away"
    sentences = []
    for _ in range(int(page.get_attribute("#position", "max") or 0)):
        page.click("#next")
        sentences.append(page.inner_text("#sentence"))
    assert page.locator("#circuit .pending").count() == 0
    told = "\n".join(sentences)
    assert "max routed the gradient 2 to z, which was larger; w got 0." in told
    assert "x: −4 × 2 = −8" in told
    assert "_1" not in told, "steps have numbers for names"
    assert page.is_disabled("#next")
    assert page.locator("#inputs .of span").count() == 4


def test_steps_follow_the_keyboard_and_mark_gate_wire_and_code(watched: Watched) -> None:
    page = watched.open()
    page.locator("#circuit").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.locator('#circuit [data-node="q"].now').count() == 1
    assert page.locator("#code .now").all_inner_texts()[0].startswith("q = x + y")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator('#circuit path.now[data-source="x"]').count() > 0
    assert page.locator('#circuit path.now:not([data-source="x"])').count() == 0
    assert page.locator("#code .now").all_inner_texts()[0].startswith("dx = ")
    shown = page.locator("#code [data-line^='dy ='] b")
    assert shown.is_hidden(), "the number of a later step"


def test_a_branch_adds_up_step_by_step(watched: Watched) -> None:
    page = watched.open()
    choose(watched, "Branch")
    told = []
    page.click("#first")
    for _ in range(int(page.get_attribute("#position", "max") or 0)):
        page.click("#next")
        told.append(page.inner_text("#sentence"))
    assert any("x is used more than once, so its gradients add up: 6 + 6" in t for t in told)


# Quiz and tour


def quiz(watched: Watched, text: str, inputs: dict[str, object]) -> Page:
    """The quiz with a question of the test's own."""
    page = watched.open()
    page.add_init_script("Math.random = () => 0")
    page.goto("about:blank")
    page.goto(f"{watched.base}/#quiz")
    page.wait_for_selector("#fields input")
    write(watched, text)
    for name, value in inputs.items():
        before = watched.painted()
        page.get_by_label(name, exact=True).fill(str(value))
        watched.wait_for_paint(before)
    return page


def test_the_quiz_marks_the_wrong_wire_and_names_the_idea(watched: Watched, pictures: Path) -> None:
    page = quiz(watched, "q = x + y\nf = q * z", {"x": -2, "y": 5, "z": -4})
    assert page.locator("#circuit .gradient:visible").count() == 1
    assert page.is_hidden("#stepper")
    for name, value in {"q": "-4", "x": "-8/2", "y": "−4,0", "z": "-4"}.items():
        page.fill(f"#answer-{name}", value)
    page.click("#check")
    page.wait_for_function("() => document.querySelector('#verdict').textContent !== ''")
    assert "3 right, 1 wrong" in page.inner_text("#verdict")
    assert page.locator('#circuit path.line.wrong[data-source="z"]').count() > 0
    assert page.locator("#fields .mark.right").count() == 3
    assert "switches its inputs" in page.inner_text("#verdict")
    page.screenshot(path=pictures / "playground-quiz.png")
    page.fill("#answer-z", "3")
    page.click("#check")
    page.wait_for_function(
        "() => document.querySelector('#verdict').textContent.includes('4 right, 0 wrong')"
    )


def test_no_green_tick_beside_nothing_earned(watched: Watched) -> None:
    page = quiz(watched, "q = x + y\nf = q * z", {"x": -2, "y": 5, "z": -4})
    for name, value in {"q": "2", "x": "2", "y": "2"}.items():
        page.fill(f"#answer-{name}", value)
    page.click("#check")
    page.wait_for_function("() => document.querySelector('#verdict').textContent !== ''")
    told = page.inner_text("#verdict")
    assert "0 right, 1 wrong" in told
    assert "1 open" in told
    assert page.locator("#fields .mark.right").count() == 0


def test_the_quiz_does_not_show_the_gradients_anywhere(watched: Watched) -> None:
    page = quiz(watched, "s = sigmoid(y)\nf = (x + s) * s", {"x": 3, "y": -4})
    # df/dx = σ(−4) = 0.0180
    shown = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.checkVisibility({"
        "visibilityProperty: true}) && !e.children.length).map(e => e.textContent).join(' ')"
    )
    assert "0.0532" not in shown
    page.click("#reveal")
    assert float(page.input_value("#answer-x")) == pytest.approx(0.01798620996209156)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_level_has_random_questions(watched: Watched, level: int) -> None:
    page = watched.open("#quiz")
    seen = set()
    for _ in range(6):
        before = watched.painted()
        page.click(f'[data-level="{level}"]')
        watched.wait_for_paint(before)
        assert page.locator("#fields input:visible").count() > 0
        seen.add(page.input_value("#text"))
    assert len(seen) > 1


def test_the_tour_asks_and_answers_eight_times(watched: Watched, pictures: Path) -> None:
    page = watched.open("#tour/1")
    for stop in range(1, 9):
        before = watched.painted()
        if stop > 1:
            page.click(f'#tour a[href$="/{stop}"]')
            watched.wait_for_paint(before)
        assert page.locator("#tour .insight").count() == 0
        if stop == 5:
            page.get_by_role("button", name="Fold").click()
        elif stop == 6:
            page.click("#back")
        elif stop == 7:
            page.get_by_role("button", name="dD @ X", exact=True).click()
            assert page.locator("#tour .insight").count() == 0
            page.get_by_role("button", name="dD @ X.T", exact=True).click()
        elif stop == 8:
            for _ in range(4):
                if page.locator("#tour .insight").count():
                    break
                before = watched.painted()
                page.click("#nudge-often")
                watched.wait_for_paint(before)
        else:
            assert "?" in page.locator("#circuit text.gradient").all_text_contents()
            name = "w" if stop == 4 else "x"
            page.get_by_role("slider", name=f"{name}, slider").press("ArrowRight")
        page.wait_for_selector("#tour .insight")
        assert "?" not in page.locator("#circuit text.gradient").all_text_contents()
    page.screenshot(path=pictures / "playground-tour.png")


# Errors


def test_a_syntax_error_is_shown_at_its_column(watched: Watched, pictures: Path) -> None:
    page = watched.open()
    page.fill("#text", "q = x + y\nf = q * max(z, ")
    assert "Line 2, column 12" in said(page)
    line, caret = page.inner_text("#errors pre").split("\n")[:2]
    assert line.startswith("f = q * max(z,")
    assert caret.index("^") == 11
    assert page.get_attribute("#text", "aria-invalid") == "true"
    assert "last readable formula" in page.inner_text("#result")
    page.screenshot(path=pictures / "playground-error.png")
    page.fill("#text", "q = x + y\nf = q * z")
    page.wait_for_selector("#errors .note", state="detached")


def test_a_misspelt_operator_is_shown_with_a_suggestion(watched: Watched) -> None:
    page = watched.open()
    page.fill("#text", "f = sigmod(x)")
    assert "sigmoid" in said(page)


def test_an_error_in_json_is_shown_at_its_node(watched: Watched) -> None:
    page = watched.open()
    graph: dict[str, list[dict[str, object]]] = {
        "nodes": [
            {"id": "a", "op": "input", "value": [1, 2, 3]},
            {"id": "b", "op": "input", "value": [1, 2]},
            {"id": "s", "op": "add", "inputs": ["a", "b"]},
        ]
    }
    page.fill("#text", json.dumps(graph, indent=1))
    page.wait_for_selector("#errors .note pre")
    assert "do not broadcast" in said(page)
    assert '"id": "s"' in said(page)
    graph["nodes"][1]["value"] = [4, 5, 6]
    write(watched, json.dumps(graph, indent=1))
    assert "sum(s)" in page.inner_text("#result")


def test_broken_json_is_shown_at_its_line(watched: Watched) -> None:
    page = watched.open()
    page.fill("#text", '{\n "nodes": [,]\n}')
    assert "Line 2, column 12" in said(page)


# Catalogue, formula, copies


def test_the_catalogue_is_searched_and_inserts(watched: Watched) -> None:
    page = watched.open()
    page.focus("#text")
    page.keyboard.press("Control+a")
    page.keyboard.type("f = ")
    page.keyboard.press("Control+k")
    page.keyboard.type("np.maximum")
    page.wait_for_function("() => document.querySelector('#found li b')?.textContent === 'maximum'")
    page.wait_for_selector("#about svg")
    page.keyboard.press("Enter")
    assert page.input_value("#text").startswith("f = maximum(")
    assert page.evaluate(
        "getSelection().toString() || document.querySelector('#text').value.slice("
        "document.querySelector('#text').selectionStart,"
        "document.querySelector('#text').selectionEnd)"
    )


def test_the_formula_is_mathematics(watched: Watched) -> None:
    page = watched.open()
    choose(watched, "Staged")
    page.click("#tab-formula")
    page.wait_for_selector("#pane-formula math")
    assert page.locator("#pane-formula mfrac").count() > 1


def test_a_graph_is_shared_by_its_address(watched: Watched) -> None:
    page = watched.open()
    page.fill("#text", "é = a * b\nf = tanh(é)")
    page.wait_for_function("() => document.querySelector('#circuit [data-node=\"é\"]')")
    page.get_by_text("Share", exact=True).click()
    page.click('[data-copy="url"]')
    page.wait_for_function("() => document.body.dataset.copied")
    address = urlparse(str(page.evaluate("document.body.dataset.copied")))
    other = page.context.new_page()
    other.goto(address.geturl())
    other.wait_for_selector("#circuit svg")
    assert other.input_value("#text") == "é = a * b\nf = tanh(é)"
    other.goto(f"{watched.base}/#g=broken%%%")
    other.reload()
    other.wait_for_selector("#circuit svg")


def test_requests_are_copied_for_other_tools(watched: Watched) -> None:
    page = watched.open()
    copied: dict[str, str] = {}
    for kind in ("curl", "python", "client", "javascript", "r", "julia", "json"):
        page.get_by_text("Share", exact=True).click()
        page.click(f'[data-copy="{kind}"]')
        page.wait_for_function(
            "before => (document.body.dataset.copied ?? '') !== before",
            arg=copied.get("last", ""),
        )
        copied[kind] = copied["last"] = page.evaluate("document.body.dataset.copied")
    assert json.loads(copied["json"])["inputs"] == {"x": -2, "y": 5, "z": -4}
    assert copied["curl"].startswith(f"curl -s {watched.base}/v1/gradient")
    compile(copied["python"], "copied", "exec")
    scope: dict[str, object] = {}
    exec(copied["client"], scope)
    assert dict(scope["answer"].gradients) == {"x": -4.0, "y": -4.0, "z": 3.0}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_picture_is_saved(watched: Watched, kind: str) -> None:
    page = watched.open()
    page.get_by_text("Save", exact=True).click()
    with page.expect_download() as saved:
        page.click(f"#save-{kind}")
    content = Path(saved.value.path()).read_bytes()
    assert content.startswith(b"<svg" if kind == "svg" else b"\x89PNG")


# Everybody


@pytest.mark.parametrize("mode", ["", "#tour/1", "#quiz"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_keeps_anybody_out(watched: Watched, mode: str, scheme: str) -> None:
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page = watched.open(mode)
    page.wait_for_timeout(300)
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in serious] == []


def test_the_page_can_be_used_on_a_phone(watched: Watched, pictures: Path) -> None:
    watched.page.set_viewport_size({"width": 390, "height": 760})
    page = watched.open()
    write(watched, "f = 1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for part in ("#circuit svg", '#inputs [data-of="w0"]', "#stepper"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] + min(box["height"], 40) <= 760, part
    sizes = page.evaluate(
        "[...document.querySelectorAll('button, input[type=range]')].filter(b => b.offsetParent)"
        ".map(b => [b.id || b.textContent, b.getBoundingClientRect().height])"
    )
    assert [one for one in sizes if one[1] < 24] == []
    page.click("#tab-code")
    assert page.is_visible("#circuit svg")
    page.screenshot(path=pictures / "playground-phone.png")


def test_dark_mode_by_preference_and_by_button(watched: Watched, pictures: Path) -> None:
    watched.page.emulate_media(color_scheme="dark")
    page = watched.open()
    colour = "getComputedStyle(document.querySelector('#circuit .value')).fill"
    dark = page.evaluate(colour)
    page.screenshot(path=pictures / "playground-dark.png")
    page.click("#theme")
    assert page.evaluate(colour) != dark


def test_names_that_look_like_markup_stay_text(watched: Watched) -> None:
    page = watched.open()
    evil = '<img src=x onerror="alert(1)">'
    graph = {"nodes": [{"id": evil, "op": "input"}, {"id": "f", "op": "exp", "inputs": [evil]}]}
    write(watched, json.dumps(graph))
    assert page.locator("img").count() == 0


def test_the_first_paint_is_light(watched: Watched) -> None:
    loaded: list[str] = []
    watched.page.on("response", lambda answer: loaded.append(answer.url))
    watched.open()
    assert not any("swagger" in url or "temml" in url for url in loaded)
    scripts = [url for url in loaded if url.endswith((".js", ".css", ".html"))]
    sizes = watched.page.evaluate(
        "performance.getEntriesByType('resource').filter(e => /\\.(js|css)$/.test(e.name))"
        ".reduce((sum, e) => sum + e.decodedBodySize, 0)"
    )
    assert scripts
    assert sizes < 150_000


def test_the_guide_is_searched_in_a_browser(watched: Watched) -> None:
    page = watched.page
    page.goto(f"{watched.base}/guide/bulk")
    page.fill("input[type=search]", "traceparent")
    page.keyboard.press("Enter")
    page.wait_for_url("**/guide?q=traceparent")
    page.get_by_role("link", name="Traces").click()
    page.wait_for_url("**/guide/operations#traces")


def test_the_page_is_shown_in_a_frame_where_that_is_allowed(
    browser: Browser, tmp_path: Path
) -> None:
    course = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)
    )
    threading.Thread(target=course.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{course.server_port}"
    try:
        for allowed in ([origin], []):
            with serving(tmp_path, frame_ancestors=json.dumps(allowed)) as server:
                frame = f'<iframe src="{server.url}/?embed" width="900" height="600"></iframe>'
                (tmp_path / "course.html").write_text(frame)
                context = browser.new_context()
                page = context.new_page()
                page.goto(f"{origin}/course.html")
                inside = page.frame_locator("iframe")
                if allowed:
                    inside.locator("#circuit svg").wait_for()
                    assert inside.locator("header").is_hidden()
                else:
                    page.wait_for_timeout(1000)
                    assert inside.locator("#circuit").count() == 0
                context.close()
    finally:
        course.shutdown()
        course.server_close()
