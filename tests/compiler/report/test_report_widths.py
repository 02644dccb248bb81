"""The report from a telephone to a wide screen: nothing is cut, and all of it can be reached."""

from __future__ import annotations

import pytest
from browser import chromium
from report_graphs import measured_findings, residual_chain

from lprc.compiler.report.page import write_report

WIDTHS = (360, 800, 1300, 2560)


@pytest.fixture(scope="module")
def browser():
    yield from chromium()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    passes = "infer-shapes,fold-bn,deduplicate-initializers,hoist-slices,eliminate-identity"
    write_report(measured_findings(residual_chain(50), passes), path)
    return path.as_uri()


@pytest.fixture(params=WIDTHS)
def page(browser, address, request):
    size = {"width": request.param, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    yield browser
    assert browser.get_log("browser") == []


def test_the_page_is_no_wider_than_the_window(page):
    script = "return [document.documentElement.scrollWidth, innerWidth]"
    wide, window = page.execute_script(script)
    assert wide <= window


CUT = """
const outside = [];
for (const cell of document.querySelectorAll(".passes td, .passes th, .about, .toolbar *, .legend span")) {
  const box = cell.getBoundingClientRect();
  const section = cell.closest("section").getBoundingClientRect();
  if (box.width > 1 && (box.left < section.left || box.right > section.right)) outside.push(cell.outerHTML);
}
return outside;
"""


def test_every_column_of_the_passes_and_every_text_above_a_table_is_in_its_section(page):
    assert page.execute_script(CUT) == []


def test_every_number_of_a_pass_has_its_name_in_sight(page):
    """In the head of the table, or where that is hidden before the number itself."""
    script = """
    const head = document.querySelector(".passes thead").getBoundingClientRect().width > 1;
    const numbers = [...document.querySelectorAll(".passes .changed td.number:not(.place)")];
    return [head, numbers.filter((cell) => cell.textContent.trim()).map(
      (cell) => getComputedStyle(cell, "::before").content)];
    """
    head, titles = page.execute_script(script)
    assert len(titles) > 20
    assert head or all(title.startswith('"') for title in titles), titles


def test_a_small_graph_opens_whole_in_its_width(page):
    script = """
    return [...document.querySelectorAll(".pane svg")].map((svg) => {
      const pane = svg.getBoundingClientRect();
      const boxes = [...svg.querySelectorAll(".item")].map((item) => item.getBoundingClientRect());
      return [boxes.length, boxes.every((box) => box.left >= pane.left && box.right <= pane.right)];
    });
    """
    for count, inside in page.execute_script(script):
        assert count > 5
        assert inside


def test_what_scrolls_can_be_focused_and_has_a_name(page):
    script = """
    return [...document.querySelectorAll(".scroll")].filter(
      (box) => box.tabIndex !== 0 || box.getAttribute("role") !== "region" || !box.ariaLabel,
    ).map((box) => box.outerHTML.slice(0, 200));
    """
    assert page.execute_script(script) == []


def test_the_table_stays_a_table_for_screen_readers(page):
    """Cards are blocks, which take a table's meaning away from the accessibility tree."""
    page.execute_cdp_cmd("Accessibility.enable", {})
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [node for node in tree if node.get("name", {}).get("value") == "Passes in order"]
    assert "table" in {node["role"]["value"] for node in named}
    roles = [node.get("role", {}).get("value") for node in tree]
    assert roles.count("rowheader") >= 5
