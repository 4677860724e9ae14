"""Records a sample of the reads of a live fleet, under names that tell nothing, as a trace for `warmer simulate`.

While somebody records, the script that takes in counted reads adds those of sampled targets to a stream of bounded
length; the recorder takes them off. It holds the recording by a key that expires: if it dies, the recording ends.
"""
