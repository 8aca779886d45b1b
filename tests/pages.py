"""HTML pages as a browser reads them: what would they load?"""

import html.parser
import re

LOADING = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}
VOID = {"meta", "img", "br", "link", "hr", "input"}
# Of styles and of scripts.
CALLS = (
    r"@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|\bimport\(|importScripts|sendBeacon"
    r"|EventSource|https?://"
)


class Page(html.parser.HTMLParser):
    """Tags with their attributes, the text, and the tags that were not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def loaded(text):
    """What a page would load: targets of attributes, but for parts of itself, and what styles and
    scripts ask for.
    """
    found = [
        value
        for _, attributes in Page(text).tags
        for name, value in attributes.items()
        if name in LOADING and not value.startswith(("#", "data:image/png;base64,"))
    ]
    return found + re.findall(CALLS, text)
