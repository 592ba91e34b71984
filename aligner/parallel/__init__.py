"""Work in several processes; it knows no speech.

`server` is where processes come from, `life` what they do, `wire` what goes to and fro, `workers` the pool
that hands out questions and notices who has died or is stuck; `cores` says how many there may be.
"""
