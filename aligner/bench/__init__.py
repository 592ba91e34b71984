"""How fast it is here, where the time goes, and whether all is well: `aligner bench`, `profile` and
`doctor`."""
