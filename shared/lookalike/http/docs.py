"""The document of the API, served: as JSON for programs, and as a page without a script, which can be read wherever it is served."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable

import flask

import lookalike
from lookalike.http.openapi import Json, build_openapi


def serve_docs(path: str, function: str | None = None) -> flask.Response | None:
    """The document or its page, where that is asked for: of one function, or of all."""
    if path == "/openapi.json":
        return flask.Response(json.dumps(build_openapi(function)), mimetype="application/json")
    if path == "/docs":
        digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
        return flask.Response(page(function), mimetype="text/html", headers={"Content-Security-Policy": policy})
    return None


def page(function: str | None = None) -> str:
    """Each route and each schema, closed until it is asked for."""
    told = build_openapi(function)
    parts = [_section(path, method, one) for path, some in told["paths"].items() for method, one in some.items()]
    schemas = [_schema(name, schema) for name, schema in sorted(told["components"]["schemas"].items())]
    return PAGE.format(
        style=STYLE, version=html.escape(lookalike.__version__), routes="".join(parts), schemas="".join(schemas)
    )


def _section(path: str, method: str, one: Json) -> str:
    rows = [
        f"<tr><td>{html.escape(parameter['name'])}</td><td>{parameter['in']}</td><td>{_shape(parameter['schema'])}</td></tr>"
        for parameter in one.get("parameters", [])
    ]
    bodies = [
        f"<tr><td>body</td><td>{kind}</td><td>{_shape(content['schema'])}</td></tr>"
        for kind, content in one.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        f"<tr><td>{status}</td><td>{_text(said['description'])}</td><td>{_answer(said)}</td></tr>"
        for status, said in one["responses"].items()
    ]
    head = f"<summary><b>{method.upper()}</b> <code>{html.escape(path)}</code> {html.escape(one['summary'])}</summary>"
    return f"<details>{head}<p>{_text(one['description'])}</p><table>{''.join([*rows, *bodies, *answers])}</table></details>"


def _text(description: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(description))


def _answer(said: Json) -> str:
    return " or ".join(_shape(content["schema"]) for content in said.get("content", {}).values())


def _schema(name: str, schema: Json) -> str:
    """Its fields; those that must be there with a star."""
    required, fields = schema.get("required", ()), schema.get("properties") or {"": schema}
    rows = [
        f"<tr><td>{html.escape(field)}{' *' * (field in required)}</td><td>{_shape(one)}</td><td>{_default(one)}</td></tr>"
        for field, one in fields.items()
    ]
    about = f"<p>{_text(schema.get('description', ''))}</p><table>{''.join(rows)}</table>"
    # browsers open what is closed around the target of a link, not the target itself
    return f'<details><summary><code>{html.escape(name)}</code></summary><div id="{html.escape(name)}">{about}</div></details>'


def _shape(schema: Json) -> str:
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if some := _alternatives(schema):
        return " | ".join(dict.fromkeys(_shape(one) for one in some))
    limits = [f"{word} {schema[key]}" for key, word in LIMITS.items() if key in schema]
    return _kind(schema) + html.escape(f" ({', '.join(limits)})" if limits else "")


def _kind(schema: Json) -> str:
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return " | ".join(f"<code>{html.escape(json.dumps(value))}</code>" for value in values)
    if inner := schema.get("items") or next(iter(schema.get("prefixItems", ())), None):
        return f"list of {_one(inner)}"
    if isinstance(values := schema.get("additionalProperties"), dict):
        names = ", ".join(schema.get("propertyNames", {}).get("enum", ()))
        return f"object of {_one(values)}{html.escape(f', by {names}' if names else '')}"
    return html.escape(str(schema.get("format", schema.get("type", "any"))))


def _one(schema: Json) -> str:
    shape = _shape(schema)
    return f"({shape})" if " | " in shape else shape


def _default(schema: Json) -> str:
    found = schema.get("default")
    return "" if found in (None, "", [], {}) else f"else <code>{html.escape(json.dumps(found))}</code>"


def _alternatives(schema: Json) -> Iterable[Json]:
    found: Iterable[Json] = schema.get("anyOf") or schema.get("allOf") or ()
    return found


LIMITS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "characters ≥",
    "maxLength": "characters ≤",
    "minItems": "items ≥",
    "maxItems": "items ≤",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: .35rem 0; } summary b { display: inline-block; min-width: 4.5rem; color: #a3431f; }
details { border-bottom: 1px solid #8884; } table { border-collapse: collapse; margin: .5rem 0 1rem; }
td { padding: .2rem 1rem .2rem 0; vertical-align: top; } div[id] { scroll-margin-top: 3rem; }
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>lookalike API</title>
<style>{style}</style></head><body>
<h1>lookalike <small>{version}</small></h1>
<p>The same for programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1). Errors are all of one shape, <a href="#Refused">Refused</a>.</p>
{routes}<h2>Schemas</h2><p>Fields with a star are always there.</p>{schemas}</body></html>
"""
