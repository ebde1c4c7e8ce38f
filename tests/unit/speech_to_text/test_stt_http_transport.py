"""The session under a vendor's SDK looks for proxies only where there is one: it would do so at every request."""

import os

import pytest

from deployments.http_transport import Transport


@pytest.mark.parametrize(
    ("variables", "looks"),
    [
        ({}, False),
        ({"RAY_SERVE_ENABLE_HA_PROXY": "1", "NO_PROXY": "*"}, False),
        ({"https_proxy": "http://127.0.0.1:3128"}, True),
        ({"ALL_PROXY": "http://127.0.0.1:3128"}, True),
    ],
)
async def test_proxies_are_looked_for_where_there_is_one(monkeypatch, variables, looks):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    session = Transport(4, 30.0)._session()
    assert session.trust_env is looks
    await session.close()
