"""What the signal code refuses.

ValueError
├── AudioInvalid          bytes that are not audio of a kind the service takes
└── VadSettingsInvalid    a counter's gate settings with a wrong type or out of range
"""

from __future__ import annotations


class AudioInvalid(ValueError):
    """The bytes cannot be decoded; the text is in Portuguese, for the attendant, and carries none of the bytes."""


class VadSettingsInvalid(ValueError):
    """A field of `vad_settings` has a wrong type or is out of range; the text names the field and the range."""
