"""The command line, `sb3-gail`: one file per command."""
