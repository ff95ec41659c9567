"""Images of one's own, read and checked where they lie: a folder or a table -> manifests.

Nothing here copies, moves or changes one, and nothing knows what they are for.
"""
