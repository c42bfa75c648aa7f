"""Explaining a command or an incident from the log alone; :func:`infra.explain.document.explanation` is the way in."""
