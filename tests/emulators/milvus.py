"""A Milvus server over HTTP/2: Milvus Lite's, that may ask for a token and may stop answering."""

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc


class Token(grpc.ServerInterceptor):  # type: ignore[misc]
    def __init__(self, token: str) -> None:
        self._wanted = base64.b64encode(token.encode()).decode()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        given = dict(details.invocation_metadata).get("authorization", "")
        return continuation(details) if given == self._wanted else grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(_: object, context: Any) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")


@contextmanager
def served(data: Path, token: str = "", port: int = 0) -> Iterator[tuple[str, Any]]:
    """Its address and servicer: searches wait while `answers` is not set."""
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    class Servicer(MilvusServicer):  # type: ignore[misc]
        answers = threading.Event()

        def Search(self, request: Any, context: Any) -> Any:  # noqa: N802
            self.answers.wait(30)
            return super().Search(request, context)

    Servicer.answers.set()
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[Token(token)] if token else [])
    with closing(MilvusLite(str(data))) as db:
        servicer = Servicer(db)
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        yield f"http://127.0.0.1:{port}", servicer
        servicer.answers.set()
        server.stop(grace=2).wait()
