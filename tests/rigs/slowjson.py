"""A slow reader of JSON records that keeps every digit and the text of every value. It shares nothing with haul: the
grammar is RFC 8259's, strings are unescaped by Python's own scanner."""

import re
from json.decoder import scanstring

SPACE = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
# A string with its quotes, or blanks outside of strings.
TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\n\r]+')
LITERALS = {"null": ("null", None), "true": ("boolean", True), "false": ("boolean", False)}


class Invalid(Exception):
    """The text is no JSON, or JSON that no UTF-8 text can hold."""


def skip(text, at):
    return SPACE.match(text, at).end()


def read_string(text, at):
    try:
        value, end = scanstring(text, at + 1)
    except ValueError as error:
        raise Invalid(str(error)) from None
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise Invalid("a surrogate stands alone")
    return value, end


def read_value(text, at):
    """`(kind, value, start, end)`: objects are lists of `(key, node)`, numbers their text, arrays lists of nodes."""
    at = skip(text, at)
    first = text[at : at + 1]
    if first == '"':
        value, end = read_string(text, at)
        return "string", value, at, end
    if first in "{[" and first:
        return read_many(text, at, first)
    for word, (kind, value) in LITERALS.items():
        if text.startswith(word, at):
            return kind, value, at, at + len(word)
    number = NUMBER.match(text, at)
    if not number:
        raise Invalid(f"no value at {at}")
    return "number", number[0], at, number.end()


def read_many(text, start, opening):
    closing, kind = ("}", "object") if opening == "{" else ("]", "array")
    items = []
    at = skip(text, start + 1)
    if text[at : at + 1] == closing:
        return kind, items, start, at + 1
    while True:
        key = None
        if opening == "{":
            at = skip(text, at)
            if text[at : at + 1] != '"':
                raise Invalid(f"no key at {at}")
            key, at = read_string(text, at)
            at = skip(text, at)
            if text[at : at + 1] != ":":
                raise Invalid(f"no colon at {at}")
            at += 1
        node = read_value(text, at)
        items.append((key, node) if opening == "{" else node)
        at = skip(text, node[3])
        after = text[at : at + 1]
        if after == closing:
            return kind, items, start, at + 1
        if after != ",":
            raise Invalid(f"no comma at {at}")
        at += 1


def read_document(text):
    node = read_value(text, 0)
    if skip(text, node[3]) != len(text):
        raise Invalid("something follows")
    return node


def compact(text):
    """The same JSON without blanks between its tokens."""
    return TOKEN.sub(lambda found: found[1] or "", text)


def depth(node):
    """Levels of arrays and objects."""
    kind, value = node[0], node[1]
    if kind == "array":
        return 1 + max((depth(item) for item in value), default=0)
    if kind == "object":
        return 1 + max((depth(item) for _, item in value), default=0)
    return 0
