"""A Terraform provider that knows the schema of the real one and can do nothing else.

Terraform starts it as a plugin. With it, `terraform validate` checks every attribute, and `terraform test` with
`mock_provider` evaluates all expressions, without the real provider, which cannot be downloaded everywhere.

The messages are those of protocol 5.8: https://github.com/hashicorp/terraform/tree/main/docs/plugin-protocol. Only a few of
their fields are used, so they are encoded here instead of by generated code.
"""

import base64
import json
import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.infra.provider_schema import Attribute, Block, NestedBlock

NESTING = {"single": 1, "list": 2, "set": 3}
SERVING = b"\x08\x01"
"""grpc.health.v1.HealthCheckResponse with the status SERVING."""
SECRET = {"length": 64, "special": False, "result": "x" * 64}
"""Attributes of the one ephemeral resource, `random_password`."""


def encode_number(field: int, number: int) -> bytes:
    """Return a protobuf field with a number or a boolean."""
    return _varint(field << 3) + _varint(number)


def encode_bytes(field: int, data: bytes) -> bytes:
    """Return a protobuf field with bytes, text or a message."""
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def encode_schema(block: Block) -> bytes:
    """Return a message `Schema`."""
    return encode_bytes(2, _encode_block(block))


def _encode_block(block: Block) -> bytes:
    attributes = [encode_bytes(2, _encode_attribute(name, one)) for name, one in block.attributes.items()]
    nested = [encode_bytes(3, _encode_nested(name, one)) for name, one in block.blocks.items()]
    return b"".join([*attributes, *nested])


def _encode_attribute(name: str, attribute: Attribute) -> bytes:
    flags = encode_number(4, attribute.is_required) + encode_number(5, attribute.is_optional)
    # Which optional attributes the provider computes if they are missing is not known, so all of them can be.
    is_write_only = "_wo" in name and not name.endswith("_version")
    computed = b"" if attribute.is_required or is_write_only else encode_number(6, 1)
    text = encode_bytes(1, name.encode()) + encode_bytes(2, json.dumps(attribute.type).encode())
    return text + flags + computed + encode_number(10, is_write_only)


def _encode_nested(name: str, nested: NestedBlock) -> bytes:
    limits = encode_number(4, nested.is_required) + encode_number(5, nested.max_items)
    mode = encode_number(3, NESTING[nested.nesting])
    return encode_bytes(1, name.encode()) + encode_bytes(2, _encode_block(nested.block)) + mode + limits


def encode_provider(schemas: dict[str, Block]) -> bytes:
    """Return a message `GetProviderSchema.Response`."""
    data = encode_bytes(1, encode_schema(schemas["provider"]))
    for kind, block in schemas.items():
        # resource_schemas = 2, data_source_schemas = 3, ephemeral_resource_schemas = 8
        fields = [3] if kind.startswith("data.") else [2, 8] if kind == "random_password" else [2]
        entry = encode_bytes(1, kind.removeprefix("data.").encode()) + encode_bytes(2, encode_schema(block))
        data += b"".join(encode_bytes(field, entry) for field in fields if kind != "provider")
    return data


class Plugin(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers Terraform's calls."""

    def __init__(self, schemas: dict[str, Block], stop: Callable[[], bytes]) -> None:
        secret = (
            dict.fromkeys(schemas["random_password"].attributes, None) | SECRET if "random_password" in schemas else {}
        )
        self._answers: dict[str, Callable[[bytes], bytes]] = {
            "GetSchema": lambda _: encode_provider(schemas),
            # the field of the prepared configuration has the number of the given one
            "PrepareProviderConfig": lambda request: request,
            "OpenEphemeralResource": lambda _: encode_bytes(3, encode_bytes(2, json.dumps(secret).encode())),
            "Check": lambda _: SERVING,
            "Shutdown": lambda _: stop(),
        }
        self._empty = {"ValidateResourceTypeConfig", "ValidateDataSourceConfig", "ValidateEphemeralResourceConfig"}
        self._empty |= {"Configure", "CloseEphemeralResource", "Stop"}

    def service(self, call: Any) -> Any:
        """Return the handler of a method, or `None` if it is not implemented."""
        method = call.method.rpartition("/")[2]
        answer = self._answers.get(method) or ((lambda _: b"") if method in self._empty else None)
        return grpc.unary_unary_rpc_method_handler(lambda request, _: answer(request)) if answer else None


def make_certificate() -> tuple[bytes, bytes, bytes]:
    """Return a key and a certificate for localhost in PEM, and the certificate in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    encodings = serialization.Encoding
    return key.private_bytes(*formats), certificate.public_bytes(encodings.PEM), certificate.public_bytes(encodings.DER)


def stop_process() -> bytes:
    """End this process, and return the empty response to the request for it."""
    os.kill(os.getpid(), signal.SIGTERM)
    return b""


def main() -> None:
    """Serve the schemas of the pickle file named by the argument until Terraform ends the process."""
    schemas = pickle.loads(Path(sys.argv[1]).read_bytes())
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers([Plugin(schemas, stop_process)])
    key, pem, der = make_certificate()
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/plugin.sock"
        # Terraform's own certificate is not requested, because it uses a curve that grpcio does not support.
        server.add_secure_port(f"unix:{address}", grpc.ssl_server_credentials([(key, pem)]))
        server.start()
        signal.signal(signal.SIGTERM, lambda *_: server.stop(0))
        certificate = base64.b64encode(der).decode().rstrip("=")
        sys.stdout.write(f"1|5|unix|{address}|grpc|{certificate}\n")
        sys.stdout.flush()
        server.wait_for_termination()


if __name__ == "__main__":
    main()
