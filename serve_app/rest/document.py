"""The OpenAPI document, with every route's rule in it, and a plain page that shows it: no scripts, nothing fetched."""

import html
import json
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, Response

from serve_app.rest.guards import CSRF_HEADER, Anybody, Rule, http_routes, rule_of

router = APIRouter(include_in_schema=False)

STYLE_PATH: Final = Path(__file__).resolve().parents[1] / "web" / "pagina.css"
STYLE_URL: Final = "/estilo.css"
WHO: Final = {
    Rule.PUBLIC: "qualquer um",
    Rule.REGISTRATION: "administrador (qualquer um com open_registration)",
    Rule.SIGNED_IN: "administrador; cliente, só o que é seu",
    Rule.CLIENT: "cliente",
    Rule.ADMINISTRATOR: "administrador",
    Rule.TOKEN: "administrador, só com o token",
}
_ABOUT: Final = (
    f"Cookie de sessão (POST /admin/login, /cliente/login) ou Authorization: Bearer com o ADMIN_SECRET. Com o cookie, "
    f"POST, PUT e DELETE repetem em {CSRF_HEADER} o que GET /api/eu diz em csrf."
)
_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer"},
    "sessao": {"type": "apiKey", "in": "cookie", "name": "balto_sessao"},
}
_SECURITY: Final[dict[Rule, list[dict[str, list[str]]]]] = {
    Rule.PUBLIC: [],
    Rule.CLIENT: [{"sessao": []}],
    Rule.TOKEN: [{"token": []}],
}
_FRAME: Final = """<!doctype html><html lang="pt-BR"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="{style}"></head>
<body>{body}</body></html>"""


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The document: FastAPI's, plus `x-acesso` and `security` of every operation."""
    document = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
    document.setdefault("components", {})["securitySchemes"] = _SCHEMES
    for route in http_routes(app):
        rule = rule_of(route)
        for method in route.methods or ():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None and rule is not None:
                operation["x-acesso"] = rule.value
                operation["security"] = _SECURITY.get(rule, [{"token": []}, {"sessao": []}])
    return document


def framed(title: str, body: str) -> str:
    """A whole page around `body`, which is HTML already."""
    return _FRAME.format(title=html.escape(title), style=STYLE_URL, body=body)


@router.get(STYLE_URL)
async def style(_: Anybody) -> Response:
    """The pages' style sheet."""
    return Response(STYLE_PATH.read_bytes(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@router.get("/openapi.json")
async def document(request: Request, _: Anybody) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs", response_class=HTMLResponse)
async def documentation(request: Request, _: Anybody) -> str:
    """The OpenAPI document for people."""
    return page_of(request.app.openapi())


def page_of(document: dict[str, Any]) -> str:
    """An OpenAPI document as HTML. Everything in it is escaped."""
    title = f"{document['info']['title']} {document['info']['version']}"
    operations = [
        _operation(method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    schemas = document.get("components", {}).get("schemas", {})
    about = html.escape(document["info"].get("description", ""))
    return framed(
        title,
        f'<h1>{html.escape(title)}</h1><p>{about}</p><p><a href="/openapi.json">openapi.json</a></p>'
        f"{''.join(operations)}<h2>Formatos</h2>{''.join(_schema(name, schema) for name, schema in schemas.items())}",
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rule = operation.get("x-acesso")
    who = WHO[Rule(rule)] if rule else ""
    rows = [
        (parameter["name"], parameter["in"], parameter.get("schema", {}))
        for parameter in operation.get("parameters", [])
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(("corpo", kind, content.get("schema", {})))
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2"):
            rows += [(status, kind, content.get("schema", {})) for kind, content in response.get("content", {}).items()]
    table = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(where)}</td><td>{_linked(schema)}</td></tr>"
        for name, where, schema in rows
    )
    return (
        f"<section><h3><code>{html.escape(method.upper())} {html.escape(path)}</code></h3>"
        f"<p>{html.escape(operation.get('description', operation.get('summary', '')))}</p>"
        f"<p>Quem: {html.escape(who)}</p><table>{table}</table></section>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = html.escape(json.dumps(schema, ensure_ascii=False, indent=1))
    return f'<section id="{html.escape(name)}"><h3>{html.escape(name)}</h3><pre>{text}</pre></section>'


def _linked(schema: dict[str, Any]) -> str:
    reference = schema.get("$ref", "")
    if reference:
        name = html.escape(reference.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    return f"<code>{html.escape(json.dumps(schema, ensure_ascii=False))}</code>"
