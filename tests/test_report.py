"""A comparison's report: what is on the page, what never gets on it, how a browser shows it."""

import base64
import copy
import fnmatch
import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from browser import CHROMIUM, Browser, started_browser
from synthetic_comparison import CARDS, Comparison, make_comparison

from sb3_gail_ext.comparison.report import page, write_report
from sb3_gail_ext.comparison.report.facts import facts
from sb3_gail_ext.comparison.report.films import LARGEST, films_of
from sb3_gail_ext.comparison.report.machine import costs, versions
from sb3_gail_ext.comparison.report.metrics import read_metrics
from sb3_gail_ext.comparison.report.settings import settings_of
from sb3_gail_ext.comparison.report.styles import styles_of
from sb3_gail_ext.comparison.report.table import table_rows
from sb3_gail_ext.comparison.report.wording import demonstrations, duration, interval, runs

COMMAND = "sb3-gail compare --env Hopper-v4 --methods gail bc --out 'runs/a & b'"
SECTIONS = (
    *("verdict", "scores", "table", "improvement", "profiles", "learning", "discriminator"),
    *("films", "cards", "settings", "machine", "command"),
)
_VOID = {"meta", "link", "img", "br", "hr", "input", "source"}


class Parsed(HTMLParser):
    """Tags, attributes and text; fails where a tag is not closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.section_text: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        if tag not in _VOID:
            self._open.append((tag, dict(attrs).get("id")))
        if tag in ("td", "dd"):
            self.handle_data(" ")  # stands apart from the cell before it

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] in ("style", "title"):
            return
        self.text += data
        for _, name in self._open:
            if name:
                self.section_text[name] = self.section_text.get(name, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def parsed(path: Path) -> Parsed:
    return Parsed(path.read_text(encoding="utf-8"))


def small(folder: Path, **kwargs: Any) -> Comparison:
    """One picture a section: quick to draw."""
    return make_comparison(
        folder, **{"env_ids": ("Hopper-v4",), "numbers": (4,), "n_seeds": 3, **kwargs}
    )


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of noise, as `film_episode` writes it."""
    path = tmp_path_factory.mktemp("film") / "hop.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (15, 48, 64, 3), dtype=np.uint8)
    imageio.mimwrite(path, list(frames), fps=30, macro_block_size=None)
    return path


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return make_comparison(tmp_path_factory.mktemp("comparison"), numbers=(1, 4), n_seeds=5)


@pytest.fixture(scope="module")
def report(comparison: Comparison, film: Path) -> Path:
    """The HTML of `comparison`, with films of three on one environment."""
    films = {"Hopper-v4": dict.fromkeys(("expert", "bc", "gail"), film)}
    return write_report(
        comparison.folder, comparison.summary, comparison.results, command=COMMAND, films=films
    )


# --- What is on the page -----------------------------------------------------------------------


def test_every_section_is_there_and_the_contents_lead_to_it(report: Path) -> None:
    html = parsed(report)
    ids = [str(attributes["id"]) for _, attributes in html.tags if "id" in attributes]
    assert sorted(ids) == sorted(SECTIONS)  # each once
    assert [a["href"] for a in html.all("a")] == [f"#{name}" for name in SECTIONS]
    assert not any("class" in a and a["class"] == "none" for _, a in html.tags), "an empty section"


def test_the_verdict_and_the_command_are_said_word_by_word(
    report: Path, comparison: Comparison
) -> None:
    html, markdown = parsed(report), (report.with_suffix(".md")).read_text()
    assert comparison.summary["verdict"] in html.section_text["verdict"]
    assert html.section_text["command"].rstrip().endswith(COMMAND)
    assert markdown.startswith(f"# {comparison.summary['verdict']}\n")
    assert f"```\n{COMMAND}\n```" in markdown


