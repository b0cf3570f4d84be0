"""`lyttepost register annotate`: what posts voice, one line in, one line out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import from_json

from alerts.annotate.claims import claim
from alerts.annotate.stories import Stories, grouped, name_of
from listener.commands.shared import Json, one_line, out, out_json, say
from listener.errors import LyttepostError
from listener.model.base import Model
from listener.model.records import EXPOSED, AuthorClass
from listener.settings.files import advice, config_dir, data_dir
from listener.settings.schema import Tier
from listener.sources.common.reader import Broken, LineReader

if TYPE_CHECKING:
    from alerts.annotate.understanding import Understanding

WAIT_SECONDS = 1.0
SHOWN = 20
"""Bad lines that are named; the others are counted."""
LENGTH = 100
"""Characters of a text that are shown."""


class _Post(Model):
    """A line of input; what else it has is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    text: str
    author_class: AuthorClass = AuthorClass.UNKNOWN
    repost_of: str | None = None


class BadPost(ValueError):
    """A line that is no post. The message names keys and never a value."""


def annotate(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="One post a line: JSON with id and text, also gzip; - is stdin."),
    ],
    json: Json = False,
    tier: Annotated[
        Tier, typer.Option("--tier", help="How thoroughly to read; better takes about fifty times as long.")
    ] = Tier.DEFAULT,
) -> None:
    """What each post of FILE voices, with how much certainty, about what, in which language.

    A line may also have author_class (person, media, public_body) and repost_of. Posts that say nearly the same are one
    story: in a file, which is held in memory, whatever their order, while each post that comes through a pipe joins
    those before it. Lines that are no posts are named with file and line, and the others are annotated. Exit codes: 1 a
    line is no post, 4 the file, the configuration or the model cannot be used.
    """
    # The model needs numpy, for which no other command of the register is to wait.
    from alerts.annotate.better import ENCODER
    from alerts.annotate.learned import Model

    name = "standard input" if file == "-" else file
    reader = LineReader(file)
    reader.open()
    bad = read = 0
    with closing(reader):
        understander = Model(
            config_dir(), data_dir(None), encoder=ENCODER if tier is Tier.BETTER else None
        ).understander
        posts: Iterable[tuple[int, _Post | BadPost]] = _posts(reader)
        if file != "-" and reader.seekable:
            posts = list(posts)
            join = _joined(post for _, post in posts if isinstance(post, _Post))
        else:
            join = _joining()
        for number, post in posts:
            read += 1
            if isinstance(post, BadPost):
                bad += 1
                if bad <= SHOWN:
                    say(f"{name}:{number}: {post}")
                continue
            found = understander.understand(post.text, author_class=post.author_class, repost_of=post.repost_of)
            found = found._replace(story=join(post))
            if json:
                out_json(as_json(post.id, found))
            else:
                _show(post, found)
    if bad:
        raise LyttepostError(f"{bad} of {read} lines could not be used and were left out")


def read_post(content: bytes | Broken) -> _Post:
    """One line → what is asked of it. Raises BadPost."""
    if isinstance(content, Broken):
        raise BadPost(f"cannot be read ({content.reason}, {content.length} bytes)")
    try:
        raw = from_json(content)
    except ValueError:
        raise BadPost("is no JSON; write one object a line") from None
    if not isinstance(raw, dict):
        raise BadPost("must be an object with id and text")
    try:
        return _Post.model_validate({key: value for key, value in raw.items() if value is not None})
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)[:3]
        raise BadPost("; ".join(f"{'.'.join(map(str, p['loc']))}: {advice(p)}" for p in problems)) from None


def _posts(reader: LineReader) -> Iterator[tuple[int, _Post | BadPost]]:
    """The line of each post, and the post or what is wrong with it."""
    for number, content in _lines(reader):
        try:
            yield number, read_post(content)
        except BadPost as error:
            yield number, error


def _joined(posts: Iterable[_Post]) -> Callable[[_Post], str]:
    """What gives the story of one of these posts, whatever their order."""
    of = grouped((post.text, post.repost_of) for post in posts)

    def story(post: _Post) -> str:
        own = name_of(claim(post.text), post.text, post.repost_of)
        return of.get(own, own)

    return story


def _joining() -> Callable[[_Post], str]:
    """What gives the story of each post that comes: that of those before it which it resembles."""
    stories, coming = Stories(), count()
    return lambda post: stories.add(str(next(coming)), post.text, post.repost_of)


def as_json(post: str, found: Understanding) -> dict[str, Any]:
    """What was understood, as it is given to programs: chances from 0 to 1."""
    return {
        "id": post,
        "lang": found.lang,
        "kinds": {kind.value: chance for kind, chance in found.kinds.items()},
        "labels": [kind.value for kind in found.labels],
        "words": {cue.kind.value: list(cue.words) for cue in found.cues},
        "stance": found.stance,
        "themes": list(found.themes),
        "patient_exposed": found.patient_exposed,
        "request": found.request,
        "story": found.story,
    }


def _show(post: _Post, found: Understanding) -> None:
    text = one_line(" ".join(post.text.split()))
    out(f"{one_line(post.id)}  {text if len(text) <= LENGTH else text[: LENGTH - 1] + '…'}")
    kinds = ", ".join(f"{kind} {found.kinds[kind]:.2f}" for kind in found.labels)
    marks = [found.lang, found.stance, *(["names a patient?"] if found.patient_exposed >= EXPOSED else [])]
    out(f"    {kinds}  |  {', '.join(found.themes) or '-'}  |  {', '.join(marks)}")
    for cue in found.cues:
        if cue.words:
            out(f"    {cue.kind}: {one_line(' · '.join(cue.words))}")


def _lines(reader: LineReader) -> Iterator[tuple[int, bytes | Broken]]:
    """Lines as they come; blank ones are passed over. Where nothing more is there yet, what was found is shown."""
    for line in reader.lines():
        if line is None:
            sys.stdout.flush()
            reader.ready(WAIT_SECONDS)
        elif isinstance(line[1], Broken) or line[1].strip():
            yield line
