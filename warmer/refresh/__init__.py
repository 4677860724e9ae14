"""Refresh: lease, compute, publish; the one routine that refreshes values, for readers, by hand and for workers.

request             what is to be refreshed, and the same under a lease
refresher           the routine: acquires leases, computes, publishes
batch               computes many values by one call of a batch function
publisher           writes values under their leases, or reports failures
refreshed           how a computation ended, and how a refresh ended
effects, compute    run routines and users' functions in threads and beside event loops
single_flight       one computation in a process for all who want the same value
lease_renewal       keeps leases alive while their computations run
read_counter        counts reads; reader_usage reports what readers compute under limits
cache_options       how values are cached
"""
