"""From cells to tables and figures, against numbers computed by hand."""

import dataclasses
import xml.etree.ElementTree as ET

import pytest

from ray_subsel.experiments.grid import Cell, Result, cell_from, result_from
from ray_subsel.experiments.page import figures_of, render_page
from ray_subsel.experiments.paper_figures import paper_figures
from ray_subsel.experiments.samples import Redundancy
from ray_subsel.experiments.statistics import estimate
from ray_subsel.experiments.summary import summarize
from ray_subsel.experiments.tables import as_text, interval, markdown


def result(method, accuracy, *, seed=0, size=0.1, via="probe", redundancy=None, copies=2):
    cell = Cell(via, method, size, seed, redundancy or Redundancy("exact", 0.5))
    return Result(cell, accuracy, 100, 50, 10, 10, copies, 0, 100, 0.5, 2.0, None)


FOUR = [
    result("graph-cut", 0.70), result("graph-cut", 0.74, seed=1), result("random-distinct", 0.69),
    result("random-distinct", 0.71, seed=1), result("full", 0.8, size=1.0),
]  # fmt: skip


def test_means_and_paired_differences():
    (condition,) = summarize(FOUR, {})["conditions"]
    by_name = {method["name"]: method for method in condition["methods"]}
    assert list(by_name) == ["full", "random-distinct", "graph-cut"]
    one = by_name["graph-cut"]["sizes"][0]
    assert one["accuracy"]["mean"] == pytest.approx(0.72)
    # the difference is 0.01 and 0.03: mean 0.02, s = 0.01414, t(0.975, 1) = 12.7062, half = 12.7062 * 0.01
    assert one["against"]["random-distinct"]["mean"] == pytest.approx(0.02)
    assert one["against"]["random-distinct"]["half"] == pytest.approx(0.127062, rel=1e-4)
    assert one["against"]["random-distinct"]["decided"] is False
    assert one["origins"]["mean"] == pytest.approx(0.8)
    assert by_name["random-distinct"]["sizes"][0]["against"] == {}


def test_tables_show_them():
    text = as_text(summarize(FOUR, {}))
    assert "| graph cut, exact copies collapsed" in text
    assert "0.720 ± 0.254" in text  # t(0.975, 1) * 0.02
    assert "+2.0 ± 12.7" in text
    assert "0.50 + 2.00" in text
    header, _, everything = text.splitlines()[4:7]
    assert header.split("|")[-2].strip() == "all rows"
    assert [cell.strip() for cell in everything.split("|")] == ["", "everything", "1", "", "0.800", ""]
    assert "paper" not in text.lower().replace("(paper)", "")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines[:5]}) == 1


STORIES = {"encoder": "minilm", **{via: {"task": "story-cloze"} for via in ("finetune", "probe")}}


def rows_of(text, title):
    """The cells of the table under a title, a row each, the header first."""
    table = text.split(f"### {title}\n\n")[1].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in table]
    return [rows[0], *rows[2:]]


def test_the_papers_tables_have_its_form_and_its_figures_beside_ours():
    cells = [
        dataclasses.replace(result(name, accuracy, via="finetune", size=size), seconds_embed=embed)
        for name, accuracy, size, embed in (
            ("graph-cut-keep", 0.75, 0.05, 20.0), ("graph-cut-keep", 0.76, 0.1, 20.0),
            ("graph-cut-doc2vec", 0.71, 0.1, 6.0), ("random", 0.7, 0.8, None), ("full", 0.8, 1.0, None),
        )
    ]  # fmt: skip
    text = as_text(summarize(cells, STORIES))
    assert text.index("Tables 1 to 4 of the paper, by fine-tuning\n") < text.index("## Fine-tuning: exact copies")
    assert "Ours, with minilm in BERT's place" in text
    full = rows_of(text, "Table 1. Training on everything")
    assert full == [["", "accuracy", "time to train"], ["everything", "80.00 % (76.86 %)", "2.0 s (946.2 s)"]]
    head, *accuracy = rows_of(text, "Table 2. Accuracy")
    assert head == ["subset", "graph cut on BERT", "graph cut on Doc2Vec", "random"]
    assert [row[0] for row in accuracy] == ["5 %", "10 %", "25 %", "40 %", "60 %", "80 %"]
    assert accuracy[0][1:] == ["75.00 % (72.10 %)", "– (58.36 %)", "– (68.89 %)"]
    assert accuracy[1][1:] == ["76.00 % (80.49 %)", "71.00 % (63.12 %)", "– (77.66 %)"]
    assert accuracy[5][1:] == ["– (84.07 %)", "– (85.46 %)", "70.00 % (82.42 %)"]
    train = rows_of(text, "Table 3. Time to train")[1:]
    assert train[0][1:] == ["2.0 s (185.2 s)", "–", "–"]
    assert train[5][1:] == ["– (575.9 s)", "–", "2.0 s"]
    head, *before = rows_of(text, "Table 4. Seconds to embed, to compute similarities and to select")
    assert head == ["subset", "BERT: embed", "similarities", "select", "Doc2Vec: embed", "similarities", "select"]
    assert before[1][1:] == ["20.0 (25.2)", "none (0.063)", "0.500 (0.078)", "6.0 (46.8)", "none (0.035)", "0.500"]
    assert before[0][4:] == ["– (46.8)", "– (0.035)", "–"]
    assert "No similarity matrix is made here" in text
    paper = paper_figures()
    assert all(
        len(v) in (1, 6) for what in ("accuracy", "seconds_train", "seconds_select") for v in paper[what].values()
    )


