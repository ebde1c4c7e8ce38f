"""Every state of the counter's page: what it says, how it looks, and that axe-core finds nothing serious in it."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.rig import (
    PHONE,
    ScriptedServer,
    chromium,
    keeping,
    opened,
    page_faults,
    picture,
    serious_findings,
    suggestion,
    welcome,
)
from tests.support.doors import KEY

THREE = ("Soro de reidratação oral", "Probiótico em sachê", "Pomada para assadura")


async def scripted(browser, door, greet=welcome, **options) -> tuple[Page, ScriptedServer]:
    """A page whose server is scripted."""
    server = ScriptedServer(greet)
    page = await opened(browser, "about:blank", key=None, **options)
    await page.add_init_script(keeping(KEY))
    await server.stand_in(page)
    await page.goto(door.http)
    return page, server


async def looked_at(page: Page, name: str) -> None:
    """Keep a picture, and hold both colour schemes to axe."""
    await page.wait_for_timeout(300)  # what moves has come to rest
    await picture(page, name)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await serious_findings(page) == [], scheme
    await page.emulate_media(color_scheme="light")


async def test_without_a_key_it_asks_for_one_and_keeps_it(browser, door):
    page = await opened(browser, door.http, key=None)
    await expect(page.get_by_label("Chave", exact=True)).to_be_visible()
    await looked_at(page, "page-no-key")
    await page.get_by_label("Chave", exact=True).fill(f" {KEY} ")
    await page.keyboard.press("Enter")
    await expect(page.locator("#connection")).to_have_text("Conectado")
    await page.reload()
    await expect(page.locator("#connection")).to_have_text("Conectado")
    assert page_faults(page) == []


async def test_a_refused_key_is_forgotten_and_said(browser, door):
    page = await opened(browser, door.http, key=None)
    await page.get_by_label("Chave", exact=True).fill("bk_outra")
    await page.keyboard.press("Enter")
    await expect(page.locator("#key-trouble")).to_contain_text("foi recusada")
    assert await page.evaluate("localStorage.getItem('balto.chave')") is None
    await looked_at(page, "page-key-refused")


async def test_ready_listening_and_paused_are_said_for_the_customer_too(browser, door):
    page = await opened(browser, door.http)
    await expect(page.locator("#sign-text")).to_have_text("Microfone desligado")
    await looked_at(page, "page-ready")
    await page.get_by_role("button", name="Começar a ouvir").click()
    await expect(page.locator("#sign-text")).to_have_text("Ouvindo")
    await looked_at(page, "page-listening")
    await page.keyboard.press("p")
    await expect(page.locator("#sign-text")).to_have_text("Pausado")
    await expect(page.get_by_role("button", name="Voltar a ouvir")).to_be_visible()
    await looked_at(page, "page-paused")


async def test_suggestions_are_cards_with_their_words_as_text(browser, door):
    page, server = await scripted(browser, door)
    await expect(page.locator("#connection")).to_have_text("Conectado")
    server.say(**suggestion(1, "Antiácido"))
    server.say(**suggestion(2, "<img src=x onerror=alert(1)>", heard="<b>negrito</b>"))
    server.say(**suggestion(3, *THREE, heard="meu filho está com diarreia desde ontem"))
    server.say(comando="ouvido", texto="<script>alert(1)</script>", inicio_ms=1, fim_ms=2)
    await expect(page.locator(".card")).to_have_count(3)
    assert await page.locator(".card h3").all_inner_texts() == [*THREE, "<img src=x onerror=alert(1)>", "Antiácido"]
    assert await page.locator(".card img, .card b, #heard script").count() == 0
    await looked_at(page, "page-suggestions")
    await page.set_viewport_size(PHONE)
    await looked_at(page, "page-suggestions-phone")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page_faults(page) == []


async def test_the_dark_scheme(browser, door):
    page, server = await scripted(browser, door, color_scheme="dark")
    await expect(page.locator("#connection")).to_have_text("Conectado")
    server.say(**suggestion(1, *THREE, simulated=True))
    await expect(page.locator(".card-simulated")).to_be_visible()
    await page.wait_for_timeout(300)
    await picture(page, "page-dark")


async def test_the_pharmacist_is_called_large_until_somebody_has_read_it(browser, door):
    page, server = await scripted(browser, door)
    await expect(page.locator("#connection")).to_have_text("Conectado")
    server.say(comando="aviso", codigo="chame_farmaceutico", mensagem="Dor no peito pode ser grave.")
    call = page.get_by_role("alert").filter(has_text="Chame o farmacêutico")
    await expect(call).to_contain_text("Dor no peito pode ser grave.")
    assert await page.evaluate("document.activeElement === document.body")
    await looked_at(page, "page-pharmacist")
    await page.get_by_role("button", name="Entendi").click()
    await expect(page.locator("#pharmacist")).to_be_empty()


async def test_notices_come_and_go_with_what_they_are_about(browser, door):
    page, server = await scripted(browser, door)
    await expect(page.locator("#connection")).to_have_text("Conectado")
    server.say(comando="aviso", codigo="demonstracao", mensagem="As palavras são do reconhecedor de demonstração.")
    server.say(comando="aviso", codigo="stt_indisponivel", mensagem="A transcrição falha agora.")
    server.say(comando="aviso", codigo="llm_indisponivel", mensagem="Só as regras respondem agora.")
    server.say(comando="aviso", codigo="novo_codigo", mensagem="Uma frase que a página não conhece.")
    await expect(page.locator("#notices li")).to_have_count(4)
    await looked_at(page, "page-notices")
    server.say(comando="aviso", codigo="stt_restabelecido", mensagem="Voltou.")
    server.say(comando="aviso", codigo="llm_restabelecido", mensagem="Voltou.")
    await expect(page.locator("#notices li")).to_have_count(2)


@pytest.mark.parametrize(
    ("name", "code", "message", "pill"),
    [
        ("overloaded", 4002, {"codigo": "sobrecarga", "mensagem": "O servidor está cheio.", "tente_em_s": 5}, "cheio"),
        ("elsewhere", 4005, {"codigo": "sessao_em_uso", "mensagem": "Já está conectada."}, "outro lugar"),
        ("refused", 4003, {"codigo": "handshake_invalido", "mensagem": "Apresentação inválida."}, "recusado"),
    ],
)
async def test_a_refusal_says_what_it_means_and_when_it_is_tried_again(browser, door, name, code, message, pill):
    page, _ = await scripted(browser, door, greet=lambda server: server.refuse(code, **message))
    await expect(page.locator("#connection")).to_contain_text(pill)
    await expect(page.locator("#connection")).to_have_text(re.compile(r"em \d+ s"))
    await expect(page.locator("#trouble")).to_contain_text(message["mensagem"])
    await looked_at(page, f"page-{name}")


async def test_without_a_connection_it_says_so_and_typed_words_stay_in_their_field(browser, door):
    page, server = await scripted(browser, door, greet=lambda server: welcome(server) if len(server.got) == 1 else None)
    await expect(page.locator("#connection")).to_have_text("Conectado")
    await server.close(1011)
    await expect(page.locator("#connection")).to_contain_text("Sem conexão")
    await page.get_by_label("Digitar o que o cliente pediu").fill("xarope para tosse")
    await page.keyboard.press("Enter")
    await expect(page.locator("#trouble")).to_contain_text("o texto continua no campo")
    assert await page.get_by_label("Digitar o que o cliente pediu").input_value() == "xarope para tosse"
    await looked_at(page, "page-reconnecting")


async def test_a_microphone_that_may_not_be_used_is_said_with_what_to_do(door):
    async with chromium("--use-fake-device-for-media-stream", "--deny-permission-prompts") as browser:
        page = await opened(browser, door.http)
        await page.get_by_role("button", name="Começar a ouvir").click()
        await expect(page.locator("#sign-text")).to_have_text("Sem microfone")
        await expect(page.locator("#sign-detail")).to_contain_text("permita o microfone")
        await expect(page.get_by_role("button", name="Tentar de novo")).to_be_visible()
        await looked_at(page, "page-no-microphone")


async def test_the_settings_are_kept_and_the_key_is_masked(browser, door):
    page, _ = await scripted(browser, door)
    await page.get_by_role("button", name="Ajustes").click()
    await expect(page.get_by_role("dialog", name="Ajustes")).to_be_visible()
    assert KEY not in await page.inner_text("dialog")
    await looked_at(page, "page-settings")
    await page.get_by_label("Sugestões ficam na tela").select_option("0")
    await page.get_by_label("Cores").select_option("dark")
    await page.get_by_role("button", name="Fechar").click()
    await page.reload()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await page.evaluate("JSON.parse(localStorage.getItem('balto.preferencias')).showS") == 0
