"""``forestall audit``: the log of commands read back, each command a module of this package."""

#: name → (module, what it is for in one line)
COMMANDS = {
    "verify": ("infra.cli.audit.verify", "see that no command was cut, altered, moved or put in, and who signed each"),
    "export": ("infra.cli.audit.export", "write the command log as a file of JSON lines that can be verified later"),
}

EXAMPLES = """\
examples
  forestall audit verify                   the last run of the embedded broker, also when it has ended
  forestall audit export commands.jsonl    keep it
  forestall audit verify commands.jsonl    what was kept"""
