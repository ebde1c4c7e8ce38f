"""The system prompts, one versioned file each: a changed prompt is a new file with the next number."""

from __future__ import annotations

from importlib import resources

ENTITIES = "entities.v2"
CATEGORY = "category.v2"


def prompt(name: str) -> str:
    """Text of the prompt `name`; raises FileNotFoundError for one that does not exist."""
    return resources.files("deployments.recommender").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")
