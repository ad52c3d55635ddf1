"""Comparisons of methods: plan, units of work, engines, statistics, report."""
