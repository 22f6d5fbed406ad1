"""load: clients that ask without a pause, of whom none may fail."""

import threading

from .client import RawClient
from .wait import PATIENCE, wait_for


class Load:
    """Keep-alive clients that ask and ask until they are told to stop."""

    def __init__(self, port, action, clients=8):
        self._port = port
        self._action = action
        self._stop = threading.Event()
        self.counts = [0] * clients
        self.failures = []
        self._threads = [threading.Thread(target=self._run, args=(i,))
                         for i in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, number):
        client = None
        try:
            while not self._stop.is_set():
                if client is None:
                    client = RawClient(self._port)
                    client.reader.keep_raw = False
                answer = self._action(client, self.counts[number])
                if answer.status != 200:
                    self.failures.append(repr(answer))
                self.counts[number] += 1
                if "close" in answer.list("Connection"):
                    client.close()
                    client = None
        except Exception as error:
            self.failures.append("after %d: %r" % (
                self.counts[number], error))
        finally:
            if client:
                client.close()

    def wait_more(self, n=1):
        """Until every client has had n more answers."""
        before = list(self.counts)
        wait_for("every client to be served", lambda: self.failures or all(
            now >= then + n for now, then in zip(self.counts, before)))
        assert not self.failures, self.failures
