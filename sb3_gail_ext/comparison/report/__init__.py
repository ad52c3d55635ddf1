"""A comparison as one HTML page that opens without a network, and the same as Markdown."""

from sb3_gail_ext.comparison.report.write import write_report

__all__ = ["write_report"]