def test_every_figure_carries_its_number_of_runs(report: Path) -> None:
    text = report.read_text()
    figures = re.findall(r"<figure>.*?</figure>", text, flags=re.DOTALL)
    # Scores and improvement: two environments and both; a profile; learning and discriminator:
    # two environments with two numbers; three films.
    assert len(figures) == 3 + 3 + 1 + 4 + 4 + 3
    assert all(re.search(r"(\d+|one) runs?\b", figure.split("figcaption")[1]) for figure in figures)
    drawn = [base64.b64decode(uri) for uri in re.findall(r'svg\+xml;base64,([^"]*)"', text)]
    assert len(drawn) == 15
    legends = [set(re.findall(rb"<!-- (\w+) \((.*?runs)\) -->", svg)) for svg in drawn]
    both = {(b"gail", b"10 runs"), (b"bc", b"10 runs")}
    each = {(b"gail", b"5 runs"), (b"bc", b"5 runs")}
    assert legends[:3] == [both, each, each]
    assert legends[3:6] == [
        {(b"gail", b"10 against 10 runs")},
        *[{(b"gail", b"5 against 5 runs")}] * 2,
    ]
    assert legends[6] == {(b"gail", b"20 runs"), (b"bc", b"20 runs")}
    assert legends[7:11] == [each] * 4
    assert legends[11:] == [{(b"gail", b"5 runs")}] * 4  # cloning has no discriminator


def test_the_table_says_what_the_summary_says(tmp_path: Path) -> None:
    made = small(tmp_path)
    row = next(
        r for r in made.summary["table"] if (r["env_id"], r["method"]) == ("Hopper-v4", "gail")
    )
    row.update(n_runs=17, iqm=0.123, low=0.05, high=0.214, mean=0.31, median=0.4, lowest=-0.66)
    path = write_report(tmp_path, made.summary, made.results, command=COMMAND)
    html = words(parsed(path).section_text["table"])
    assert "4 gail 17 0.12 0.05 to 0.21 0.31 0.40 -0.66 bc 3" in html
    markdown = path.with_suffix(".md").read_text()
    assert (
        "| Hopper-v4 | 4 | gail | 17 | 0.12 | 0.05 to 0.21 | 0.31 | 0.40 | -0.66 |  |" in markdown
    )


def test_with_one_environment_all_environments_are_not_said_twice(tmp_path: Path) -> None:
    made = small(tmp_path)
    content = page.gather(tmp_path, made.summary, made.results, COMMAND, None)
    assert [env_id for env_id, _ in content["table"]] == ["Hopper-v4"]
    assert [p.name for p in content["scores"]] == ["score-1-Hopper-v4"]


def test_one_run_has_a_note_instead_of_an_interval(tmp_path: Path) -> None:
    made = small(tmp_path, n_seeds=1)
    nothing = {"iqm": None, "low": None, "high": None}
    for row in made.summary["table"]:
        row.update(**nothing, note="one run: no interquartile mean")
    for row in made.summary["by_demonstrations"]:
        row.update({key: [None] * len(row["iqm"]) for key in nothing})
    for curve in made.summary["curves"]:
        curve.update({key: [None] * len(curve["steps"]) for key in ("low", "high")})
    path = write_report(tmp_path, made.summary, made.results, command=COMMAND)
    said = words(parsed(path).section_text["table"])
    score = made.results[0]["result"]["score"]
    assert f"gail one run: no interquartile mean 1 - - {score:.2f} {score:.2f}" in said
    assert 'class="bar"' not in path.read_text()


def test_bars_are_places_between_nothing_and_a_fifth_above_the_expert() -> None:
    common = {"env_id": "E", "n_demonstrations": 1, "mean": 0, "median": 0, "lowest": 0}
    entries = [
        {**common, "method": "a", "iqm": 0.6, "low": 0.3, "high": 1.2},
        {**common, "method": "b", "iqm": -0.5, "low": -1.0, "high": 3.0},
        {**common, "method": "c", "iqm": None, "low": None, "high": None},
    ]
    [(_, [(_, [b, a, c])])] = table_rows(entries, ["b", "a", "c"])
    assert a.bar == pytest.approx((25.0, 75.0, 50.0, 100 / 1.2))
    assert b.bar == pytest.approx((0.0, 100.0, 0.0, 100 / 1.2))
    assert c.bar is None


