"""The owner's console in Chromium: every page says what is true, works by keyboard, and has nothing serious for axe."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from deployments.telemetry.records import Feedback, Interaction
from tests.browser.rig import PHONE, figure, opened, page_faults, picture, serious_findings
from tests.support.rest import PASSWORD, TOKEN, Rest, rest

CESTAS = ("FEBRE", "DIARREIA", "TOSSE SECA", "AZIA")
TEXTS = ("estou com dor de cabeça desde ontem", "meu filho está com diarreia", "quero um protetor solar", "bom dia")
HELD = [{"item_id": "aas", "rule_id": "dengue"}]
SORO = [{"id": "soro", "sugestao": "Soro de reidratação oral", "explicacao": "Repõe água e sais."}]
PAGES = {
    "resumo": "Resumo",
    "vivo": "Ao vivo",
    "busca": "Busca",
    "sugestoes": "Sugestões",
    "seguranca": "Segurança",
    "balcoes": "Balcões",
    "clientes": "Clientes",
    "privacidade?sessao=s-1": "Privacidade",
    "auditoria": "Auditoria",
    "interacao/a-400": "Interação",
}


def spoken(served: Rest, who: str, number: int, at: datetime, **given) -> Interaction:
    counter = served.counters[who]
    ids = (f"{who}-{number}", counter.client_id, counter.counter_id, f"s-{number % 7}", f"u-{number}", "no-1", "4.0.0")
    what = {"outcome": "nada", "text": TEXTS[number % 4], "speech_ended_at": at, "stt_cost_usd": 0.0004}
    return Interaction(*ids, **{**what, "audio_received_at": at - timedelta(seconds=2), "duration_s": 2.0, **given})


def suggested(served: Rest, who: str, number: int, at: datetime, chance: random.Random) -> Interaction:
    def after(ms: int) -> datetime:
        return at + timedelta(milliseconds=ms)

    stt = chance.randint(200, 500)
    return spoken(
        served,
        who,
        number,
        at,
        outcome="sugerido",
        suggestion_id=f"g-{number}",
        cesta=chance.choice(CESTAS),
        ordering=chance.choice(("mantida", "aprendida")),
        items=SORO,
        blocked=HELD if number % 5 == 0 else None,
        segment_emitted_at=after(5),
        voice_sent_at=after(6),
        voice_ready_at=after(15),
        stt_sent_at=after(16),
        stt_ready_at=after(stt),
        advice_asked_at=after(stt + 1),
        advice_ready_at=after(stt + 4),
        sent_to_counter_at=after(stt + 6),
        advisor_cost_usd=0.0006,
        stt_provider="elevenlabs",
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served() -> AsyncIterator[Rest]:
    """Two weeks of two counters."""
    chance = random.Random(7)
    now = datetime.now(timezone.utc)
    with tempfile.TemporaryDirectory(prefix="balto-console-") as folder:
        async with rest(Path(folder)) as served:
            rows: list[Interaction | Feedback] = []
            for number in range(600):
                who, at = "ab"[number % 2], now - timedelta(minutes=34 * number + chance.randint(1, 30))
                if number % 2 == 0 or number % 3 == 0:
                    rows.append(suggested(served, who, number, at, chance))
                    result = chance.choice(("aceita", "vendida", "recusada", "ignorada"))
                    counter_id = served.counters[who].counter_id
                    told = Feedback(f"f-{number}", f"g-{number}", "soro", result, counter_id, f"s-{number % 7}", at)
                    rows += [told] * (number % 5 < 3)
                else:
                    rows.append(spoken(served, who, number, at))
            await served.records.record(rows)
            await until_counted(served)
            yield served


async def until_counted(served: Rest) -> None:
    store = await served.records._store()
    for _ in range(1_000):
        if not (await served.records.health())["outbox_rows"]:
            while await store.refresh_figures():
                pass
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the rows did not reach the database within 20 s")


async def signed_in(browser: Browser, served: Rest, who: str = "administrador", **options) -> Page:
    page = await opened(browser, f"{served.at.http}/admin", key=None, timezone_id="America/Sao_Paulo", **options)
    if who == "administrador":
        await page.get_by_label("Senha do administrador", exact=True).fill(PASSWORD)
    else:
        await page.get_by_label("E-mail", exact=True).fill(served.clients[who].email)
        await page.get_by_label("Senha", exact=True).fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Resumo")).to_be_visible()
    return page


async def test_every_page_is_shown_and_axe_finds_nothing_serious_in_either_scheme(browser, served):
    page = await signed_in(browser, served)
    for address, heading in PAGES.items():
        begun = time.perf_counter()
        await page.goto(f"{served.at.http}/admin#/{address}")
        await expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
        await expect(page.locator("main")).to_have_attribute("aria-busy", "false")
        figure(f"console {address}: {1000 * (time.perf_counter() - begun):.0f} ms")
        await expect(page.locator("main .trouble:not(:empty)")).to_have_count(0)
        await page.wait_for_timeout(150)  # plots are drawn
        await picture(page, f"console-{address.split('?')[0].split('/')[0]}")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await serious_findings(page) == [], (address, scheme)
        await page.emulate_media(color_scheme="light")
    assert page_faults(page) == []


async def test_sign_in_says_what_is_wrong_and_is_sound_for_axe(browser, served):
    page = await opened(browser, f"{served.at.http}/admin", key=None)
    await expect(page.get_by_role("heading", level=1, name="Entrar")).to_be_visible()
    await picture(page, "console-entrar")
    for summary in await page.locator("summary").all():
        await summary.click()
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await serious_findings(page) == []
    await page.get_by_label("Senha do administrador", exact=True).fill("outra coisa qualquer")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="senha")).to_be_visible()


async def test_the_administrators_first_password_is_set_with_the_one_time_secret(browser, served):
    made = await served.http.post("/admin/segredo", headers={"Authorization": f"Bearer {TOKEN}"})
    page = await opened(browser, f"{served.at.http}/admin", key=None)
    await page.get_by_text("Primeira configuração do administrador").click()
    await page.get_by_label("Segredo de uso único ou senha atual").fill(made.json()["segredo"])
    await page.get_by_label("Nova senha do administrador").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Resumo")).to_be_visible()
    assert page_faults(page) == []


async def test_a_client_and_its_counter_are_registered_and_its_key_shown_this_once(browser, served):
    page = await signed_in(browser, served)
    await page.get_by_role("link", name="Clientes").click()
    await page.get_by_label("Razão social").fill("Farmácia <b>Nova</b>")
    await page.get_by_label("E-mail", exact=True).fill("nova@farmacia.example")
    await page.get_by_label("Telefone").fill("11 5555")
    await page.keyboard.press("Enter")
    code = await page.locator("[role=status] code").inner_text()
    await page.get_by_role("link", name="Balcões", exact=True).click()
    await page.get_by_label("Código do cliente").fill(code)
    await page.get_by_label("Nome do balcão").first.fill("Caixa 9")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Chave do balcão")).to_be_visible()
    key = await page.locator("#key-text").inner_text()
    assert await serious_findings(page) == []
    await picture(page, "console-chave")
    await page.get_by_role("button", name="Já guardei").click()
    assert key.startswith("bk_")
    assert key not in await page.content()
    row = page.get_by_role("row").filter(has_text="Caixa 9")
    await expect(row).to_contain_text("Farmácia <b>Nova</b>")  # text is text
    await row.get_by_role("combobox").select_option("movimentada")
    await expect(page.locator("#news")).to_have_text("Ruído de Caixa 9: loja movimentada.")
    await row.get_by_role("button", name="Revogar").click()
    await page.get_by_role("button", name="Confirmar").click()
    await expect(row).to_contain_text("revogada")
    assert page_faults(page) == []


async def test_a_client_sees_its_own_pages_only(browser, served):
    page = await signed_in(browser, served, "a")
    await expect(page.get_by_role("link", name="Auditoria")).to_have_count(0)
    await expect(page.get_by_role("link", name="Clientes")).to_have_count(0)
    await expect(page.locator("select[name=balcao] option")).to_have_text(["todos", "Balcão a"])
    assert page_faults(page) == []


async def test_what_happens_at_a_counter_is_on_the_live_page_within_200_ms(browser, served):
    page = await signed_in(browser, served)
    await page.get_by_role("link", name="Ao vivo").click()
    await expect(page.get_by_role("status").filter(has_text="ao vivo")).to_be_visible()
    took = []
    for number in range(5):
        text = f"frase ao vivo {number}"
        row = spoken(served, "a", 9_000 + number, datetime.now(timezone.utc), text=text)
        seen = asyncio.create_task(
            page.wait_for_function(
                "text => document.querySelector('tbody tr')?.textContent.includes(text)", arg=text, polling="raf"
            )
        )
        begun = time.perf_counter()
        await served.records.record([row])
        await seen
        took.append(1000 * (time.perf_counter() - begun))
    figure(f"console live list behind: {sorted(round(ms) for ms in took)} ms")
    assert sorted(took)[2] <= 200
    await expect(page.get_by_role("row").filter(has_text="frase ao vivo 0")).to_have_count(1)


async def test_search_by_keyboard_alone_leads_to_an_interactions_waterfall(browser, served):
    page = await signed_in(browser, served)
    await focus(page, "Busca")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Busca")).to_be_visible()
    await focus(page, "Palavras")
    await page.keyboard.type("diarreia")
    await page.keyboard.press("Enter")
    await expect(page.locator("td.said").filter(has_not_text="diarreia")).to_have_count(0)
    await expect(page.locator("td.said").first).to_contain_text("diarreia")
    await focus(page, "/")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Interação")).to_be_visible()
    await expect(page.get_by_role("cell", name="fim da fala")).to_be_visible()
    assert page_faults(page) == []


async def focus(page: Page, name: str) -> None:
    """Press Tab until what has the focus is called so."""
    called = (
        "() => {const e = document.activeElement; const l = e.labels?.[0]; "
        "return e.matches('a, button, input, select') ? (l ?? e).textContent.trim() : ''}"
    )
    for _ in range(60):
        await page.keyboard.press("Tab")
        if name in await page.evaluate(called):
            return
    raise AssertionError(f"Tab never reaches {name}")


async def test_a_session_is_erased_after_a_question(browser, served):
    page = await signed_in(browser, served)
    await page.goto(f"{served.at.http}/admin#/privacidade?sessao=s-6")
    await page.get_by_role("button", name="Apagar tudo").click()
    await page.get_by_role("button", name="Cancelar").click()
    await page.get_by_role("button", name="Apagar tudo").click()
    await page.get_by_role("button", name="Confirmar").click()
    await expect(page.get_by_role("status").filter(has_text="Apagadas")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Nada está guardado desta sessão.")).to_be_visible()


async def test_it_fits_a_phone(browser, served):
    page = await signed_in(browser, served, viewport=PHONE)
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for address in ("resumo", "sugestoes", "busca", "balcoes"):
        await page.goto(f"{served.at.http}/admin#/{address}")
        await expect(page.locator("main")).to_have_attribute("aria-busy", "false")
        await page.wait_for_timeout(150)
        assert await page.evaluate(wider) <= 1, address
    await picture(page, "console-telefone")


async def test_a_session_that_ended_elsewhere_leads_back_to_signing_in(browser, served):
    page = await signed_in(browser, served)
    await page.context.clear_cookies()
    await page.get_by_role("link", name="Sugestões").click()
    await expect(page.get_by_role("heading", level=1, name="Entrar")).to_be_visible()
