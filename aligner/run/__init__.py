"""Runs: an utterance, a folder, a long recording, a stream, a transfer.

`align` is the path of an utterance on one page; `tasks` is what worker processes do with it.  `long` cuts a
long recording by a `first_pass`, and `joining` puts it together again; `plan` and `folder` are a run over a
folder; `stream` aligns while a recording comes in; `prompts` and `transfer` carry labels from one reading to
others.
"""
