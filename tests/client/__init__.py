"""Tests of `lookalike.client`."""
