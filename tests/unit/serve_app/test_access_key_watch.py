"""Connected counters are closed when their keys open the door no more."""

import logging

from deployments.telemetry.records import Counter
from serve_app.accounts import Accounts, AccountsSettings, hash_of
from serve_app.key_watch import KeyWatch
from tests.support.access import MemoryAccess

COUNTERS = {name: Counter(name, "c-1", name, hash_of(name)) for name in ("a", "b", "c")}


def watch(store, connected):
    closed = set()

    async def close(dead):
        closed.update(dead)

    return KeyWatch(Accounts(AccountsSettings(), store), 2.0, lambda: connected, close), closed


async def test_only_counters_whose_key_was_revoked_or_replaced_are_closed():
    store = MemoryAccess(counters_known=dict(COUNTERS))
    looking, closed = watch(store, {hash_of(name) for name in COUNTERS})
    await looking.look()
    assert closed == set()
    await store.rotate_key("b", hash_of("b2"))
    store.counters_known["c"] = Counter("c", "c-1", "c", hash_of("c"), revoked=True)
    await looking.look()
    assert closed == {hash_of("b"), hash_of("c")}


async def test_nobody_is_closed_while_the_accounts_are_out_of_reach(caplog):
    store = MemoryAccess(away=True)
    looking, closed = watch(store, {hash_of("a")})
    with caplog.at_level(logging.WARNING):
        await looking.look()
    assert closed == set()
    assert "key_watch_unavailable" in caplog.text


async def test_the_default_times_revoke_within_five_seconds():
    settings = AccountsSettings()
    assert max(settings.key_cache_s, settings.key_watch_s + 3.0) <= 5.0
