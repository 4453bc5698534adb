"""Normalize the cells of foreign feeds: money, dates, places, markup and lists, as people write them.

Every function here is pure: no database, no settings, no clock but the one it is given. A cell that cannot be
understood raises `UnreadableCellError`, which names what would be right; nothing is guessed beyond what the
cell says.
"""
