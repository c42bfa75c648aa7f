"""Brakes: what keeps forestall from moving nodes, whatever the policies say (decision record 024).

``state`` is what is remembered, ``words`` what people say, ``breaker`` how many nodes may go out, ``storm`` when alarms
come too thick to act upon, ``gate`` the one place where a move is held. None of them holds up the RESTORE of a rank
that is down; a pause alone holds up checkpoints.
"""
