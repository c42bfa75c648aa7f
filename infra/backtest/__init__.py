"""Back-testing: a log is folded under another policy, and told what that would have done otherwise."""
