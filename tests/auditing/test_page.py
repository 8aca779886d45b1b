"""The page holds all that it needs, loads nothing, and escapes what others wrote."""

import json

import pytest
from pages import Page, loaded

from safe_wrappers import auditing

from .conftest import SMALL, narrow


@pytest.fixture(scope="module")
def page(pendulum_audit):
    return auditing.as_html(pendulum_audit)


def test_it_loads_nothing_and_runs_nothing(page):
    assert loaded(page) == []
    tags = {tag for tag, _ in Page(page).tags}
    assert not tags & {"script", "iframe", "object", "embed", "link", "form"}
    assert not any(
        name.startswith("on") for _, attributes in Page(page).tags for name in attributes
    )


def test_what_would_be_loaded_is_found():
    remote = '<img src="//a.example/x.png"><style>@import "y";</style><script>fetch("z")</script>'
    assert loaded(remote) == ["//a.example/x.png", "@import", "fetch("]


def test_every_tag_is_closed_and_every_link_leads_to_a_section(page):
    parsed = Page(page)
    assert parsed.open == []
    targets = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    links = {attributes["href"][1:] for tag, attributes in parsed.tags if tag == "a"}
    assert links == {"safeguard", "proof", "attack", "soak", "conformance"}
    assert links <= targets


def test_texts_of_others_are_escaped(page, trials):
    assert "pendulum &lt;narrow&gt;" in page
    assert "<narrow>" not in page
    evil = '<script>alert("$title")</script>'
    record = auditing.RunRecord("run", {}, evil)
    report = auditing.audit(
        narrow(), subject=evil, command=evil, digests={evil: evil}, run=record, **SMALL
    )
    text = auditing.as_html(report)
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(&quot;$title&quot;)&lt;/script&gt;") >= 5
    assert evil not in auditing.as_json(report)["headline"]


def test_verdict_assumptions_proof_and_worst_case_come_in_this_order(page):
    text = " ".join(Page(page).text)
    places = [
        text.index(words)
        for words in (
            "Holds",
            "What is promised",
            "Every disturbance lies in W.",
            "Parts of the proof",
            "The worst step",
            "What this audit does not judge",
            "sha256:",
        )
    ]
    assert places == sorted(places)
    assert "angle θ (rad)" in text


def test_pictures_are_in_the_page_and_the_same_each_time(pendulum_audit, trials):
    pictures = [found.picture for found in pendulum_audit.findings if found.picture]
    pictures.append(pendulum_audit.promise.picture)
    assert len(pictures) == 2
    assert all(picture.png.startswith(b"\x89PNG") for picture in pictures)
    again = auditing.audit(narrow(), **SMALL)
    assert again.promise.picture.png == pendulum_audit.promise.picture.png


def test_files_are_written_and_the_text_says_the_verdict(pendulum_audit, tmp_path):
    assert auditing.write(pendulum_audit, tmp_path) == ["audit.html", "audit.json"]
    content = json.loads((tmp_path / "audit.json").read_text())
    assert content["verdict"] == "proved"
    assert content["findings"]["attack"]["numbers"]["trajectory"]["states"]
    assert content["provenance"]["claim, all of its numbers"] == narrow().digest
    lines = auditing.as_text(pendulum_audit).splitlines()
    assert lines[1] == ("  Holds: proved in this audit, and nothing that was tried contradicts it.")
    assert len(lines) == 2 + len(pendulum_audit.findings)
    assert all(len(line) < 200 for line in lines)
