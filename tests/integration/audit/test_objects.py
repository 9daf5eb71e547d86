"""Events as objects in a bucket: one hour in each, named by what it holds, signed so that the storage takes it."""

import gzip
import json
import re
from datetime import UTC, datetime

import pytest

from sso_gate.errors import InvalidInput
from sso_gate.notify.signature_v4 import Keys, sign
from sso_gate.notify.streams_delivery import deliver, send_sample
from sso_gate.notify.streams_objects import check_keys
from tests.integration.audit.conftest import OWNER, START
from tests.integration.audit.test_delivery import Receiver, add, known, outgoing, receiver  # noqa: F401 - fixtures

# The examples of "Authenticating Requests: Using the Authorization Header", AWS Signature Version 4 for Amazon S3.
EXAMPLE = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
AT = datetime(2013, 5, 24, tzinfo=UTC)
BUCKET = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        ("GET", "/test.txt", {"Range": "bytes=0-9"}, b"",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("PUT", "/test$file.text",
         {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
         b"Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ],
    ids=["get", "put"],
)  # fmt: skip
def test_the_examples_of_the_standard_have_their_signatures(method, path, headers, body, signature):
    signed = sign(method, BUCKET + path, headers, body, keys=EXAMPLE, at=AT)
    assert signed["authorization"].endswith(f"Signature={signature}")
    assert "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request" in signed["authorization"]


class Bucket(Receiver):
    """Keeps what is put into it, by its path."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, list[dict[str, object]]] = {}
        self.puts = 0

    async def _answer_one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(re.search(r"content-length: (\d+)", head, re.IGNORECASE)[1])
        body = await reader.readexactly(size)
        method, path, _ = head.split(" ", 2)
        assert method == "PUT"
        assert "AWS4-HMAC-SHA256 Credential=AK1/" in head
        self.puts += 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 200:
            self.objects[path] = [json.loads(line) for line in gzip.decompress(body).splitlines()]
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


@pytest.fixture
async def bucket():
    async with Bucket() as made:
        yield made


def positions(bucket):
    return [event["chain"]["pos"] for path in sorted(bucket.objects) for event in bucket.objects[path]]


async def test_an_hour_that_is_over_is_one_object_and_one_that_is_not_waits(small_log, bucket, outgoing):  # noqa: F811 - a fixture
    await add(small_log, bucket.url, kind="s3", secret="AK1:secret", region="eu-central-1")
    await small_log.sealed(3)
    assert await deliver(small_log.runtime, outgoing) == 0, "the hour has just begun"
    small_log.clock.move(minutes=62)
    await small_log.sealed(2)
    assert await deliver(small_log.runtime, outgoing) == 3
    assert await deliver(small_log.runtime, outgoing) == 0, "the next hour is not over"
    [path] = bucket.objects
    assert path == f"/hook/{small_log.organization}/{START:%Y/%m/%d/%H}/{1:012}-{3:012}.jsonl.gz"
    small_log.clock.move(minutes=62)
    assert await deliver(small_log.runtime, outgoing) == 2
    assert positions(bucket) == [1, 2, 3, 4, 5]


async def test_what_is_put_again_is_the_same_object(small_log, bucket, outgoing):  # noqa: F811 - a fixture
    await add(small_log, bucket.url, kind="s3", secret="AK1:secret", region="eu-central-1")
    await small_log.sealed(2)
    small_log.clock.move(minutes=62)
    bucket.statuses = [500, 200]
    assert await deliver(small_log.runtime, outgoing) == 0
    await small_log.sealed(2)
    small_log.clock.move(seconds=6)
    assert await deliver(small_log.runtime, outgoing) == 2
    assert (bucket.puts, positions(bucket)) == (2, [1, 2])


async def test_a_sample_reaches_the_bucket(small_log, bucket, outgoing):  # noqa: F811 - a fixture
    await add(small_log, bucket.url, kind="s3", secret="AK1:secret", region="eu-central-1")
    [stream] = await known(small_log)
    assert (await send_sample(small_log.runtime, outgoing, stream, by=OWNER)).problem == ""
    [[sample]] = bucket.objects.values()
    assert sample["action"] == "audit.stream.test"
    assert EXAMPLE.secret not in repr(EXAMPLE)


@pytest.mark.parametrize("secret", ["", "AK1", "AK1:", ":secret", "A K:secret", "AK1:sec\nret"])
def test_what_are_no_keys_of_a_bucket_is_refused(secret):
    with pytest.raises(InvalidInput):
        check_keys(secret)
