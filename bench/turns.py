# Bench programs that take turns: a Worker is a process that answers a line by a line, round_robin asks several of them
# in turn, so that what the machine does to one in between it does to all. Rests on worker.h's protocol.
import os
import select
import statistics
import subprocess
import time


class Missing(Exception):
    """The program or its library is not installed."""


class Worker:
    def __init__(self, name, command, environment=None, remove=()):
        self.name, self.pid, self.peak_bytes, self.buffer = name, None, None, b""
        if not os.access(command[0], os.X_OK):
            raise Missing(name)
        variables = {key: value for key, value in os.environ.items() if key not in remove}
        variables.update(environment or {})
        self.start = time.monotonic()
        self.process = subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

    def line(self, seconds=300):
        """The next line of the answer; an error if there is none in time."""
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not piece:
                raise RuntimeError(f"{self.name}: " + ("ended early" if ready else f"no answer in {seconds} s"))
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        text = line.decode()
        if text.startswith("error"):
            raise RuntimeError(f"{self.name}: {text[6:]}")
        return text

    def ask(self, question, seconds=300):
        self.process.stdin.write(question.encode() + b"\n")
        self.process.stdin.flush()
        return self.line(seconds)

    def wait_for(self, text, seconds=300):
        """Seconds from the start of the process until it has said so."""
        while self.line(seconds) != text:
            pass
        return time.monotonic() - self.start

    def end(self):
        """Ends the process and keeps the most memory it had."""
        if self.process is None:
            return
        self.process.stdin.close()
        try:
            deadline = time.monotonic() + 20
            while True:
                pid, _, usage = os.wait4(self.process.pid, os.WNOHANG)
                if pid:
                    self.peak_bytes = usage.ru_maxrss * 1024
                    break
                if time.monotonic() > deadline:
                    self.process.kill()
                time.sleep(0.01)
        except ChildProcessError:
            pass
        self.process.returncode = 0
        self.process.stdout.close()
        self.process = None


def round_robin(workers, rounds, ask):
    """Medians of ask(worker) by the worker's name, over rounds in which everyone has a turn. Between two turns there is
    a pause in which the last one's threads fall asleep. Who fails is left out and named in the second result."""
    figures, failures = {worker.name: [] for worker in workers}, {}
    for _ in range(rounds):
        for worker in workers:
            if worker.name in failures:
                continue
            time.sleep(0.01)
            try:
                figures[worker.name].append(ask(worker))
            except (RuntimeError, OSError, ValueError) as error:
                failures[worker.name] = str(error)
    return {name: statistics.median(f) for name, f in figures.items() if f and name not in failures}, failures
