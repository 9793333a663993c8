"""Regular expressions that choose topics: RE2's language, as Kafka takes it (KIP-848).

Python's `re` knows other expressions, and for some of its own it takes ages. So an expression is read by RE2's grammar,
and made of small functions: each takes the positions in a name that can be reached so far, and returns those that can
be reached behind its own part. No position is looked at twice, so no expression takes long.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import Final, NoReturn, TypeAlias

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["ALPHABET", "topic_pattern"]

Positions: TypeAlias = frozenset[int]
Step: TypeAlias = Callable[[str, Positions], Positions]

ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "._-")
"""What topic names are made of."""

MAX_REPEAT: Final = 1000
MAX_DEPTH: Final = 100
START: Final = frozenset((0,))
NOWHERE: Final[Positions] = frozenset()

NAMED: Final[dict[str, str]] = {
    "alnum": string.ascii_letters + string.digits, "alpha": string.ascii_letters,
    "ascii": "".join(map(chr, range(128))),
    "blank": "\t ", "cntrl": "".join(map(chr, [*range(32), 127])), "digit": string.digits,
    "graph": "".join(map(chr, range(33, 127))), "lower": string.ascii_lowercase,
    "print": "".join(map(chr, range(32, 127))), "punct": string.punctuation, "space": string.whitespace,
    "upper": string.ascii_uppercase, "word": string.ascii_letters + string.digits + "_", "xdigit": string.hexdigits,
}  # fmt: skip

PERL: Final = {"d": NAMED["digit"], "s": "\t\n\f\r ", "w": NAMED["word"]}

CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_categories = re.compile("C[cfos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?")

_scripts = re.compile(
    "Arabic|Armenian|Avestan|Balinese|Bamum|Batak|Bengali|Bopomofo|Brahmi|Braille|Buginese|Buhid|"
    "Canadian_Aboriginal|Carian|Chakma|Cham|Cherokee|Common|Coptic|Cuneiform|Cypriot|Cyrillic|Deseret|"
    "Devanagari|Egyptian_Hieroglyphs|Ethiopic|Georgian|Glagolitic|Gothic|Greek|Gujarati|Gurmukhi|Han|"
    "Hangul|Hanunoo|Hebrew|Hiragana|Imperial_Aramaic|Inherited|Inscriptional_Pahlavi|"
    "Inscriptional_Parthian|Javanese|Kaithi|Kannada|Katakana|Kayah_Li|Kharoshthi|Khmer|Lao|Latin|"
    "Lepcha|Limbu|Linear_B|Lisu|Lycian|Lydian|Malayalam|Mandaic|Meetei_Mayek|Meroitic_Cursive|"
    "Meroitic_Hieroglyphs|Miao|Mongolian|Myanmar|New_Tai_Lue|Nko|Ogham|Ol_Chiki|Old_Italic|Old_Persian|"
    "Old_South_Arabian|Old_Turkic|Oriya|Osmanya|Phags_Pa|Phoenician|Rejang|Runic|Samaritan|Saurashtra|"
    "Sharada|Shavian|Sinhala|Sora_Sompeng|Sundanese|Syloti_Nagri|Syriac|Tagalog|Tagbanwa|Tai_Le|"
    "Tai_Tham|Tai_Viet|Takri|Tamil|Telugu|Thaana|Thai|Tibetan|Tifinagh|Ugaritic|Vai|Yi"
)

_repeat = re.compile(r"\{(\d+)(,(\d*))?\}")


def topic_pattern(text: str) -> Callable[[str], bool]:
    """Return what tells whether an expression matches the whole of a topic's name.

    Refuses with INVALID_REGULAR_EXPRESSION what is none.
    """
    step = _Reader(text).read()
    return lambda name: len(name) in step(name, START)


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._names: set[str] = set()
        self._ignores_case = False

    def read(self) -> Step:
        """Return what all of it does."""
        step = self._alternatives()
        if self._at < len(self._text):
            self._fail("unexpected )")
        return step

    # --- the grammar ---

    def _alternatives(self) -> Step:
        """Read branches, up to the end or a closing parenthesis; flags that are set inside end with them."""
        outside = self._ignores_case
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        self._ignores_case = outside
        return branches[0] if len(branches) == 1 else _either(branches)

    def _branch(self) -> Step:
        """Read atoms that follow each other, and how often each may come."""
        atoms: list[Step] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            times = self._times()
            if times is not None:
                if not atoms:
                    self._fail("missing argument to repetition operator")
                if self._times() is not None:
                    self._fail("invalid nested repetition operator")
                atoms[-1] = _repeated(atoms[-1], *times)
            elif self._text.startswith("\\Q", self._at):
                atoms += self._quoted()
            else:
                atoms += self._atom()
        return _sequence(atoms)

    def _times(self) -> tuple[int, int | None] | None:
        """Read a repetition, if there is one. Being greedy or not changes nothing for who matches whole names."""
        counted = _repeat.match(self._text, self._at)
        high: int | None
        if counted is not None:
            self._at = counted.end()
            low = int(counted[1])
            high = low if counted[2] is None else int(counted[3]) if counted[3] else None
            if max(low, high or 0) > MAX_REPEAT or (high is not None and low > high):
                self._fail("invalid repeat count")
        elif self._peek() in ("*", "+", "?"):
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._next()]
        else:
            return None
        self._take("?")
        return low, high

    def _atom(self) -> list[Step]:
        """Read a character, a class, a group or an assertion; or flags, which are no atom."""
        character = self._next()
        match character:
            case "(":
                return self._group()
            case "[":
                return [self._class()]
            case ".":
                return [_one_of(ALPHABET)]
            case "^":
                return [_at_start]
            case "$":
                return [_at_end]
            case "\\":
                return [self._escape()]
        return [self._literal(character)]

    def _group(self) -> list[Step]:
        """Read what follows an opening parenthesis."""
        if not self._take("?"):
            return self._rest_of_group()
        named = re.compile(r"P?<([^>]*)>").match(self._text, self._at)
        if named is not None:
            if re.fullmatch(r"[A-Za-z0-9_]+", named[1]) is None:
                self._fail("invalid named capture")
            if named[1] in self._names:
                self._fail("duplicate capture group name")
            self._names.add(named[1])
            self._at = named.end()
            return self._rest_of_group()
        flags = re.compile(r"([imsU]*)(?:-([imsU]+))?([:)])").match(self._text, self._at)
        if flags is None:
            self._fail("invalid or unsupported Perl syntax")
        self._at = flags.end()
        before = self._ignores_case
        self._ignores_case = (before or "i" in flags[1]) and "i" not in (flags[2] or "")
        if flags[3] == ")":
            return []
        step = self._rest_of_group()
        self._ignores_case = before
        return step

    def _rest_of_group(self) -> list[Step]:
        """Read up to the closing parenthesis."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail("expression nests too deeply")
        step = self._alternatives()
        if not self._take(")"):
            self._fail("missing closing )")
        self._depth -= 1
        return [step]

    # --- characters ---

    def _literal(self, character: str) -> Step:
        """Return what one character does."""
        return _one_of({character.lower(), character.upper()} if self._ignores_case else {character})

    def _quoted(self) -> list[Step]:
        """Read all up to `\\E`, each character for itself."""
        end = self._text.find("\\E", self._at + 2)
        quoted = self._text[self._at + 2 :] if end < 0 else self._text[self._at + 2 : end]
        self._at = len(self._text) if end < 0 else end + 2
        return [self._literal(character) for character in quoted]

    def _escape(self) -> Step:
        """Read what follows a backslash outside a class."""
        if self._at >= len(self._text):
            self._fail("trailing backslash at end of expression")
        assertion = ASSERTIONS.get(self._peek())
        if assertion is not None:
            self._at += 1
            return assertion
        members = self._many()
        return self._literal(self._escaped()) if members is None else _one_of(members)

    def _many(self) -> frozenset[str] | None:
        """Read an escape that stands for many characters, if it is one; of them those of topic names are returned."""
        kind = self._peek()
        if kind.lower() in PERL:
            self._at += 1
            members = ALPHABET & set(PERL[kind.lower()])
            return members if kind.islower() else ALPHABET - members
        if kind not in ("p", "P"):
            return None
        found = re.compile(r"[pP](?:\{(\^?)([^}]*)\}|(.))", re.DOTALL).match(self._text, self._at)
        name = "" if found is None else found[2] or found[3] or ""
        if found is None or not (_categories.fullmatch(name) or _scripts.fullmatch(name) or name == "Any"):
            self._fail("invalid character class range")
        self._at = found.end()
        members = frozenset(character for character in ALPHABET if _has_property(character, name))
        return ALPHABET - members if (kind == "P") != bool(found[1]) else members

    def _escaped(self) -> str:
        """Read an escape that stands for one character."""
        numbered = re.compile(r"x\{([0-9A-Fa-f]+)\}|x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})").match(
            self._text, self._at
        )
        if numbered is not None:
            code = int(numbered[3], 8) if numbered[3] else int(numbered[1] or numbered[2], 16)
            if code > 0x10FFFF:
                self._fail("invalid escape sequence")
            self._at = numbered.end()
            return chr(code)
        character = self._next()
        if character in CONTROLS:
            return CONTROLS[character]
        if character.isascii() and character.isalnum():
            self._fail("invalid escape sequence")
        return character

    def _class(self) -> Step:
        """Read a class in brackets."""
        excludes = self._take("^")
        members: set[str] = set()
        first = True
        while first or self._peek() != "]":
            if self._at >= len(self._text):
                self._fail("missing closing ]")
            first = False
            several = self._several()
            members |= self._span() if several is None else several
        self._at += 1
        if self._ignores_case:
            members = {case for member in members for case in (member.lower(), member.upper())}
        return _one_of(ALPHABET - members if excludes else ALPHABET & members)

    def _several(self) -> frozenset[str] | None:
        """Read a part of a class that stands for many characters, if it is one."""
        named = re.compile(r"\[:(\^?)([^]]*?):\]").match(self._text, self._at)
        if named is not None:
            if named[2] not in NAMED:
                self._fail("invalid character class range")
            self._at = named.end()
            members = ALPHABET & set(NAMED[named[2]])
            return ALPHABET - members if named[1] else members
        if self._peek() == "\\" and self._text[self._at + 1 : self._at + 2].lower() in ("d", "s", "w", "p"):
            self._at += 1
            return self._many()
        return None

    def _span(self) -> set[str]:
        """Read a character of a class, or a range of them."""
        low = high = self._member()
        if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            self._at += 1
            high = self._member()
        if low > high:
            self._fail("invalid character class range")
        return {character for character in ALPHABET if low <= character <= high}

    def _member(self) -> str:
        """Read one character of a class."""
        if self._at >= len(self._text):
            self._fail("missing closing ]")
        character = self._next()
        if character != "\\":
            return character
        if self._at >= len(self._text):
            self._fail("trailing backslash at end of expression")
        return self._escaped()

    # --- small parts ---

    def _peek(self) -> str:
        """Return the next character, or nothing at the end."""
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        """Take the next character."""
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, character: str) -> bool:
        """Take the next character if it is this one."""
        found = self._peek() == character
        self._at += found
        return found

    def _fail(self, reason: str) -> NoReturn:
        """Refuse the expression."""
        raise Refused(
            ErrorCode.INVALID_REGULAR_EXPRESSION,
            f"SubscribedTopicRegex `{self._text}` is not a valid regular expression: {reason}.",
        )


