"""An S3 on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dachi_fast import Archive

ACCESS = {
    "region": "eu-central-1",
    "access_key_id": "test",
    "secret_access_key": "test",
    "client_options": {"allow_http": True},
    "retry_config": {"max_retries": 0},
}


@contextmanager
def serving() -> Iterator[str]:
    """Gives the URL of a server that has the bucket "backups"."""
    moto: Any = pytest.importorskip("moto.server")
    pytest.importorskip("obstore")
    boto3: Any = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        region_name=ACCESS["region"],
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    # All servers of a process share what they hold.
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(
            Bucket="backups", CreateBucketConfiguration={"LocationConstraint": ACCESS["region"]}
        )
    client.close()
    yield f"http://{host}:{port}"
    server.stop()


def bucket(endpoint: str, prefix: str) -> Archive:
    """Gives a place in the bucket."""
    return Archive(f"s3://backups/{prefix}", endpoint=endpoint, **ACCESS)