def test_the_papers_tables_are_of_the_probe_only_where_nothing_of_theirs_was_fine_tuned():
    probed = result("random", 0.6)
    tuned = result("random", 0.7, via="finetune")
    assert "Tables 1 to 4 of the paper, by the probe" in as_text(summarize([probed], STORIES))
    both = as_text(summarize([probed, tuned], STORIES))
    assert both.count("Tables 1 to 4") - both.count("Source: Tables 1 to 4") == 1
    assert "70.00 % (77.66 %)" in both
    assert "60.00 % (77.66 %)" not in both


@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        (result("random", 0.7, via="finetune", redundancy=Redundancy("near", 0.5)), STORIES),
        (result("random", 0.7, via="finetune", redundancy=Redundancy("exact", 0.25)), STORIES),
        (result("random", 0.7, via="finetune"), {"finetune": {"task": "classification"}}),
    ],
)
def test_the_papers_figures_stand_beside_no_other_condition(cell, settings):
    summary = summarize([cell, dataclasses.replace(cell, cell=dataclasses.replace(cell.cell, size=0.25))], settings)
    assert "of the paper" not in as_text(summary)
    assert "paper:" not in "".join(figures_of(summary).values())


def test_heat_maps_take_rows_without_copies_into_every_kind():
    cells = [
        result(f"graph-cut-keep@{lam}", 0.5 + density, redundancy=Redundancy(kind, density), copies=int(10 * density))
        for kind, density in (("none", 0.0), ("exact", 0.4), ("near", 0.4))
        for lam in ("10", "auto", "0.1")
    ]
    maps = summarize(cells, {})["heat_maps"]
    assert [(one["kind"], one["lams"], one["densities"]) for one in maps] == [
        ("exact", ["0.1", "10", "auto"], [0.0, 0.4]),
        ("near", ["0.1", "10", "auto"], [0.0, 0.4]),
    ]
    assert maps[0]["accuracy"] == [[0.5] * 3, [0.9] * 3]
    assert maps[0]["copies"][1] == pytest.approx([0.4] * 3)


def chosen_by(chooser, accuracy, seed, copies):
    one = result("k-center", accuracy, seed=seed, copies=copies)
    return dataclasses.replace(one, cell=dataclasses.replace(one.cell, chooser=chooser))


