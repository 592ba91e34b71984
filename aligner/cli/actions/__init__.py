"""What each command does once its call has been found right: it calls the rooms and prints what they say.

These modules import torch.  The commands beside them import one of these, inside the command, so that help
and wrong calls are answered at once.
"""
