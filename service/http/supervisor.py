"""uvicorn's supervisor of several workers, which closes the door when they do."""

from __future__ import annotations

from uvicorn.supervisors import Multiprocess


class Supervisor(Multiprocess):
    """Starts the workers, replaces those that die, and ends them all on SIGTERM.

    The listening socket is shared. uvicorn's supervisor keeps its own copy until it ends,
    so that connections are still made, and then reset, when no worker is left to take
    them; here that copy goes first, and a client that comes too late is refused.
    """

    def terminate_all(self) -> None:
        """Tell every worker to drain."""
        super().terminate_all()
        for listening in self.sockets:
            listening.close()