def _one_of(members: Collection[str]) -> Step:
    """Go over one of these characters."""
    return lambda name, at: frozenset(place + 1 for place in at if place < len(name) and name[place] in members)


def _sequence(steps: Sequence[Step]) -> Step:
    """Take one step behind the other."""

    def go(name: str, at: Positions) -> Positions:
        for step in steps:
            if not at:
                break
            at = step(name, at)
        return at

    return go


def _either(steps: Sequence[Step]) -> Step:
    """Take any one of the steps."""
    return lambda name, at: NOWHERE.union(*(step(name, at) for step in steps))


def _repeated(step: Step, low: int, high: int | None) -> Step:
    """Take a step `low` to `high` times; None is as often as one likes."""

    def go(name: str, at: Positions) -> Positions:
        for _ in range(low):
            before, at = at, step(name, at)
            if not at or at == before:
                break
        reached, left = at, None if high is None else high - low
        while at and left != 0:
            at = step(name, at) - reached
            reached |= at
            left = None if left is None else left - 1
        return reached

    return go


def _at_start(name: str, at: Positions) -> Positions:
    """Stay where nothing is before."""
    return at & START


def _at_end(name: str, at: Positions) -> Positions:
    """Stay where nothing follows."""
    return at & {len(name)}


def _at_boundary(name: str, at: Positions) -> Positions:
    """Stay where a word begins or ends."""
    word = PERL["w"]
    return frozenset(
        place for place in at if (place > 0 and name[place - 1] in word) != (place < len(name) and name[place] in word)
    )


ASSERTIONS: Final[dict[str, Step]] = {
    "A": _at_start,
    "z": _at_end,
    "b": _at_boundary,
    "B": lambda name, at: at - _at_boundary(name, at),
}


def _has_property(character: str, name: str) -> bool:
    """Tell whether an ASCII character is in a category or script."""
    if name == "Any":
        return True
    if _scripts.fullmatch(name):
        return name == ("Latin" if character.isalpha() else "Common")
    return unicodedata.category(character).startswith(name)