def test_data_cards_settings_versions_and_hardware_are_on_the_page(report: Path) -> None:
    said = {name: words(text) for name, text in parsed(report).section_text.items()}
    assert (
        "sha256 061e48cc4404e720c303130be4422a870951d2375060070347003126fabaa9c2" in said["cards"]
    )
    assert "demonstrations: return_mean 3561.81" in said["cards"]
    assert CARDS["Walker2d"] in said["cards"]
    assert (
        "gail Hopper-v4, Walker2d-v4, 20 runs method gail total_timesteps 300,000"
        in (said["settings"])
    )
    assert "2 cores, AMD EPYC" in said["machine"]
    assert "gail 20 300,000 92 s 90 s to 94 s 480 MB bc 20 0 92 s" in said["machine"]
    assert "torch 2.13.0+cpu" in said["machine"]


def test_methods_keep_their_colours() -> None:
    names = [f"m{i}" for i in range(7)]
    styles = styles_of(["m0", "bc", *names, "gail"])
    assert list(styles) == ["gail", "bc", *names]
    assert len({style.colour for style in styles.values()}) == 9
    assert len({style.marker for style in styles.values()}) == 9
    alone = styles_of(["bc", "x"])
    assert (alone["bc"], alone["x"]) == (styles["bc"], styles["m0"])
    assert len(styles_of([f"m{i}" for i in range(20)])) == 20


def test_nine_methods_on_four_environments_stay_under_six_megabytes(tmp_path: Path) -> None:
    """Measured on two of 24 tasks; what the rest adds grows with the pictures."""
    methods = ("gail", "bc", "dac", "airl", "gaifo", "sqil", "dagger", "imitation", "imitation_bc")
    made = small(tmp_path, methods=methods, numbers=(1, 4))
    path = write_report(tmp_path, made.summary, made.results, command=COMMAND)
    pictures = re.findall(
        r'src="(data:[^"]*)" alt="Learning|src="(data:[^"]*)" alt="The', path.read_text()
    )
    assert len(pictures) == 4
    assert 12 * sum(len(a) + len(b) for a, b in pictures) < 5e6


# --- What never gets on it ---------------------------------------------------------------------


def test_nothing_is_loaded_from_outside(report: Path) -> None:
    html, text = parsed(report), report.read_text()
    for tag, attributes in html.tags:
        assert tag not in ("script", "iframe", "object", "embed")
        for name in ("src", "href", "poster", "srcset", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), (tag, name)
    assert "://" not in text
    assert not re.search(r"url\(|@import", text)
    policy = next(m for m in html.all("meta") if m.get("http-equiv"))["content"]
    assert "default-src 'none'" in str(policy)


def test_pictures_have_words_for_those_who_cannot_see_them(report: Path) -> None:
    html = parsed(report)
    images = html.all("img")
    assert len({image["alt"] for image in images}) == len(images) == 15
    assert all(len(image["alt"] or "") > 20 for image in images)
    videos = html.all("video")
    assert [v["aria-label"] for v in videos] == [
        f"Film of {who} on Hopper-v4" for who in ("expert", "bc", "gail")
    ]
    assert all({"autoplay", "muted", "loop", "playsinline"} <= v.keys() for v in videos)


EVIL = "<script>alert(1)</script>"


def test_nobody_can_write_html_into_the_page(tmp_path: Path, film: Path) -> None:
    made = small(tmp_path)
    written = copy.deepcopy((made.summary, made.results))
    summary, results = _relabelled(written, "gail", EVIL)
    summary["verdict"] = f"{EVIL} | `wins`"
    results[0]["hardware"] = f'"{EVIL}'
    results[0]["settings"][EVIL] = EVIL
    results[0]["versions"][EVIL] = EVIL
    results[0]["task"]["demonstrations"] = EVIL
    summary["table"][0]["note"] = summary["table"][2]["note"] = EVIL
    films = {f'"{EVIL}': {f'"{EVIL}': film}}
    command = f"a ``` {EVIL}</code>"
    path = write_report(tmp_path, summary, results, command=command, films=films)
    html = parsed(path)
    assert not html.all("script")
    assert all(not name.startswith("on") for _, a in html.tags for name in a)
    for name in ("verdict", "table", "settings", "machine", "films", "cards"):
        assert EVIL in html.section_text[name], name
    assert command in html.section_text["command"]
    markdown, fence, code = path.with_suffix(".md").read_text().partition("````\n")
    assert fence
    assert code == f"{command}\n````\n"
    assert "<" not in markdown
    assert markdown.startswith(r"# &lt;script&gt;alert(1)&lt;/script&gt; \| \`wins\`")


