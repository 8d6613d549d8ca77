"""A second opinion: what every read model must say, recounted from the log in plain Python.

`recount` counts, `histories` generates what to count, `paper_log` stores it without a database,
`compare` puts the two answers side by side. Written from `docs/read-models.md` alone.
"""
