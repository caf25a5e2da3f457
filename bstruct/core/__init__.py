"What every other room stands on: refusals, dictionaries of tensors, files, random streams, checkpoints and journals."