def _relabelled(tree: Any, old: str, new: str) -> Any:
    """The same with another name for a method, as a key and as a value."""
    if isinstance(tree, dict):
        return {
            (new if key == old else key): _relabelled(value, old, new)
            for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [_relabelled(value, old, new) for value in tree]
    return new if tree == old else tree


# --- What is missing ---------------------------------------------------------------------------


def test_without_logs_cards_and_films_it_says_so(tmp_path: Path) -> None:
    made = small(tmp_path, env_ids=("Nowhere-v4",))
    for log in tmp_path.glob("cells/*/metrics.csv"):
        log.unlink()
    path = write_report(tmp_path, made.summary, made.results, command=COMMAND)
    said = parsed(path).section_text
    assert "No run has logged a discriminator." in said["discriminator"]
    assert "No films were made." in said["films"]
    assert "No data card: nowhere.card.json is not beside it." in said["cards"]
    markdown = path.with_suffix(".md").read_text()
    assert "No run has logged a discriminator." in markdown
    assert "No data card: nowhere.card.json is not beside it." in markdown


def test_a_card_of_another_file_is_reported_not_shown(tmp_path: Path) -> None:
    made = small(tmp_path)
    (tmp_path / "x.npz").write_bytes(b"demonstrations")
    (tmp_path / "x.card.json").write_text('{"sha256": "0", "algorithm": "of another"}')
    for result in made.results:
        result["task"]["demonstrations"] = str(tmp_path / "x.npz")
    path = write_report(tmp_path, made.summary, made.results, command=COMMAND)
    said = parsed(path).section_text["cards"]
    assert "sha256 is not that of x.npz" in said
    assert "of another" not in said


def test_a_method_with_some_logs_says_of_how_many_runs(tmp_path: Path) -> None:
    made = small(tmp_path)
    next(tmp_path.glob("cells/*/metrics.csv")).unlink()
    content = page.gather(tmp_path, made.summary, made.results, COMMAND, None)
    [(_, [picture])] = content["discriminator"]
    assert "gail (2 of 3 runs)" in picture.caption
    assert b"<!-- gail (2 of 3 runs) -->" in picture.svg


def test_one_method_alone_is_compared_with_nobody(tmp_path: Path) -> None:
    made = small(tmp_path, methods=("gail",))
    path = write_report(tmp_path, made.summary, made.results, command=COMMAND)
    said = "There are no two methods to compare."
    assert said in parsed(path).section_text["improvement"]
    assert said in path.with_suffix(".md").read_text()


def test_logs_are_read_as_far_as_they_are_numbers(tmp_path: Path) -> None:
    log = tmp_path / "metrics.csv"
    log.write_text(
        "time/total_timesteps,discriminator/entropy,other\n"
        "10,,1\n20,0.5,\n,0.4,\n40,0.3,x\n50,broken,2\n60"  # cut off while it was written
    )
    read = read_metrics(log, ("discriminator/entropy", "discriminator/absent"))
    assert {k: v.tolist() for k, v in read.items()} == {
        "discriminator/entropy": [[20.0, 0.5], [40.0, 0.3]]
    }
    assert read_metrics(tmp_path / "none.csv", ("other",)) == {}


def test_films_are_embedded_or_it_is_said_why_not(tmp_path: Path, film: Path) -> None:
    huge, wrong, odd = (tmp_path / f"{name}.mp4" for name in ("huge", "wrong", "odd"))
    huge.write_bytes(bytes(LARGEST + 1))
    wrong.write_bytes(b"no film at all")
    odd.write_bytes(film.read_bytes().replace(b"avc1", b"mp4v"))
    named = {"expert": film, "bc": huge, "gail": wrong, "dac": odd}
    absent = {"sqil": tmp_path / "absent.mp4", "none": None}
    [(env_id, films)] = films_of({"Hopper-v4": {**named, **absent}, "Ant-v4": absent})
    assert env_id == "Hopper-v4"
    assert [f.name for f in films] == list(named)
    assert films[0].uri is not None
    head, data = films[0].uri.split(",")
    assert (head, base64.b64decode(data)) == ("data:video/mp4;base64", film.read_bytes())
    assert [f.problem for f in films] == [
        None,
        "Not shown: huge.mp4 is 3.0 MB; more than 3.0 MB is not put into a page.",
        "Not shown: wrong.mp4 is not an mp4 film.",
        "Not shown: odd.mp4 has a codec that browsers do not play; write it as H.264.",
    ]


# --- Files -------------------------------------------------------------------------------------


def test_the_pictures_of_the_markdown_exist(report: Path) -> None:
    shown = re.findall(r"!\[[^\]]*\]\((.*?)\)", report.with_suffix(".md").read_text())
    written = {str(p.relative_to(report.parent)) for p in (report.parent / "images").iterdir()}
    assert len(shown) == 15
    assert set(shown) == written
    assert "images/learning-2-Walker2d-v4-4.png" in shown
    for name in shown:
        pixels = imageio.imread(report.parent / name)
        assert pixels.shape[1] == pytest.approx(720, abs=1)  # 4.8 inches of 150 dots
        assert pixels[..., :3].std() > 5, f"{name} is blank"


def test_the_same_comparison_makes_the_same_bytes(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        made = small(tmp_path / name)
        path = write_report(tmp_path / name, made.summary, made.results, command=COMMAND)
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]


def test_nothing_is_written_if_a_figure_cannot_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small(tmp_path)
    before = {p.name for p in tmp_path.iterdir()}

    def fails(*_: Any) -> None:
        raise ValueError("cannot be drawn")

    monkeypatch.setattr(page, "profile_pictures", fails)
    with pytest.raises(ValueError, match="cannot be drawn"):
        write_report(tmp_path, made.summary, made.results, command=COMMAND)
    assert {p.name for p in tmp_path.iterdir()} == before == {"cells"}


def test_a_full_disk_leaves_the_old_page_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small(tmp_path)
    (tmp_path / "report.html").write_text("the old page")
    write_text = Path.write_text

    def half(path: Path, text: str, **kwargs: Any) -> int:
        if path.suffix == ".html":
            write_text(path, text[: len(text) // 2], **kwargs)
            raise OSError(28, "No space left on device")
        return write_text(path, text, **kwargs)

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space left"):
        write_report(tmp_path, made.summary, made.results, command=COMMAND)
    assert (tmp_path / "report.html").read_text() == "the old page"
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"cells", "images", "report.html", "report.md"}


def test_templates_are_installed_with_the_package() -> None:
    declared = tomllib.loads(Path("pyproject.toml").read_text())
    patterns = declared["tool"]["setuptools"]["package-data"]["sb3_gail_ext"]
    for template in Path("sb3_gail_ext/comparison/report/templates").iterdir():
        name = str(template.relative_to("sb3_gail_ext"))
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name


# --- Words -------------------------------------------------------------------------------------


def test_counts_and_times_read_well() -> None:
    assert [runs([5, 5]), runs([1]), runs([3, 5, 4]), runs([])] == [
        *("5 runs", "1 run", "3 to 5 runs", "no runs")
    ]
    assert [demonstrations(n) for n in (1, 25, None)] == [
        *("1 demonstration", "25 demonstrations", "all demonstrations")
    ]
    assert [duration(s) for s in (93.1, 600, 3599.9, 11_100)] == [
        *("93 s", "10 min", "1 h 00 min", "3 h 05 min")
    ]
    assert [interval(0.949, 1.0), interval(None, 1.0), interval(0.0, float("nan"))] == [
        *("0.95 to 1.00", "-", "-")
    ]


def test_nested_facts_become_rows() -> None:
    tree = {"a": {"b": 12_345, "c": True}, "d": [3, 1, 2, 9, 4, 5, 7], "e": None, "f": {}, "g": [1]}
    assert facts(tree) == [
        ("a: b", "12,345"),
        ("a: c", "yes"),
        ("d", "7 values from 1 to 9"),
        ("e", "none"),
        ("f", "{}"),
        ("g", "1"),
    ]


def test_runs_asked_for_the_same_stand_together(tmp_path: Path) -> None:
    made = small(tmp_path, numbers=(1, 4))
    asked_for_more = [r for r in made.results if r["label"] == "gail"][:2]
    for result in asked_for_more:
        result["settings"]["gamma"] = 0.9
    groups = settings_of(made.results, ["gail", "bc"])
    assert [(g.method, g.n_runs) for g in groups] == [("gail", 2), ("gail", 4), ("bc", 6)]
    assert ("gamma", "0.9") in groups[0].rows
    assert ("gamma", "0.99") in groups[1].rows


def test_versions_that_differ_are_all_named(tmp_path: Path) -> None:
    results = small(tmp_path).results
    results[1]["versions"] = {"torch": "2.1", "mujoco": "3.2"}
    assert dict(versions(results))["torch"] == "2.13.0+cpu and 2.1"
    assert dict(versions(results))["mujoco"] == "3.2"
    results[0]["peak_memory_mb"] = None
    assert [c.peak_memory_mb for c in costs(results, ["gail"])] == [480]


# --- A real browser ----------------------------------------------------------------------------

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install it")
PHONE, DESK = (390, 844), (1280, 900)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started_browser(tmp_path_factory.mktemp("chromium") / "profile") as started:
        yield started


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [PHONE, DESK])
def test_a_browser_shows_all_of_it(
    browser: Browser, report: Path, device: tuple[int, int], scheme: str
) -> None:
    browser.open(report, *device, scheme)
    pixels = imageio.imread(browser.screenshot())[..., :3]
    factor = 2 if device == PHONE else 1
    assert pixels.shape == (factor * device[1], factor * device[0], 3)
    assert pixels.std() > 10, "blank"
    corner = pixels[2, 2].mean()
    assert corner > 230 if scheme == "light" else corner < 40
    sizes = browser.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(sizes) == 15
    assert min(sizes) > 300
    assert browser.evaluate(
        "Promise.all([...document.querySelectorAll('video')].map(v => v.readyState > 1 ? "
        "v.videoWidth : new Promise(r => v.onloadeddata = () => r(v.videoWidth))))"
    ) == [64, 64, 64]
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == (
        "none" if device == PHONE else "block"
    )
    assert browser.complaints() == []
    outside = [url for url in browser.requests() if not url.startswith("data:")]
    assert outside == [report.resolve().as_uri()]


@needs_chromium
@pytest.mark.parametrize("device", [(320, 640), PHONE, (768, 1024), DESK])
def test_nothing_is_wider_than_the_screen(
    browser: Browser, tmp_path: Path, device: tuple[int, int]
) -> None:
    long = "gail_with_a_name_that_does_not_end_where_a_phone_does_0123456789"
    made = small(tmp_path, methods=("gail", "bc", long))
    made.summary["verdict"] += f" {long}"
    made.results[0]["settings"][long] = long * 2
    path = write_report(tmp_path, made.summary, made.results, command=f"{COMMAND} {long * 3}")
    browser.open(path, *device)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") == device[0]


@needs_chromium
def test_the_browser_would_notice(browser: Browser, tmp_path: Path) -> None:
    """That it complains of a page which breaks all of this."""
    path = tmp_path / "bad.html"
    path.write_text(
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<div style="width:900px">wide</div><img src="absent.png"><script>absent()</script>'
    )
    browser.open(path, *PHONE)
    assert browser.evaluate("document.documentElement.scrollWidth") >= 900
    assert any("absent is not defined" in said for said in browser.complaints())
    assert any(url.endswith("absent.png") for url in browser.requests())
