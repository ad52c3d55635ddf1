"""The data cards of the demonstrations that were learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sb3_gail_ext.comparison.report.facts import facts
from sb3_gail_ext.comparison.report.grouping import environment_of
from sb3_gail_ext.demonstrations.cards import card_path, read_card
from sb3_gail_ext.demonstrations.errors import DemonstrationError


class Card(NamedTuple):
    env_ids: list[str]
    file: str
    rows: list[tuple[str, str]]  # none: see `problem`
    problem: str | None


def data_cards(results: Sequence[dict[str, Any]]) -> list[Card]:
    """One a demonstrations file, whether it has a card or not."""
    env_ids: dict[str, list[str]] = {}
    for result in results:
        env_ids.setdefault(result["task"]["demonstrations"], []).append(environment_of(result))
    return [_card(file, list(dict.fromkeys(ids))) for file, ids in env_ids.items()]


def _card(file: str, env_ids: list[str]) -> Card:
    try:
        card = read_card(Path(file))
    except (DemonstrationError, OSError) as error:
        return Card(env_ids, file, [], str(error))
    if card is None:
        missing = f"No data card: {card_path(Path(file)).name} is not beside it."
        return Card(env_ids, file, [], missing)
    return Card(env_ids, file, facts({k: v for k, v in card.items() if k != "file"}), None)
