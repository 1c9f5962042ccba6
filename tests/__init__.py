"""Tests of django-localmirror: contract suites, rigs and the servers they run against."""
