"""A server that speaks OMERO's wire protocol and keeps its rules, for tests where no OMERO.server can run.

The transport is the real one: ZeroC Ice and the classes that omero-py generated from OMERO's interface definitions, so
that an unmodified client connects. `omero.tables` and `omero.processor` are the real ones too. What objects mean, who
may see and change them and what the server refuses is simulated here, after behaviour that was measured on a real
server. Whatever is not simulated is refused, and remembered: see `ledger`.

Run it with `python -m omero_sim`; see `__main__`.
"""
