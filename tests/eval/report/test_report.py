"""The report of a run: its figures are the results' own, its text is escaped, and it loads nothing."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from configs.errors import UserError
from eval import report
from eval.report import plots, render, wording
from eval.report.figures import METRICS, number
from tests.eval.report import sample_results

VOID = {"meta", "br", "hr", "img", "link", "input", "use", "path"}


class Page(HTMLParser):
    """Checks that every element is closed in its turn, and keeps attributes, tables, ids and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.words: list[str] = []
        self._table: list[list[str]] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._table = self.tables.setdefault((dict(attrs).get("id") or "").removeprefix("table-"), [])
        if tag == "tr" and self._table is not None:
            self._table.append([])
        if tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        if tag in ("td", "th") and self._table:
            self._table[-1][-1] = " ".join(self._table[-1][-1].split())
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._table and {"td", "th"} & set(self.open):
            self._table[-1][-1] += data

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return sample_results.results()


@pytest.fixture(scope="module")
def text(results: dict[str, Any]) -> str:
    return render.html(results)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_is_well_formed_and_ids_are_unique(page: Page) -> None:
    assert page.open == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    named = set(ids)
    assert set(page.values("aria-labelledby")) <= named
    assert {value[1:] for value in page.values("href") if value.startswith("#")} <= named
    assert [tag for tag in page.tags if re.fullmatch(r"h[1-6]", tag)][:2] == ["h1", "h2"]
    assert {"header", "nav", "main", "footer"} <= set(page.tags)


