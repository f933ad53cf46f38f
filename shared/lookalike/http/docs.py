"""Serve the API documentation: `/openapi.json` for programs, and `/docs`, an HTML page without scripts."""

import base64
import hashlib
import html
import json
import re

import flask

import lookalike
from lookalike.http.openapi import Json, build_openapi

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
"""Words for the limits of JSON Schema that the page shows."""
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
{address}<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).
All errors have the same form, <a href="#ErrorResponse">ErrorResponse</a>.</p>
{routes}<h2>Schemas</h2><p>Fields with a star are required.</p>{schemas}</body></html>
"""


def serve_docs(path: str, function: str | None = None, public_url: str = "") -> flask.Response | None:
    """Return the response for `/openapi.json` or `/docs`, and `None` for other paths.

    The response documents what `build_openapi` does with the same arguments.
    """
    if path == "/openapi.json":
        return flask.Response(json.dumps(build_openapi(function, public_url)), mimetype="application/json")
    if path == "/docs":
        # the page needs no scripts, and only this style sheet: the policy makes injected markup harmless
        digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
        page = render_page(function, public_url)
        return flask.Response(page, mimetype="text/html", headers={"Content-Security-Policy": policy})
    return None


def render_page(function: str | None = None, public_url: str = "") -> str:
    """Return an HTML page that lists routes and schemas as collapsed sections."""
    spec = build_openapi(function, public_url)
    address = f"<p>Address: <code>{html.escape(spec['servers'][0]['url'])}</code></p>\n" if public_url else ""
    parts = [
        _render_route(path, method, operation)
        for path, operations in spec["paths"].items()
        for method, operation in operations.items()
    ]
    schemas = [_render_schema(name, schema) for name, schema in sorted(spec["components"]["schemas"].items())]
    return PAGE.format(
        style=STYLE,
        version=html.escape(lookalike.__version__),
        address=address,
        routes="".join(parts),
        schemas="".join(schemas),
    )


def _render_route(path: str, method: str, operation: Json) -> str:
    rows = [
        f"<tr><td>{html.escape(parameter['name'])}</td><td>{parameter['in']}</td>"
        f"<td>{_type(parameter['schema'])}</td></tr>"
        for parameter in operation.get("parameters", [])
    ]
    bodies = [
        f"<tr><td>body</td><td>{kind}</td><td>{_type(content['schema'])}</td></tr>"
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    responses = [
        f"<tr><td>{status}</td><td>{_render_text(response['description'])}</td>"
        f"<td>{_render_content(response)}</td></tr>"
        for status, response in operation["responses"].items()
    ]
    route = f"<b>{method.upper()}</b> <code>{html.escape(path)}</code>"
    head = f"<summary>{route} {html.escape(operation['summary'])}</summary>"
    table = f"<table>{''.join([*rows, *bodies, *responses])}</table>"
    return f"<details>{head}<p>{_render_text(operation['description'])}</p>{table}</details>"


def _render_text(description: str) -> str:
    """Escape the text, and turn `backticks` into code elements."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(description))


def _render_content(response: Json) -> str:
    return " or ".join(_type(content["schema"]) for content in response.get("content", {}).values())


def _render_schema(name: str, schema: Json) -> str:
    """Render the fields of a schema; required fields have a star."""
    required, fields = schema.get("required", ()), schema.get("properties") or {"": schema}
    rows = [
        f"<tr><td>{html.escape(field)}{' *' * (field in required)}</td><td>{_type(field_schema)}</td>"
        f"<td>{_default(field_schema)}</td><td>{_render_text(field_schema.get('description', ''))}</td></tr>"
        for field, field_schema in fields.items()
    ]
    content = f"<p>{_render_text(schema.get('description', ''))}</p><table>{''.join(rows)}</table>"
    # A link to an element opens the collapsed <details> around it. The id is on an inner <div>, since a link to the
    # <details> itself would leave it collapsed.
    name = html.escape(name)
    return f'<details><summary><code>{name}</code></summary><div id="{name}">{content}</div></details>'


def _type(schema: Json) -> str:
    """Return the type of a value as HTML, such as "integer (≥ 1, ≤ 100)", with links to other schemas."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    # allOf occurs only in multipart forms, whose parts are listed like alternatives
    if alternatives := schema.get("anyOf") or schema.get("allOf"):
        return " | ".join(dict.fromkeys(_type(alternative) for alternative in alternatives))
    limits = [f"{word} {schema[key]}" for key, word in LIMITS.items() if key in schema]
    return _type_name(schema) + html.escape(f" ({', '.join(limits)})" if limits else "")


def _type_name(schema: Json) -> str:
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return " | ".join(f"<code>{html.escape(json.dumps(value))}</code>" for value in values)
    if inner := schema.get("items") or next(iter(schema.get("prefixItems", ())), None):
        return f"list of {_in_parentheses(inner)}"
    if isinstance(values := schema.get("additionalProperties"), dict):
        names = ", ".join(_listed_names(schema.get("propertyNames", {})))
        return f"object of {_in_parentheses(values)}{html.escape(f', by {names}' if names else '')}"
    return html.escape(str(schema.get("format", schema.get("type", "any"))))


def _listed_names(schema: Json) -> list[str]:
    """Return the names that a schema of property names lists. Others that it accepts are in the description."""
    return [name for part in schema.get("anyOf", [schema]) for name in part.get("enum", ())]


def _in_parentheses(schema: Json) -> str:
    type_name = _type(schema)
    return f"({type_name})" if " | " in type_name else type_name


def _default(schema: Json) -> str:
    default = schema.get("default")
    return "" if default in (None, "", [], {}) else f"default <code>{html.escape(json.dumps(default))}</code>"
