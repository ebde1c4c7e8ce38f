"""How the browser's pages are served: complete, compressed, cached for good under a version, behind a strict CSP."""

import gzip
import re

import httpx
import pytest

from serve_app import pages
from tests.support.doors import open_door


@pytest.fixture
async def http():
    async with open_door() as at, httpx.AsyncClient(base_url=at.http, headers={"Accept-Encoding": "gzip"}) as client:
        yield client


async def everything(http) -> dict[str, httpx.Response]:
    """The counter's page and all that it refers to, directly or through a file, by address."""
    got: dict[str, httpx.Response] = {}
    waiting = ["/"]
    while waiting:
        address = waiting.pop()
        got[address] = await http.get(address)
        names = re.findall(r'(?:src|href)="([^"#]+)"|(?:from |URL\()"(\./[^"]+)"', got[address].text)
        found = {str(httpx.URL(address).join(page or module)) for page, module in names}
        waiting += sorted(found - got.keys() - set(waiting))
    return got


async def test_the_page_and_all_its_files_are_there_compressed_and_small(http):
    got = await everything(http)
    weight = sum(int(answer.headers["content-length"]) for answer in got.values())
    assert {answer.status_code for answer in got.values()} == {200}
    assert len(got) > 15
    assert weight <= 150_000


async def test_no_page_has_code_or_styles_of_its_own_and_none_would_run(http):
    got = await everything(http)
    policy = got["/"].headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", got["/"].text)
    risky = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://(?!www\.w3\.org)\w")
    assert [address for address, answer in got.items() if risky.search(answer.text)] == []


async def test_files_are_kept_for_good_under_their_version_and_asked_for_again_under_another(http):
    page = await http.get("/")
    address = re.search(r'src="([^"]+app\.js)"', page.text)[1]
    other = re.sub("/web/[^/]+/", "/web/0000/", address)
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in (await http.get(address)).headers["cache-control"]
    assert (await http.get(other)).headers["cache-control"] == "no-cache"
    assert (await http.get(other)).content == (await http.get(address)).content


async def test_what_a_browser_has_is_not_sent_again(http):
    page = await http.get("/")
    again = await http.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_browser_that_takes_no_gzip_gets_it_plain(http):
    zipped = await http.get("/")
    plain = await http.get("/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.content == zipped.content
    assert plain.headers["etag"] != zipped.headers["etag"]


@pytest.mark.parametrize(
    "name", ["..%5cpages.py", "%2e%2e/pages.py", "..%2f..%2fserve_config.yaml", "index.html", "js", "", "js/nothing.js"]
)
async def test_nothing_but_the_pages_files_is_served(http, name):
    answer = await http.get(f"/web/x/{name}")
    assert answer.status_code == 404
    assert "error" in answer.json()


async def test_the_sample_conversation_is_16_khz_mono_and_comes_only_when_asked_for(http):
    sample = await http.get("/amostra/balcao.wav")
    assert sample.headers["content-type"] == "audio/wav"
    assert int.from_bytes(sample.content[24:28], "little") == 16_000
    assert "/amostra/balcao.wav" not in (await http.get("/")).text


def test_a_change_in_any_file_is_another_version(tmp_path):
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "secret.py").write_text("x")
    before = pages.Site(tmp_path)
    (tmp_path / "a.js").write_text("2" * 1000)
    after = pages.Site(tmp_path)
    assert before.version != after.version
    assert before.file("secret.py") is None
    assert gzip.decompress(after.file("a.js").zipped) == b"2" * 1000