def test_nothing_is_loaded_and_nothing_runs(text: str, page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert name not in ("src", "srcset", "xlink:href")
        assert not name.startswith("on")
        if name == "href":
            assert value.startswith("#") or (tag == "a" and value.startswith(("http://", "https://")))
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_what_others_wrote_is_escaped(text: str, page: Page) -> None:
    assert "<script" not in text
    assert "<img" not in text
    assert sample_results.QUESTION in "".join(page.words)
    assert "<b>Arthritis</b>" in "".join(page.words)
    assert not any("javascript" in value for value in page.values("href"))


def test_the_main_table_is_the_results_own(results: dict[str, Any], page: Page) -> None:
    rows = page.tables["main"]
    assert [row[0] for row in rows] == [
        "Mode", "Source indexed", "base", "finetuned", "finetuned+rag", "Source withheld", "base", "finetuned",
        "finetuned+rag",
    ]  # fmt: skip
    by_hand = next(row for row in rows if row[0] == "finetuned+rag")
    # rougeL .68 with half an interval of .02; BLEU 50 times that, +- 1.5.
    assert by_hand[4].split() == [".680", ".660", "to", ".700"]
    assert by_hand[5].split() == ["34.0", "32.5", "to", "35.5"]


@pytest.mark.parametrize("name", ["main", "controls", "further", "citations", "reading", "forced"])
def test_every_table_by_mode_has_the_figures_of_the_json(results: dict[str, Any], page: Page, name: str) -> None:
    names = {label: metric for metric, (label, _) in METRICS.items()}
    head, *rows = page.tables[name]
    regime, seen = "", 0
    for row in rows:
        if len(row) == 1:
            regime = {"Source indexed": "indexed", "Source withheld": "withheld"}[row[0]]
            continue
        part = results["forced" if name == "forced" else "table"]
        figures = next(r["figures"] for r in part if (r["mode"], r["regime"]) == (row[0], regime))
        for label, shown in zip(head[2:], row[2:], strict=True):
            found, places = figures.get(names[label]), METRICS[names[label]][1]
            wanted = [number(found[key], places) for key in ("value", "low", "high")] if found else ["–"]
            assert shown.replace(" to ", " ").split() == wanted
            seen += 1
    assert seen


def test_it_opens_with_peoples_questions_and_says_whose_the_others_are(page: Page) -> None:
    assert next(iter(page.tables)) == "people"
    head, *rows = page.tables["people"]
    assert head == ["Share", "n", "extractive", "finetuned+rag"]
    assert rows[0] == ["covered: answered", "119", ".800 .750 to .840", ".850 .800 to .890"]
    assert rows[-2][0] == "answered: written by the generator"
    assert rows[-2][2] == "–", "a mode that quotes writes nothing"
    assert wording.OWN in " ".join("".join(page.words).split())


def test_the_swaps_stand_by_mode(page: Page) -> None:
    rows = page.tables["swaps"]
    assert ["order", "119", ".950 .900 to .990", ".975"] in rows
    assert page.tables["experts"][1] == ["default form", "90.5", *[".400 .350 to .450"] * 3]


@pytest.mark.parametrize("part", ["people", "swaps", "experts"])
def test_a_run_without_them_is_reported_all_the_same(results: dict[str, Any], part: str) -> None:
    text = render.html({key: value for key, value in results.items() if key != part})
    assert f'id="table-{part}"' not in text
    assert Page(text).tables["main"]


def test_differences_that_are_not_shown_say_so(results: dict[str, Any], page: Page) -> None:
    head, *rows = page.tables["differences"]
    regime, said = "", 0
    for row in rows:
        if len(row) == 1:
            regime = row[0].removeprefix("Source ")
            continue
        a, b = row[0].split(" less ")
        for label, shown in zip(head[1:], row[1:], strict=True):
            metric = next(m for m, (known, _) in METRICS.items() if known == label)
            found = next(
                d
                for d in results["differences"]
                if (d["a"], d["b"], d["regime"], d["metric"]) == (a, b, regime, metric)
            )
            assert shown.startswith(number(found["value"], METRICS[metric][1], True))
            assert ("no difference shown" in shown) is not found["shown"]
            said += not found["shown"]
    assert said


def test_retrieval_slices_and_latency_are_the_results_own(results: dict[str, Any], page: Page) -> None:
    head, *rows = page.tables["retrieval-1"]
    assert head == ["System", "MAP", "MRR", "P@1", "nDCG@10"]
    assert [row[0] for row in rows] == ["CHiQA rank", "BM25", "dense", "re-ranker (evaluation only)"]
    assert rows[2][1].split() == [".580", ".560", "to", ".600"]
    assert rows[2][2] == "–"
    _, *differences = page.tables["retrieval-1-differences"]
    assert [row[0] for row in differences] == [f"re-ranker (evaluation only) less {b}" for b in ("dense", "BM25")]
    assert ["no difference shown" in row[1] for row in differences] == [True, False]
    assert "Re-ranker: weights chosen on Alexa. 95% intervals by question." in render.markdown(results)
    assert page.tables["retrieval-own"][2][-1] == ".910"
    sliced = {tuple(row[:2]): row for row in page.tables["slice-1"]}
    wanted = next(
        s for s in results["slices"] if (s["slice"], s["mode"], s["regime"]) == ("GARD", "extractive", "indexed")
    )["figures"]["rougeL"]
    place = page.tables["slice-1"][0].index("extractive, indexed")
    assert sliced["GARD", "60"][place].split()[0] == number(wanted["value"])
    assert sliced["GARD", "60"][page.tables["slice-1"][0].index("base+rag, indexed")] == "–"
    first = page.tables["latency"][1]
    assert first == ["base", "12", "0.30", "0.36", "1.50", "2.55", "41.6"]


def test_the_risk_table_is_read_off_the_curve(results: dict[str, Any], page: Page) -> None:
    curve = results["risk_coverage"][0]
    row = page.tables["plot-risk"][1]
    assert row[0] == "finetuned+rag, source indexed"
    at_half = next(point for point in curve["points"] if point["coverage"] == 0.5)
    assert row[page.tables["plot-risk"][0].index("answering 50%")] == number(at_half["risk"])
    assert row[-1] == number(curve["area"])


def test_the_sentence_follows_the_figures(results: dict[str, Any]) -> None:
    said = wording.lead(results)
    assert "With the source indexed, retrieval raised ROUGE-L by .460 (95% interval .435 to .485)" in said
    assert "with the source withheld, no difference shown for retrieval" in said
    worse = copy.deepcopy(results)
    for found in worse["differences"]:
        found["value"], found["low"], found["high"] = -found["value"], -found["high"], -found["low"]
    assert "retrieval lowered ROUGE-L by .460 (95% interval .435 to .485)" in wording.lead(worse)
    turned = copy.deepcopy(results)
    for found in turned["differences"]:
        found["a"], found["b"] = found["b"], found["a"]
        found["value"], found["low"], found["high"] = -found["value"], -found["high"], -found["low"]
    assert wording.lead(turned) == said
    assert "retrieval was not measured" in wording.lead(results | {"differences": []})


def test_a_split_by_row_is_warned_of(text: str) -> None:
    leaky = sample_results.results(by="row")
    assert wording.LEAKS in render.html(leaky)
    assert "topics leak" in render.readme_block(leaky)
    assert "topics leak" not in text


def test_what_the_topics_cannot_tell_stands_in_the_report(results: dict[str, Any], text: str) -> None:
    unknown = copy.deepcopy(results)
    unknown["splits"]["caveat"] = "no pair names a focus"
    unknown["retrieval"]["own"]["caveat"] = "of own questions no pair names a focus"
    for said in (render.html(unknown), render.summary(unknown)):
        assert "none of these topics was trained on; no pair names a focus)" in said
    assert "Of own questions no pair names a focus." in render.html(unknown)
    assert "names a focus" not in text


def test_order_of_the_sections_and_the_checker_first(text: str) -> None:
    assert re.findall(r'<section id="(\w+)"', text) == list(render.SECTIONS)
    assert re.findall(r'<li><a href="#(\w+)"', text) == list(render.SECTIONS)
    assert text.index('id="table-checker"') < text.index('id="table-citations"')
    assert text.index('id="table-main"') < text.index("<svg")


def test_every_plot_has_a_text_alternative(text: str, page: Page) -> None:
    drawings = re.findall(r"<svg .*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 8
    for drawing in drawings:
        assert re.match(
            r'<svg viewBox="0 0 \d+ \d+" role="img" aria-label="[^"]+"><title>[^<]+</title><desc>[^<]', drawing
        )
        assert not re.search(r"#0\d0\d0\d|metadata|<style|DejaVu", drawing)
    assert {"plot-modes", "plot-risk", "latency"} <= set(page.tables)
    assert page.tags.count("figure") == 3


def test_tables_have_captions_and_scopes(page: Page) -> None:
    assert page.tags.count("caption") == page.tags.count("table") == len(page.tables)
    assert page.tags.count("th") == len(page.values("scope"))


def test_published_numbers_stand_apart_with_data_split_and_source(results: dict[str, Any], page: Page) -> None:
    for name in ("published-generation", "published-retrieval"):
        head, *rows = page.tables[name]
        places = [head.index(column) for column in ("Data", "Split", "Source")]
        assert all(row[place].strip(" –") for row in rows for place in places)
    exir = page.tables["published-generation"][1]
    assert exir[3].strip() == ".1067 → .1222"
    ours = "".join(cell for row in page.tables["main"] + page.tables["controls"] for cell in row)
    assert "TinyLlama" not in ours


def test_generated_text_is_marked_wherever_it_shows(results: dict[str, Any], page: Page) -> None:
    answers = sum(len(item["answers"]) for item in results["examples"])
    assert "".join(page.words).count(wording.OUTPUT) == answers
    assert render.markdown(results).count("not advice, and it may be wrong") == answers


def test_absent_figures_do_no_harm(results: dict[str, Any]) -> None:
    bare = results | {
        "adapter": None, "differences": None, "forced": [], "slices": [], "risk_coverage": [], "latency": [],
        "checker": None, "retrieval": {}, "examples": [], "peak_memory_gb": None, "versions": {}, "commit": None,
        "table": [{"mode": "base", "regime": "indexed", "sources": True, "n": 0, "answered": 0, "figures": {}}],
    }  # fmt: skip
    for found in (bare, bare | {"table": []}):
        page = Page(render.html(found))
        assert page.open == []
        assert "not measured" in "".join(page.words)
        assert render.markdown(found).startswith("# ")
    figures = [{"value": None, "low": None, "high": None}, {"value": 0.5}, None]
    odd = copy.deepcopy(results)
    for row, figure in zip(odd["table"], figures * 4, strict=False):
        row["figures"]["rougeL"] = figure
        row["figures"].pop("bleu")
    odd["latency"][0] |= {"total_ms": {"p50": 100}, "first_token_ms": {}}
    assert Page(render.html(odd)).open == []


@pytest.mark.parametrize(
    ("value", "places", "signed", "shown"),
    [
        (0.706, 3, False, ".706"), (1.0, 3, False, "1.000"), (0.0, 3, True, ".000"), (-0.02, 3, True, "−.020"),
        (0.5, 1, True, "+0.5"),
        (0.0004, 3, True, "+.0004"), (-0.0004, 3, False, "−.0004"), (12.34, 1, False, "12.3"), (None, 3, False, "–"),
        (float("nan"), 3, False, "–"), (-0.00001, 3, True, ".0000"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, places: int, signed: bool, shown: str) -> None:
    assert number(value, places, signed) == shown


def test_markdown_tables_parse_and_hold_what_the_html_holds(results: dict[str, Any], page: Page) -> None:
    tables = _tables(render.markdown(results))
    assert len(tables) == len(page.tables)
    for ours, theirs in zip(tables, page.tables.values(), strict=True):
        grouped = ours[0][0] in ("Regime", "Answered by")
        assert _bare([row[grouped:] for row in ours]) == _bare([row for row in theirs if len(row) > 1])
        assert not grouped or {row[0] for row in ours[1:]} == {row[0] for row in theirs if len(row) == 1}


def test_markdown_escapes_what_others_wrote(results: dict[str, Any]) -> None:
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(render.markdown(results))
    assert "<script" not in shown
    assert "<img" not in shown
    assert "javascript" not in shown
    assert "alert('x')" in shown
    assert "# Gout &lt;img" in shown
    assert "<h1>Gout" not in shown


HOSTILE = "<script>alert(1)</script> | `code`\n\n# *title* [x](http://e.org) <!-- </td>"


def test_a_hostile_string_is_text_wherever_it_stands(results: dict[str, Any], page: Page) -> None:
    odd = copy.deepcopy(results)
    odd["corpus"]["name"] = odd["profile"] = odd["splits"]["caveat"] = HOSTILE
    odd["checker"] |= {"name": HOSTILE, "kinds": {HOSTILE: {HOSTILE: 1}}}
    odd["slices"][0] |= {"slice": HOSTILE, "by": HOSTILE}
    odd["retrieval"]["own"] = {HOSTILE: {"n": 4}, "caveat": HOSTILE}
    odd["retrieval"]["sets"][0] |= {"name": HOSTILE, "policy": HOSTILE, "systems": {HOSTILE: {HOSTILE: 0.5}}}
    odd["differences"][0] |= {"a": HOSTILE}
    for mode in ("table", "latency", "risk_coverage"):
        odd[mode][0] |= {"mode": HOSTILE, "sources": True}
    odd["modes"] = [HOSTILE, *odd["modes"][1:]]
    item = odd["examples"][0]
    item |= dict.fromkeys(("why", "question", "topic", "source", "reference"), HOSTILE)
    item["answers"][1] |= dict.fromkeys(("mode", "regime", "status", "text"), HOSTILE)
    item["answers"][1]["sources"][0] |= {
        "n": HOSTILE,
        "title": HOSTILE,
        "text": HOSTILE,
        "url": f"https://a.b/{HOSTILE}",
    }

    shown = Page(render.html(odd))
    assert not set(shown.tags) - set(page.tags)
    assert shown.tags.count("td") > page.tags.count("td") / 2
    links = {value for tag, name, value in shown.attributes if name == "href" and tag == "a"}
    assert not any(set(value) & set(" <>`|\n") for value in links)
    assert _words("".join(shown.words)).count("alert(1)") >= 20
    assert "<script" not in render.html(odd)

    text = render.markdown(odd)
    plain = Page(MarkdownIt("gfm-like", {"linkify": False}).render(render.markdown(results)))
    read = Page(MarkdownIt("gfm-like", {"linkify": False}).render(text))
    assert not set(read.tags) - set(plain.tags)
    assert read.tags.count("code") == 1  # the command
    assert read.tags.count("h1") == 1
    assert read.tags.count("h2") == len(render.SECTIONS)
    assert _words("".join(read.words)).count(_words(HOSTILE)) >= 20
    assert len(_tables(text)) == len(shown.tables)


def test_the_report_prints_through_the_macros_alone() -> None:
    # They escape as their format asks; the shared template is escaped by nothing.
    template = (Path(render.__file__).parent / "templates" / "report.j2").read_text("utf-8")
    assert len(re.findall(r"{{-? *m\.", template)) > 50
    assert re.findall(r"{{(?!-? *m\.).*", template) == []


@pytest.mark.parametrize(
    "text",
    [
        "# a",
        "- a",
        "1. a",
        "a | b",
        "*a* _b_ `c` ~~d~~",
        "[a](b)",
        "<i>a</i> &amp; b",
        "a \\| b",
        "+ a",
        "https://a.b",
        "===",
    ],
)
def test_escaped_text_reads_as_it_was(text: str) -> None:
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(render.escape(text))
    page = Page(shown)
    assert page.tags == ["p"]
    assert "".join(page.words).strip() == text


def test_the_readme_block_has_every_mode_in_both_regimes(results: dict[str, Any]) -> None:
    block = render.readme_block(results)
    assert block.startswith("<!-- eval table -->\n")
    assert block.endswith("\n<!-- /eval table -->")
    assert render.main_table(results) in block
    (found,) = _tables(render.main_table(results))
    assert [tuple(row[:2]) for row in found[1:]] == [
        ("base", "none seen"), ("finetuned", "none seen"), ("finetuned+rag", "indexed"), ("finetuned+rag", "withheld"),
        ("base+rag", "indexed"), ("base+rag", "withheld"), ("extractive", "indexed"), ("extractive", "withheld"),
    ]  # fmt: skip
    assert found[0][2:] == ["ROUGE-1", "ROUGE-L", "BLEU", "BERTScore F1", "Answered"]
    assert found[3][3:5] == [".680 (.660 to .700)", "34.0 (32.5 to 35.5)"]


def test_writing_is_deterministic_and_the_json_is_the_results(results: dict[str, Any], tmp_path: Path) -> None:
    report.write(results, tmp_path / "one" / "deep")
    report.write(copy.deepcopy(results), tmp_path / "two")
    for name in report.FILES:
        assert (tmp_path / "one" / "deep" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert json.loads((tmp_path / "two" / "results.json").read_text("utf-8")) == results
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(report.FILES)
    # From its own JSON the report is the same.
    again = json.loads((tmp_path / "two" / "results.json").read_text("utf-8"))
    assert render.html(again) == (tmp_path / "two" / "report.html").read_text("utf-8")


def test_what_cannot_be_written_leaves_the_earlier_report(
    results: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.write(results, tmp_path / "out")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in report.FILES}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.os, "fsync", full)
    with pytest.raises(UserError, match="out: the report cannot be written: No space left"):
        report.write(results | {"seconds": 1.0}, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_bad_results_and_places_are_refused(results: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="schema 2"):
        report.write(results | {"schema": 2}, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        report.write(results, tmp_path / "file")
    with pytest.raises(ValueError, match="JSON"):
        report.write(results | {"seconds": float("nan")}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_drawings_leave_the_plot_settings_alone(results: dict[str, Any]) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    found = plots.modes(results)
    assert found.panels[0].body() == found.panels[0].body()
    assert dict(matplotlib.rcParams) == before


def _words(text: str) -> str:
    return " ".join(text.split())


def _bare(rows: list[list[str]]) -> list[list[str]]:
    """Cells without what Markdown alone puts around an interval and a remark."""
    return [[re.sub(r"[(),]", "", cell) for cell in row] for row in rows]


def _tables(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text, by markdown-it's reading: rows of cells."""
    found: list[list[list[str]]] = []
    inside = False
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            inside = True
        elif token.type == "inline" and inside:
            found[-1][-1].append("".join(child.content for child in token.children or []))
            inside = False
    return found
