"""``forestall model``: model artefacts, each command a module of this package."""

#: name → (module, what it is for in one line)
COMMANDS = {
    "show": ("infra.cli.model.show", "the card of an artefact: data, split, figures with intervals, calibration"),
    "verify": ("infra.cli.model.verify", "see that an artefact is whole and reads the features of this forestall"),
    "compare": ("infra.cli.model.compare", "two artefacts on the same nodes, with paired intervals"),
    "activate": ("infra.cli.model.activate", "have running workers use an artefact, or score it beside the active one"),
}

EXAMPLES = """\
examples
  forestall model show                               the card of the shipped predictor
  forestall model verify my-model/mlp.safetensors    whole, and of this forestall's features?
  forestall model activate my-model/mlp.safetensors  in running workers, without a restart
  forestall model activate --help                    what one command takes"""
