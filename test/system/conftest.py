# SPDX-License-Identifier: MIT
"""Builds what the tests boot, so that `pytest test/system` works by itself too."""
import exo_qemu


def pytest_sessionstart(session):
    if not session.config.option.collectonly:
        exo_qemu.machine.setup("riscv", packages="test")
