"""The better tier: what the encoder says of a text, together with what the default tier says.

How much each counts was found on posts whose writers neither had seen (`tests/corpus/train_better.py`). Language stays
the default tier's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alerts.annotate.encoder import Encoder
from alerts.annotate.weights import Bank, Floats
from listener.errors import ConfigError

ENCODER = Path(__file__).with_name("encoder.bin")


class Better:
    """Immutable: share it between threads."""

    def __init__(self, encoder: Encoder, banks: Mapping[str, Bank]) -> None:
        """`banks`: of the default tier. Raises KeyError for what the file lacks."""
        self._encoder = encoder
        heads = [(name, label) for name, bank in banks.items() for label in bank.heads]
        together: Mapping[str, Any] = encoder.about["together"]
        asked = {
            (name, label): number
            for number, (name, label) in enumerate(
                (name, label) for name, bank in together.items() for label in bank["labels"]
            )
        }
        self._names = tuple(together)
        # What the encoder does not know of it leaves as it is.
        self._which = np.array([asked.get(head, len(asked)) for head in heads])
        self._own, self._slope, self._offset = (
            np.concatenate([*(bank[what] for bank in together.values()), [rest]])[self._which]
            for what, rest in (("own", 1.0), ("slope", 0.0), ("offset", 0.0))
        )
        self.thresholds: dict[str, list[float]] = {
            name: [
                dict(zip(together[name]["labels"], together[name]["threshold"], strict=True)).get(label, 0.5)
                for label in banks[name].heads
            ]
            for name in ("kinds", "themes")
        }

    @classmethod
    def load(cls, banks: Mapping[str, Bank], path: Path = ENCODER) -> Better:
        """Raises ConfigError with the file, and what is wrong."""
        encoder = Encoder.load(path)
        try:
            return cls(encoder, banks)
        except KeyError as error:
            raise ConfigError(f"{path}: lacks {error}") from None

    def odds(self, text: str, odds: Floats) -> Floats:
        """The default tier's log odds of all its heads, with what the encoder says of them."""
        found = self._encoder.scores(text)
        scores = np.concatenate([*(found[name] for name in self._names), [0.0]])[self._which]
        both: Floats = self._own * odds + self._slope * scores + self._offset
        return both
