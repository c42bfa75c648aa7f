"""``forestall keys new``: the first signing key and its keyring."""

from __future__ import annotations

import argparse

from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall keys new``."""
    parser.epilog = """\
examples
  forestall keys new                                         in the platform's data directory
  forestall keys new --set signing.key=/etc/forestall/keys   in a folder of your own

The private key stays on the machine of the worker; the keyring goes to every cluster agent."""
    parser.add_argument("--comment", default="", metavar="TEXT", help="kept beside the key, for people")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Make the key; nothing that is there is overwritten."""
    from infra import clock
    from infra.cli.keys.list import shown
    from infra.keys import key_files

    files = key_files(settings)
    made = files.new(clock.now(), options.comment)
    lines = [
        f"key {made.id} signs: {files.key}",
        f"keyring for the cluster agents: {files.keyring}",
        "copy the keyring to each machine that has one, and name it there: [signing] keyring",
    ]
    report(options, {"id": made.id, **shown(files)}, lines)
    return 0
