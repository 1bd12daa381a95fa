"""Everything about OMERO: identity, sessions, pixels, ROIs, tables and annotations.

The only room that imports `omero`. It does so when it first talks to a server, so that every module here can be
imported without omero-py; `noyau.omero.bindings` says what to install.
"""
