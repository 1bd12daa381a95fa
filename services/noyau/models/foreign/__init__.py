"""Networks of other makers: loading them without running code of theirs, and running them as they describe."""
