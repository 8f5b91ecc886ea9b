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

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that died.

        A worker is asked through a pipe. While this process holds the worker's end of it, too,
        one that dies while it is asked is waited for until the question's time is over, and
        nothing else is done meanwhile: no signal is heard.
        """
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()
