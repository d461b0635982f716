"""Templates: texts made of columns."""

from __future__ import annotations

import json

import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.template import Template
from tests.corpus.inputs import read, rejects, texts, write


def test_a_template_is_filled_row_by_row(tmp_path):
    rows = [{"q": {"text": "Why? "}, "a": 3}, {"q": {"text": None}, "a": None}, {"q": {"text": "x"}}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    store = read(tmp_path, path, template=r"Q: {q.text}\n{{A}}: {a}")
    assert texts(store) == ["Q: Why?\n{A}: 3", "Q: x\n{A}:"]
    assert rejects(store) == [(2, 1, "empty text")]
    assert Template.parse("{a} {b} {a}").paths == ("a", "b")
    with pytest.raises(InputError, match=r"template must be a column of .*; got 'c'"):
        read(tmp_path, path, template="{c}", out="c")


@pytest.mark.parametrize("text", ["", "no column", "{", "{a", "a}", "{}", "{a!r}", "{a:>3}", "{{a}}"])
def test_bad_templates_are_one_line(text):
    with pytest.raises(InputError, match="^template must") as caught:
        Template.parse(text)
    assert "\n" not in str(caught.value)
