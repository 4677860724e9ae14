"""On-demand warming: what an application requests explicitly."""
