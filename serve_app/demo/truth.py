"""What is said in a sample, and what is right to suggest, as it was written beside it."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from serve_app.client import ClientError


class Expectation(BaseModel):
    """Which macro categories are right for an utterance; none named: any."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    macros: tuple[str, ...] = ()


class Truth(BaseModel):
    """One utterance of the sample as it was written. Seconds of the sample; `expect` None: nothing to suggest."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)
    speaker: str = ""
    text: str
    expect: Expectation | None = None
    expected_of_demonstration: bool = False


class TruthMalformed(ClientError):
    """The truth file cannot be read; the text says where."""

    exit_code = 2


def load_truth(path: Path) -> list[Truth]:
    """The utterances of a truth file: a list, or an object with the list under `utterances`. Raises TruthMalformed."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        listed = data.get("utterances") if isinstance(data, dict) else data
        return TypeAdapter(list[Truth]).validate_python(listed)
    except (OSError, ValidationError, ValueError) as exc:
        raise TruthMalformed(f"{path}: {exc}") from exc
