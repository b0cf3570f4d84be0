"""The name of what one text says, by all its words. What it shares with `story` is tried in `test_story.py`."""

from __future__ import annotations

import pytest

from alerts.annotate.claims import claim
from alerts.annotate.stories import name_of

TEXT = "Strømmen er borte på hele Fjellheim sykehus, 40 pasienter flyttes til nabobygget i kveld https://t.example/a1"


def story(text: str) -> str:
    return name_of(claim(text), text)


@pytest.mark.parametrize(
    "copy",
    [
        f"RT @p_0123456789abcdef: {TEXT}",
        f"RT @p_fedcba9876543210: RT @p_0123456789abcdef: {TEXT}",
        f"Uff, stakkars folk RT @p_0123456789abcdef: {TEXT}",
        f'"@p_0123456789abcdef: {TEXT}"',
        f"«{TEXT}»",
        f"{TEXT} via @fjellheimposten",
        TEXT.replace("a1", "zz9"),
        TEXT.upper(),
        TEXT.replace(",", " –") + "!!!",
        TEXT.replace("40", "førti"),
        f"😢 {TEXT} 🙏",
        f"#strømbrudd #fjellheim {TEXT}",
        f"{TEXT} #fjellheim #strømbrudd",
        f"2/3 {TEXT}",
        TEXT.replace(" ", "  "),
    ],
)
def test_the_same_words_have_one_name_whatever_stands_around_them(copy: str) -> None:
    assert story(copy) == story(TEXT)


def test_other_words_have_other_names() -> None:
    texts = [
        TEXT,
        TEXT.replace("40", "45"),
        TEXT.replace("er borte", "er ikke borte"),
        "Strømmen er tilbake på hele Fjellheim sykehus, alle pasienter har det bra",
        "Strømmen er borte på hele Fjellheim skole, alle elever sendes hjem i dag",
        "Er strømmen borte?", "Er strømmen borte",
        "Tusen takk", "Takk", "#bønn", "🙏", "😢", "https://t.example/a", "https://t.example/b", "",
    ]  # fmt: skip
    assert len({story(text) for text in texts}) == len(texts)
