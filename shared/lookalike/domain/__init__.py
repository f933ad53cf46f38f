"""Domain layer: data model, ports and errors, plus pure functions on them. It has no side effects."""
