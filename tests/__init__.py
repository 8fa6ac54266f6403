"""Tests: unit mirrors the tree, flow runs real parts, e2e drives a browser, rules holds what must never be."""
