"""An audit as one page that holds all that it needs and loads nothing from anywhere."""

import base64
import re
from html import escape
from importlib import resources
from string import Template

from ._audit import Audit
from ._finding import Finding, Picture, Table

_BADGES = {
    "held": ("good", "held"),
    "failed": ("bad", "FAILED"),
    "not judged": ("open", "not judged"),
}
_COLOURS = {"proved": "good", "certified": "good", "failed": "bad"}
# Numbers of secondary interest are folded away beyond so many rows.
_MOST_ROWS = 24
# Pictures that are broader than so many pixels are scrolled on a phone, not shrunk.
_BROAD = 560


def as_html(report: Audit) -> str:
    """The page. Texts from outside are escaped, pictures are part of it, and it has no script."""
    template = resources.files("safe_wrappers.auditing").joinpath("report.html")
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=escape(f"Audit of {report.subject}"),
        subject=escape(report.subject),
        safeguard=escape(report.safeguard),
        date=escape(report.date),
        seconds=f"{report.seconds:.0f}",
        colour=_COLOURS.get(report.verdict, "open"),
        word=escape(report.word),
        reason=_prose(report.reason[:1].upper() + report.reason[1:]),
        glance=_glance(report),
        promise=f"<p>{_prose(report.promise.text)}</p>",
        promise_picture=_picture(report.promise.picture),
        promise_tables="".join(_table(each) for each in report.promise.tables),
        status=escape(str(report.guarantee.status)),
        behind=_prose(report.guarantee.by),
        assumptions=_assumptions(report),
        findings="".join(_finding(found) for found in report.findings),
        not_judged=_not_judged(report),
        provenance=_rows(("what", "value"), tuple(report.provenance.items())),
        command=escape(report.command),
    )


def _glance(report: Audit) -> str:
    rows = "".join(
        f'<tr><td><a href="#{escape(found.key)}">{escape(found.question)}</a>'
        f'<br><span class="meta">{_prose(found.short)}</span></td><td>{_badge(found)}</td></tr>'
        for found in report.findings
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _finding(found: Finding) -> str:
    took = f" This took {found.seconds:.1f} s." if found.seconds else ""
    return (
        f'<section id="{escape(found.key)}"><h2>{escape(found.title)} {_badge(found)}</h2>'
        f'<p class="question">{escape(found.question)}</p>'
        f"<p>{_prose(found.answer)}{took}</p>"
        f"{_picture(found.picture)}{''.join(_table(each) for each in found.tables)}</section>"
    )


def _badge(found: Finding) -> str:
    colour, word = _BADGES[found.status]
    return f'<span class="badge {colour}">{word}</span>'


def _assumptions(report: Audit) -> str:
    assumed = report.guarantee.assumptions
    if not assumed:
        return "<p>None are stated, because nothing is promised beyond what was tested.</p>"
    items = "".join(f"<li>{escape(each[:1].upper() + each[1:])}.</li>" for each in assumed)
    return f"<ul>{items}</ul>"


def _not_judged(report: Audit) -> str:
    open_questions = [
        f"<li>{escape(found.question)} {_prose(found.answer)}</li>"
        for found in report.findings
        if found.status == "not judged"
    ]
    return "".join(open_questions)


def _picture(picture: Picture | None) -> str:
    if picture is None:
        return ""
    data = base64.b64encode(picture.png).decode("ascii")
    caption = escape(picture.caption)
    # Drawn larger than shown, for screens of many points; the width stands in the file's header.
    width = int.from_bytes(picture.png[16:20], "big") * 5 // 8
    kind = ' class="broad"' if width > _BROAD else ""
    return (
        f'<figure><img{kind} width="{width}" alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    source = f'<span class="source">Source: {_prose(table.source)}.</span>'
    shown = f"<h3>{escape(table.title)}. {source}</h3>{_rows(table.columns, table.rows)}"
    if len(table.rows) <= _MOST_ROWS:
        return shown
    return f"<details><summary>{escape(table.title)}</summary>{shown}</details>"


def _rows(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    width = ' class="wide"' if len(columns) > 3 else ""
    return (
        f'<div class="scroll"><table{width}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    number = re.fullmatch(r"[-+\d.,e]+( to [-+\d.,e]+)?", text)
    return f'<td class="number">{text}</td>' if number else f"<td>{_prose(text)}</td>"


def _prose(text: str) -> str:
    """A text, escaped, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
