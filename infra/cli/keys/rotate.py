"""``forestall keys rotate``: the next signing key, in two steps between which the keyring is copied."""

from __future__ import annotations

import argparse

from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall keys rotate``."""
    parser.epilog = """\
examples
  forestall keys rotate            1. make the next key and trust it; 2. copy the keyring to every cluster agent
  forestall keys rotate --switch   3. it signs from now on, in running workers too; 4. later: forestall keys revoke OLD

Between the two every command is still signed by the old key, and both are trusted: none is refused on the way."""
    parser.add_argument("--switch", action="store_true", help="have the key that was made sign from now on")
    parser.add_argument("--comment", default="", metavar="TEXT", help="kept beside the new key, for people")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Make the next key, or switch to it; each may be done again without harm."""
    from infra import clock
    from infra.cli.keys.list import shown
    from infra.keys import key_files

    files = key_files(settings)
    if options.switch:
        key = files.switch()
        lines = [
            f"key {key.id} signs from now on: {files.key}",
            "revoke the old one once its last commands have expired (15 minutes at most): forestall keys revoke ID",
        ]
    else:
        key = files.rotate(clock.now(), options.comment)
        lines = [
            f"key {key.id} is trusted by {files.keyring}, and does not sign yet",
            "copy the keyring to every cluster agent, then: forestall keys rotate --switch",
        ]
    report(options, {"id": key.id, **shown(files)}, lines)
    return 0
