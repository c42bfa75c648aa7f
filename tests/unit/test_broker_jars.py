"""The jars: fetched once and whole, and each start refuses one that is not what its digest says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from connectors.errors import Failed, Unreachable
from infra.broker import jars

CONTENT = {"a.jar": b"alpha", "b.jar": b"beta"}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


class Fetching:
    """Stands for the network: lays ``content`` in the folder, and counts how often it was asked."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, directory: Path) -> None:
        self.asked += 1
        for name, content in self.content.items():
            (directory / name).write_bytes(content)


def test_the_list_names_kafka_and_its_libraries() -> None:
    listed = jars.listed()
    assert f"kafka_2.13-{jars.KAFKA_VERSION}.jar" in listed
    assert len(listed) == 46
    assert all(len(digest) == 64 for digest in listed.values())


def test_they_are_fetched_once(tmp_path: Path) -> None:
    fetch, said = Fetching(CONTENT), []
    for _ in range(2):
        found = jars.ready_jars(tmp_path / "jars", DIGESTS, fetch, said.append)
    assert [path.read_bytes() for path in found] == [b"alpha", b"beta"]
    assert fetch.asked == 1
    assert len(said) == 1


@pytest.mark.parametrize("content", [b"changed", None])
def test_a_cached_jar_that_is_not_the_one_listed_is_refused(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "jars"
    jars.ready_jars(folder, DIGESTS, Fetching(CONTENT), lambda line: None)
    if content is None:
        (folder / "b.jar").unlink()
    else:
        (folder / "b.jar").write_bytes(content)
    with pytest.raises(Failed, match=r"b\.jar") as caught:
        jars.ready_jars(folder, DIGESTS, Fetching(CONTENT), lambda line: None)
    assert f"remove {folder}" in str(caught.value)


def test_a_wrong_jar_from_the_network_never_gets_into_the_cache(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"a\.jar"):
        jars.ready_jars(tmp_path / "jars", DIGESTS, Fetching({**CONTENT, "a.jar": b"evil"}), lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_without_network_and_cache_the_error_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(Unreachable) as caught:
        jars.ready_jars(tmp_path / "jars", DIGESTS, jars.fetch_by_jgo, lambda line: None)
    assert "--brokers HOST:PORT" in str(caught.value)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []
