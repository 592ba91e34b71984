"""Work in several processes and in batches on a device; this room knows no speech.

`schedule` gives items to workers a few at a time, and says what became of each; `device` does prepared items
in batches, whose size `batches` finds out.  `pool` hands out requests to worker processes and notices which
of them died or hang; `fork_server` starts the processes; `worker` is what runs in each of them;
`serialization` turns requests and results into bytes; `cores` says how many processes and threads there may
be; `monitor` looks at what all of them use.
"""
