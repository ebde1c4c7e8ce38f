"""The counter's page at work: from sound to suggestions, through a cut connection, quickly, by keyboard alone."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.rig import (
    ROOT,
    Cable,
    ScriptedServer,
    chromium,
    figure,
    opened,
    page_faults,
    picture,
    suggestion,
    welcome,
)
from tests.support.doors import KEY, SORO, ScriptedStages, advice, heard, open_door

SOON_MS = 10_000


async def test_suggestions_appear_from_what_the_microphone_hears(browser):
    async with open_door() as at:
        page = await opened(browser, at.http)
        await page.get_by_role("button", name="Começar a ouvir").click()
        await expect(page.locator(".card h3").first).to_have_text(SORO.suggestion, timeout=15_000)
        await expect(page.locator("#heard li").first).to_have_text("meu filho está com diarreia")
        await page.get_by_role("button", name=f"Vendida: {SORO.suggestion}").first.press("Enter")
        await page.get_by_role("button", name="Pausar").click()
        await expect(page.locator("#sign-text")).to_have_text("Pausado")
        assert page_faults(page) == []
        assert await _reported(at, "vendida")
        await page.context.close()


async def test_what_is_said_while_the_connection_is_cut_is_heard_once_in_the_same_session():
    """The sample conversation speaks through the cut: every customer of it is recorded once, where they spoke."""
    until_s, cut_s = 21.0, (6.0, 12.0)
    async with open_door(ScriptedStages(stt=heard(""))) as at, Cable(urlsplit(at.http).port) as cable:
        async with chromium() as alone:
            page = await opened(alone, cable.url)
            await expect(page.locator("#connection")).to_have_text("Conectado")
            await page.get_by_role("button", name="Ouvir conversa de exemplo").click()
            await expect(page.locator("#sign-text")).to_have_text("Conversa de exemplo")
            await page.wait_for_timeout(cut_s[0] * 1000)
            cable.cut()
            await expect(page.locator("#connection")).to_contain_text("Sem conexão")
            await picture(page, "page-cut-while-playing")
            await page.wait_for_timeout((cut_s[1] - cut_s[0]) * 1000)
            cable.mend()
            await expect(page.locator("#connection")).to_have_text("Conectado", timeout=20_000)
            await page.wait_for_timeout((until_s - cut_s[1]) * 1000)
        rows = at.records.interaction_rows
    spoken = [one for one in json.loads((ROOT / "samples" / "balcao.json").read_text()) if one["end_s"] < until_s - 3]
    assert {row.session_id for row in rows} == {rows[0].session_id}
    for one in spoken:
        covering = [row for row in rows if _overlap_s(row, one) > 0.5 * (one["end_s"] - one["start_s"])]
        assert len(covering) == 1, one["start_s"]
    assert any(cut_s[0] < one["start_s"] < cut_s[1] for one in spoken)


def _overlap_s(row, one) -> float:
    return min(row.end_sample / 16000, one["end_s"]) - max(row.first_sample / 16000, one["start_s"])


async def test_a_suggestion_that_comes_again_is_shown_once_and_answers_survive_a_loss(browser, door):
    page, server = await _scripted(browser, door)
    server.say(**suggestion(1, "Antiácido", "Chá de boldo"))
    await expect(page.locator(".card")).to_have_count(1)
    await page.wait_for_timeout(500)
    await page.get_by_role("button", name="Aceita: Antiácido").click()
    server.say(comando="reconectar", em_s=0.1)
    await server.close(1012)
    await expect(page.locator("#connection")).not_to_have_text("Conectado")
    await page.get_by_role("button", name="Recusada: Chá de boldo").click()
    await expect(page.locator("#connection")).to_have_text("Conectado")
    server.say(**suggestion(1, "Antiácido", "Chá de boldo"))
    server.say(**suggestion(2, "Pastilha"))
    await expect(page.locator(".card")).to_have_count(2)
    assert set(server.reports()) == {("item-1", "aceita"), ("item-2", "recusada")}
    handshakes = [got for got in server.got if got["comando"] == "auth"]
    assert [got["sessao"] for got in handshakes] == [None, "11111111-1111-4111-8111-111111111111"]


async def test_a_card_goes_by_itself_but_not_while_a_pointer_rests_on_it(browser, door):
    page, server = await _scripted(browser, door, "localStorage.setItem('balto.preferencias', '{\"showS\": 2}')")
    server.say(**suggestion(1, "Antiácido"))
    await page.locator(".card").hover()
    await page.wait_for_timeout(3000)
    await expect(page.locator(".card")).to_have_count(1)
    await page.mouse.move(5, 5)
    await expect(page.locator(".card")).to_have_count(0, timeout=SOON_MS)
    assert server.reports() == [("item-1", "ignorada")]


async def test_everything_works_by_keyboard_and_nothing_takes_the_focus(browser, door):
    page, server = await _scripted(browser, door)
    typed = page.get_by_label("Digitar o que o cliente pediu")
    visited = []
    for _ in range(8):
        await page.keyboard.press("Tab")
        visited.append(await page.evaluate("document.activeElement.id || document.activeElement.className"))
        visible = "getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement.className"
        assert await page.evaluate(visible)
        if visited[-1] == "typed":
            break
    assert visited == ["skip", "open-settings", "listen", "sample", "typed"]
    await page.keyboard.type("azia avr")
    server.say(**suggestion(1, "Antiácido", "Chá de boldo"))
    await expect(page.locator(".card")).to_have_count(1)
    await expect(typed).to_be_focused()
    assert server.reports() == []  # letters in the field are words, not answers
    await page.keyboard.press("Enter")
    await expect(typed).to_have_value("")
    assert server.got[-1] == {"comando": "texto", "texto": "azia avr"}
    await page.wait_for_timeout(500)
    await typed.blur()
    await page.keyboard.press("a")
    await page.keyboard.press("r")
    await page.keyboard.press("v")
    assert server.reports() == [("item-1", "aceita"), ("item-2", "recusada"), ("item-1", "vendida")]
    await expect(page.locator(".card")).to_have_count(0, timeout=SOON_MS)
    await page.locator("#open-settings").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#open-settings")).to_be_focused()


async def test_a_card_that_comes_in_under_a_finger_does_not_take_its_press(browser, door):
    page, server = await _scripted(browser, door)
    server.say(**suggestion(1, "Antiácido"))
    await page.wait_for_timeout(600)
    place = await page.get_by_role("button", name="Vendida: Antiácido").bounding_box()
    server.say(**suggestion(2, "Pastilha"))
    await expect(page.locator(".card")).to_have_count(2)
    await page.mouse.click(place["x"] + 5, place["y"] + 5)
    await page.wait_for_timeout(600)
    assert server.reports() == []


async def test_screen_readers_hear_of_suggestions_politely_and_of_the_pharmacist_at_once(browser, door):
    page, server = await _scripted(browser, door)
    server.say(**suggestion(1, "Antiácido", "Chá de boldo"))
    await expect(page.locator("#polite")).to_have_text("Sugestão: Antiácido; Chá de boldo.")
    assert await page.get_attribute("#polite", "role") == "status"
    assert await page.get_attribute("#pharmacist", "role") == "alert"
    assert await page.get_attribute("#heard", "aria-live") == "off"


async def test_without_an_audio_worklet_it_sends_webm(browser):
    async with open_door() as at:
        page = await opened(browser, "about:blank", key=None)
        await page.add_init_script(f"delete window.AudioWorkletNode; localStorage.setItem('balto.chave', '{KEY}')")
        await page.goto(at.http)
        await page.get_by_role("button", name="Começar a ouvir").click()
        await expect(page.locator(".card h3").first).to_have_text(SORO.suggestion, timeout=20_000)
        await page.context.close()


async def test_the_page_is_light_and_paints_soon(browser, door):
    paints_ms = []
    for _ in range(5):  # another program may have the processor
        page = await opened(browser, door.http, key=None)
        await expect(page.get_by_label("Chave", exact=True)).to_be_visible()
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        paints_ms.append(round(await page.evaluate(paint)))
    weight = await page.evaluate(
        """[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .reduce((sum, one) => sum + one.encodedBodySize, 0)"""
    )
    figure(f"page: {weight / 1000:.1f} KB compressed, first paint after {paints_ms} ms")
    assert weight <= 150_000
    assert min(paints_ms) <= 500


@pytest.mark.parametrize(("slower", "bar_ms"), [(1, 50), (4, 150)])
async def test_a_suggestion_is_on_the_screen_soon_after_its_message(browser, slower, bar_ms):
    """From the message's event to the frame that shows the card; with the processor 4 times slower, as in a tablet."""
    async with open_door(ScriptedStages(recommender=advice((SORO,)))) as at:
        page = await opened(browser, "about:blank", key=None)
        await page.add_init_script(_STOPWATCH + f"localStorage.setItem('balto.chave', '{KEY}');")
        await page.goto(at.http)
        session = await page.context.new_cdp_session(page)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        await expect(page.locator("#connection")).to_have_text("Conectado")
        for n in range(10):
            await page.get_by_label("Digitar o que o cliente pediu").fill(f"diarreia {n}")
            await page.keyboard.press("Enter")
            while await page.evaluate("shown.length") <= n:
                await page.wait_for_timeout(20)
        shown_ms = sorted(await page.evaluate("shown"))
        await page.context.close()
    figure(f"suggestion on screen, processor {slower} times slower: {[round(one) for one in shown_ms]} ms")
    assert shown_ms[2] <= bar_ms  # another program may have the processor for most of them


_STOPWATCH = """
window.shown = []; let at = 0;
const Native = window.WebSocket;
window.WebSocket = class extends Native {
  constructor(url) {
    super(url);
    this.addEventListener('message', ({data}) => {
      if (String(data).includes('"recomendar"')) at = performance.now();
    });
  }
};
addEventListener('DOMContentLoaded', () => {
  const painted = new MessageChannel();
  painted.port1.onmessage = () => shown.push(performance.now() - at);
  const isCard = (change) => [...change.addedNodes].some((one) => one.matches('.card'));
  new MutationObserver((changes) => {
    if (changes.some(isCard)) requestAnimationFrame(() => painted.port2.postMessage(0));
  }).observe(document.getElementById('cards'), {childList: true});
});
"""


async def _scripted(browser, door, script=""):
    server = ScriptedServer(welcome)
    page = await opened(browser, "about:blank", key=None)
    await page.add_init_script(f"localStorage.setItem('balto.chave', '{KEY}'); {script}")
    await server.stand_in(page)
    await page.goto(door.http)
    await expect(page.locator("#connection")).to_have_text("Conectado")
    return page, server


async def _reported(at, result) -> bool:
    for _ in range(100):
        if any(getattr(row, "result", None) == result for row in at.records.rows.values()):
            return True
        await asyncio.sleep(0.05)
    return False
