"""Keys at the door: cached a little, trusted through an outage, never stored."""

import pytest

from deployments.telemetry.records import Counter
from serve_app.accounts import Accounts, AccountsSettings, DirectoryUnavailable, hash_of, new_key


class Directory:
    def __init__(self, *counters):
        self.counters = {counter.key_hash: counter for counter in counters}
        self.asked = 0
        self.down = False

    async def find_counter(self, key_hash):
        self.asked += 1
        if self.down:
            raise ConnectionError("away")
        return self.counters.get(key_hash)

    async def create_counter(self, client_code, name, key_hash):
        self.counters[key_hash] = Counter("new", client_code, name, key_hash)
        return self.counters[key_hash]

    async def create_client(self, email, company, phone):
        return email


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


COUNTER = Counter("b1", "c1", "Caixa", hash_of("bk_1"))


def accounts(directory, clock=None, **settings):
    return Accounts(AccountsSettings(**settings), directory, clock or Clock())


async def test_a_known_key_is_asked_for_once_in_a_while():
    directory, clock = Directory(COUNTER), Clock()
    door = accounts(directory, clock, key_cache_s=4)
    assert [await door.counter_of("bk_1") for _ in range(3)] == [COUNTER] * 3
    assert directory.asked == 1
    clock.now = 4.1
    await door.counter_of("bk_1")
    assert directory.asked == 2


async def test_a_revoked_or_removed_key_stops_working_within_the_cache_time():
    directory, clock = Directory(COUNTER), Clock()
    door = accounts(directory, clock, key_cache_s=4)
    await door.counter_of("bk_1")
    directory.counters.clear()
    clock.now = 4.1
    assert await door.counter_of("bk_1") is None


async def test_unknown_keys_are_not_remembered():
    directory = Directory()
    door = accounts(directory)
    assert [await door.counter_of("guess") for _ in range(2)] == [None, None]
    assert directory.asked == 2


async def test_through_an_outage_known_keys_open_the_door_for_as_long_as_is_set():
    directory, clock = Directory(COUNTER), Clock()
    door = accounts(directory, clock, key_cache_s=0, key_cache_outage_s=100)
    await door.counter_of("bk_1")
    directory.down = True
    clock.now = 99
    assert await door.counter_of("bk_1") == COUNTER
    clock.now = 101
    with pytest.raises(DirectoryUnavailable):
        await door.counter_of("bk_1")
    with pytest.raises(DirectoryUnavailable):
        await door.counter_of("never seen")


async def test_memory_is_bounded():
    counters = [Counter(str(n), "c", "n", hash_of(str(n))) for n in range(5)]
    directory = Directory(*counters)
    door = accounts(directory, key_cache_s=60, key_cache_max=2)
    for n in range(5):
        await door.counter_of(str(n))
    directory.asked = 0
    await door.counter_of("4")
    await door.counter_of("0")
    assert directory.asked == 1


async def test_a_new_counter_gets_a_random_key_of_which_only_the_hash_is_kept():
    directory = Directory()
    counter, key = await accounts(directory).register_counter("CODE", "Caixa 2")
    assert key.startswith("bk_")
    assert len(key) > 40
    assert key != new_key()
    assert counter.key_hash == hash_of(key)
    assert key not in repr(directory.counters)
