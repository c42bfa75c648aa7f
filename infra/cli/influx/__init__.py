"""``forestall influx``: what is set up in an InfluxDB, each command a module of this package."""

#: name → (module, what it is for in one line)
COMMANDS = {
    "apply": ("infra.cli.influx.apply", "set up buckets, tasks, dashboards, checks and tokens, or put them right"),
}

EXAMPLES = """\
examples
  forestall influx apply --admin-token admin.token --set influx.url=http://influx-1:8086
  pass show influx/admin | forestall influx apply --admin-token -"""
