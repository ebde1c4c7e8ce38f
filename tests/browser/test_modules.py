"""The page's pure modules, run by the browser that they are for."""

import pytest
import pytest_asyncio

from tests.browser.rig import opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(browser, door):
    """Evaluate JavaScript with one of the page's modules at hand as `m`."""
    page = await opened(browser, door.http, key=None)
    web = (await page.get_attribute("script[type=module]", "src")).rsplit("/", 1)[0]

    async def evaluate(module, body):
        return await page.evaluate(f"async () => {{ const m = await import('{web}/{module}.js'); {body} }}")

    return evaluate


async def test_the_ring_gives_back_every_sample_in_order_across_its_seam_and_drops_the_oldest(run):
    got = await run(
        "ring",
        """const ring = new m.Ring(10); const out = [];
        for (let n = 0; n < 30; n += 3) {
          ring.append(Int16Array.of(n, n + 1, n + 2));
          let piece; while ((piece = ring.take(2)) !== null) out.push(...piece);
        }
        ring.rewind(22); const again = [...ring.take(100)];
        ring.forget(25); const first = ring.first;
        ring.append(new Int16Array(40));
        return {out, again, first, overrun: ring.overrun, held: [ring.first, ring.end]};
        """,
    )
    assert got["out"] == list(range(30))
    assert got["again"] == list(range(22, 30))
    assert got["first"] == 25
    assert got["overrun"] is True
    assert got["held"] == [60, 70]


async def test_a_resumed_session_goes_on_where_the_server_says_and_counts_what_is_lost(run):
    got = await run(
        "ledger",
        """const l = new m.Ledger(); const out = [];
        out.push(l.neededFrom(0), l.welcomed('s', 0, 0, 0), l.received(16000), l.neededFrom(0));
        out.push(l.welcomed('s', 20000, 16000, 60000), l.welcomed('s', 30000, 30000, 60000));
        out.push(l.welcomed('s', 31000, 40000, 60000), l.session, l.welcomed('t', 0, 40000, 60000), l.base);
        out.push(l.firstTime('a'), l.firstTime('a')); return out;""",
    )
    assert got[:4] == [0, {"from": 0, "lost": 0}, 16000, 16000]
    assert got[4:6] == [{"from": 20000, "lost": 0}, {"from": 30000, "lost": 10000}]
    assert got[6:8] == [{"from": None, "lost": 9000}, None]
    assert got[8:] == [{"from": 40000, "lost": 0}, 40000, True, False]


async def test_attempts_come_later_and_later_never_before_the_server_asked_and_never_after_a_refused_key(run):
    got = await run(
        "retry",
        """const r = new m.Retry(() => 1); const out = [];
        for (let n = 0; n < 9; n++) out.push(r.after(1006, 0, n).inS);
        r.lasted(60); out.push(r.after(4002, 5, 0), r.after(4001, 0, 0), r.after(1012, 0.5, 0).phase);
        out.push(r.after(4005, 0, 100).newSession, r.after(4005, 0, 150).newSession); return out;""",
    )
    assert got[:9] == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15]
    assert got[9] == {"phase": "cheio", "inS": 5.25, "newSession": False}
    assert got[10] == {"phase": "chave_invalida", "inS": None, "newSession": True}
    assert got[11:] == ["reconectando", False, True]


@pytest.mark.parametrize("rate", [44_100, 48_000, 8_000])
async def test_resampling_keeps_speech_and_removes_what_would_fold_into_it(run, rate):
    keep, remove = await run(
        "resample",
        f"""const gain = (hz) => {{
          const r = new m.Resampler({rate}, 16000); let squares = 0, counted = 0;
          for (let block = 0; block < 200; block++) {{
            const out = r.feed(Float32Array.from({{length: 128}}, (_, n) =>
              Math.sin(2 * Math.PI * hz * (block * 128 + n) / {rate})));
            if (block > 50) for (const s of out) {{ squares += s * s; counted++; }}
          }}
          return 10 * Math.log10(2 * squares / counted + 1e-12);
        }};
        return [gain(1000), gain({11_000 if rate > 16_000 else 3_900})];""",
    )
    assert abs(keep) < 0.1  # dB
    assert remove < -60 or rate == 8_000


