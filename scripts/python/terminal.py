# SPDX-License-Identifier: MIT
"""Between a person's terminal and the console of a machine."""
import os
import sys
import termios

END = b"\x1d"  # Ctrl-]: ends the machine, whatever runs on it
INTERRUPT = b"\x03"  # Ctrl-C
END_OF_INPUT = b"\x04"  # Ctrl-D
HELD_BYTES = 65536  # typed and not taken by the machine: then no more is read


class Ended(Exception):
    """A key said that the machine is to end."""


class Terminal:
    """Standard input: its keys, raw while this is entered, and where they are to go."""

    def __init__(self, machine_input, ends):
        self.source = sys.stdin.fileno() if sys.stdin else None
        self.to = machine_input.fileno()
        self.ends = ends
        self.held = b""
        self.opened = False  # before that the firmware would throw away what is typed
        self.before = None
        os.set_blocking(self.to, False)

    def __enter__(self):
        if self.source is None or not os.isatty(self.source):
            return self
        try:
            # From the background it would stop us.
            if os.tcgetpgrp(self.source) != os.getpgrp():
                self.source = None
                return self
        except OSError:
            return self
        self.before = termios.tcgetattr(self.source)
        raw = termios.tcgetattr(self.source)
        raw[0] &= ~(termios.ICRNL | termios.INLCR | termios.IXON | termios.ISTRIP | termios.BRKINT)
        raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.source, termios.TCSADRAIN, raw)
        return self

    def __exit__(self, *_):
        if self.before:
            termios.tcsetattr(self.source, termios.TCSADRAIN, self.before)

    def is_interactive(self):
        return self.before is not None

    def readable(self):
        """What to wait for until something can be read."""
        return [self.source] if self.source is not None and len(self.held) < HELD_BYTES else []

    def writable(self):
        return [self.to] if self.held and self.opened else []

    def read(self):
        try:
            data = os.read(self.source, 4096)
        except OSError:
            data = b""
        if not data:
            # Whoever reads on the machine learns of the end as from a keyboard.
            self.source = None
            data = END_OF_INPUT
        elif self.is_interactive() and any(key in data for key in self.ends):
            raise Ended
        self.held += data

    def write(self):
        try:
            self.held = self.held[os.write(self.to, self.held) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.held = b""
