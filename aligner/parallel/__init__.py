"""Work in several processes; this room knows no speech.

`pool` hands out requests to worker processes and notices which of them died or hang; `fork_server` starts
the processes; `worker` is what runs in each of them; `serialization` turns requests and results into bytes;
`cores` says how many processes and threads there may be.
"""