async def test_resampling_gives_exactly_as_many_samples_as_time_has(run):
    assert await run(
        "resample",
        """const r = new m.Resampler(44100, 16000); let n = 0;
            for (let at = 0; at < 441000; at += 128) n += r.feed(new Float32Array(Math.min(128, 441000 - at))).length;
            return n;""",
    ) == pytest.approx(160_000, abs=40)


async def test_the_meter_tells_speech_from_a_steady_noise(run):
    got = await run(
        "ear",
        """const ear = new m.Ear(); const out = [];
        const some = (rms, n) => {
          let last;
          for (let i = 0; i < n; i++) last = ear.hear(rms * (1 + (i % 3) / 20)).speech;
          out.push(last);
        };
        some(100, 60); some(1500, 10); some(100, 20); some(0, 60); return out;""",
    )
    assert got == [False, True, False, False]


@pytest.mark.parametrize(
    "message",
    ["", "null", "[]", "7", '{"comando":"__proto__"}', '{"comando":"recomendar","id":"x","itens":[]}',
     '{"comando":"recomendar","id":7,"itens":[{"sugestao":"A"}]}', '{"comando":"ouvido","texto":{}}',
     '{"comando":"sessao","sessao":"s","recebido_ate":"0"}', '{"comando":"desconhecido"}'],
)  # fmt: skip
async def test_what_is_not_a_message_is_ignored(run, message):
    assert await run("protocol", f"return m.parse({message!r});") is None


async def test_cards_go_by_themselves_wait_while_looked_at_and_report_each_item_once(run):
    got = await run(
        "deck",
        """const d = new m.Deck(10000), out = [];
        const card = (id, n = 2) => ({id, items: Array.from({length: n}, (_, i) => ({id: id + i, name: 'x'}))});
        d.add(card('a'), 0); d.hold('a', 'pointer', true, 4000); out.push(d.tick(60000).left);
        d.hold('a', 'pointer', false, 60000); out.push(d.answer('a', 0, 'recusada', 61000));
        out.push(d.answer('a', 0, 'vendida', 61000), d.tick(71000));
        d.add(card('b', 1), 0); d.answer('b', 0, 'aceita', 1); out.push(d.tick(1e9).left);
        out.push(d.answer('b', 0, 'vendida', 1e9));
        out.push(d.tick(1e9 + 2000)); for (const id of 'cdefg') out.push(d.add(card(id, 1), 2e9).left); return out;""",
    )
    assert got[:3] == [[], [{"suggestion": "a", "item": "a0", "result": "recusada"}], []]
    assert got[3] == {"left": ["a"], "reports": [{"suggestion": "a", "item": "a1", "result": "ignorada"}]}
    assert got[4:6] == [[], [{"suggestion": "b", "item": "b0", "result": "vendida"}]]
    assert got[6] == {"left": ["b"], "reports": []}
    assert got[7:] == [[], [], [], [], ["c"]]


async def test_a_link_brings_a_key_on_this_machine_only(run):
    got = await run(
        "memory",
        """return [m.keyOfLink('127.0.0.1', '#chave=bk_1'), m.keyOfLink('balto.example', '#chave=bk_1'),
          m.keyOfLink('localhost', '#outra=1'), m.masked('bk_0123456789abcdef'), m.masked('bk_1')];""",
    )
    assert got == ["bk_1", None, None, "bk_••••cdef", "••••"]


async def test_reports_are_repeated_after_a_loss_and_bounded(run):
    got = await run(
        "reports",
        """const r = new m.Reports(), said = []; const up = (c) => said.push(c) > 0, down = () => false;
        r.add('old', up, 0); r.add('fresh', up, 50); r.add('offline', down, 51); r.again(up, 60);
        for (let n = 0; n < 200; n++) r.add('x', down, 61);
        const before = said.length; r.again(up, 62); return [said.slice(0, 5), said.length - before];""",
    )
    assert got == [["old", "fresh", "fresh", "offline", "x"], 100]
