"""Recording of a sample of a live fleet's reads under anonymous keys, as a trace for `warmer simulate`.

While a recorder holds the recording, the script that counts reads also appends those of sampled targets to a stream of
bounded length, and the recorder moves them to a file. It holds the recording by a key that expires, so that recording
ends if the recorder dies.
"""
