"""Who may do what: passwords, sessions on every replica, the token, the one-time secret, and wrong tries."""

import logging

import pytest
from pydantic import SecretStr

from deployments.metrics import NoMetrics
from deployments.telemetry.errors import StoreUnavailable
from deployments.telemetry.records import Client
from serve_app.access import ADMINISTRATOR, Access, AccessRefused, AccessSettings, TooManyFailures
from serve_app.passwords import Passwords
from tests.support.access import MemoryAccess

CLIENT = Client("c-1", "CODIGO123456", "dona@farmacia.example", "Farmácia", "11 5555-0000")
PASSWORD = "uma frase comprida"


class Clock:
    now_s = 1_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def store():
    return MemoryAccess(clients_known={"c-1": CLIENT})


@pytest.fixture
def clock():
    return Clock()


def replica(store, clock, **settings):
    return Access(AccessSettings(**settings), store, NoMetrics(), clock, Passwords(memory_kib=8, rounds=1))


async def with_password(store, clock, **settings):
    access = replica(store, clock, **settings)
    await access.set_administrator_password(await access.new_setup_secret(), PASSWORD, "1.1.1.1")
    return access


async def test_the_one_time_secret_sets_the_first_password_and_works_once(store, clock):
    access = replica(store, clock)
    assert await access.needs_setup()
    secret = await access.new_setup_secret()
    await access.set_administrator_password(secret, PASSWORD, "1.1.1.1")
    assert not await access.needs_setup()
    with pytest.raises(AccessRefused):
        await access.set_administrator_password(secret, "outra frase comprida", "1.1.1.1")
    await access.sign_in_administrator(PASSWORD, "1.1.1.1")


async def test_a_newer_one_time_secret_makes_the_older_one_void(store, clock):
    access = replica(store, clock)
    older = await access.new_setup_secret()
    await access.new_setup_secret()
    with pytest.raises(AccessRefused):
        await access.set_administrator_password(older, PASSWORD, "1.1.1.1")


async def test_nothing_that_was_presented_is_stored_as_it_is(store, clock):
    access = replica(store, clock)
    secret = await access.new_setup_secret()
    await access.set_administrator_password(secret, PASSWORD, "1.1.1.1")
    kept = repr((store.credentials, store.one_time, store.log))
    assert store.credentials[ADMINISTRATOR].password_hash.startswith("$argon2id$")
    assert PASSWORD not in kept
    assert secret not in kept


async def test_a_session_works_on_every_replica_and_after_a_restart_until_its_time_is_over(store, clock):
    signed_in = await (await with_password(store, clock)).sign_in_administrator(PASSWORD, "1.1.1.1")
    elsewhere = replica(store, clock)
    assert (await elsewhere.by_cookie(signed_in.cookie)).is_administrator
    clock.now_s += signed_in.max_age_s
    assert (await elsewhere.by_cookie(signed_in.cookie)).role is None


async def test_signing_out_ends_the_session_everywhere_within_the_cache_time(store, clock):
    access = await with_password(store, clock)
    elsewhere = replica(store, clock)
    cookie = (await access.sign_in_administrator(PASSWORD, "1.1.1.1")).cookie
    who = await access.by_cookie(cookie)
    assert (await elsewhere.by_cookie(cookie)).is_administrator
    await access.sign_out(who)
    assert (await access.by_cookie(cookie)).role is None
    clock.now_s += access.settings.standing_cache_s
    assert (await elsewhere.by_cookie(cookie)).role is None


async def test_a_changed_password_ends_the_sessions_of_before(store, clock):
    access = await with_password(store, clock)
    cookie = (await access.sign_in_administrator(PASSWORD, "1.1.1.1")).cookie
    await access.set_administrator_password(PASSWORD, "outra frase comprida", "1.1.1.1")
    assert (await access.by_cookie(cookie)).role is None
    with pytest.raises(AccessRefused):
        await access.sign_in_administrator(PASSWORD, "1.1.1.1")


async def test_while_the_database_is_away_known_sessions_go_on_and_unknown_ones_are_not_let_in(store, clock):
    access = await with_password(store, clock)
    elsewhere = replica(store, clock)
    cookie = (await access.sign_in_administrator(PASSWORD, "1.1.1.1")).cookie
    await access.by_cookie(cookie)
    store.away = True
    clock.now_s += 60
    assert (await access.by_cookie(cookie)).is_administrator
    with pytest.raises(StoreUnavailable):
        await elsewhere.by_cookie(cookie)


