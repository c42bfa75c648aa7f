"""What another policy would have done with the same log, and what that would have been worth (decision 032).

Pure: events and commands in, differences out. A backtest and a shadow policy are the same fold; a backtest holds the
commands of the log against it, a shadow those of the policy in use, folded beside it.
"""
