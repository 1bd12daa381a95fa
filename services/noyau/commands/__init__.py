"""The commands of `noyau`, one file per group; `noyau.cli` assembles them. Heavy imports stay inside functions."""