async def test_a_client_sets_its_first_password_with_its_code_and_only_the_first(store, clock):
    access = replica(store, clock)
    with pytest.raises(AccessRefused):
        await access.set_client_password(CLIENT.email, "ERRADO", PASSWORD, "1.1.1.1")
    await access.set_client_password(" Dona@Farmacia.example ", CLIENT.code, PASSWORD, "1.1.1.1")
    with pytest.raises(AccessRefused, match="administrador"):
        await access.set_client_password(CLIENT.email, CLIENT.code, "a frase de um intruso", "1.1.1.1")
    signed_in = await access.sign_in_client(CLIENT.email, PASSWORD, "1.1.1.1")
    assert (signed_in.principal.client_id, signed_in.principal.is_administrator) == ("c-1", False)


async def test_the_administrator_gives_a_client_that_lost_its_password_a_new_start(store, clock):
    access = replica(store, clock)
    await access.set_client_password(CLIENT.email, CLIENT.code, PASSWORD, "1.1.1.1")
    cookie = (await access.sign_in_client(CLIENT.email, PASSWORD, "1.1.1.1")).cookie
    await access.clear_client_password("c-1")
    assert (await access.by_cookie(cookie)).role is None
    with pytest.raises(AccessRefused):
        await access.sign_in_client(CLIENT.email, PASSWORD, "1.1.1.1")
    await access.set_client_password(CLIENT.email, CLIENT.code, "outra frase comprida", "1.1.1.1")


async def test_an_account_without_a_password_and_an_unknown_one_are_refused_in_the_same_words(store, clock):
    access = replica(store, clock)
    texts = []
    for email in (CLIENT.email, "ninguem@farmacia.example"):
        with pytest.raises(AccessRefused) as refused:
            await access.sign_in_client(email, "", "1.1.1.1")
        texts.append(str(refused.value))
    assert texts[0] == texts[1]


async def test_wrong_tries_at_an_account_from_one_address_do_not_lock_its_owner_out(store, clock):
    access = await with_password(store, clock, failures_at_account_max=2)
    for _ in range(2):
        with pytest.raises(AccessRefused):
            await access.sign_in_administrator("errada", "6.6.6.6")
    with pytest.raises(TooManyFailures) as refused:
        await access.sign_in_administrator(PASSWORD, "6.6.6.6")
    assert 0 < refused.value.wait_s <= access.settings.failures_window_s
    await access.sign_in_administrator(PASSWORD, "1.1.1.1")
    clock.now_s += access.settings.failures_window_s
    await access.sign_in_administrator(PASSWORD, "6.6.6.6")


async def test_one_address_cannot_try_many_accounts_and_many_addresses_cannot_try_one(store, clock):
    access = replica(store, clock, failures_from_address_max=3, failures_at_account_max=1)
    for number in range(3):
        with pytest.raises(AccessRefused):
            await access.sign_in_client(f"a{number}@b.example", "errada", "6.6.6.6")
    with pytest.raises(TooManyFailures):
        await access.sign_in_client("outro@b.example", "errada", "6.6.6.6")
    for number in range(10):
        with pytest.raises(AccessRefused):
            await access.sign_in_client(CLIENT.email, "errada", f"7.7.7.{number}")
    with pytest.raises(TooManyFailures):
        await access.sign_in_client(CLIENT.email, "errada", "8.8.8.8")


async def test_right_passwords_use_up_no_tries(store, clock):
    access = await with_password(store, clock, failures_from_address_max=2, failures_at_account_max=1)
    for _ in range(5):
        await access.sign_in_administrator(PASSWORD, "1.1.1.1")
    assert (await access.sign_in_administrator(PASSWORD, "1.1.1.1")).max_age_s == 12 * 3600


@pytest.mark.parametrize(("secret", "token", "known"), [("s", "s", True), ("s", "ç", False), (None, "", False)])
def test_the_token_is_the_administrator_and_no_token_is_nobody(store, clock, secret, token, known):
    access = replica(store, clock, admin_secret=None if secret is None else SecretStr(secret))
    assert access.by_token(token).is_administrator is known


async def test_what_is_refused_is_not_told_to_the_log(store, clock, caplog):
    access = await with_password(store, clock)
    with caplog.at_level(logging.DEBUG), pytest.raises(AccessRefused):
        await access.sign_in_client("dona@farmacia.example", "minha senha secreta", "1.1.1.1")
    assert "secreta" not in caplog.text
    assert "farmacia" not in caplog.text


async def test_an_act_that_cannot_be_logged_is_not_done(store, clock):
    access = await with_password(store, clock)
    store.away = True
    with pytest.raises(StoreUnavailable):
        await access.act(access.by_token(""), "revogar chave", "b-1", "1.1.1.1")


async def test_trials_are_counted_by_account(store, clock):
    access = replica(store, clock, trials_per_minute_max=1, admin_secret=SecretStr("s"))
    who = access.by_token("s")
    access.take_trial(who)
    with pytest.raises(TooManyFailures):
        access.take_trial(who)
