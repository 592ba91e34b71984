"""Reference speech whose times are known: a synthesiser's, and templates to warp onto a recording."""
