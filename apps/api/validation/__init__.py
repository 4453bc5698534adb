"""Limits on what one request may ask for. Each limit is checked before the work that it bounds.

tokens    before parsing, in one pass that also bounds nesting
depth     before validation
aliases   before validation, whose time is quadratic in them
cost      before execution, when the variables are known
"""
