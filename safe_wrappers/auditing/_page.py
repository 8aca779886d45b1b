"""An audit as one page that holds all that it needs and loads nothing from anywhere."""

import base64
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
_VERDICTS = {
    "proved": ("good", "Holds"),
    "certified": ("good", "Holds"),
    "tested": ("open", "Tested, not proved"),
    "failed": ("bad", "Does not hold"),
    "nothing judged": ("open", "Not judged"),
}
# Numbers of secondary interest are folded away beyond so many rows.
_MOST_ROWS = 24


def as_html(report: Audit) -> str:
    """The page. Texts from outside are escaped, pictures are part of it, and it has no script."""
    colour, word = _VERDICTS[report.verdict]
    template = resources.files("safe_wrappers.auditing").joinpath("report.html")
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=escape(f"Audit of {report.subject}"),
        subject=escape(report.subject),
        safeguard=escape(report.safeguard),
        date=escape(report.date),
        seconds=f"{report.seconds:.0f}",
        colour=colour,
        word=escape(word),
        headline=escape(report.headline),
        glance=_glance(report),
        promise=f"<p>{escape(report.promise.text)}</p>",
        promise_picture=_picture(report.promise.picture),
        promise_tables="".join(_table(each) for each in report.promise.tables),
        status=escape(str(report.guarantee.status)),
        behind=escape(report.guarantee.by),
        assumptions=_assumptions(report),
        findings="".join(_finding(found) for found in report.findings if found.key != "safeguard"),
        not_judged=_not_judged(report),
        provenance=_table(
            Table("", ("what", "value"), tuple((k, v) for k, v in report.provenance.items()))
        ),
        command=escape(report.command),
    )


def _glance(report: Audit) -> str:
    rows = "".join(
        f'<tr><td><a href="#{escape(found.key)}">{escape(found.question)}</a></td>'
        f"<td>{_badge(found)}</td></tr>"
        for found in report.findings
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _finding(found: Finding) -> str:
    took = f" This took {found.seconds:.1f} s." if found.seconds else ""
    return (
        f'<section id="{escape(found.key)}"><h2>{escape(found.title)} {_badge(found)}</h2>'
        f'<p class="question">{escape(found.question)}</p>'
        f"<p>{escape(found.answer)}{took}</p>"
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
        f"<li>{escape(found.question)} {escape(found.answer)}</li>"
        for found in report.findings
        if found.status == "not judged"
    ]
    return "".join(open_questions)


def _picture(picture: Picture | None) -> str:
    if picture is None:
        return ""
    data = base64.b64encode(picture.png).decode("ascii")
    caption = escape(picture.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    shown = (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )
    if len(table.rows) <= _MOST_ROWS:
        return title + shown
    return f"{title}<details><summary>{len(table.rows)} rows</summary>{shown}</details>"
