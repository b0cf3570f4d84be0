"""`lyttepost register annotate`, the contract that other programs rely on."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest
from command_support import Machine

from listener.model.records import Kind

KEYS = ["id", "lang", "kinds", "labels", "words", "stance", "themes", "patient_exposed", "request", "story"]
LINES = [
    {"id": "1", "text": "Hvor kan vi pårørende ringe i kveld?", "lang": "en", "kinds": ["other"]},
    {"id": 2, "text": "Vi melder om økt beredskap.", "author_class": "public_body", "repost_of": None},
    {"id": "3", "text": "Noen som vil være med på fotballkamp på lørdag?"},
]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def raw(*lines: object) -> bytes:
    return "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines).encode()


def test_each_line_comes_back_with_what_it_voices(machine: Machine) -> None:
    done = machine.run("register", "annotate", "-", "--json", "--tier", "default", stdin=raw(*LINES, ""))
    assert done.returncode == 0, done.stderr
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert [list(line) for line in (first, second, third)] == [KEYS] * 3
    assert [line["id"] for line in (first, second, third)] == ["1", "2", "3"]
    assert list(first["kinds"]) == [kind.value for kind in Kind]
    assert first["lang"] == "nb"
    assert "question" in first["labels"]
    assert "media" in second["labels"]
    assert second["words"]["media"][0] == "author: public_body"
    assert third["labels"] == ["other"]
    assert third["themes"] == []
    assert not machine.data.exists()


def test_the_better_tier_answers_in_the_same_shape(machine: Machine) -> None:
    done = machine.run("register", "annotate", "-", "--json", "--tier", "better", stdin=raw(*LINES))
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(line) for line in found] == [KEYS] * 3
    assert "question" in found[0]["labels"]
    default = machine.run("register", "annotate", "-", "--json", stdin=raw(*LINES))
    assert done.stdout != default.stdout


def test_a_file_packed_or_not_is_shown_to_a_person(machine: Machine) -> None:
    path = machine.folder / "posts.jsonl.gz"
    path.write_bytes(gzip.compress(raw(*LINES)))
    done = machine.run("register", "annotate", str(path))
    assert done.returncode == 0, done.stderr
    assert "1  Hvor kan vi pårørende ringe i kveld?\n    question " in done.stdout


def test_lines_that_are_no_posts_are_named_and_the_others_annotated(machine: Machine) -> None:
    path = machine.folder / "posts.jsonl"
    bad = ["no", [1], {"text": "hemmelig"}, {"id": "4"}, {"id": "5", "text": "a", "author_class": "hemmelig"}]
    path.write_bytes(raw(LINES[0], *bad, LINES[2]))
    done = machine.run("register", "annotate", str(path), "--json")
    assert done.returncode == 1
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["1", "3"]
    told = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in told[:-1]] == [f"{path}:{number}" for number in range(2, 7)]
    assert told[-1] == "lyttepost: 5 of 7 lines could not be used and were left out"
    assert "hemmelig" not in done.stderr


def test_near_copies_in_a_file_are_one_story_whatever_their_order_and_through_a_pipe_too(machine: Machine) -> None:
    claim = "Besøk er forbudt på Lia sykehus fra mandag"
    texts = ["Besøk er forbudt på Lia sykehus fra onsdag", f"Uff da, {claim.lower()}", claim, "Besøk e fobrudt på Lia"]
    texts += [f"Sykehuset avkrefter at {claim.lower()}", f"RT @p_0123456789abcdef: {claim[:-2]}…"]
    posts = [{"id": text, "text": text} for text in texts]

    def stories(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
        assert done.returncode == 0, done.stderr
        return {line["id"]: line["story"] for line in map(json.loads, done.stdout.splitlines())}

    path = machine.folder / "posts.jsonl"
    path.write_bytes(raw(*posts))
    found = stories(machine.run("register", "annotate", str(path), "--json"))
    assert found[texts[1]] == found[texts[2]] == found[texts[5]]
    assert len({found[texts[n]] for n in (0, 1, 4)}) == 3
    path.write_bytes(raw(*reversed(posts)))
    assert stories(machine.run("register", "annotate", str(path), "--json")) == found
    piped = stories(machine.run("register", "annotate", "-", "--json", stdin=raw(*posts)))
    assert piped[texts[1]] == piped[texts[2]] == piped[texts[5]] != piped[texts[4]]


def test_what_cannot_be_read_at_all_is_a_matter_of_configuration_and_a_tier_that_is_not_there_one_of_usage(
    machine: Machine,
) -> None:
    done = machine.run("register", "annotate", "nowhere.jsonl")
    assert (done.returncode, done.stdout) == (4, "")
    assert "nowhere.jsonl: cannot be read" in done.stderr
    assert machine.run("register", "annotate", "-", "--tier", "best").returncode == 2
