"""A session's cookie: readable by any replica with the key, worth nothing when altered, expired or of another key."""

import base64
import json
from dataclasses import replace

import pytest

from serve_app.ticket import csrf_token, new_ticket, seal, unseal

KEY = b"k" * 32
TICKET = new_ticket("cliente", "c-1", 3, 1_000)


def test_a_sealed_ticket_comes_back_whole_until_its_time_is_over():
    assert unseal(seal(TICKET, KEY), KEY, 999) == TICKET
    assert unseal(seal(TICKET, KEY), KEY, 1_000) is None


def forged() -> list[str]:
    sealed = seal(TICKET, KEY)
    body, mac = sealed.split(".")
    as_administrator = seal(replace(TICKET, role="administrador"), b"x" * 32)
    return [
        "",
        "auth_ok",
        ".",
        body,
        f"{body}.",
        f"{body}.{'0' * 64}",
        f"{as_administrator.split('.')[0]}.{mac}",
        as_administrator,
        f"{body}.{mac}\u00e7",
        sealed * 20,
    ]


@pytest.mark.parametrize("cookie", forged())
def test_a_cookie_that_was_not_sealed_with_the_key_is_nobodys(cookie):
    assert unseal(cookie, KEY, 0) is None


def test_a_ticket_of_another_versions_shape_is_nobodys_and_no_crash():
    import serve_app.ticket as ticket

    body = base64.urlsafe_b64encode(json.dumps(["only", "two"]).encode()).decode()
    assert unseal(f"{body}.{ticket._mac(body, KEY, 'sessao')}", KEY, 0) is None


def test_the_csrf_token_belongs_to_one_session_and_is_not_its_seal():
    other = new_ticket("cliente", "c-1", 3, 1_000)
    assert csrf_token(TICKET, KEY) != csrf_token(other, KEY)
    assert csrf_token(TICKET, KEY) not in seal(TICKET, KEY)
