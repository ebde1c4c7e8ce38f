"""The single small VPS that wants no PostgreSQL at all: the same path, the same figures."""

import asyncio
import json

import psutil
import pytest
import yaml
from websockets.asyncio.client import connect

from tests.support.doors import is_, messages, to_the_end
from tests.support.services import ROOT, running_service

pytestmark = pytest.mark.timeout(240)


async def ask(service, text):
    async with connect(service.url, compression=None) as socket:
        await socket.send(json.dumps({"comando": "auth", "versao": 4, "api_key": service.key}))
        (welcome,) = await messages(socket, is_("sessao"))
        await socket.send(json.dumps({"comando": "texto", "texto": text}))
        (*_, suggestion) = await messages(socket, is_("recomendar"))
        await socket.send('{"comando":"fim"}')
        await to_the_end(socket)
    return welcome["sessao"], suggestion


def test_with_sqlite_a_question_is_answered_and_its_row_is_readable(tmp_path):
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["applications"][0]["args"]["telemetry"]["store"] = "sqlite"
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    with running_service("--lean", "--config", str(path)) as service:
        session, suggestion = asyncio.run(ask(service, "estou com muita azia"))
        (row,) = service.rows(session, at_least=1)
        assert (row["outcome"], row["suggestion_id"]) == ("sugerido", suggestion["id"])
        assert row["macro"] == "GASTROINTESTINAL"
        assert (service.state_dir / "balto.sqlite").exists()
        ours = [
            p for p in psutil.process_iter(["cmdline"]) if str(service.state_dir) in " ".join(p.info["cmdline"] or [])
        ]
        assert not [p for p in ours if "postgres" in p.name()]
