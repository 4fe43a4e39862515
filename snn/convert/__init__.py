"""Trained networks of other frameworks as models of snn layers (docs/convert.md)."""
