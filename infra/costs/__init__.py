"""Estimates what a deployment costs a month: sizes from Terraform, prices from prices.toml, work from assumptions.toml."""
