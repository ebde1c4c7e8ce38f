"""The connections under a vendor's SDK: aiohttp's, with which a call takes a third less CPU than with httpx's own."""

from __future__ import annotations

from typing import Final
from urllib.request import getproxies

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

_PROXIED: Final = frozenset({"http", "https", "all"})
"""What proxies are named after. The library takes any variable that ends in `_proxy` for one, Serve's
`RAY_SERVE_ENABLE_HA_PROXY` too."""


class Transport(AiohttpTransport):
    """A transport for one `httpx.AsyncClient`, with limits of ours; it ends with its client.

    Cookies are not kept; proxies are those of the environment. A connection that breaks is a `httpx.NetworkError`: the
    library alone calls it a timeout.
    """

    def __init__(self, max_connections: int, keepalive_s: float) -> None:
        limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=keepalive_s,
        )
        super().__init__(limits=limits, client=self._session)

    def _session(self) -> aiohttp.ClientSession:
        """Made at the first request, inside the running event loop."""
        connector = aiohttp.TCPConnector(
            limit=self.limits.max_connections or 0, keepalive_timeout=self.limits.keepalive_expiry, ssl=self.ssl_context
        )
        proxied = not _PROXIED.isdisjoint(getproxies())  # a look for one at every request costs as much as the request
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=proxied)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.TransportError."""
        try:
            return await super().handle_async_request(request)
        except httpx.ConnectTimeout as exc:
            if is_broken_connection(exc):
                raise httpx.NetworkError(type(exc.__cause__).__name__) from None
            raise
        except aiohttp.ClientError as exc:  # an answer that is no HTTP: the library's list of kinds is not complete
            raise httpx.RemoteProtocolError(type(exc).__name__) from None


def is_broken_connection(timeout: BaseException) -> bool:
    """Whether what aiohttp's transports call a timeout of connecting is a connection that broke."""
    cause = timeout.__cause__
    return isinstance(cause, aiohttp.ClientConnectionError) and not isinstance(cause, aiohttp.ServerTimeoutError)
