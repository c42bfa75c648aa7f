"""``forestall sink``: what takes the topics elsewhere, each command a module of this package."""

#: name → (module, what it is for in one line)
COMMANDS = {
    "influx": ("infra.cli.sink.influx", "write assessments, incidents, commands, outcomes and ledgers to InfluxDB 2"),
    "webhook": ("infra.cli.sink.webhook", "send alerts, as Alertmanager does"),
}

EXAMPLES = """\
examples
  forestall sink influx --brokers kafka-1:9092 --set influx.token_file=write.token"""
