"""``forestall keys``: the keys that commands are signed with, each command a module of this package."""

#: name → (module, what it is for in one line)
COMMANDS = {
    "new": ("infra.cli.keys.new", "make the first signing key, and the keyring that cluster agents trust"),
    "rotate": ("infra.cli.keys.rotate", "make the next key, and later have the worker sign with it"),
    "revoke": ("infra.cli.keys.revoke", "trust a key no more"),
    "list": ("infra.cli.keys.list", "show the keys: which are trusted, and which signs"),
}

EXAMPLES = """\
examples
  forestall keys new                  once; then copy keyring.json to the machines of the cluster agents
  forestall keys rotate               the next key: trusted from now on; copy the keyring again
  forestall keys rotate --switch      it signs from now on; workers need no restart
  forestall keys revoke 0bfe45d2d388f614
  forestall keys list --json"""
