"""The demonstration job: real data-parallel training in numpy by several processes, which survives kill -9 of any.

It links ``forestall_client`` and numpy alone, as a user's own job would. ``python -m experiments.training_job --help``.
"""
