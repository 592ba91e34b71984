"""(graph, scores) -> path."""
