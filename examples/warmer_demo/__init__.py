"""The demo: dashboards over real flights, kept warm."""
