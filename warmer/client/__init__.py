"""Client: what an application holds, `Warmer`, `@warmed` and the module functions."""
