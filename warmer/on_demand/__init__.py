"""On-demand warming: refreshes that an application requests, outside of any schedule."""