def test_maps_of_choosers_show_lead_and_origins_beside_accuracy():
    cells = [result("random-distinct", 0.60 + 0.02 * seed, seed=seed) for seed in (0, 1)]
    cells += [chosen_by("encoder", 0.64 + 0.02 * seed, seed, 1) for seed in (0, 1)]
    cells += [chosen_by("other@0123", 0.58 + 0.04 * seed, seed, 4) for seed in (0, 1)]
    summary = summarize([*cells, result("full", 0.9, size=1.0)], {"encoder": "minilm"})
    assert len(summary["conditions"]) == 1
    (found,) = summary["encoder_maps"]
    assert (found["choosers"], found["labels"], found["seeds"]) == (["minilm", "other"], ["k-center"], 2)
    assert [row[0]["mean"] for row in found["accuracy"]] == pytest.approx([0.65, 0.60])
    assert [row[0]["mean"] for row in found["lead"]] == pytest.approx([0.04, -0.01])
    (own, other) = [one for one in summary["conditions"][0]["methods"] if one["name"] == "k-center"]
    assert "the own encoder" not in own["sizes"][0]["against"]
    assert other["sizes"][0]["against"]["the own encoder"]["mean"] == pytest.approx(-0.05)
    assert [row[0]["mean"] for row in found["origins"]] == pytest.approx([0.9, 0.6])
    text = as_text(summary)
    assert "Who chooses: logistic regression on minilm features, exact copies" in text
    assert "k-center, by other" in text
    assert "0.650 ± 0.127 (+4.0 ± 0.0 *) / 0.90" in text
    figures = figures_of(summary)
    drawn = [text.text for text in ET.fromstring(figures["choosers-01-probe-exact"]).iter() if text.text]
    assert {"minilm", "other", "0.650", "+4.0 ± 0.0 *"} <= set(drawn)
    assert "choosers-origins-01-probe-exact" in figures
    assert summarize(cells[:4], {})["encoder_maps"] == []


def test_agreement_of_probe_and_fine_tuning():
    pairs = [("random", 0.60, 0.61), ("graph-cut", 0.65, 0.68), ("k-center", 0.63, 0.62)]
    cells = [result(m, p) for m, p, _ in pairs] + [result(m, f, via="finetune") for m, _, f in pairs]
    found = summarize([*cells, result("full", 0.9)], {})["agreement"]
    assert found["cells"] == 3
    # fine-tuning has k-center between the others as the probe has it
    assert found["rank_correlation"] == pytest.approx(1.0)
    assert found["order_of_methods"] == {"groups": 1, "rank_correlation": pytest.approx(1.0)}
    assert found["difference"]["mean"] == pytest.approx(0.01)  # of 0.01, 0.03, -0.01
    assert found["difference"]["deviation"] == pytest.approx(0.02)
    text = as_text(summarize(cells, {}))
    assert "3 cells have both; Spearman's rank correlation over all of them 1.00" in text
    assert "fine-tuning minus probe +1.0 points on average, standard deviation 2.0." in text


def test_agreement_asks_for_the_order_at_one_size_not_only_over_sizes():
    probe = {("random", 0.1): 0.60, ("graph-cut", 0.1): 0.61, ("k-center", 0.1): 0.62}
    probe |= {(method, 0.25): accuracy + 0.2 for (method, _), accuracy in probe.items()}
    # fine-tuning has the sizes in the same order, and the methods of a size in the reverse one
    tuned = {(method, size): (1.22 if size == 0.1 else 1.62) - accuracy for (method, size), accuracy in probe.items()}
    cells = [result(m, a, size=s) for (m, s), a in probe.items()]
    cells += [result(m, a, size=s, via="finetune") for (m, s), a in tuned.items()]
    found = summarize(cells, {})["agreement"]
    assert found["order_of_methods"] == {"groups": 2, "rank_correlation": pytest.approx(-1.0)}
    assert found["rank_correlation"] > 0.4
    assert "agreement" in figures_of(summarize(cells, {}))


def test_figures_and_page_are_well_formed_and_escaped():
    cells = [*FOUR, result("graph-cut", 0.8, size=0.25), result("graph-cut", 0.83, size=0.25, seed=1)]
    cells += [
        result(f"graph-cut-keep@{lam}", 0.6, redundancy=Redundancy("exact", d))
        for lam in ("1", "10")
        for d in (0.2, 0.5)
    ]
    summary = summarize(cells, {})
    summary["conditions"][0]["name"] = "<script>alert(1)</script>"
    summary["conditions"][-1]["name"] = "<script>alert(1)</script>"
    figures = figures_of(summary)
    assert any(name.startswith("accuracy-") for name in figures)
    assert any(name.startswith("copies-") for name in figures)
    for svg in figures.values():
        assert ET.fromstring(svg).tag.endswith("svg")
    page = render_page(summary)
    assert "<script" not in page
    assert page.count("<figure>") == len(figures)


def test_results_survive_json():
    one = result("graph-cut", 0.7)
    assert result_from(one.as_json()) == one
    assert cell_from(dataclasses.asdict(one.cell)) == one.cell


def test_small_forms():
    assert interval(dataclasses.asdict(estimate([0.6842]))) == "0.684"
    assert markdown(["a", "bb"], [["1", ""]]) == "| a | bb |\n|---|----|\n| 1 |    |"
