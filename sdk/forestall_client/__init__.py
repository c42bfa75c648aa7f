"""What a training job links: ask whether a checkpoint is ordered, acknowledge it, report progress.

::

    client = forestall_client.connect()          # a no-op where no cluster agent started this process
    for step in range(first, last):
        loss = train_one_step()
        order = all_reduce_max(client.due(step))  # one small all-reduce every k steps; alone: order = client.due(step)
        if order:
            state = copy_of_state()               # training stands still for this long
            client.ack_staged(step, seconds, len(state), order=order)
            uri, digest = write_durably(state)    # may go on in a thread
            client.ack_durable(step, uri, digest)
        client.progress(step, loss, step_s)
    client.finished(step)

The protocol on the socket is in ``protocol.md`` beside this file.
"""

from forestall_client.client import Client, connect

__all__ = ["Client", "connect"]
