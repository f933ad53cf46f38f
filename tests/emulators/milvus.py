"""Milvus server emulator: Milvus Lite behind gRPC, optionally with a token, and with searches that can be blocked."""

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc


class TokenInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """Rejects calls without the token."""

    def __init__(self, token: str) -> None:
        self._expected = base64.b64encode(token.encode()).decode()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        authorization = dict(details.invocation_metadata).get("authorization", "")
        return (
            continuation(details) if authorization == self._expected else grpc.unary_unary_rpc_method_handler(_reject)
        )


def _reject(_: object, context: Any) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")


@contextmanager
def serve_milvus(data: Path, token: str = "", port: int = 0) -> Iterator[tuple[str, Any]]:
    """Run a server; yield its address and servicer. Searches wait while the servicer's `can_respond` is not set."""
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    class Servicer(MilvusServicer):  # type: ignore[misc]
        can_respond = threading.Event()

        def Search(self, request: Any, context: Any) -> Any:  # noqa: N802
            self.can_respond.wait(30)
            return super().Search(request, context)

    Servicer.can_respond.set()
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[TokenInterceptor(token)] if token else [])
    with closing(MilvusLite(str(data))) as db:
        servicer = Servicer(db)
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        yield f"http://127.0.0.1:{port}", servicer
        servicer.can_respond.set()
        server.stop(grace=2).wait()
