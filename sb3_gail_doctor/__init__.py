"""`sb3-gail doctor`: what is missing or broken on this machine, and the command that cures it.

A package of its own, which imports nothing of `sb3_gail_ext`: that package's import needs all that
may be broken.
"""
