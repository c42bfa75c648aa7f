"""Where telemetry comes from, one kind a file; each is a :class:`connectors.ports.Source`."""
