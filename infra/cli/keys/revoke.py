"""``forestall keys revoke``: a key that is trusted no more."""

from __future__ import annotations

import argparse

from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall keys revoke``."""
    parser.epilog = """\
examples
  forestall keys revoke 0bfe45d2d388f614

It holds where this keyring is: copy it to the cluster agents, or run the same command on their copies. Running agents
read it again by themselves. The key that signs cannot be revoked: rotate and switch first."""
    parser.add_argument("id", metavar="ID", help="the key, as forestall keys list names it")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Mark the key as revoked, with the time; it stays in the keyring so that old commands can be judged."""
    from infra import clock
    from infra.cli.keys.list import shown
    from infra.keys import key_files

    files = key_files(settings)
    key = files.revoke(options.id, clock.now())
    lines = [f"key {key.id} is revoked since {key.revoked_at} in {files.keyring}", "copy it to every cluster agent"]
    report(options, {"id": key.id, **shown(files)}, lines)
    return 0
