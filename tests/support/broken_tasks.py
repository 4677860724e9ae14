raise RuntimeError("half of it is missing")
