"""The REST surface: one module a subject, each with a router; `guards.py` says who may use which route."""
