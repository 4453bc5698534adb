"""Turn the HTML of feeds into Markdown that reads, embeds and searches as plain text."""

import html
import re
from dataclasses import fields, replace
from functools import cache
from typing import Any

from apps.records.normalizing.errors import UnreadableCellError

MAX_HTML = 2_000_000  # characters; markup weighs more than the text in it

_TAGS = (
    "a|abbr|article|b|big|blockquote|body|br|center|code|dd|div|dl|dt|em|font|form|h[1-6]|head|header|hr|html"
    "|i|iframe|img|li|link|main|meta|noscript|ol|p|pre|script|section|small|span|strike|strong|style|sub|sup"
    "|table|tbody|td|tfoot|th|thead|title|tr|u|ul|address|aside|button|caption|cite|del|details|fieldset"
    "|figcaption|figure|footer|ins|label|legend|mark|nav|o:p|object|option|select|summary|svg|textarea"
)
# A tag that the end of a text cuts off is one too; "vector<int>" is none.
_TAG = re.compile(rf"<(?:/?(?:{_TAGS})(?:\s[^<>]*)?/?(?:>|$)|!--|!doctype\b)", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_ESCAPED_TAG = re.compile(
    rf"&(?:amp;)?lt;(/?(?:{_TAGS})(?:\s(?:(?!&(?:amp;)?[lg]t;).){{0,2000}})?/?)&(?:amp;)?gt;", re.IGNORECASE
)
_ESCAPED_ENTITY = re.compile(r"&amp;(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_DATA_ADDRESS = re.compile(r"(?:src|href)\s*=\s*([\"'])\s*data:[^\"']*\1", re.IGNORECASE)
_BLANK_LINES = re.compile(r"[ \t]*\n[ \t]*\n\s*")


def is_html(text: str) -> bool:
    """Return whether `text` holds tags or entities of HTML, also where they are escaped a second time."""
    if "&" in text and (_ENTITY.search(text) or _ESCAPED_TAG.search(text)):
        return True
    return "<" in text and _TAG.search(text) is not None


def to_markdown(text: str) -> str:
    """Convert HTML to Markdown with headings, lists, tables and paragraphs. Return other text as it is.

    Scripts, styles, comments and handlers go with their content. Emphasis and the addresses of links go,
    their text stays: what is embedded and searched holds neither markup nor words of an address. HTML that
    was escaped twice is read as if it were escaped once. Raises UnreadableCellError beyond MAX_HTML
    characters.
    """
    if "<![CDATA[" in text:  # left over from an XML feed
        text = _CDATA.sub("", text)
    if not is_html(text):
        return text
    if len(text) > MAX_HTML:
        text = _DATA_ADDRESS.sub("", text)
    if len(text) > MAX_HTML:
        raise UnreadableCellError(f"HTML of at most {MAX_HTML:,} characters is possible, not {len(text):,}")
    text = _ESCAPED_ENTITY.sub(r"&\1;", _ESCAPED_TAG.sub(r"<\1>", text))
    if _TAG.search(text) is None:
        return html.unescape(text).replace("\u00a0", " ")
    from html_to_markdown import convert

    converted = str(convert(_without_open_script(text), _options()).content)
    lines = (line.rstrip() for line in converted.replace("\u00a0", " ").splitlines())
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _without_open_script(text: str) -> str:
    """Cut a script or style that is never closed: a converter would show the rest of it as text."""
    folded = text.lower()
    if len(folded) != len(text):  # a few capitals are longer in lower case, which would move every position
        return text
    for tag in ("script", "style"):
        opened = folded.rfind(f"<{tag}")
        if opened > folded.rfind(f"</{tag}"):
            text, folded = text[:opened], folded[:opened]
    return text


@cache
def _options() -> Any:
    import html_to_markdown
    from html_to_markdown import ConversionOptions, PreprocessingOptions

    options = ConversionOptions(
        bullets="-",
        autolinks=False,
        extract_metadata=False,
        strip_tags=[
            "a", "abbr", "b", "big", "del", "em", "font", "i", "img", "ins", "kbd", "mark", "s", "small",
            "span", "strong", "u",
        ],
        exclude_selectors=["script", "style", "iframe", "object", "embed", "svg", "head", "template"],
        preprocessing=PreprocessingOptions(enabled=True, remove_navigation=False, remove_forms=False),
    )  # fmt: skip
    # A default that is written as a string is looked up at each conversion, a dozen of them as long as the
    # conversion itself: write the members of the enumerations.
    members = {}
    for each in fields(options):
        enumeration = getattr(html_to_markdown, str(each.type).partition(" ")[0], None)
        value = getattr(options, each.name)
        if enumeration is not None and isinstance(value, str):
            members[each.name] = getattr(enumeration, value.upper())
    return replace(options, **members)
