"""``forestall keys list``: which keys are trusted, and which signs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from infra.cli.options import report
from infra.settings import Settings

if TYPE_CHECKING:
    from connectors.signing import KeyFolder


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall keys list``."""
    parser.epilog = """\
examples
  forestall keys list
  forestall keys list --set signing.keyring=/etc/forestall/keyring.json --json"""


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Show the keyring; the private keys are only named."""
    from infra.keys import key_files

    files = key_files(settings)
    result = shown(files)
    report(options, result, _lines(result))
    return 0


def shown(files: KeyFolder) -> dict[str, Any]:
    """The keys of a folder as JSON: ``use`` is ``signs``, ``next`` (after the switch) or None."""
    from dataclasses import asdict

    from connectors.signing.keyring import read_keys
    from connectors.signing.private_key import read_private_key

    uses = {
        read_private_key(path).id: use for path, use in ((files.coming, "next"), (files.key, "signs")) if path.exists()
    }
    keys = [{**asdict(key), "use": uses.get(key.id)} for key in read_keys(files.keyring).values()]
    return {"keyring": str(files.keyring), "key": str(files.key), "keys": keys}


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"keyring {result['keyring']}"
    for key in result["keys"]:
        since = f"revoked {key['revoked_at']}" if key["revoked_at"] else f"made {key['made_at']}"
        yield f"{key['id']}  {key['state']:<8}{key['use'] or '-':<7}{since}  {key['comment']}".rstrip()
