"""Where the work runs: one protocol, threads of this process by default, many hosts later."""
