"""``forestall lab``: what can be measured, each command a module of this package."""

#: name → (module, what it is for in one line)
COMMANDS = {
    "compare": ("infra.cli.lab.compare", "policies side by side, on a simulated cluster or a real failure trace"),
    "goals": ("infra.cli.lab.goals", "the goals G1 to G7, all in one run"),
    "predict": (
        "infra.cli.lab.predict",
        "the predictor beside its peers and the ceiling, on nodes never seen",
    ),
    "detect": ("infra.cli.lab.detect", "the detector against its peers on a folder of real telemetry"),
    "history": ("infra.cli.lab.history", "what a fault log alone foretells, and what that saves"),
    "experiment": ("infra.cli.lab.experiment", "the three experiments of the paper: 1, 2 or 3"),
    "ablate": ("infra.cli.lab.ablate", "which groups of metrics and which normalisation the predictor needs"),
    "checkpoint-cost": (
        "infra.cli.lab.checkpoint_cost",
        "what a checkpoint costs on this machine, by size, mode and frequency",
    ),
    "pool": ("infra.cli.lab.pool", "how many spares a cluster should keep"),
}

EXAMPLES = """\
examples
  forestall lab compare --profile small-256 --seeds 100   every policy on 32 nodes, paired seeds, 95 % intervals
  forestall lab predict --json                            the figures of the shipped predictor, for a program
  forestall lab compare --help                            what one command takes"""
