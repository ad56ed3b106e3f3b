"""Exporters: a model family in, a bundle (docs/bundle-format.md) out."""
