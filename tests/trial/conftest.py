from loop_runs import named_server, ran, served, small, small_runs

__all__ = ["named_server", "ran", "served", "small", "small_runs"]
