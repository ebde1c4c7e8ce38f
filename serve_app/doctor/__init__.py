"""`python -m serve_app.doctor`: looks a deployment over, says what is wrong and what to do about it."""

from serve_app.doctor.finding import Finding, State

__all__ = ["Finding", "State"]
