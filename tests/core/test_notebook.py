"""Tables for notebooks: escaped, aligned, and not endless."""

from __future__ import annotations

from lprc.core.notebook import html_table


def test_texts_are_escaped_everywhere():
    html = html_table("<b>", ("<i>", ">n"), [("<u>", "1")], note="<s>")
    assert not {"<b>", "<i>", "<u>", "<s>"} & {html[at : at + 3] for at in range(len(html))}
    assert html.count("&lt;") == 4


def test_numbers_stand_at_the_right_and_titles_have_a_scope():
    html = html_table("", ("name", ">ms"), [("a", "1.0")])
    assert "<th scope=\"col\" style='text-align:right'>ms</th>" in html
    assert "<td style='text-align:right'>1.0</td>" in html


def test_without_columns_a_row_begins_with_its_title():
    html = html_table("", (), [("runtime", "ort")])
    assert "<th scope=\"row\" style='text-align:left'>runtime</th>" in html
    assert "<thead>" not in html


def test_of_many_rows_the_first_are_shown():
    html = html_table("", ("n",), [(str(number),) for number in range(60)])
    assert html.count("<tr>") == 51
    assert "<p>10 more</p>" in html
